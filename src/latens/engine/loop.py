"""The one loop. Everything that iterates EM goes through here."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from latens.engine.accelerators.base import AbstractAccelerator
from latens.engine.stop import NO_STEP, UNFOUND, AbstractMap, Projection, Status, Step, Stop, as_near
from latens.numerics.memory import Sealed

SHARE = 0.01  # of the rounding allowed to a plain step that an accelerated one may fall by, and that only once
STILL = 1e-2  # standard errors: a fall after a shorter step may be rounding
PATIENCE = 20  # points below the best that an accelerator may go through before it is called back; and such falls
LEAP = 50  # evaluations, and twice as many each time, after which it is seen whether the way since leads to an edge
LEAPS = (60.0, 20.0, 6.0)  # how far, in free coordinates, where logarithms are what goes to an edge
STRAY, RISE = 0.05, 1e-6  # a way so far and a rise of no more: a standard error of 35 at least, were it to a maximum
MEMORY, TURNS = 16, 8  # of so many plain steps, how many must have changed from growing to shrinking or back


@dataclass(frozen=True)
class Iterate(Sealed):
    """A point EM has reached, with the log-likelihood at that very point.

    `step`: how many points were accepted before it; `evaluations`: of the EM map so far; `rejected`:
    accelerated points dropped so far; `accelerated`: whether this one was extrapolated; `distance`:
    projected distance to the limit, in standard errors; `status`: `RUNNING` until the last.
    """

    problem: Any  # the map: a `Problem`, or a user's own
    free: np.ndarray
    log_likelihood: float
    step: int
    evaluations: int
    rejected: int
    accelerated: bool
    distance: float
    status: Status = Status.RUNNING
    reason: str = ""

    @cached_property
    def _params(self) -> dict[str, np.ndarray]:
        return self.problem.params(self.free)

    @property
    def params(self) -> dict[str, np.ndarray]:
        """The parameters, in the units of the data."""
        return dict(self._params)

    def ended(self, status: Status, reason: str = "") -> "Iterate":
        """The same point as the end of a run."""
        return replace(self, status=status, reason=reason)


class Passed(NamedTuple):
    """A point that was gone on from: the objective there, whether it was accelerated, points dropped before it, and
    how far the limit then seemed, in standard errors."""

    log_likelihood: float
    accelerated: bool
    rejected: int
    distance: float


class Run:
    """A run under way: evaluate the map at `point`, hand the result to `take`, again and again.

    Whoever holds it decides where and beside what the map is evaluated: one run by itself, or many at once.
    `best` is what the run has to show so far; the point gone on from may be below it by what the accelerator forgives.
    """

    def __init__(self, given: AbstractMap, start: np.ndarray, accelerate: AbstractAccelerator, stop: Stop) -> None:
        self.given, self.accelerate, self.stop = given, accelerate, stop
        self.memory = accelerate.init()
        self.point = self.image = start
        self.extrapolated = False  # whether `point` is an accelerated one
        self.best: Iterate | None = None
        self.length = self.short = np.inf  # of the last step, and of that from the best point
        self.level = self.peak = -np.inf  # the objective at the point gone on from, and the highest so far
        self.home = start  # the image of the best point
        self.projection = Projection(given.rounding)
        self.evaluations = self.rejected = self.steps = self.below = self.falls = 0
        self.stale = 0  # evaluations since the objective was highest
        self.grew: list[bool] = []  # whether the latest plain steps were longer than those before them
        self.leap = LEAP  # evaluations after which the next look is due
        self.marks, self.feet = np.stack([start, start]), [-np.inf, -np.inf]  # the last two, and the objective there
        self.lost = self.stuck = 0  # M-steps that did not arrive, and short ones
        self.path: list[Passed] = []
        self.busy = False  # whether the state is being changed

    def take(self, step: Step) -> Iterate | None:
        """Go on with what the map gave at `point`: the point as a new `Iterate`, or None if it is not one to show."""
        self.busy = True
        reached = self._take(step)
        self.busy = False
        return reached

    def _take(self, step: Step) -> Iterate | None:
        self.evaluations += 1
        if self.best is None:
            if not np.isfinite(step.log_likelihood):
                raise self.given.unusable(self.point)
        elif not self._holds(step):
            return self._drop(step)
        if self.best is not None and not self.extrapolated:
            self.grew = [*self.grew, step.length > self.length][-MEMORY:]
        distance = self.projection.distance(self.point, step.free, step.length, self.stop.tolerance)
        reached = Iterate(
            self.given,
            self.point,
            step.log_likelihood,
            self.steps,
            self.evaluations,
            self.rejected,
            self.extrapolated,
            distance,
        )
        status, reason = self._judge(step, distance)
        if status is Status.CONVERGED and not distance > 0:
            reached = replace(reached, distance=self.given.rounding)
        elif status is Status.CONVERGED and not distance < STILL:  # projected from steps that are rounding
            reached = replace(reached, distance=step.length)
        if self.best is not None and self.given.rises and step.log_likelihood < self.best.log_likelihood - self._slack:
            self.below += 1
            if status is not Status.RUNNING or self.below > PATIENCE:
                return self._home(status)
        else:
            self.best, self.home, self.short = reached.ended(status, reason), step.free, step.length
            self.steps, self.below = self.steps + 1, 0
            self.path.append(Passed(step.log_likelihood, self.extrapolated, self.rejected, distance))
        self.level, self.image, self.length = step.log_likelihood, step.free, step.length
        self.peak, self.stale = max(self.peak, self.level), 0 if self.level > self.peak else self.stale + 1
        shown = None if self.below else self.best
        if status is Status.RUNNING:
            here = self.point
            if edge := self._edge():
                self.best = self.best.ended(Status.DEGENERATE, edge) if self.best else None
                return self.best
            if self.point is here:
                self._propose()
        return shown

    def _edge(self, *, ending: bool = False) -> str:
        """Why there is no maximum: if a leap the way the run drifts is up, EM creeps to an edge that has a limit.

        Looked at when it is due, and where a run that has been slow would be taken for converged.
        """
        due = self.evaluations >= self.leap
        if not (self.given.leaps and self.accelerate.leaps) or self.below or not (due or ending):
            return ""
        late = ending or self.leap > LEAP
        begun, gain = self.marks[int(due)], self.level - self.feet[int(due)]
        if due:
            self.marks, self.feet = np.stack([self.marks[1], self.image]), [self.feet[1], self.level]
            self.leap = 2 * self.evaluations
        if not late:
            return ""
        drift = self.image - begun
        largest = np.abs(drift).max(initial=0.0)
        along = np.where(np.abs(drift) > 0.1 * largest, drift, 0.0)
        for far in LEAPS if largest > 0 else ():
            there = self.image + along * (far / largest)
            bar = self.peak - SHARE * self._slack
            step = self.given.probe(there, bar)
            self.evaluations += 1
            if np.isfinite(step.log_likelihood) and step.log_likelihood >= bar:
                if edge := self.given.edge(self.image, there):
                    return edge
                if not ending:  # the maximum is on the edge, and EM would take long to come to it
                    self.memory, self.extrapolated = self.accelerate.rejected(self.memory), True
                    self.point = self.given.unchart(self.given.chart(there))
                return ""
        return self.given.plateau(begun, self.image, gain) if largest > STRAY and 0 <= gain < RISE else ""

    def resume(self, stop: Stop) -> None:
        """Go on from an end, under another rule."""
        assert self.best is not None
        self.stop, self.best = stop, replace(self.best, status=Status.RUNNING, reason="")
        if np.array_equal(self.point, self.best.free):  # it ended before a next point was proposed
            self._propose()

    @property
    def _slack(self) -> float:
        assert self.best is not None
        return self.given.slack(self.best.log_likelihood)

    def _holds(self, step: Step) -> bool:
        """Whether the point may be gone on from."""
        assert self.best is not None
        if not np.isfinite(step.log_likelihood):
            return False
        if self.extrapolated:
            if self.given.ailment(self.point, step.health):
                return False  # EM may come to an end where something has degenerated, but is not to be thrown there
            return self._kept(step.log_likelihood)
        lost = self.level - step.log_likelihood
        if not self.given.rises or lost <= self._slack:
            return True
        self.falls += 1
        return self.length < STILL and lost <= self.given.blur(self.level) and self.falls <= PATIENCE

    def _kept(self, value: float) -> bool:
        """Whether an accelerated point with that objective may be gone on from."""
        lost = SHARE * self._slack + self.accelerate.forgiven if self.stale <= PATIENCE else 0.0
        return bool(np.isfinite(value)) and value >= self.peak - lost

    def _drop(self, step: Step) -> Iterate | None:
        """Back to the best point, or an end if it was a plain step that failed."""
        assert self.best is not None
        if not self.extrapolated:
            lost = self.best.log_likelihood - step.log_likelihood
            near = self.length < STILL and self.best.distance < STILL and lost <= self.given.blur(self.level)
            if near and self.stop.tolerance > 0:
                self.best = self.best.ended(Status.CONVERGED, as_near(self.length))
                return self.best
            end = self.given.fallen(self.best.log_likelihood, self.point, step)
            if isinstance(end, Exception):
                raise end
            self.best = self.best.ended(*end)
            return self.best
        self.rejected += 1
        return self._home(Status.RUNNING)

    def _home(self, status: Status) -> Iterate | None:
        """Go on by plain EM from the best point; or end there if the steps are used up."""
        assert self.best is not None
        self.memory = self.accelerate.rejected(self.memory)
        self.point, self.image, self.extrapolated = self.home, self.home, False
        self.level, self.length, self.below = self.best.log_likelihood, self.short, 0
        if self.evaluations > self.stop.max_steps or status is Status.MAX_STEPS:
            self.best = self.best.ended(Status.MAX_STEPS)
            return self.best
        return None

    def _propose(self) -> None:
        image = self.given.chart(self.image)
        self.memory, proposed = self.accelerate.propose(self.memory, self.given.chart(self.point), image)
        self.point = self.image if proposed is image else self.given.admitted(self.given.unchart(proposed))
        if not np.isfinite(self.point).all():
            self.memory, self.point = self.accelerate.rejected(self.memory), self.image
        self.extrapolated = self.point is not self.image
        value = self.given.ahead(self.point) if self.extrapolated else None
        if value is not None and not self._kept(value):
            self.rejected += 1
            self._home(Status.RUNNING)

    def _judge(self, step: Step, distance: float) -> tuple[Status, str]:
        """Whether this point is the last, and why."""
        reason = self.given.ailment(self.point, step.health)
        if not reason and not np.isfinite(step.free).all():
            reason = self.given.ailment(step.free) or f"{UNFOUND} has no maximum inside the constraints"
        if not reason and not step.arrived:
            reason = self._lost(step)
        if reason:
            return Status.DEGENERATE, reason
        status = self.stop.judge(distance if step.arrived else np.inf, self.evaluations)
        near = not STILL < distance < np.inf
        stays = 0 < step.length < STILL and np.array_equal(step.free, self.point)  # rounding hides the way up
        hidden = self.stop.tolerance > 0 and step.arrived and stays
        blurred = self.stop.tolerance > 0 and step.arrived and self._blurred(step) and near
        slow = status is Status.CONVERGED and self.evaluations > LEAP
        ended = hidden or blurred or status is Status.CONVERGED
        if ended and (none := ((blurred or slow) and self._edge(ending=True)) or self.given.doubt(self.point)):
            return Status.DEGENERATE, none
        if status is Status.CONVERGED:
            blur = self.given.rounding
            return status, "" if blur <= self.stop.tolerance else as_near(blur)
        if blurred or hidden:
            return Status.CONVERGED, as_near(step.length)
        return status, ""

    def _blurred(self, step: Step) -> bool:
        """Whether steps are rounding: near a maximum EM's own only shrink, which those shrink and grow by turns."""
        turns = sum(one != other for one, other in pairwise(self.grew))
        return step.length < STILL and turns >= TURNS and self.stale > 0

    def _lost(self, step: Step) -> str:
        """Why an M-step that did not find the maximum of Q is the end, or nothing while it still goes up."""
        if np.array_equal(step.free, self.point):
            return self.given.doubt(self.point) or NO_STEP
        self.lost += 1
        if self.lost % PATIENCE == 0 and (none := self.given.doubt(self.point)):
            return none  # where rounding decides the likelihood, it may seem to rise for ever
        self.stuck = self.stuck + 1 if step.length <= STILL else 0
        return f"{UNFOUND} does not come to the maximum of Q; try other starts" if self.stuck > PATIENCE else ""


def run(given: AbstractMap, start: np.ndarray, accelerate: AbstractAccelerator, stop: Stop) -> Iterator[Iterate]:
    """Iterate a map from free coordinates; the last `Iterate` has a status that is not `RUNNING`."""
    return drive(Run(given, start, accelerate, stop))


def exhaust(under_way: Run, steps: Iterator[Iterate]) -> Iterate:
    """Where a run ends by these steps of it; Ctrl-C ends it at the best so far."""
    try:
        deque(steps, maxlen=0)
    except KeyboardInterrupt:
        if under_way.best is None:
            raise
        return under_way.best.ended(Status.INTERRUPTED)
    assert under_way.best is not None
    return under_way.best


def drive(under_way: Run) -> Iterator[Iterate]:
    """Take a run to its end, if it has not come there."""
    reached = under_way.best
    if reached is not None and reached.status is not Status.RUNNING:
        yield reached
        return
    while reached is None or reached.status is Status.RUNNING:
        if (reached := under_way.take(under_way.given.step(under_way.point))) is not None:
            yield reached
