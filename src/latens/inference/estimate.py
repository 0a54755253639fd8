"""The end of a run of EM, as inference looks at it, and information criteria."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from typing import Any

import numpy as np

from latens.data.reader import Tally
from latens.engine.emmap import posteriors
from latens.engine.loop import Iterate
from latens.engine.problem import Problem
from latens.engine.stop import Status
from latens.errors import InferenceError
from latens.inference.information import FreeInformation, Held, Information, Saddle, held_by, nothing_left, trusted
from latens.models.base import AbstractModel
from latens.numerics.compiling import double

CRITERIA = {"aic": "AIC", "aicc": "AICc", "bic": "BIC", "caic": "CAIC", "sabic": "SABIC", "icl": "ICL"}
"""Name → what it is called."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A point where a run ended, with its problem: all that inference and reports know of a fit.

    What several of them ask is worked out here, once. How the run came there is not known; what users may ask of it
    is `Fit`'s, which holds one of these.
    """

    at: Iterate

    @cached_property
    def problem(self) -> Problem:
        """The data bound to the model, reckoned from the point where that takes care."""
        return self.at.problem.about(self.at.free)

    @property
    def model(self) -> AbstractModel:
        return self.problem.given

    @property
    def free_parameters(self) -> int:
        return self.problem.space.size

    @property
    def n(self) -> float:
        """The total weight of the rows of which something was seen."""
        return self.problem.observations

    @property
    def unseen(self) -> float:
        """The total weight of the others."""
        return self.problem.unseen

    @cached_property
    def log_likelihood(self) -> float:
        """Of the data alone, where `at` has the prior in it, too."""
        return self.at.log_likelihood - self.problem.log_prior(self.at.free)

    @property
    def converged(self) -> bool:
        return self.at.status is Status.CONVERGED

    @property
    def message(self) -> str:
        """How the run ended, in words."""
        reason = self.at.reason
        if self.converged and reason:
            return f"Converged: {reason}."
        return self.at.status.sentence + (f" Reason: {reason}." if reason else "")

    @cached_property
    def half_seen(self) -> Tally:
        """Column → kind → how much of the data was half seen."""
        return self.problem.half_seen

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to know of how the data were read, and of the model."""
        return (*self.problem.notes, *self.model.notes)

    @cached_property
    def values(self) -> np.ndarray:
        """(P,) every reported scalar."""
        params = self.problem.params(self.at.free)
        return np.concatenate([np.reshape(params[n], -1) for n in self.problem.space.shapes])

    @property
    def shown(self) -> np.ndarray:
        """(S,) indices of the scalars a report shows: a covariance once, not twice."""
        return np.flatnonzero(self.problem.space.distinct)

    def rows(self, data: Any) -> tuple[Problem, np.ndarray]:
        """The rows asked about (None: those of the fit), and the point in free coordinates there."""
        rows = self.at.problem if data is None else self.at.problem.elsewhere(data)
        return rows, self.at.problem.carried(self.at.free, rows)

    @double
    def log_density(self, data: Any = None) -> np.ndarray:
        """(n,) log-likelihood of each row."""
        rows, free = self.rows(data)
        return rows.log_densities(free)

    @double
    def posterior(self, data: Any = None) -> Any:
        """What is known of the hidden part of each row; see `Fit.posterior`."""
        rows, free = self.rows(data)
        return rows.each(posteriors, free)

    @cached_property
    def entropy(self) -> float | None:
        """Of the hidden labels; None if the model hides none."""
        if self.model.hidden is None:
            return None
        return self.problem.entropy(self.at.free)

    @property
    def some(self) -> "Estimate":
        """The same point and rows that are at hand: here all, of a source a sample."""
        some = self.at.problem.some
        return self if some is self.at.problem else Estimate(replace(self.at, problem=some))

    @cached_property
    def _trusted(self) -> FreeInformation:
        return trusted(self.at)

    @property
    def information(self) -> FreeInformation:
        """In directions of the free coordinates; `InferenceError` where it means nothing, or none is left."""
        found = self._trusted
        if found.held and not found.labels:
            raise nothing_left(found.held, self.problem.names)
        return found

    def scalar_information(self) -> Information:
        """About the free scalars, in their own units; see `Fit.information`."""
        self.check_some(self.information.held)
        return self.information.about(self.problem.space.independent, self.problem.names)

    @property
    def held(self) -> tuple[Held, ...]:
        """What has no standard error; nothing where the information cannot tell."""
        try:
            return self._trusted.held
        except InferenceError:
            return ()

    @property
    def reasons(self) -> dict[str, str]:
        """Name → why, of the scalars that are held."""
        found = {i: each.reason for each in self.held[::-1] for i in np.flatnonzero(each.scalars)}
        return {self.problem.names[i]: found[i] for i in sorted(found)}

    def check_maximum(self) -> None:
        """Raise `InferenceError` at a saddle; not where the information cannot tell."""
        try:
            _ = self._trusted
        except Saddle:
            raise
        except InferenceError:
            return

    def check_some(self, held: tuple[Held, ...]) -> None:
        """Raise `InferenceError` with the reasons if every scalar is held."""
        if held and held_by(held, len(self.values)).all():
            raise nothing_left(held, self.problem.names)

    @cached_property
    def unfollowed(self) -> dict[str, str]:
        """Name → why, of the scalars whose profile could not be followed when it was asked for."""
        return {}

    @cached_property
    def done(self) -> dict[Any, Any]:
        """Method → what it found."""
        return {}

    @cached_property
    def operations(self) -> float:
        """Of one evaluation of the EM map."""
        return self.at.problem.operations


def aic(estimate: Estimate) -> float:
    return -2 * estimate.log_likelihood + 2 * estimate.free_parameters


def bic(estimate: Estimate) -> float:
    return -2 * estimate.log_likelihood + estimate.free_parameters * log(estimate.n)


def criteria(estimate: Estimate) -> dict[str, float | None]:
    """Name → value; None where a model has no such number."""
    n, p = estimate.n, estimate.free_parameters
    return {
        "aic": aic(estimate),
        "aicc": -2 * estimate.log_likelihood + 2 * p * n / (n - p - 1) if n > p + 1 else None,
        "bic": bic(estimate),
        "caic": bic(estimate) + p,
        "sabic": -2 * estimate.log_likelihood + p * log((n + 2) / 24),
        "icl": None if estimate.entropy is None else bic(estimate) + 2 * estimate.entropy,
    }
