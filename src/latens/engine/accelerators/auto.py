"""The default: Newton's step in the span of the last moves, squared extrapolation where it was dropped."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latens.engine.accelerators.base import AbstractAccelerator, Secants, at_least
from latens.engine.accelerators.squarem import Memory as Cycle
from latens.engine.accelerators.squarem import Squarem

SQUAREM, SQUARED = Squarem(), 2  # how many squared extrapolations follow a Newton step that was dropped
REACH, CHANGE = 16.0, 4.0  # how far one may go, in steps of EM: at first; how much farther or less far the next one may
LEAST, MOST = 2.0, 1e6  # but no less and no more
INDEPENDENT = 1e-9  # of the largest singular value of the moves: below it they say nothing of a direction


class Memory(NamedTuple):
    """What both rules have learnt, and where they stand."""

    secants: Secants  # learnt under either rule
    wait: int  # plain steps to make
    cycle: Cycle | None  # of SQUAREM, or None while Newton's rule is in force
    squared: int  # extrapolations that SQUAREM has made in its turn
    reach: float  # steps of EM that a Newton step may be as long as
    jumped: bool  # whether the point to come is from a Newton step


@dataclass(frozen=True)
class Auto(AbstractAccelerator):
    """Every second step is Newton's for M(θ) = θ, as far as the last moves tell of it:

        θ' = θ + f + (U + V) A⁻¹ a,   f = M(θ) − θ,   a = Uᵀf,   A = −UᵀV

    U (p, m) is an orthonormal basis of the last moves, V the turns of f along it; A is I − R there, R the rate
    matrix of EM. If A has eigenvalues below 0, the likelihood is not concave and Newton's step would lead to a
    saddle; θ + f + U (|A|⁻¹ − I) a, with those turned round, leads on up. A step goes at most 16 steps of EM far to
    begin with, four times as far after each that was kept, a quarter after one that was dropped. Two squared
    extrapolations follow then (`lt.Squarem`), which are quicker towards a boundary. On the maps of
    `benchmarks/results.md` this came out best.

    **Arguments:** `order`: the most moves, m.
    **Raises:** `ParameterError` for an order below 1.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0},
        ...              accelerate=lt.Auto())
        >>> round(float(fit.params["rate"]), 8)
        0.2

    **Source:** Fang & Saad (2009), Numer. Linear Algebra Appl. 16, 197 (type I); Dauphin et al. (2014), NeurIPS 27
    (|A|).
    """

    order: int = 10

    def __post_init__(self) -> None:
        at_least("Auto: order", self.order, 1)

    def init(self) -> Memory:
        return Memory(Secants(), 1, None, 0, REACH, False)

    def propose(self, memory: Memory, point: np.ndarray, image: np.ndarray) -> tuple[Memory, np.ndarray]:
        secants = memory.secants.with_pair(point, image, min(self.order, len(point)))
        reach = min(memory.reach * CHANGE, MOST) if memory.jumped else memory.reach
        waits = memory.wait > 0
        memory = memory._replace(secants=secants, wait=max(memory.wait - 1, 0), reach=reach, jumped=False)
        if memory.cycle is not None:
            return _squared(memory, point, image)
        if waits or not secants.moves:
            return memory, image
        residual = image - point
        jump = newton(secants, residual, reach)
        length, most = float(np.linalg.norm(jump)), reach * float(np.linalg.norm(residual))
        return memory._replace(wait=1, jumped=True), point + jump * (most / length if length > most else 1.0)

    def rejected(self, memory: Memory) -> Memory:
        secants = memory.secants._replace(point=None, residual=None)
        cycle = SQUAREM.init() if memory.cycle is None else None
        return Memory(secants, 1, cycle, 0, max(memory.reach / CHANGE, LEAST), False)


def _squared(memory: Memory, point: np.ndarray, image: np.ndarray) -> tuple[Memory, np.ndarray]:
    """SQUAREM's turn, which ends after so many extrapolations."""
    assert memory.cycle is not None
    cycle, proposed = SQUAREM.propose(memory.cycle, point, image)
    if proposed is image:
        return memory._replace(cycle=cycle, wait=1), image
    if memory.squared == SQUARED:
        return memory._replace(cycle=None, wait=0, squared=0), image
    return memory._replace(cycle=cycle, wait=1, squared=memory.squared + 1), proposed


def newton(secants: Secants, residual: np.ndarray, reach: float) -> np.ndarray:
    """θ' − θ; along a direction turned round it goes at most `reach` times as far as EM."""
    basis, turned, curvature = secants.span(INDEPENDENT)
    along = basis.T @ residual
    inside = np.linalg.lstsq(curvature, along, rcond=INDEPENDENT)[0]
    rates, vectors = np.linalg.eig(curvature)
    jump: np.ndarray = residual + (basis + turned) @ inside
    if (rates.real < 0).any():
        upright = np.where(rates.real < 0, np.maximum(-rates.real, 1 / reach), rates)
        upright = np.where(upright == 0, 1 / reach, upright)  # EM stands still along it
        uphill = (vectors @ (np.linalg.lstsq(vectors, along, rcond=None)[0] / upright)).real
        jump = residual + basis @ (uphill - along)
    return jump
