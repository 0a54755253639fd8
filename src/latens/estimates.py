"""The estimates of a fit, and their uncertainty by every method."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from latens.data.tally import Tally, tally
from latens.engine.loop import Iterate
from latens.engine.prior import Prior
from latens.engine.problem import Problem
from latens.engine.status import Status
from latens.inference.criteria import CRITERIA
from latens.inference.derived import Derived, contrast_of, derive
from latens.inference.errors import AbstractMethod, Errors, Optimum
from latens.inference.information import Information
from latens.inference.methods import method_for
from latens.inference.tests import Test, wald_test
from latens.models.base import AbstractModel
from latens.numerics.memory import Sealed, sealed
from latens.numerics.space import Params


@dataclass(frozen=True, repr=False, eq=False)
class Estimates(Sealed):
    """Where a run of EM ended, and what is known of the parameters there."""

    last: Iterate

    @property
    def _problem(self) -> Problem:
        return self.last.problem

    @property
    def model(self) -> AbstractModel:
        """The model that was fitted."""
        return self._problem.given

    @property
    def params(self) -> dict[str, np.ndarray]:
        """name → estimate; a mixture's have the component as first axis."""
        return self.last.params

    @property
    def log_likelihood(self) -> float:
        """At exactly these params."""
        return self.last.log_likelihood - self._problem.log_prior(self.last.free)

    @property
    def prior(self) -> Prior | None:
        """The prior of a maximum a posteriori fit."""
        return deepcopy(self._problem.prior)

    @property
    def log_posterior(self) -> float:
        """log-likelihood + log-prior (up to a constant) at these params: what was maximised."""
        return self.last.log_likelihood

    @property
    def status(self) -> Status:
        """How it ended; `status.sentence` says it in words."""
        return self.last.status

    @property
    def reason(self) -> str:
        """Why, if degenerate."""
        return self.last.reason

    @property
    def evaluations(self) -> int:
        """Of the EM map, over the final run."""
        return self.last.evaluations

    @property
    def n(self) -> float:
        """The total weight of the rows of which something was seen."""
        return self._problem.observations

    @property
    def unseen(self) -> float:
        """The total weight of the rows of which nothing was seen: they count for nothing."""
        return self._problem.n - self._problem.observations

    @property
    def names(self) -> list[str]:
        """A label for every scalar, in the order of `estimates`."""
        return list(self._problem.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of the data."""
        return self._problem.columns

    @property
    def converged(self) -> bool:
        """Whether the projected distance to the limit came within the tolerance."""
        return self.status is Status.CONVERGED

    @property
    def message(self) -> str:
        """How the fit ended, in words."""
        ended = self.status.sentence + (f" Reason: {self.reason}." if self.reason else "")
        return f"Converged: {self.reason}." if self.converged and self.reason else ended

    @property
    def shown(self) -> np.ndarray:
        """(S,) indices of the scalars a report shows: a covariance once, not twice."""
        return np.flatnonzero(self._problem.space.distinct)

    @property
    def rows(self) -> int:
        """Number of rows of positive weight."""
        return len(self._problem.weights)

    @property
    def half_seen(self) -> Tally:
        """How much was half seen: column → kind ("missing", "right-censored", ...) → number of observations."""
        return {column: dict(kinds) for column, kinds in self._half_seen.items()}

    @cached_property
    def _half_seen(self) -> Tally:
        return tally(self._problem.xs, self._problem.columns, self._problem.weights)

    @property
    def free_parameters(self) -> int:
        """Number of free parameters."""
        return self._problem.space.size

    @property
    def aic(self) -> float:
        """Akaike's criterion, −2ℓ + 2p (smaller is better)."""
        return self._criterion("aic")

    @property
    def bic(self) -> float:
        """Schwarz's criterion, −2ℓ + p log n (smaller is better)."""
        return self._criterion("bic")

    def _criterion(self, name: str) -> float:
        found = CRITERIA[name](self.log_likelihood, self.free_parameters, self.n, None)
        assert found is not None
        return found

    @property
    def estimates(self) -> np.ndarray:
        """(P,) every scalar, in the order of `names`."""
        return sealed(self._optimum.values)

    @cached_property
    def _optimum(self) -> Optimum:
        return Optimum(self.last)

    def information(self) -> Information:
        """Complete, observed and missing information about the free scalars, in their own units.

            observed = complete − missing,   rate = complete⁻¹ · missing

        **Returns:** an `Information`: `labels`, `complete`, `observed`, `missing`, `rate` (p, p),
        `fraction_missing`, `fractions`, `condition_number`.
        **Raises:** `InferenceError` with the reason where they would mean nothing: not converged, on the
        boundary, not identified, a saddle.
        **Example:** 5 deaths of 8 exposed, when one more was not seen:
            >>> import latens as lt
            >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")])
            >>> lt_information = fit.information()
            >>> [round(float(v[0, 0]), 2) for v in (lt_information.complete, lt_information.missing)]
            [50.0, 25.0]
            >>> round(lt_information.fraction_missing, 4)
            0.5

        **Source:** Orchard & Woodbury (1972), Proc. 6th Berkeley Symp. 1, 697.
        """
        found = self._optimum.information
        self._optimum.check_some(found.held)
        return found.about(self._problem.space.independent, self.names)

    @property
    def held(self) -> dict[str, str]:
        """label → why this scalar has no standard error: on the boundary, not identified, not free.

        The others have theirs, conditional on the estimates of what is held.

        **Example:** a category that was never seen:
            >>> import latens as lt
            >>> fit = lt.fit(lt.IID(lt.Categorical(3)), [0, 1, 1, 0, 1])
            >>> list(fit.held), fit.standard_errors()["probabilities"].round(3).tolist()
            (['probabilities[2]'], [0.219, 0.219, nan])
        """
        found = {i: each.reason for each in self._optimum.held[::-1] for i in np.flatnonzero(each.scalars)}
        return {self.names[i]: found[i] for i in sorted(found)}

    def errors(self, method: str | AbstractMethod = "observed") -> Errors:
        """Covariance by one method, with what there is to say about it (`notes`) and bootstrap `replicates`.

        **Arguments:** `method`: "observed" (default), "louis", "oakes", "sem", "sem-exact", "opg",
        "sandwich", "bootstrap", "parametric-bootstrap", or an object such as
        `lt.Bootstrap(replicates=1000, seed=1)` or `lt.Sandwich(clusters=...)`.
        **Raises:** `InferenceError` where it cannot be trusted, or would take too long; the message says
        why and what to do. `ParameterError` for an unknown method.
        """
        found = self._optimum.errors(method_for(method))
        self._optimum.check_some(found.held)
        return found

    def covariance(self, method: str | AbstractMethod = "observed") -> np.ndarray:
        """(P, P) covariance of every scalar in the order of `names`, NaN where `held`; `method` as in `errors`."""
        return self.errors(method).covariance

    def standard_errors(self, method: str | AbstractMethod = "observed") -> dict[str, np.ndarray]:
        """name → standard errors, shaped like the parameters, NaN where `held`; `method` as in `errors`.

        **Raises:** `InferenceError` where none can be trusted; the message says why.
        """
        return self._problem.space.unflat(np.sqrt(np.diag(self.covariance(method))))

    def intervals(self, level: float = 0.95, method: str | AbstractMethod = "observed") -> np.ndarray:
        """(P, 2) lower and upper ends for every scalar in the order of `names`; as `confidence_intervals`."""
        return self._optimum.intervals(method_for(method), level)

    def confidence_intervals(
        self, level: float = 0.95, method: str | AbstractMethod = "observed"
    ) -> dict[str, np.ndarray]:
        """name → (..., 2) lower and upper ends, shaped like the parameters with one more axis.

        Wald intervals are formed on each parameter's free scale (log, logit) and mapped back, so that
        positive stays positive; a bootstrap's are percentiles; "profile" follows the likelihood itself. They are
        NaN where `held`, but "profile" reaches in from a boundary.

        **Arguments:** `level` in (0, 1); `method` as in `errors`, or "profile".
        **Raises:** `ParameterError` for a level outside (0, 1); as `errors`.
        **Example:**
            >>> import latens as lt
            >>> fit = lt.fit(lt.IID(lt.Poisson()), [2, 4, 3, 7])
            >>> fit.confidence_intervals(0.9, method="profile")["rate"].round(2).tolist()
            [2.57, 5.88]
        """
        ends = self.intervals(level, method)
        low, high = self._problem.space.unflat(ends[:, 0]), self._problem.space.unflat(ends[:, 1])
        return {name: np.stack([low[name], high[name]], -1) for name in low}

    def derive(
        self, function: Callable[[Params], Any], method: str | AbstractMethod = "observed", scale: str | None = None
    ) -> Derived:
        """Any function of the parameters, with its standard error by the delta method.

            se² = ∇g V ∇gᵀ

        Intervals keep to the range of the function: they are formed on a scale and mapped back.

        **Arguments:** `function`: dict of parameters → a number or an array, written with `jax.numpy`; `method` as in
        `errors`; `scale`: "identity", "log", "logit" or "cloglog" (of a probability: log −log(1 − g)); None
        (default) for the one of the range that the function shows over the parameter space.
        **Returns:** a `Derived`: `estimate`, `standard_error`, `interval(level)`, `interval(level, method="profile")`.
        **Raises:** `InferenceError` if it is not differentiable or not finite at the estimate, or leans on a scalar
        that is `held`; `ParameterError` for an unknown scale, or one that the estimate is outside of.
        **Example:** the mean of an exponential lifetime:
            >>> import latens as lt
            >>> fit = lt.fit(lt.IID(lt.Exponential()), [2.0, 4.0, 9.0])
            >>> mean = fit.derive(lambda params: 1 / params["rate"])
            >>> round(float(mean.estimate), 3), round(float(mean.standard_error), 3)
            (5.0, 2.887)

        **Source:** Rao (1973), Linear Statistical Inference, §6a.2.
        """
        return derive(function, self._optimum, self._optimum.errors(method_for(method)), scale)

    def wald_test(self, hypothesis: Any, value: Any = 0.0, method: str | AbstractMethod = "observed") -> Test:
        """Wald's test that parameters, or functions of them, have given values.

        **Arguments:** `hypothesis`: the name of a parameter or scalar ("mean", "mean[0]"), a dict of names →
        values, or a function of the parameters; `value`: what it should be.
        **Raises:** `ParameterError` for an unknown name or wrong shape; as `errors` and `derive`.
        **Example:** whether two means are equal:
            >>> import latens as lt
            >>> fit = lt.fit(lt.Mixture(lt.Normal(variance=1.0), 2), [-2.0, -1.5, -2.5, 1.0, 2.0, 3.0, 2.0])
            >>> bool(fit.wald_test(lambda p: p["mean"][0] - p["mean"][1]).p_value < 0.01)
            True

        **Source:** Wald (1943), Trans. AMS 54, 426.
        """
        function, wanted = contrast_of(hypothesis, value, self.names, self._problem.space)
        return wald_test(self.derive(function, method, "identity"), wanted)

    def likelihood_ratio(self, other: "Estimates", *, replicates: int = 0, seed: int = 0) -> Test:
        """Test of the smaller of two nested models against the larger: see `latens.ratio`.

            2(ℓ₁ − ℓ₀), against χ² or, with `replicates`, against data sets drawn from the smaller model

        The bootstrap is the right test for numbers of components, where χ² does not hold.

        **Arguments:** `other`: a fit to the same data; `replicates`: of the parametric bootstrap, 0 for χ².
        **Raises:** `DataError` for other data; `InferenceError` where χ² does not hold.
        **Source:** McLachlan (1987), Appl. Stat. 36, 318 (bootstrap).
        """
        from latens.ratio import likelihood_ratio

        return likelihood_ratio(self, other, replicates, seed)
