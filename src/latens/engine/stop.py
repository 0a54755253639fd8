"""When to stop."""

from collections import deque
from dataclasses import dataclass, field
from math import inf, isfinite, sqrt

from latens.errors import ParameterError


@dataclass(frozen=True)
class Stop:
    """Stop when the projected distance to the limit is small, or after `max_steps` steps of EM.

        distance = √(Δᵀ I_com Δ) / (1 − ρ),   Δ the last EM step, ρ the ratio of successive step lengths

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
        if not (isfinite(self.tolerance) and self.tolerance >= 0):
            raise ParameterError(f"Stop: tolerance must be a number of at least 0, got {self.tolerance}")
        if self.max_steps < 0:
            raise ParameterError(f"Stop: max_steps must be at least 0, got {self.max_steps}")


@dataclass
class Projection:
    """The distance to the limit, projected from the lengths of EM steps as they come in."""

    noise: float  # the length that rounding alone gives a step
    ratios: deque[float] = field(default_factory=lambda: deque(maxlen=4))
    last: float = inf

    def distance(self, length: float, *, follows: bool) -> float:
        """Standard errors left to go; `follows` says that this step began where the last one ended."""
        if follows and isfinite(self.last) and self.last > 0:
            self.ratios.append(length / self.last)
        self.last = length
        if length <= self.noise:
            return length
        # the slowest of the recent rates: an accelerated point may hide it for a step or two
        rate = max(self.ratios, default=1.0)
        return length / (1.0 - rate) if rate < 1.0 else inf


def noise(n: float) -> float:
    """Rounding of one EM step over data of total weight n, in standard errors."""
    return 1e-13 * sqrt(n)
