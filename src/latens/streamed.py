"""What the rows of a stream tell so far: estimates with their errors, without a certificate."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from latens.engine.derivatives import jacobian
from latens.engine.loop import Iterate
from latens.engine.problem import Problem
from latens.engine.stop import Status
from latens.errors import InferenceError, ModelError, ParameterError
from latens.inference.errors import wald
from latens.inference.estimate import Estimate
from latens.inference.information import BOUNDARY, FIXED, Held, masked
from latens.inference.stepwise import Averaged, Stream, averaged, inverted
from latens.models.base import AbstractModel
from latens.numerics.compiling import double
from latens.numerics.memory import sealed

UNTOLD = (
    "the rows seen so far do not tell all parameters apart, so nothing says how sure they are: take more "
    "rows, or fewer components"
)


METHODS: dict[str, Callable[[Averaged], np.ndarray | None]] = {
    "observed": lambda found: found.inverse,
    "opg": lambda found: inverted(found.products),
    "sandwich": lambda found: found.robust,
}


@dataclass(frozen=True, repr=False, eq=False)
class Streamed:
    """The estimate from the rows of a stream so far, of which none is kept. It never changes; `print` shows it.

        V = (−Σ w ∂²log f(x))⁻¹,   of each row at the point it was met at

    `params`: name → array; `n`: the weight of the rows of which something was seen; `unseen`: and of the others;
    `used`: of the rows that it rests on, fewer than n where early ones disagreed with later ones; `status`: "online
    estimate, no certificate", or "degenerate" with the `reason`.

    **Source:** Polyak & Juditsky (1992), SIAM J. Control Optim. 30, 838; Louis (1982), JRSS B 44, 226.
    """

    _estimate: Estimate
    _found: Averaged
    n: float
    unseen: float
    used: float

    @property
    def model(self) -> AbstractModel:
        """The model, with what the first rows said of it."""
        return self._estimate.model

    @property
    def params(self) -> dict[str, np.ndarray]:
        """name → estimate; a mixture's have the component as first axis."""
        return self._estimate.at.params

    @property
    def names(self) -> list[str]:
        """A label for every scalar, in the order of `estimates`."""
        return list(self._estimate.problem.names)

    @property
    def estimates(self) -> np.ndarray:
        """(P,) every scalar."""
        return sealed(self._estimate.values)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of the data."""
        return self._estimate.problem.columns

    @property
    def status(self) -> Status:
        """Whether the stream goes on; `status.sentence` says it in words."""
        return self._estimate.at.status

    @property
    def reason(self) -> str:
        """Why it has ended, if it has."""
        return self._estimate.at.reason

    @property
    def message(self) -> str:
        """How it stands, in words."""
        return self._estimate.message

    @cached_property
    @double
    def _jacobian(self) -> np.ndarray:
        """(P, p) of the reported scalars."""
        known = self._estimate.problem
        return np.asarray(jacobian(known.model, known.frame, jnp.asarray(self._found.free)))

    @property
    def _held(self) -> tuple[Held, ...]:
        scalars, inside = len(self._found.inside), self._found.inside
        fixed = inside & (self._jacobian == 0).all(1)
        held = tuple(Held(move, move > 0, BOUNDARY) for move in np.eye(scalars)[~inside])
        return (*held, Held(np.zeros(scalars), fixed, FIXED)) if fixed.any() else held

    @property
    def held(self) -> dict[str, str]:
        """label → why this scalar has no standard error."""
        return {self.names[i]: each.reason for each in self._held for i in np.flatnonzero(each.scalars)}

    def covariance(self, method: str = "observed") -> np.ndarray:
        """(P, P) covariance of every scalar in the order of `names`, NaN where `held`.

        **Arguments:** `method`: "observed", the inverse of the observed information; "opg", that of Σ w s sᵀ, s the
        scores; "sandwich", of both, right for a model that is wrong, too.
        **Raises:** `InferenceError` where the rows do not tell it; `ParameterError` for another method.
        """
        if method not in METHODS:
            raise ParameterError(f"method must be one of {', '.join(METHODS)} for a stream, got {method!r}")
        if self.reason:
            raise InferenceError(f"the stream has ended ({self.reason}): begin another one")
        found = METHODS[method](self._found)
        if found is None:
            raise InferenceError(UNTOLD)
        along = self._jacobian @ self._found.directions
        return masked(along @ found @ along.T, self._held)

    def standard_errors(self, method: str = "observed") -> dict[str, np.ndarray]:
        """name → standard errors, shaped like the parameters, NaN where `held`; as `covariance`."""
        return self._estimate.problem.space.unflat(np.sqrt(np.diag(self.covariance(method))))

    def intervals(self, level: float = 0.95, method: str = "observed") -> np.ndarray:
        """(P, 2) lower and upper ends for every scalar in the order of `names`; as `confidence_intervals`."""
        errors = np.sqrt(np.diag(self.covariance(method)))
        return wald(self._estimate.values, errors, self._estimate.problem.space.links, level)

    def confidence_intervals(self, level: float = 0.95, method: str = "observed") -> dict[str, np.ndarray]:
        """name → (..., 2) ends of Wald intervals, formed on each parameter's free scale and mapped back.

        **Arguments:** `level` in (0, 1); `method`: as in `covariance`.
        **Raises:** `ParameterError` for a level outside (0, 1); as `covariance`.
        """
        low, high = map(self._estimate.problem.space.unflat, self.intervals(level, method).T)
        return {name: np.stack([low[name], high[name]], -1) for name in low}

    def log_density(self, data: Any) -> np.ndarray:
        """(n,) log-likelihood of each row of data as in `lt.fit`."""
        return self._estimate.log_density(data)

    def posterior(self, data: Any) -> Any:
        """What is known of the hidden part of each row; see `Fit.posterior`."""
        return self._estimate.posterior(data)

    def predict(self, data: Any) -> np.ndarray:
        """(n,) the most probable hidden value of each row, as an index into `model.hidden`.

        **Raises:** `ModelError` if the model hides no label; `DataError`.
        """
        if self.model.hidden is None:
            raise ModelError(f"{type(self.model).__name__} has no hidden label to predict; see posterior()")
        return np.asarray(self.posterior(data).argmax(-1))

    def summary(self, method: str = "observed") -> str:
        """The report as plain text: what `print` shows, with standard errors by `method`."""
        from latens.report.streamed import render_stream  # rich is slow to load

        names, held, errors, intervals, told = self.names, self.held, None, None, f"by the method '{method}'."
        try:
            errors, intervals = np.sqrt(np.diag(self.covariance(method))), self.intervals(method=method)
        except InferenceError as error:
            held, told = {}, f"not given: {error}."
        early = (
            f"{self.used:g} of {self.n:g} count: those before disagree with them; the stream changed, or began badly."
        )
        facts = {
            "Status": self.message,
            "Rows": early if self.used < self.n else "",
            "Unseen": f"Nothing was seen of {self.unseen:g} rows more, which count for nothing." if self.unseen else "",
            "Standard errors": told,
        }
        of = {i: held[names[i]] for i in self._estimate.shown if names[i] in held}
        return render_stream(self._estimate, self.n, errors, intervals, of, facts)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<estimate of {type(self.model).__name__} from {self.n:g} rows of a stream: {self.status.value}>"


def streamed(known: Problem, stream: Stream, status: Status) -> Streamed:
    """The estimate that a stream has come to; `known` has rows like its own."""
    record = stream.record
    if stream.reason:  # the last usable point, of which no more is said
        nothing = np.full((len(stream.free),) * 2, np.nan)
        found = Averaged(stream.free, np.ones(len(known.names), dtype=bool), np.eye(len(stream.free)), None, nothing)
    else:
        found = averaged(known, stream.free, record)
    at = Iterate(known, found.free, np.nan, 0, 0, 0, False, np.inf, status, stream.reason)
    return Streamed(Estimate(at), found, stream.n, stream.unseen, record.n)
