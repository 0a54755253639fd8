"""The default: a quasi-Newton rule while it serves, squared extrapolation while it does not."""

from typing import NamedTuple

import equinox as eqx
import numpy as np

from latens.engine.accelerators.base import AbstractAccelerator, at_least
from latens.engine.accelerators.squarem import Memory as Cycle
from latens.engine.accelerators.squarem import Squarem
from latens.engine.secants import Secants

SQUAREM = Squarem()


class Memory(NamedTuple):
    """Secants, learnt under either rule; plain steps to wait; the cycle of SQUAREM, or None while secants rule."""

    secants: Secants
    wait: int
    cycle: Cycle | None


class Auto(AbstractAccelerator):
    """A quasi-Newton step every second time, until one is dropped; then SQUAREM, until one is dropped; and so on:

        θ' = M(θ) − (ΔX + ΔF) c,   (ΔXᵀ ΔF) c = ΔXᵀ f,   f = M(θ) − θ

    ΔX are the last moves, under either rule, and ΔF the turns of f along them. The first rule is quicker near a
    maximum inside the constraints, squared extrapolation far from it and towards a boundary; which of them is
    right shows in which is dropped. On the maps of `benchmarks/results.md` this came out best.

    **Arguments:** `order`: how many pairs the secants are.
    **Raises:** `ParameterError` for an order below 1.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0},
        ...              accelerate=lt.Auto())
        >>> round(float(fit.params["rate"]), 8)
        0.2

    **Source:** Fang & Saad (2009), Numer. Linear Algebra Appl. 16, 197 (type I); `lt.Squarem`.
    """

    order: int = eqx.field(static=True)

    def __init__(self, order: int = 5) -> None:
        at_least("Auto: order", order, 1)
        self.order = order

    def init(self) -> Memory:
        return Memory(Secants(), 1, None)

    def propose(self, memory: Memory, point: np.ndarray, image: np.ndarray) -> tuple[Memory, np.ndarray]:
        secants = memory.secants.with_pair(point, image, min(self.order, len(point)))
        if memory.cycle is not None:
            cycle, proposed = SQUAREM.propose(memory.cycle, point, image)
            return Memory(secants, 1, cycle), proposed
        if memory.wait > 0 or not secants.moves:
            return Memory(secants, max(memory.wait - 1, 0), None), image
        moves, turns = secants.matrices()
        inside = np.linalg.lstsq(moves.T @ turns, moves.T @ (image - point), rcond=1e-12)[0]
        return Memory(secants, 1, None), image - (moves + turns) @ inside

    def rejected(self, memory: Memory) -> Memory:
        secants = memory.secants._replace(point=None, residual=None)
        return Memory(secants, 1, SQUAREM.init() if memory.cycle is None else None)
