"""Acceleration of a map that users bring, as a function of arrays."""

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import jax
import numpy as np

from latens.engine.accelerators.auto import Auto
from latens.engine.accelerators.base import AbstractAccelerator
from latens.engine.loop import Run, drive, exhaust
from latens.engine.stop import AbstractMap, Status, Step, Stop
from latens.errors import LatensError, ModelError, ParameterError

ROUNDING = 1e-15
GROWTH = 10.0  # of the residual that an accelerated point may have, if there is no objective to judge it by
# what functions raise at points they were not written for
OUTSIDE = (ArithmeticError, ValueError, IndexError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class FixedPoint:
    """Where a map was followed to.

    `value`: shaped like the start; `objective`: there, or None; `evaluations`: of the map; `rejected`: accelerated
    points dropped; `status`, and `reason` if it degenerated; `trace` (steps,): the objective at every point gone
    on from, or minus the logarithm of the residual if there is none; `accelerated` (steps,): which were extrapolated.
    """

    value: Any
    objective: float | None
    evaluations: int
    rejected: int
    status: Status
    reason: str
    trace: np.ndarray
    accelerated: np.ndarray

    @property
    def converged(self) -> bool:
        """Whether it ended at a fixed point."""
        return self.status is Status.CONVERGED

    @property
    def message(self) -> str:
        """How it ended, in words."""
        return f"{self.status.sentence} {self.reason}".strip()


class Given(AbstractMap):
    """A user's function from arrays to arrays, as the loop takes it."""

    rounding = ROUNDING

    def __init__(
        self,
        function: Callable[[Any], Any],
        start: Any,
        objective: Callable[[Any], Any] | None,
        project: Callable[[Any], Any] | None,
    ) -> None:
        self.function, self.objective, self.project = function, objective, project
        self.rises = objective is not None
        leaves, self.tree = jax.tree.flatten(start, is_leaf=_is_list)
        self.shapes = [np.shape(leaf) for leaf in leaves]
        self.cuts = np.cumsum([np.size(leaf) for leaf in leaves])[:-1]
        self.start = self._flat(start, "start")
        self.trouble, self.count = "", 0
        self.known: tuple[np.ndarray | None, float] = None, nan  # a point and its objective, asked for ahead of the map
        if not np.isfinite(self.start).all():
            raise ParameterError("start: there are entries that are not finite")

    def params(self, free: np.ndarray) -> Any:
        parts = zip(np.split(free, self.cuts), self.shapes, strict=True)
        return jax.tree.unflatten(self.tree, [part.reshape(shape).copy() for part, shape in parts])

    def _flat(self, value: Any, what: str) -> np.ndarray:
        leaves, tree = jax.tree.flatten(value, is_leaf=_is_list)
        shapes = [np.shape(leaf) for leaf in leaves] if str(tree) == str(self.tree) else None
        if shapes != self.shapes:
            raise ModelError(
                f"{what}: expected arrays of the shapes {self.shapes} as in start, got {shapes or value!r}"
            )
        return np.concatenate([np.empty(0)] + [np.asarray(leaf, dtype=float).ravel() for leaf in leaves])

    def slack(self, best: float) -> float:
        return super().slack(best) if self.objective is not None else 100 * float(np.log(GROWTH))

    def admitted(self, free: np.ndarray) -> np.ndarray:
        return free if self.project is None else self._flat(self.project(self.params(free)), "project")

    def ahead(self, free: np.ndarray) -> float | None:
        if self.objective is None:
            return None
        value = nan
        with suppress(*OUTSIDE), np.errstate(all="ignore"):
            value = float(self.objective(self.params(free)))
        self.known = free, value
        return value

    def step(self, free: np.ndarray) -> Step:
        self.count += 1
        self.trouble = ""
        image, value, inside = np.full_like(free, nan), nan, True
        try:
            with np.errstate(all="ignore"):
                image = self._flat(self.function(self.params(free)), "the map's result")
                if self.objective is not None:
                    value = self.known[1] if free is self.known[0] else float(self.objective(self.params(free)))
            if not np.isfinite(image).all():
                self.trouble = f"the map returned {image[~np.isfinite(image)][0]} at evaluation {self.count}"
            elif self.objective is not None and not isfinite(value):
                self.trouble = f"the objective is {value} at evaluation {self.count}"
            elif np.abs(self.admitted(image) - image).max(initial=0.0) > 1e-8 * (1.0 + np.abs(image).max(initial=0.0)):
                self.trouble, inside = f"the map left its constraints at evaluation {self.count}", False
        except LatensError:
            raise
        except OUTSIDE as error:
            self.trouble = f"{type(error).__name__} at evaluation {self.count}: {error}"
        residual = float(np.linalg.norm(image - free))
        if self.objective is None:
            value = -float(np.log(residual)) if residual > 0 else 700.0
        if self.trouble and inside:
            value = nan
        return Step(value, image, residual / (1.0 + float(np.linalg.norm(free))), np.array([np.inf if inside else 0.0]))

    def unusable(self, free: np.ndarray) -> ParameterError:
        return ParameterError(f"start cannot be gone on from: {self.trouble}")

    def ailment(self, free: np.ndarray, health: np.ndarray | None = None) -> str:
        return self.trouble if health is not None and not (health >= 1).all() else ""

    def fallen(self, best: float, free: np.ndarray, step: Step) -> tuple[Status, str]:
        return Status.DEGENERATE, self.trouble or (
            f"the objective fell from {best:.10g} to {step.log_likelihood:.10g} in a plain step of the map, at "
            f"evaluation {self.count}: it must be one that the map never lowers (minus it, if it never raises it)"
        )


def _is_list(value: Any) -> bool:
    """A list of numbers is an array; a dict or tuple holds arrays."""
    return isinstance(value, list)


def accelerate(
    function: Callable[[Any], Any],
    start: Any,
    objective: Callable[[Any], Any] | None = None,
    *,
    accelerate: AbstractAccelerator | None = None,
    stop: Stop | None = None,
    project: Callable[[Any], Any] | None = None,
) -> FixedPoint:
    """Follow a map of your own to its fixed point, in fewer evaluations.

        θ ← M(θ),  repeated,  with extrapolation between; an accelerated point that lost ground is dropped

    **Arguments:** `function`: M, from an array (or a dict or tuple of arrays) to one of the same shapes, such as
    your own EM step in NumPy; `start`: where to begin; `objective`: what M never lowers, such as the
    log-likelihood: with it the result is never worse than that of M alone; without it points are judged by the
    residual |M(θ) − θ|; `accelerate`: `lt.Auto()` (default), `lt.Anderson()`, `lt.Squarem()`, ...; `stop`:
    `lt.Stop(...)`, whose tolerance here is the projected distance to the limit relative to 1 + |θ|;
    `project`: any arrays → the nearest ones inside the constraints, applied to accelerated points. An
    accelerated point is dropped by its objective, without an evaluation of M there; and if M fails there, or either
    is not finite.
    **Returns:** `FixedPoint`: `value`, `objective`, `evaluations`, `status`, ... The objective belongs to the value.
    If M itself fails later than at the start, or lowers the objective, a `RuntimeWarning` says so, and the best
    so far is returned with status `DEGENERATE`.
    **Raises:** `ParameterError` if the start cannot be used; `ModelError` for results of other shapes.
    **Example:** x = cos x:
        >>> import latens as lt, numpy as np
        >>> found = lt.accelerate(np.cos, 1.0)
        >>> round(float(found.value), 10), found.converged
        (0.7390851332, True)

    **Source:** Varadhan & Roland (2008), Scand. J. Stat. 35, 335.
    """
    given = Given(function, start, objective, project)
    under_way = Run(given, given.start, accelerate or Auto(), stop or Stop())
    last = exhaust(under_way, drive(under_way))
    if last.status is Status.DEGENERATE:
        warnings.warn(f"lt.accelerate: {last.reason}", RuntimeWarning, stacklevel=2)
    return FixedPoint(
        given.params(last.free),
        last.log_likelihood if objective is not None else None,
        given.count,
        last.rejected,
        last.status,
        last.reason,
        np.array([passed.log_likelihood for passed in under_way.path]),
        np.array([passed.accelerated for passed in under_way.path]),
    )
