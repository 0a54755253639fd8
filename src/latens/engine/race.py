"""Short runs from many points: side by side, some accelerated evaluations of the EM map at a time, or one by one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from latens.engine.accelerators.auto import Auto
from latens.engine.accelerators.base import AbstractAccelerator, Plain
from latens.engine.blocks import cores
from latens.engine.loop import Run
from latens.engine.maps import Step
from latens.engine.problem import Problem
from latens.engine.status import Status
from latens.errors import LatensError, ModelError
from latens.numerics.threads import one_thread_each

MANY = 1_000_000
BURST = 12  # evaluations in one call


class Climbs:
    """Short runs of a problem, each by steps of its own."""

    accelerate: AbstractAccelerator = Auto()
    each = BURST  # steps that are as long as one call of `Bursts`

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @property
    def together(self) -> int:
        """Points in one call: here one thread goes through all."""
        return MANY

    def prepare(self, points: list[np.ndarray]) -> None:
        """Before the first of them begin."""

    def steps(self, points: list[np.ndarray]) -> list[Step]:
        """From several points."""
        return [self.problem.step(point) for point in points]


class Bursts(Climbs):
    """Twelve evaluations of the EM map as one step: the log-likelihood never falls along those either."""

    accelerate = Plain()
    each = 1

    @property
    def together(self) -> int:
        return self.problem.together

    def prepare(self, points: list[np.ndarray]) -> None:
        self.problem.settle(points)
        self.problem.spared()

    def steps(self, points: list[np.ndarray]) -> list[Step]:
        found = self.problem.burst(points, BURST)
        begun, home, health = map(np.asarray, (found.log_likelihood, found.home, found.health))
        # twice the gain is the squared distance gone, in standard errors
        gone = np.sqrt(2 * np.maximum(found.level - begun, 0.0))
        offset = self.problem.offset
        ends = zip(begun.tolist(), home, gone.tolist(), health, found.arrived.tolist(), strict=True)
        return [Step(ell + offset, *rest) for (ell, *rest), _ in zip(ends, points, strict=False)]


def climbs_of(problem: Problem) -> Climbs:
    """Side by side where an M-step is a formula: searches for it would all take as long as the longest."""
    return Bursts(problem) if problem.closed else Climbs(problem)


def race(climbs: Climbs, runs: list[Run]) -> LatensError | None:
    """Take runs to their ends; the error of one that could not begin."""
    if not runs:
        return None
    size = climbs.together
    groups = [runs[i : i + size] for i in range(0, len(runs), size)]
    if len(groups) > 1:  # two threads would compile the same program
        climbs.steps([runs[0].point])
    with one_thread_each(), ThreadPoolExecutor(min(cores(), len(groups))) as pool:
        found = list(pool.map(lambda group: _side_by_side(climbs, group), groups))
    return next((error for error in found if error is not None), None)


def _side_by_side(climbs: Climbs, runs: list[Run]) -> LatensError | None:
    alive, trouble = list(runs), None
    while alive:
        left = []
        for r, step in zip(alive, climbs.steps([r.point for r in alive]), strict=True):
            try:
                r.take(step)
            except ModelError:
                raise
            except LatensError as error:
                r.best, trouble = None, error
                continue
            if r.best is None or r.best.status is Status.RUNNING:
                left.append(r)
        alive = left
    return trouble
