"""Bootstraps: the fit repeated on other data, drawn from the rows or from the model."""

from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from latens.engine.accelerators.auto import Auto
from latens.engine.loop import run
from latens.engine.problem import Problem
from latens.engine.stop import Status, Stop
from latens.errors import InferenceError, LatensError, ParameterError
from latens.inference.drawing import drawn, fresh
from latens.inference.errors import AbstractMethod, Errors
from latens.inference.estimate import Estimate
from latens.inference.information import held_by, masked
from latens.numerics.asked import whole
from latens.numerics.compiling import double

CLOSE = Stop(tolerance=1e-4, max_steps=5000)


@dataclass(frozen=True, eq=False)
class AbstractBootstrap(AbstractMethod):
    """Refits on `replicates` new data sets, from the fit on; intervals are percentiles.

    Components are put in the order of the fit by the assignment that moves their parameters least, so
    that a change of labels is not taken for spread. Replicates that degenerate or do not converge are
    left out, counted and reported. The same `seed` gives the same replicates, on any number of cores.

    **Raises:** `ParameterError` for fewer than 20 replicates; `InferenceError` if more than half fail, and at a saddle.
    """

    replicates: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        whole(self.seed, f"{type(self).__name__}: seed", 0)
        if whole(self.replicates, f"{type(self).__name__}: replicates", 1) < 20:
            raise ParameterError(
                f"{type(self).__name__}: replicates must be at least 20, got {self.replicates}; "
                "200 for standard errors, 1000 for intervals"
            )

    @abstractmethod
    def draw(self, estimate: Estimate, replicate: int) -> Problem:
        """New data for one replicate."""

    def evaluations(self, estimate: Estimate) -> float:
        return float(self.replicates * max(estimate.at.evaluations, 10))

    def errors(self, estimate: Estimate) -> Errors:
        estimate.check_maximum()
        with ThreadPoolExecutor(estimate.problem.at_once) as pool:
            each = list(pool.map(lambda b: self._refit(estimate, b), range(self.replicates)))
        found = [values for values in each if values is not None]
        lost = self.replicates - len(found)
        if lost > self.replicates / 2:
            raise InferenceError(
                f"method '{self.name}': {lost} of {self.replicates} replicates degenerated or did not converge: the "
                "model asks more than such data can tell; fit a smaller one"
            )
        replicates = aligned(estimate, np.stack(found))
        notes = [f"{len(found)} replicates"]
        if lost:
            notes.append(f"{lost} left out that degenerated or did not converge")
        covariance, held = np.atleast_2d(np.cov(replicates.T)), estimate.held
        return Errors(self.name, masked(covariance, held), tuple(notes), covariance, held, replicates)

    def intervals(self, estimate: Estimate, level: float) -> np.ndarray:
        found = self.once(estimate)
        estimate.check_some(found.held)
        assert found.replicates is not None
        ends = np.quantile(found.replicates, [(1 - level) / 2, (1 + level) / 2], axis=0).T
        return np.where(held_by(found.held, len(ends))[:, None], np.nan, ends)

    def _refit(self, estimate: Estimate, replicate: int) -> np.ndarray | None:
        """(P,) the estimates on new data, or None."""
        try:
            problem = self.draw(estimate, replicate)
            *_, last = run(problem, problem.free(estimate.at.params), Auto(), CLOSE)
        except LatensError:
            if replicate == 0:
                raise  # what stops the first would stop all: a model that cannot be sampled
            return None
        if last.status is not Status.CONVERGED:
            return None
        return Estimate(last).values


@dataclass(frozen=True, eq=False)
class Bootstrap(AbstractBootstrap):
    """Nonparametric bootstrap: rows drawn with replacement, as new frequency weights of the same rows.

    **Source:** Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 6 and 13.
    """

    name: ClassVar[str] = "bootstrap"

    @double
    def draw(self, estimate: Estimate, replicate: int) -> Problem:
        return estimate.problem.resampled(self.seed, replicate)


@dataclass(frozen=True, eq=False)
class ParametricBootstrap(AbstractBootstrap):
    """Parametric bootstrap: new rows drawn from the fitted model, unseen where the data were.

    **Source:** Efron & Tibshirani (1993), An Introduction to the Bootstrap, §6.5.
    """

    name: ClassVar[str] = "parametric-bootstrap"

    @double
    def draw(self, estimate: Estimate, replicate: int) -> Problem:
        seed = int(np.random.default_rng([self.seed, replicate]).integers(2**31))
        return fresh(estimate, drawn(estimate, seed), estimate.problem.prior)


def aligned(estimate: Estimate, replicates: np.ndarray) -> np.ndarray:
    """(B, P) replicates with the components of each in the order of the fit's, and its signs."""
    space, symmetry = estimate.problem.space, estimate.problem.symmetry
    if not (symmetry.axes or symmetry.signs):
        return replicates
    here, there = space.unflat(estimate.values), [space.unflat(each) for each in replicates]
    spread = None
    if symmetry.axes:
        # the median deviation: most replicates keep the labels, having begun at the fit
        own = symmetry.of_labels(here)
        away = np.median([np.abs(symmetry.of_labels(each) - own) for each in there], 0)
        spread = np.maximum(away, 1e-12 * (1 + np.abs(own)))
    found = [symmetry.nearest(here, each, spread) for each in there]
    return np.stack([np.concatenate([each[name].reshape(-1) for name in space.shapes]) for each in found])
