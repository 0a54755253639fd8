"""What a run iterates, when it stops, and how it has ended."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from math import inf, sqrt
from typing import Any, NamedTuple

import numpy as np

from latens.engine.accelerators.base import Secants
from latens.numerics.asked import number, whole

WINDOW = 4  # moves that are looked back on: an accelerated one may hide the slow directions for a step or two


class Status(Enum):
    """How a fit ended; `sentence` says it in words."""

    RUNNING = "running"
    CONVERGED = "converged"
    MAX_STEPS = "stopped at max steps"
    DEGENERATE = "degenerate"
    INTERRUPTED = "interrupted"
    ONLINE = "online estimate, no certificate"

    @property
    def sentence(self) -> str:
        """What that means and what to do."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.RUNNING: "The iteration has not ended.",
    Status.CONVERGED: "Converged: the projected distance to the limit is within the tolerance.",
    Status.MAX_STEPS: (
        "Stopped at the largest number of steps before converging: the estimates may still move; "
        "go on with stop=lt.Stop(max_steps=...) and start=fit.params."
    ),
    Status.DEGENERATE: "Degenerate: the estimates shown are the last usable ones, not a maximum.",
    Status.INTERRUPTED: "Interrupted: the estimates shown are the best found so far.",
    Status.ONLINE: (
        "Online estimate, no certificate: each row was seen once, at the params reached by then, so nothing shows that "
        "the likelihood of all rows is highest here."
    ),
}

UNFOUND = "the M-step"  # how a reason begins that says nothing of the likelihood
NO_STEP = (
    f"{UNFOUND} cannot be computed at these params: Q or its derivatives are not finite there, or rounding hides how Q "
    "rises; try other starts, give columns that are neither nearly collinear nor far from 0, or write the density so "
    "that it stays finite"
)


def as_near(length: float) -> str:
    """Why a run has converged where rounding hides the rest of the way."""
    return f"as near as rounding lets it be seen; a step of {length:.1g} standard errors is nothing else here"


@dataclass(frozen=True)
class Stop:
    """Stop when the projected distance to the limit is small, or after `max_steps` steps of EM.

        distance = √(Δᵀ I_com Δ) / (1 − ρ),   Δ the last EM step, ρ the rate of EM in its slowest direction

    The distance is in standard errors (of the complete data), so a tolerance means the same for every
    model, and a slow EM, whose steps are small far from the end, is not taken for a finished one.

    **Arguments:** `tolerance`: in standard errors; 0 runs all the steps. `max_steps`: EM steps.
    **Raises:** `ParameterError` for a negative tolerance or number of steps.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0},
        ...              accelerate=lt.Plain(), stop=lt.Stop(tolerance=0, max_steps=1))
        >>> round(float(fit.params["rate"]), 6)
        0.384615

    **Source:** Böhning et al. (1994), Ann. Inst. Stat. Math. 46, 373 (projection to the limit).
    """

    tolerance: float = 1e-6
    max_steps: int = 10_000

    def __post_init__(self) -> None:
        number(self.tolerance, "Stop: tolerance", "a number of at least 0", -5e-324, inf)
        whole(self.max_steps, "Stop: max_steps", 0)

    def judge(self, distance: float, evaluations: int) -> Status:
        """How a run ends at that projected distance, after so many evaluations of the map; or that it does not."""
        if self.tolerance > 0 and distance <= self.tolerance:
            return Status.CONVERGED
        return Status.MAX_STEPS if evaluations > self.max_steps else Status.RUNNING


@dataclass
class Projection:
    """The distance to the limit, projected from the steps as they come in.

    Between two points of any run, accelerated or not, the residual f = M(θ) − θ turns by Δf ≈ −(I − R) Δθ, R the
    rate matrix of EM. On the span of the last moves that gives I − R a smallest eigenvalue (a Ritz value), which
    is 1 − ρ for the slowest direction there; for two plain steps it is 1 less the ratio of their lengths.
    """

    noise: float  # the length that rounding alone gives a step
    secants: Secants = field(default_factory=Secants)

    def distance(self, point: np.ndarray, image: np.ndarray, length: float, tolerance: float) -> float:
        """Standard errors left to go from a point, its image and the length of that step in standard errors.

        A step that is longer than the tolerance need not be projected well.
        """
        self.secants = self.secants.with_pair(point, image, WINDOW)
        if length <= self.noise:
            return 0.0  # that is as near as the arithmetic can see
        left = self._slowest() if length <= tolerance else self._slow()
        return length / left if left > 0 else inf

    def _slow(self) -> float:
        """No smaller than that eigenvalue, and cheaper: the smallest Rayleigh quotient of a move."""
        return min((-float(m @ t) for m, t in zip(self.secants.moves, self.secants.turns, strict=True)), default=0.0)

    def _slowest(self) -> float:
        """The smallest eigenvalue of I − R on the span of the last moves; 0 if nothing is known of it."""
        if not self.secants.moves:
            return 0.0
        return float(np.linalg.eigvals(self.secants.span(1e-4)[2]).real.min())


def noise(n: float) -> float:
    """Rounding of one EM step over data of total weight n, in standard errors."""
    return 1e-13 * sqrt(n)


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
