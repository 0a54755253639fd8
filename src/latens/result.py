"""The frozen result of a fit."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from latens.engine.emmap import evidences, posteriors
from latens.engine.loop import Passed
from latens.engine.order import in_order
from latens.engine.problem import Problem
from latens.engine.starts import Met
from latens.errors import ModelError
from latens.estimates import Estimates
from latens.inference.errors import AbstractMethod
from latens.inference.imputation import Conditional, Imputation, conditional, impute
from latens.inference.simulation import simulate
from latens.numerics.asked import whole
from latens.numerics.memory import frozen
from latens.numerics.precision import double
from latens.numerics.space import Label


@dataclass(frozen=True, repr=False, eq=False)
class Fit(Estimates):
    """A maximum likelihood fit. It never changes; `print(fit)` is its report.

    `model`; `params`: name → array; `log_likelihood`: at exactly those params; `status`: how it ended
    (`status.sentence` in words) and `reason`: why, if degenerate; `evaluations`: of the EM map, over the
    final run; `trace`, `accelerated`, `rejected`: (steps,) of its points; `n`: the total weight of the rows of which
    something was seen; `names`: a label for every scalar; `starts`: what many starts met, or None. Uncertainty:
    `information`, `errors`, `standard_errors`, `covariance`, `confidence_intervals`, `derive`, `wald_test`,
    `likelihood_ratio`.

    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [2.0, 4.0, 9.0])
        >>> round(float(fit.params["rate"]), 4), round(float(fit.standard_errors()["rate"]), 4)
        (0.2, 0.1155)
    """

    path: tuple[Passed, ...]
    starts: Met | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to know of how the data were read (which texts were taken as missing), and of the model."""
        return (*self._problem.notes, *self.model.notes)

    @property
    def unfollowed(self) -> dict[str, str]:
        """label → why, of the scalars whose profile could not be followed, so far as it was asked for."""
        return dict(self._optimum.unfollowed)

    @property
    def labels(self) -> list[Label]:
        """Of every scalar its parameter and its entry: `names` in two parts."""
        return list(self._problem.labels)

    @property
    def links(self) -> np.ndarray:
        """(P,) per scalar, the scale its interval is formed on: "identity", "log" or "logit"."""
        return self._problem.space.links

    def sorted(self, by: str, *, descending: bool = False) -> "Fit":
        """The same fit with its components put in order, which likelihood leaves open.

        **Arguments:** `by`: a parameter of which every component has one number ("mean", "weights"), or one of several
        ("mean[waiting]"); `descending`: largest first.
        **Raises:** `ModelError` for a model without components that could change places; `ParameterError` for
        something that they do not have.
        **Example:**
            >>> import latens as lt
            >>> fit = lt.fit(lt.Mixture(lt.Poisson(), 2), [9, 8, 1, 0, 2, 9])
            >>> fit.sorted(by="rate", descending=True).params["rate"].round(2).tolist()
            [8.57, 0.99]
        """
        return replace(self, last=in_order(self.last, by, descending=descending))

    @property
    def trace(self) -> np.ndarray:
        """(steps,) the log-likelihood (log-posterior) at every point gone on from; it never falls."""
        return frozen([passed.log_likelihood for passed in self.path])

    @property
    def accelerated(self) -> np.ndarray:
        """(steps,) which of those points were extrapolated, and not images of EM."""
        return frozen([passed.accelerated for passed in self.path])

    @property
    def rejected(self) -> np.ndarray:
        """(steps,) how many extrapolated points were dropped before each."""
        return frozen([passed.rejected for passed in self.path])

    def _rows(self, data: Any) -> tuple[Problem, np.ndarray]:
        """The rows asked about, and the estimates in free coordinates there."""
        rows = self._problem if data is None else self._problem.elsewhere(data)
        return rows, self._problem.carried(self.last.free, rows)

    @double
    def posterior(self, data: Any = None) -> Any:
        """What is known of the hidden part of each row, given what was seen of it.

        For a mixture (n, k) probabilities of the components, for `Cells` (groups, cells), for `Latent`
        (n, values); for other models the expected statistics, with n as first axis.

        **Arguments:** `data`: rows as in `lt.fit`; None for the rows of the fit (of positive weight).
        **Raises:** `DataError`.
        """
        rows, free = self._rows(data)
        return rows.each(posteriors, free)

    @property
    def entropy(self) -> float:
        """−Σ w Σ_z P(z given x) log P(z given x) of the hidden labels: 0 when all are certain.

        **Raises:** `ModelError` if the model hides no label.
        """
        if self.model.hidden is None:
            raise ModelError(f"{type(self.model).__name__} hides no label")
        p = self.posterior()
        weights = np.where(self._problem.informative, self._problem.weights, 0.0)
        return float((weights[:, None] * p * -np.log(np.where(p > 0, p, 1.0))).sum()) + 0.0

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
        rows, free = self._rows(data)
        return np.asarray(rows.each(evidences, free) + rows.row_jacobian)

    def impute(self, data: Any, draws: int = 0, seed: int = 0) -> Imputation:
        """Every unseen part of the data filled in by its conditional expectation, or by draws.

        Rows are completed given all that was seen of them. Draws are proper: each also draws the params from
        N(θ̂, observed information⁻¹), so that `lt.pool` of what is computed from them counts what is unknown.

        **Arguments:** `data`: rows as in `lt.fit`, half seen; `draws`: how many completed data sets.
        **Returns:** an `Imputation`: `values` and `errors` (conditional standard deviations) in the form of
        the data (array, dict or data frame), `draws`.
        **Raises:** `DataError`; `ModelError` for a model without complete data of the same form;
        `InferenceError` for draws where there is no covariance to draw params with.
        **Example:**
            >>> import latens as lt
            >>> nan = float("nan")
            >>> table = [[1.0, 2.1], [2.0, 3.9], [3.0, 6.2], [4.0, nan]]
            >>> fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), table)
            >>> round(float(fit.impute(table).values[3, 1]), 2)  # the regression line at 4
            8.17

        **Source:** Little & Rubin (2019), Statistical Analysis with Missing Data, §10.2, §11.2.
        """
        return impute(self._optimum, data, draws, seed)

    def conditional(self, given: dict[str, Any]) -> Conditional:
        """The distribution of the other columns given these, as in regression by a mixture.

        **Arguments:** `given`: column → values (n,), which may be half seen themselves: NaN, `lt.interval`, and
        `lt.one_of` or sets of categories.
        **Returns:** a `Conditional`: `weights` (n, k), `mean` and `deviation` of each other column,
        `probabilities` of those that are categories.
        **Raises:** `DataError` for a column that is not there.
        **Source:** Ghahramani & Jordan (1994), NIPS 6, 120, §4.
        """
        return conditional(self._optimum, given)

    @double
    def sample(self, n: int, seed: int = 0) -> Any:
        """n rows drawn from the fitted model, in the form of the data.

        Sizes that a datum brings along (trials, exposure) are drawn from the rows of the fit.

        **Raises:** `ModelError` if the model does not say how to sample; `ParameterError` for n below 1.
        """
        whole(n, "sample: n", 1)
        whole(seed, "sample: seed", 0)
        problem = self._problem
        rows = np.random.default_rng([seed, 1]).choice(len(problem.weights), n, p=problem.weights / problem.n)
        return simulate(problem, self.params, rows, seed)

    def summary(self, method: str | AbstractMethod = "observed") -> str:
        """The report as plain text: what `print(fit)` shows, with standard errors by `method`."""
        from latens.report.text import render

        return render(self, method)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<Fit of {type(self.model).__name__}: log-likelihood {self.log_likelihood:.6f}, {self.status.value}>"

    def to_dict(self, method: str | AbstractMethod = "observed") -> dict[str, Any]:
        """Everything in the report as plain Python values, ready for JSON (no NaN, no infinity)."""
        from latens.report.record import record

        return record(self, method)
