"""What the loop iterates: a map that an objective does not fall along."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from latens.engine.stop import Status


class Step(NamedTuple):
    """One evaluation of the map."""

    log_likelihood: float  # the objective at the point it was evaluated at
    free: np.ndarray  # (p,) the image
    length: float  # of the step, in standard errors of the complete data
    health: np.ndarray  # (m,) of what can degenerate: below 1 it has
    arrived: bool = True  # whether the M-step found the maximum of Q, so that a short step means what it says


class AbstractMap(ABC):
    """A map in free coordinates, and what to say when it fails."""

    rises = True  # whether plain steps never lower the objective
    leaps = False  # whether an objective with a limit at an edge is worth looking for, at some evaluations more

    @property
    @abstractmethod
    def rounding(self) -> float:
        """The length that rounding alone gives a step."""

    @abstractmethod
    def step(self, free: np.ndarray) -> Step:
        """Evaluate the map."""

    @abstractmethod
    def params(self, free: np.ndarray) -> Any:
        """A point as users see it."""

    @abstractmethod
    def unusable(self, free: np.ndarray) -> Exception:
        """Why the first point cannot be gone on from."""

    @abstractmethod
    def ailment(self, free: np.ndarray, health: np.ndarray | None = None) -> str:
        """What has degenerated at a point, or nothing."""

    @abstractmethod
    def fallen(self, best: float, free: np.ndarray, step: Step) -> tuple[Status, str] | Exception:
        """What it means that a plain step lost ground: an end with its reason, or an error."""

    def doubt(self, free: np.ndarray) -> str:
        """Why a point that the map hardly moves is no maximum, or nothing."""
        return ""

    def slack(self, best: float) -> float:
        """How far the objective may fall by rounding alone."""
        return 1e-10 * (1.0 + abs(best))

    def blur(self, best: float) -> float:
        """The same where the arithmetic is at its worst: next to a variance of almost 0."""
        return 100 * self.slack(best)

    def ahead(self, free: np.ndarray) -> float | None:
        """The objective at a point, where it can be had without the map: a point to be dropped then needs no more."""
        return None

    def probe(self, free: np.ndarray, bar: float) -> Step:
        """Evaluate the map where the run may never come to; only an objective of at least `bar` need be right."""
        return self.step(free)

    def edge(self, here: np.ndarray, there: np.ndarray) -> str:
        """What it means that the objective goes on rising from one point to another, far away, that is no maximum.

        Nothing if what goes to an edge on the way may lie on it: then the limit is a maximum.
        """
        return "the objective rises to a limit that it does not attain"

    def plateau(self, here: np.ndarray, there: np.ndarray, gain: float) -> str:
        """What it means that the way from one point to another, far in free coordinates, has led up by so little."""
        return f"the objective rose by {gain:.1g} only on the way here"

    def chart(self, free: np.ndarray) -> np.ndarray:
        """A point in the coordinates that accelerators reckon in."""
        return free

    def unchart(self, point: np.ndarray) -> np.ndarray:
        """The inverse of `chart`."""
        return point

    def admitted(self, free: np.ndarray) -> np.ndarray:
        """An accelerated point, moved inside the constraints if that needs doing."""
        return free
