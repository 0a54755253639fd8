"""`fit`, `iterate` and the frozen result."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite, log
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.engine.accelerators import AbstractAccelerator, Squarem
from latens.engine.loop import Iterate, run
from latens.engine.problem import Problem
from latens.engine.starts import Starts, search
from latens.engine.status import Status
from latens.engine.stop import Stop
from latens.errors import InferenceError, ModelError, ParameterError
from latens.inference.information import Information, trusted
from latens.models.base import AbstractModel
from latens.numerics.precision import double
from latens.numerics.space import Params


@dataclass(frozen=True, repr=False)
class Fit:
    """A maximum likelihood fit. It never changes; `print(fit)` is its report.

    `model`; `params`: name → array, a mixture's with the component as first axis; `log_likelihood`: at
    exactly those params; `status`: how it ended (`status.sentence` in words) and `reason`: why, if
    degenerate; `evaluations`: of the EM map, over the final run; `trace`: (steps,) log-likelihoods,
    never falling; `n`: the total weight; `names`: a label for every scalar; `starts`: what many starts
    met, or None.

    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [2.0, 4.0, 9.0])
        >>> round(float(fit.params["rate"]), 4), round(float(fit.standard_errors()["rate"]), 4)
        (0.2, 0.1155)
    """

    model: AbstractModel
    params: dict[str, np.ndarray]
    log_likelihood: float
    status: Status
    reason: str
    evaluations: int
    trace: np.ndarray
    n: float
    names: list[str]
    starts: Starts | None
    last: Iterate = field(compare=False)

    @property
    def _problem(self) -> Problem:
        return self.last.problem

    @property
    def converged(self) -> bool:
        """Whether the projected distance to the limit came within the tolerance."""
        return self.status is Status.CONVERGED

    @property
    def message(self) -> str:
        """How the fit ended, in words."""
        return self.status.sentence + (f" Reason: {self.reason}." if self.reason else "")

    @property
    def shown(self) -> np.ndarray:
        """(S,) indices of the scalars a report shows: a covariance once, not twice."""
        return np.flatnonzero(self._problem.space.distinct)

    @property
    def rows(self) -> int:
        """Number of rows of positive weight."""
        return len(self._problem.weights)

    @property
    def free_parameters(self) -> int:
        """Number of free parameters."""
        return self._problem.space.size

    @property
    def aic(self) -> float:
        """Akaike's criterion, −2ℓ + 2p (smaller is better)."""
        return -2 * self.log_likelihood + 2 * self.free_parameters

    @property
    def bic(self) -> float:
        """Schwarz's criterion, −2ℓ + p log n (smaller is better)."""
        return -2 * self.log_likelihood + self.free_parameters * log(self.n)

    @cached_property
    def information(self) -> Information:
        """Complete, observed and missing information.

        **Raises:** `InferenceError` with the reason where standard errors would mean nothing: not
        converged, on the boundary, not identified, a saddle.
        """
        if not self.converged:
            raise InferenceError(f"the fit has not converged ({self.status.value}): there is no maximum to measure at")
        return trusted(self._problem, self.last.free, self.names)

    def covariance(self) -> np.ndarray:
        """(P, P) covariance of every scalar in the order of `names`: inverse observed information.

        **Raises:** `InferenceError` where it cannot be trusted; the message says why.
        **Source:** Efron & Hinkley (1978), Biometrika 65, 457.
        """
        return self.information.covariance

    def standard_errors(self) -> dict[str, np.ndarray]:
        """name → standard errors, shaped like the parameters.

        **Raises:** `InferenceError` where they cannot be trusted; the message says why.
        """
        return self._problem.space.unflat(np.sqrt(np.diag(self.covariance())))

    @cached_property
    def intervals(self) -> np.ndarray:
        """(P, 2) 95 % intervals, formed on each parameter's free scale and mapped back."""
        value, error = self.estimates, np.sqrt(np.diag(self.covariance()))
        links, z = self._problem.space.links, 1.959963984540054
        out = np.stack([value - z * error, value + z * error], 1)
        logs, logits = links == "log", links == "logit"
        with np.errstate(over="ignore"):
            for sign, column in ((-1, 0), (1, 1)):
                v, e = value[logs], error[logs]
                out[logs, column] = v * np.exp(sign * z * e / v)
                v, e = value[logits], error[logits]
                odds = v / (1 - v) * np.exp(sign * z * e / (v * (1 - v)))
                out[logits, column] = np.where(np.isinf(odds), 1.0, odds / (1 + odds))
        return out

    @cached_property
    def estimates(self) -> np.ndarray:
        """(P,) every scalar, in the order of `names`."""
        return np.concatenate([np.reshape(self.params[n], -1) for n in self._problem.space.shapes])

    @double
    def _rows(self, data: Any) -> tuple[Any, np.ndarray | float]:
        """Rows in the frame, and their log-Jacobian."""
        problem = self._problem
        if data is None:
            return problem.xs, 0.0
        xs = self.model.read(data).xs
        return self.model.observe(problem.frame.apply(xs)), problem.frame.log_jacobian(xs)

    @double
    def posterior(self, data: Any = None) -> Any:
        """What is known of the hidden part of each row, given what was seen of it.

        For a mixture (n, k) probabilities of the components, for `Cells` (groups, cells), for `Latent`
        (n, values); for other models the expected statistics, with n as first axis.

        **Arguments:** `data`: rows as in `lt.fit`; None for the rows of the fit (of positive weight).
        **Raises:** `DataError`.
        """
        potentials = self.model.potentials(self._problem.inside(jnp.asarray(self.last.free)))
        found = jax.vmap(self.model.posterior, (None, 0))(potentials, self._rows(data)[0])
        return jax.tree.map(np.asarray, found)

    def predict(self, data: Any = None) -> np.ndarray:
        """(n,) the most probable hidden value of each row, as an index into `model.hidden`.

        **Raises:** `ModelError` if the model hides no label; `DataError`.
        """
        if self.model.hidden is None:
            raise ModelError(f"{type(self.model).__name__} has no hidden label to predict; see posterior()")
        return np.asarray(self.posterior(data).argmax(-1))

    @double
    def log_density(self, data: Any = None) -> np.ndarray:
        """(n,) log-likelihood of each row."""
        xs, jacobian = self._rows(data)
        potentials = self.model.potentials(self._problem.inside(jnp.asarray(self.last.free)))
        values = np.asarray(jax.vmap(self.model.log_evidence, (None, 0))(potentials, xs))
        return values + (self._problem.row_jacobian if data is None else jacobian)

    @double
    def sample(self, n: int, seed: int = 0) -> Any:
        """n rows drawn from the fitted model, in the form of the data.

        Sizes that a datum brings along (trials, exposure) are drawn from the rows of the fit.

        **Raises:** `ModelError` if the model does not say how to sample; `ParameterError` for n below 1.
        """
        if n < 1:
            raise ParameterError(f"sample: n must be at least 1, got {n}")
        first, second = jax.random.split(jax.random.key(seed))
        problem = self._problem
        rows = jax.random.choice(first, len(problem.weights), (n,), p=jnp.asarray(problem.weights) / problem.n)
        likes = jax.tree.map(lambda leaf: leaf[rows], problem.sizes)
        params = {name: jnp.asarray(v) for name, v in self.params.items()}
        draws = jax.vmap(self.model.sample, (None, 0, 0))(params, jax.random.split(second, n), likes)
        return self.model.collect(draws, problem.columns)

    def summary(self) -> str:
        """The report as plain text: what `print(fit)` shows."""
        from latens.report.text import render

        return render(self)

    __str__ = summary

    def __repr__(self) -> str:
        return f"<Fit of {type(self.model).__name__}: log-likelihood {self.log_likelihood:.6f}, {self.status.value}>"

    def to_dict(self) -> dict[str, Any]:
        """Everything in the report as plain Python values, ready for JSON (no NaN, no infinity)."""
        from latens.report.record import record

        return record(self)


