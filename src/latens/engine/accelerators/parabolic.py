"""Parabolic EM: a search along the parabola through three points."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latens.engine.accelerators.base import AbstractAccelerator, at_least


class Memory(NamedTuple):
    """Up to three points, and how many places on their parabola have been tried."""

    points: tuple[np.ndarray, ...] = ()
    tried: int = 0


@dataclass(frozen=True)
class ParabolicEM(AbstractAccelerator):
    """Go along the Bézier parabola of three points of the way, farther as long as the log-likelihood rises:

        θ(t) = (1 − t)² θ₀ + 2t(1 − t) θ₁ + t² θ₂,   t = 1 + step · growthⁱ,   i = 0, 1, 2, ...

    After the first place that does not rise, two EM steps from the best give the next third point.

    **Arguments:** `step`: how far the first place is; `growth`: of the distance from one to the next.
    **Raises:** `ParameterError` for a step that is not positive or a growth below 1.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0},
        ...              accelerate=lt.ParabolicEM())
        >>> round(float(fit.params["rate"]), 6)
        0.2

    **Source:** Berlinet & Roland (2009), Stat. Comput. 19, 35 (geometric search).
    """

    step: float = 0.1
    growth: float = 1.5

    def __post_init__(self) -> None:
        at_least("ParabolicEM: step", self.step, 1e-12)
        at_least("ParabolicEM: growth", self.growth, 1)

    def init(self) -> Memory:
        return Memory()

    def propose(self, memory: Memory, point: np.ndarray, image: np.ndarray) -> tuple[Memory, np.ndarray]:
        points, tried = memory
        if tried == 0:
            points = (*points, image) if points else (point, image)
            if len(points) < 3:
                return Memory(points), image
        first, middle, last = points
        t = 1.0 + self.step * self.growth**tried
        return Memory(points, tried + 1), (1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t**2 * last

    def rejected(self, memory: Memory) -> Memory:
        return Memory(memory.points[1:], 0)
