"""The quasi-Newton acceleration of Zhou, Alexander and Lange."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latens.engine.accelerators.base import AbstractAccelerator, at_least


class Memory(NamedTuple):
    """First and second steps of the latest cycles, and the cycle under way: a point and its image."""

    firsts: tuple[np.ndarray, ...] = ()
    seconds: tuple[np.ndarray, ...] = ()
    cycle: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class QuasiNewton(AbstractAccelerator):
    """Newton's method on M(θ) − θ = 0 with the Jacobian of M approximated from the last q cycles:

        θ' = M²(θ) + V (UᵀU − UᵀV)⁻¹ Uᵀ u,   u = M(θ) − θ,   v = M²(θ) − M(θ)

    U and V (p, q) hold the latest u and v.

    **Arguments:** `order`: q.
    **Raises:** `ParameterError` for an order below 1.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0},
        ...              accelerate=lt.QuasiNewton(1))
        >>> round(float(fit.params["rate"]), 6)
        0.2

    **Source:** Zhou, Alexander & Lange (2011), Stat. Comput. 21, 261, eq. 5.
    """

    order: int = 5

    def __post_init__(self) -> None:
        at_least("QuasiNewton: order", self.order, 1)

    def init(self) -> Memory:
        return Memory()

    def propose(self, memory: Memory, point: np.ndarray, image: np.ndarray) -> tuple[Memory, np.ndarray]:
        if memory.cycle is None or not np.array_equal(point, memory.cycle[1]):
            return memory._replace(cycle=(point, image)), image
        first, middle = memory.cycle
        most = min(self.order, len(point))
        firsts = (*memory.firsts, middle - first)[-most:]
        seconds = (*memory.seconds, image - middle)[-most:]
        u, v = np.array(firsts).T, np.array(seconds).T
        scale = np.linalg.norm(u, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            u, v = u / scale, v / scale
        if not np.isfinite(u).all():
            return Memory(), image
        inside = np.linalg.lstsq(u.T @ (u - v), u.T @ firsts[-1], rcond=1e-14)[0]
        return Memory(firsts, seconds), image + v @ inside

    def rejected(self, memory: Memory) -> Memory:
        return memory._replace(cycle=None)