def iterate(
    model: AbstractModel,
    data: Any,
    *,
    weights: Any = None,
    start: Params | None = None,
    starts: int | None = None,
    seed: int = 0,
    accelerate: AbstractAccelerator | None = None,
    stop: Stop | None = None,
) -> Iterator[Iterate]:
    """The iterations that `lt.fit` exhausts, one by one: stop, look or record as you like.

    **Arguments:** as in `lt.fit`. **Returns:** a generator of `Iterate` (`params`, `log_likelihood` at
    them, `evaluations`, `distance`, `status`).
    **Raises:** as `lt.fit`.
    **Example:**
        >>> import latens as lt
        >>> moths = lt.HardyWeinberg("C > I > T", {"black": "C", "mottled": "I", "light": "T"})
        >>> steps = lt.iterate(moths, [85, 196, 341], start={"C": 1/3, "I": 1/3, "T": 1/3},
        ...                    accelerate=lt.Plain(), stop=lt.Stop(max_steps=2))
        >>> [round(float(s.params["I"]), 5) for s in steps]
        [0.33333, 0.23741, 0.19787]
    """
    problem = Problem(model, data, weights)
    accelerate, stop = accelerate or Squarem(), stop or Stop()
    if start is not None:
        return run(problem, problem.free(start), accelerate, stop)
    wanted = model.usual_starts if starts is None else starts
    return run(problem, search(problem, wanted, seed, accelerate)[0], accelerate, stop)


