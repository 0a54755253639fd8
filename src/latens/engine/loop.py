"""The one loop. Everything that iterates EM goes through here."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from latens.engine.accelerators import AbstractAccelerator
from latens.engine.problem import Problem, Step
from latens.engine.status import Status
from latens.engine.stop import Projection, Stop, noise
from latens.errors import ModelError


@dataclass(frozen=True)
class Iterate:
    """A point EM has reached, with the log-likelihood at that very point.

    `step`: how many points were accepted before it; `evaluations`: of the EM map so far; `rejected`:
    accelerated points dropped so far; `accelerated`: whether this one was extrapolated; `distance`:
    projected distance to the limit, in standard errors; `status`: `RUNNING` until the last.
    """

    problem: Problem
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
    def params(self) -> dict[str, np.ndarray]:
        """The parameters, in the units of the data."""
        return self.problem.params(self.free)

    def ended(self, status: Status, reason: str = "") -> "Iterate":
        """The same point as the end of a run."""
        return replace(self, status=status, reason=reason)


def run(problem: Problem, start: np.ndarray, accelerate: AbstractAccelerator, stop: Stop) -> Iterator[Iterate]:
    """Iterate EM from free coordinates; the last `Iterate` has a status that is not `RUNNING`."""
    memory, point, image = accelerate.init(), start, start
    best: Iterate | None = None
    projection = Projection(noise(problem.n))
    evaluations, rejected = 0, 0
    while True:
        step = problem.step(point)
        evaluations += 1
        extrapolated = point is not image
        fallen = best is not None and not step.log_likelihood >= best.log_likelihood - _slack(best)
        if fallen or not np.isfinite(step.log_likelihood):
            if best is None:
                raise problem.impossible(point)
            if not extrapolated:
                yield _broken(best, point, step)
                return
            memory, point, rejected = accelerate.rejected(memory), image, rejected + 1
            if evaluations > stop.max_steps:
                yield best.ended(Status.MAX_STEPS)
                return
            continue
        distance = projection.distance(step.length, follows=not extrapolated)
        best = Iterate(
            problem,
            point,
            step.log_likelihood,
            0 if best is None else best.step + 1,
            evaluations,
            rejected,
            extrapolated,
            distance,
        )
        status, reason = _judge(problem, step, distance, evaluations, stop)
        yield best.ended(status, reason)
        if status is not Status.RUNNING:
            return
        image = step.free
        memory, point = accelerate.propose(memory, point, image)
        if not np.isfinite(point).all():
            memory, point = accelerate.rejected(memory), image


def _slack(best: Iterate) -> float:
    """How far a log-likelihood may fall by rounding alone."""
    return 1e-10 * (1.0 + abs(best.log_likelihood))


def _judge(problem: Problem, step: Step, distance: float, evaluations: int, stop: Stop) -> tuple[Status, str]:
    """Whether this point is the last, and why."""
    reason = _ailment(problem, step.health)
    if not reason and not np.isfinite(step.free).all():
        reason = _ailment(problem, problem.health(step.free)) or "the M-step has no maximum inside the constraints"
    if reason:
        return Status.DEGENERATE, reason
    if stop.tolerance > 0 and distance <= stop.tolerance:
        return Status.CONVERGED, ""
    if evaluations > stop.max_steps:
        return Status.MAX_STEPS, ""
    return Status.RUNNING, ""


def _ailment(problem: Problem, health: np.ndarray) -> str:
    """What has degenerated, or nothing."""
    ill = ~(health >= 1)
    return problem.model.ailment(int(np.argmax(ill))) if ill.any() else ""


def _broken(best: Iterate, point: np.ndarray, step: Step) -> Iterate:
    """A plain step that lost ground: an end if something degenerated on the way, else a wrong model."""
    reason = _ailment(best.problem, best.problem.health(point))
    if reason or not np.isfinite(step.log_likelihood):
        return best.ended(Status.DEGENERATE, reason or "the log-likelihood is not finite after the next EM step")
    raise ModelError(
        f"the log-likelihood fell from {best.log_likelihood:.10g} to {step.log_likelihood:.10g} in a plain EM "
        "step, which cannot happen if estimate(stats) maximises <potentials(params), stats>: check the "
        "model with lt.testing.check_model"
    )
