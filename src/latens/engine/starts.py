"""Many starts: short runs side by side, the better ones longer; the best is gone on with."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from threading import Event
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from latens.cells import taken
from latens.engine.accelerators.auto import Auto
from latens.engine.accelerators.base import AbstractAccelerator, Plain
from latens.engine.blocks import cores
from latens.engine.evaluation import to_free
from latens.engine.loop import Iterate, Run, drive
from latens.engine.optima import LOW, Optima, Optimum
from latens.engine.problem import Problem
from latens.engine.stop import Status, Step, Stop
from latens.errors import LatensError, ModelError
from latens.models.seeding import distinct, some_distinct
from latens.numerics.asked import whole
from latens.numerics.compiling import double, one_thread_each

MANY = 1_000_000
BURST = 12  # evaluations in one call
PILOT, SCOUT = 20_000, 10_000  # rows at most that short runs look at; that they look at if they only have to choose
SETTLED, LONG = 1e-2, 200  # standard errors from the limit; steps that one run on some rows takes at most
STAGES = (5, 20, 80)  # bursts that runs take at most, by the end of each stage
FEW, USUAL = 10, 3  # if the user does not say how many starts: so many will do if they agree; and how many are finished


class Climbs:
    """Short runs of a problem, each by steps of its own."""

    accelerate: AbstractAccelerator = Auto()
    each = BURST  # steps that are as long as one call of `Bursts`
    together = MANY  # points in one call: here one thread goes through all

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def prepare(self, points: list[np.ndarray]) -> None:
        """Before the first of them begin."""

    def steps(self, points: list[np.ndarray]) -> list[Step]:
        """From several points."""
        return [self.problem.step(point) for point in points]


class Bursts(Climbs):
    """Twelve evaluations of the EM map as one step: the log-likelihood never falls along those either."""

    accelerate = Plain()
    each = 1

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.together = problem.together

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


class Stopped(KeyboardInterrupt):
    """Ctrl-C among the starts: the highest point that one of them had come to."""

    def __init__(self, free: np.ndarray) -> None:
        super().__init__()
        self.free = free


def race(climbs: Climbs, runs: list[Run]) -> LatensError | None:
    """Take runs to their ends; the error of one that could not begin. By Ctrl-C they stop where they are."""
    if not runs:
        return None
    size, stopped = climbs.together, Event()
    groups = [runs[i : i + size] for i in range(0, len(runs), size)]
    if len(groups) > 1:  # two threads would compile the same program
        climbs.steps([runs[0].point])
    with one_thread_each(), ThreadPoolExecutor(min(cores(), len(groups))) as pool:
        try:
            found = list(pool.map(lambda group: _side_by_side(climbs, group, stopped), groups))
        finally:
            stopped.set()
    return next((error for error in found if error is not None), None)


def _side_by_side(climbs: Climbs, runs: list[Run], stopped: Event) -> LatensError | None:
    alive, trouble = list(runs), None
    while alive and not stopped.is_set():
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


@dataclass(frozen=True)
class Starts:
    """How many starts to draw, and how; `fit(..., starts=20)` means `Starts(20)`.

    **Arguments:** `seeded`: by k-means++ for a mixture, by the model's own rule for others; `random`: from
    seeds that are any rows of the data; `finished`: how many of the better ones are, if short runs do not settle
    (None: all, so that `fit.starts` lists every maximum they come to).
    **Raises:** `ParameterError` for no start at all.
    **Example:**
        >>> import latens as lt
        >>> data = [0, 1, 1, 2, 6, 7, 8, 9]
        >>> fit = lt.fit(lt.Mixture(lt.Poisson(), 2), data, starts=lt.Starts(5, random=5))
        >>> fit.starts.tried
        10
    """

    seeded: int = 10
    random: int = 0
    finished: int | None = None

    def __post_init__(self) -> None:
        if self.finished is not None:
            whole(self.finished, "Starts: finished", 1)
        drawn = whole(self.seeded, "Starts: seeded", 0) + whole(self.random, "Starts: random", 0)
        whole(drawn, "Starts: seeded and random together", 1)


@dataclass(frozen=True)
class Met:
    """What many starts met: `tried`; `settled` within their run; `degenerate` ones; the distinct `optima` of
    the settled ones, up to relabelling, best first; the number of `rows` looked at."""

    tried: int
    settled: int
    degenerate: int
    optima: tuple[Optimum, ...]
    rows: int


class Drawn(NamedTuple):
    """What starts are drawn from: distinct rows in an order of their own, so that neither the order in which rows came
    nor whether they were repeated or weighted makes a difference."""

    xs: Any
    weights: np.ndarray


@double
def drawn_from(problem: Problem) -> Drawn:
    """The distinct rows of a problem; sequences as they are."""
    xs, weights = problem.xs, problem.weights
    if problem.lengths is not None:
        return Drawn(xs, weights)
    rows, counts = distinct(xs, weights)
    return Drawn(taken(xs, rows), counts)


@double
def draw(problem: Problem, seed: int, i: int, *, random: bool = False, rows: Drawn | None = None) -> np.ndarray:
    """The i-th start: free coordinates. The same seed gives the same start."""
    rng = np.random.default_rng([seed, i])
    begin = problem.model.random_start if random else problem.model.start
    xs, weights = rows or drawn_from(problem)
    params = begin(xs, jnp.asarray(weights), problem.frame, rng)
    free = np.asarray(to_free(problem.space, params))
    if problem.before is None:
        return free
    # what too few rows do not tell, the prior does
    given = np.asarray(to_free(problem.space, problem.before.params))
    free = np.where(np.isfinite(free), free, given)
    return given if problem.ailment(free) else free


def search(problem: Problem, starts: Starts, seed: int) -> tuple[np.ndarray, Met | None]:
    """The best of many short runs, and what they met."""
    field = _Field(_pilot(problem, seed), starts.finished)
    number = starts.seeded + starts.random
    few = FEW if starts.finished is not None and number > FEW else number
    with field.kept():
        points = field.drawn(range(few), starts, seed)
        if number == 1 and points:
            return points[0], None
        field.begin(points)
        if few < number and not field.agreed:
            field.begin(field.drawn(range(few, number), starts, seed))
        return field.best()


def among(problem: Problem, points: list[np.ndarray], seed: int) -> tuple[np.ndarray, Met]:
    """The best of short runs from given points, and what they met."""
    field = _Field(_pilot(problem, seed), None)
    with field.kept():
        field.begin(points)
        return field.best()


def chosen(problem: Problem, points: list[np.ndarray], seed: int) -> np.ndarray:
    """The highest of short runs from given points, and where it leads on some of the rows, if there are many."""
    pilot = _pilot(problem, seed, SCOUT)
    field = _Field(pilot, None)
    field.begin(points)
    free = max(field.ends, key=lambda end: (end.status is not Status.DEGENERATE, end.log_likelihood)).free
    if pilot is problem.some:
        return free
    under_way = Run(pilot, free, Auto(), Stop(SETTLED, LONG))
    deque(drive(under_way), maxlen=0)
    return under_way.best.free if under_way.best else free


class _Field:
    """Runs that begin at many points, of which so many are `finished` if they do not settle (None: all)."""

    def __init__(self, pilot: Problem, finished: int | None) -> None:
        self.pilot, self.finished, self.tried = pilot, finished, 0
        self.runs: list[Run] = []
        self.trouble: LatensError | None = None  # of starts that could not begin: raised if none could

    @cached_property
    def climbs(self) -> Climbs:
        return climbs_of(self.pilot)

    @cached_property
    def rows(self) -> Drawn:
        return drawn_from(self.pilot)

    def drawn(self, numbers: range, starts: Starts, seed: int) -> list[np.ndarray]:
        """The starts of these numbers, but for those that cannot be."""
        points = []
        for i in numbers:
            try:
                points.append(draw(self.pilot, seed, i, random=i >= starts.seeded, rows=self.rows))
            except ModelError:
                raise
            except LatensError as error:
                self.tried, self.trouble = self.tried + 1, error
        return points

    def begin(self, points: list[np.ndarray]) -> None:
        """The first stage of runs from more points."""
        self.tried += len(points)
        if points and not self.runs:
            self.climbs.prepare(points)
        runs = [Run(self.pilot, point, self.climbs.accelerate, self._stop(0)) for point in points]
        before, self.runs = self.runs, self.runs + runs
        self._race(runs)
        self.runs = [*before, *(r for r in runs if r.best is not None)]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """By Ctrl-C in here the highest point that was come to is not lost: `Stopped`, where there is one."""
        try:
            yield
        except KeyboardInterrupt:
            ends = [r.best for r in self.runs if r.best is not None and r.best.status is not Status.DEGENERATE]
            if not ends:
                raise
            raise Stopped(max(ends, key=lambda end: end.log_likelihood).free) from None

    @property
    def agreed(self) -> bool:
        """Whether all have settled, as high as one another."""
        values = [_level(r) for r in self.runs]
        return all(r.best and r.best.status is Status.CONVERGED for r in self.runs) and np.ptp(values) <= LOW

    @property
    def ends(self) -> list[Iterate]:
        """Where the runs are; raises what stopped them if none could begin."""
        if not self.runs:
            assert self.trouble is not None
            raise self.trouble
        return [r.best for r in self.runs if r.best is not None]

    def best(self) -> tuple[np.ndarray, Met]:
        """Later stages, and what came of all."""
        if not self.runs:
            assert self.trouble is not None
            raise self.trouble
        for stage in range(1, len(STAGES)):
            left = sorted((r for r in self.runs if r.best and r.best.status is Status.MAX_STEPS), key=_level)
            if self.finished is not None:  # ever fewer of the better ones
                share = (self.finished / len(self.runs)) ** (stage / (len(STAGES) - 1))
                left = left[-max(ceil(len(self.runs) * share), self.finished) :]
            for r in left:
                r.resume(self._stop(stage))
            self._race(left)
        ends = self.ends
        sound = [end for end in ends if end.status is not Status.DEGENERATE]
        optima = Optima(self.pilot)
        for end in sorted(sound, key=lambda end: -end.log_likelihood):
            # before it is known where it leads, a run that is higher than all maxima is no better
            if end.status is Status.CONVERGED or self.finished is None or not optima.maxima:
                optima.add(end)
        best = max(optima.ends or ends, key=lambda end: end.log_likelihood)
        lost = len(ends) - len(sound) + optima.degenerate
        return best.free, Met(self.tried, optima.settled, lost, optima.table(), len(self.pilot.weights))

    def _stop(self, stage: int) -> Stop:
        return Stop(SETTLED, self.climbs.each * STAGES[stage])

    def _race(self, runs: list[Run]) -> None:
        self.trouble = race(self.climbs, runs) or self.trouble


def _level(r: Run) -> float:
    return r.best.log_likelihood if r.best else -np.inf


@double
def _pilot(problem: Problem, seed: int, most: int = PILOT) -> Problem:
    """The problem itself, or one on a random part of the rows of which something was seen, in the same frame."""
    problem = problem.some
    rows = np.flatnonzero(problem.informative)
    if len(rows) > most and problem.lengths is None:
        xs = problem.xs if len(rows) == len(problem.weights) else taken(problem.xs, rows)
        own, counts = some_distinct(xs, problem.weights[rows], most, seed)
        return problem.part(rows[own]).reweighted(counts)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng([seed]).choice(rows, most, replace=False))
    return problem if len(rows) in (0, len(problem.weights)) else problem.part(rows)