def fit(
    model: AbstractModel,
    data: Any,
    *,
    weights: Any = None,
    start: Params | None = None,
    starts: int | None = None,
    seed: int = 0,
    accelerate: AbstractAccelerator | None = None,
    stop: Stop | None = None,
    progress: bool = False,
) -> Fit:
    """Maximum likelihood by EM.

        θ ← argmax Q(θ | θ),  repeated;  the log-likelihood never falls

    **Arguments:** `model`: see `lt.IID`, `lt.Mixture`, `lt.Cells`, `lt.Latent`; `data`: a NumPy array,
    list, dict of columns, data frame, or counts (`Cells`), NaN where a datum was not seen; `weights`
    (n,): frequency weights; `start`: params to begin at; or else `starts`: how many starts to try by
    short runs, of which the best is finished (default: 10 for a mixture, 1 for others), drawn with
    `seed`; `accelerate`: `lt.Squarem()` (default) or `lt.Plain()`; `stop`: `lt.Stop(...)`;
    `progress`: show a progress line.
    **Returns:** a `Fit`. Ctrl-C ends the iteration and returns the best so far, status "interrupted".
    **Raises:** `DataError`, `ModelError`, `ParameterError`; each names what is wrong and the remedy.
    **Example:** two normals with a common known variance:
        >>> import latens as lt
        >>> fit = lt.fit(lt.Mixture(lt.Normal(variance=1.0), 2), [-2.0, -1.5, -2.5, 1.0, 2.0, 3.0, 2.0])
        >>> sorted(fit.params["mean"].round(3).tolist())
        [-1.986, 2.0]

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1.
    """
    problem = Problem(model, data, weights)
    accelerate, stop = accelerate or Squarem(), stop or Stop()
    summary: Starts | None = None
    if start is not None:
        if starts is not None:
            raise ParameterError("give either start (params to begin at) or starts (how many to try), not both")
        free = problem.free(start)
    else:
        free, summary = search(problem, model.usual_starts if starts is None else starts, seed, accelerate)
    steps = run(problem, free, accelerate, stop)
    if progress:
        from latens.report.progress import shown

        steps = shown(steps, stop)
    trace: list[float] = []
    last: Iterate | None = None
    try:
        for last in steps:
            if last.step == len(trace):
                trace.append(last.log_likelihood)
    except KeyboardInterrupt:
        if last is None:
            raise
        last = last.ended(Status.INTERRUPTED)
    assert last is not None
    assert isfinite(last.log_likelihood)
    return Fit(
        model,
        last.params,
        last.log_likelihood,
        last.status,
        last.reason,
        last.evaluations,
        np.array(trace),
        problem.n,
        problem.space.names(model.axes(problem.columns)),
        summary,
        last,
    )
