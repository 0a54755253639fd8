"""The default: a quasi-Newton rule while it serves, squared extrapolation while it does not."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latens.engine.accelerators.base import AbstractAccelerator, at_least
from latens.engine.accelerators.squarem import Memory as Cycle
from latens.engine.accelerators.squarem import Squarem
from latens.engine.secants import Secants

SQUAREM = Squarem()
REACH, GROWTH, LEAST = 16.0, 4.0, 2.0  # how far an extrapolation may go, in steps of EM: at first, its growth, at least


class Memory(NamedTuple):
    """What both rules have learnt, and where they stand."""

    secants: Secants  # learnt under either rule
    wait: int  # plain steps to make
    cycle: Cycle | None  # of SQUAREM, or None while secants rule
    reach: float  # steps of EM that an extrapolation may be as long as
    left: float  # the residual that the last extrapolation left from, or 0 where none did


@dataclass(frozen=True)
class Auto(AbstractAccelerator):
    """A quasi-Newton step every second time, until one is dropped; then SQUAREM, until one is dropped; and so on:

        θ' = M(θ) − (ΔX + ΔF) c,   (ΔXᵀ ΔF) c = ΔXᵀ f,   f = M(θ) − θ

    ΔX are the last moves, under either rule, and ΔF the turns of f along them. The first rule is quicker near a
    maximum inside the constraints, squared extrapolation far from it and towards a boundary; which of them is
    right shows in which is dropped. The first goes at most 16 steps of EM far to begin with; that grows by 4 where the
    residual |f| fell and halves where it did not. On the maps of `benchmarks/results.md` this came out best.

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

    order: int = 5

    def __post_init__(self) -> None:
        at_least("Auto: order", self.order, 1)

    def init(self) -> Memory:
        return Memory(Secants(), 1, None, REACH, 0.0)

    def propose(self, memory: Memory, point: np.ndarray, image: np.ndarray) -> tuple[Memory, np.ndarray]:
        residual = image - point
        size = float(np.linalg.norm(residual))
        waits, reach = memory.wait > 0, memory.reach
        if memory.left > 0:
            reach = reach * GROWTH if size < memory.left else max(reach / 2, LEAST)
        secants = memory.secants.with_pair(point, image, min(self.order, len(point)))
        memory = Memory(secants, max(memory.wait - 1, 0), memory.cycle, reach, 0.0)
        if memory.cycle is not None:
            cycle, proposed = SQUAREM.propose(memory.cycle, point, image)
            return memory._replace(cycle=cycle, wait=1), proposed
        if waits or not secants.moves:
            return memory, image
        moves, turns = secants.matrices()
        inside = np.linalg.lstsq(moves.T @ turns, moves.T @ residual, rcond=1e-12)[0]
        jump = residual - (moves + turns) @ inside
        length = float(np.linalg.norm(jump))
        share = min(1.0, reach * size / length) if length else 1.0
        return memory._replace(wait=1, left=size), point + share * jump

    def rejected(self, memory: Memory) -> Memory:
        secants = memory.secants._replace(point=None, residual=None)
        cycle = SQUAREM.init() if memory.cycle is None else None
        return Memory(secants, 1, cycle, max(memory.reach / GROWTH, LEAST), 0.0)
