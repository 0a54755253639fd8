"""SQUAREM: squared extrapolation."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

import numpy as np

from latens.engine.accelerators.base import AbstractAccelerator, at_least
from latens.errors import ParameterError

GROWTH = 4.0  # of the cap on α, as published


class Memory(NamedTuple):
    """The points of the cycle under way, the cap on α, and whether the last α met it."""

    points: tuple[np.ndarray, ...]
    cap: float
    met: bool


@dataclass(frozen=True)
class Squarem(AbstractAccelerator):
    """Squared extrapolation: after the EM steps θ₀ → θ₁ → θ₂ go on from

        θ' = θ₀ + 2αr + α²v,   r = θ₁ − θ₀,   v = (θ₂ − θ₁) − r
        α = −rᵀv/vᵀv (scheme 1),   −rᵀr/rᵀv (scheme 2),   |r|/|v| (scheme 3)

    α = 1 is plain EM. With `order` K > 1 the cycle is of 2K steps and θ' = Σᵢ Σⱼ γᵢ γⱼ θᵢ₊ⱼ, where γ
    (K + 1,) sums to 1 and makes Σ γᵢ (θᵢ₊₁ − θᵢ) small: by least squares (scheme 1: reduced rank) or with
    the last of them as the unit (scheme 2: minimal polynomial).

    **Arguments:** `scheme`: 1, 2 or 3 (default 3; 1 for a higher order); `order`: K; `cap`: the largest α
    to begin with, published as 1, growing by 4 when it is met and shrinking when the point is dropped;
    None (default) for no cap: a step too long is caught by its log-likelihood anyway, and the cap cost up
    to four times the evaluations on the models tried.
    **Raises:** `ParameterError` for another scheme, an order below 1, scheme 3 with an order above 1.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0},
        ...              accelerate=lt.Squarem())
        >>> round(float(fit.params["rate"]), 8)
        0.2

    **Source:** Varadhan & Roland (2008), Scand. J. Stat. 35, 335, eq. 8–11; order K: Roland, Varadhan &
    Frangakis (2007), Numer. Algor. 44, 159.
    """

    scheme: int | None = None
    _: KW_ONLY
    order: int = 1
    cap: float | None = None

    def __post_init__(self) -> None:
        at_least("Squarem: order", self.order, 1)
        at_least("Squarem: cap", np.inf if self.cap is None else self.cap, 1)
        if self.scheme not in ((None, 1, 2, 3) if self.order == 1 else (None, 1, 2)):
            raise ParameterError(
                f"Squarem: no scheme {self.scheme!r} of order {self.order}; there are 1, 2 and 3, and of higher orders "
                "1 and 2"
            )

    @property
    def _rule(self) -> int:
        return self.scheme or (3 if self.order == 1 else 1)

    def init(self) -> Memory:
        return Memory((), np.inf if self.cap is None else self.cap, False)

    def propose(self, memory: Memory, point: np.ndarray, image: np.ndarray) -> tuple[Memory, np.ndarray]:
        goes_on = memory.points and np.array_equal(memory.points[-1], point)
        began = memory.points if goes_on else (point,)
        points = (*began, image)
        if len(points) <= 2 * self.order:
            return memory._replace(points=points), image
        fresh = memory._replace(points=())
        if self.order > 1:
            return fresh, _squared(np.array(points), self.order, self._rule)
        first, middle, last = points
        r = middle - first
        v = (last - middle) - r
        with np.errstate(divide="ignore", invalid="ignore"):
            alpha = float({1: -(r @ v) / (v @ v), 2: -(r @ r) / (r @ v), 3: np.sqrt((r @ r) / (v @ v))}[self._rule])
        met = alpha >= fresh.cap
        alpha = min(alpha, fresh.cap)
        # a cap that was met and did no harm is raised at once; `rejected` takes that back
        fresh = fresh._replace(met=met, cap=fresh.cap * GROWTH if met else fresh.cap)
        if not 1.0 < alpha < np.inf:
            return fresh, image
        return fresh, first + 2 * alpha * r + alpha**2 * v

    def rejected(self, memory: Memory) -> Memory:
        lower = max(memory.cap / GROWTH**2, 1.0) if memory.met and self.cap is not None else memory.cap
        return Memory((), lower, False)


def _squared(points: np.ndarray, order: int, scheme: int) -> Any:
    """Σᵢ Σⱼ γᵢ γⱼ θᵢ₊ⱼ of (2K + 1, p) points."""
    steps = np.diff(points, axis=0)[: order + 1]
    gamma = np.zeros(order + 1)
    if scheme == 1:
        found = np.linalg.lstsq(np.diff(steps, axis=0).T, -steps[0], rcond=1e-12)[0]
        gamma[0], gamma[1:] = 1.0, found
        gamma[:-1] -= found
    else:
        gamma[:-1], gamma[-1] = np.linalg.lstsq(steps[:-1].T, -steps[-1], rcond=1e-12)[0], 1.0
        gamma /= gamma.sum() or np.nan
    return np.convolve(gamma, gamma) @ points[: 2 * order + 1]
