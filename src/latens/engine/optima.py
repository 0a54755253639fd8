"""Which ends of many runs are one maximum: told apart in standard errors, up to relabelling."""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from latens.engine.accelerators.auto import Auto
from latens.engine.loop import Iterate, Run, drive
from latens.engine.problem import Problem
from latens.engine.stop import Status, Stop

APART = 0.3  # standard errors of the complete data between two points that are not one maximum
LOW = APART**2 / 2  # so near to a maximum, the log-likelihood is no farther below it
LEVEL = 1e-3  # of the log-likelihood: no number is told twice
NEAR = 0.05  # of the range of a parameter over components and ends, within which its values are one
FINISHED = Stop(tolerance=1e-4, max_steps=2_000)


@dataclass(frozen=True)
class Optimum:
    """A maximum that starts settled on: the log-likelihood there, how many did, and at how many `places` in the
    parameter space that relabelling does not make one."""

    log_likelihood: float
    reached: int
    places: int = 1


@dataclass
class _Maximum:
    """Finished ends of one log-likelihood, the first of each place, and how many came there."""

    ends: list[Iterate]
    reached: int = 1


class Optima:
    """The distinct maxima that ends belong to, found out one end after the other, better ones first."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.maxima: list[_Maximum] = []
        self.degenerate = 0

    def add(self, end: Iterate) -> None:
        """Count an end to its maximum; one that none is known for is finished first."""
        if self._joined(end):
            return
        finished = self._finish(end)
        if finished.status is Status.DEGENERATE:
            self.degenerate += 1
        elif not self._joined(finished):
            self._enter(finished)

    def table(self) -> tuple[Optimum, ...]:
        """Best first."""
        found = [Optimum(m.ends[0].log_likelihood, m.reached, len(m.ends)) for m in self.maxima]
        return tuple(sorted(found, key=lambda each: -each.log_likelihood))

    @property
    def settled(self) -> int:
        """How many ends came to a maximum."""
        return sum(maximum.reached for maximum in self.maxima)

    @property
    def ends(self) -> list[Iterate]:
        """The finished ones."""
        return [end for maximum in self.maxima for end in maximum.ends]

    def _finish(self, end: Iterate) -> Iterate:
        run = Run(self.problem, end.free, Auto(), FINISHED)
        for _ in drive(run):
            pass
        assert run.best is not None
        return run.best

    def _joined(self, end: Iterate) -> bool:
        for maximum in self.maxima:
            if any(self._one(known, end) for known in maximum.ends):
                maximum.reached += 1
                return True
        return False

    def _enter(self, end: Iterate) -> None:
        """A place that was not known: of its own log-likelihood, or of one that is."""
        level = LEVEL + 10 * self.problem.slack(end.log_likelihood)
        for maximum in self.maxima:
            if abs(maximum.ends[0].log_likelihood - end.log_likelihood) <= level:
                maximum.ends.append(end)
                maximum.reached += 1
                return
        self.maxima.append(_Maximum([end]))

    def _one(self, known: Iterate, end: Iterate) -> bool:
        if abs(known.log_likelihood - end.log_likelihood) > LOW + 10 * self.problem.slack(end.log_likelihood):
            return False
        here, there = known.params, self.problem.symmetry.nearest(known.params, end.params)
        if all(_close(here[name], there[name]) for name in here):
            return True
        return self._distance(known.free, self.problem.free(there)) <= APART

    def _distance(self, here: np.ndarray, there: np.ndarray) -> float:
        """√(2 (Q(here | here) − Q(there | here))): to second order, in standard errors of the complete data."""
        lost = self.problem.surrogate(here, here) - self.problem.surrogate(there, here)
        return sqrt(2 * max(lost, 0.0)) if np.isfinite(lost) else inf


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((np.abs(a - b) <= NEAR * np.maximum(np.ptp([a, b]), 1e-3 * np.abs(a))).all())
