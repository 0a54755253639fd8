"""Anderson acceleration, plain and as DAAREM."""

from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

import numpy as np

from latens.engine.accelerators.base import AbstractAccelerator, Secants, at_least

KAPPA, ALPHA, HALVINGS = 25.0, 1.2, 60  # of the published damping schedule


class Memory(NamedTuple):
    """Secants, plain steps to wait before the next extrapolation, and what damping has learnt."""

    secants: Secants
    wait: int
    trust: float


@dataclass(frozen=True)
class Anderson(AbstractAccelerator):
    """Anderson acceleration: with residuals f = M(θ) − θ, and the last m moves ΔX and their turns ΔF,

        θ' = M(θ) − (ΔX + ΔF) γ,   γ = argmin |f − ΔF γ|² + λ|γ|²

    By default an extrapolation follows every second step, plain EM comes between, and pairs are kept when
    a point is dropped. `Anderson.daarem()` is the published DAAREM.

    **Arguments:** `order`: m; `every`: evaluations from one extrapolation to the next; `damped`: choose λ
    by the published schedule, trusting γ the more the longer nothing is dropped (else λ = 0);
    `restarted`: begin anew after m pairs, instead of forgetting the oldest; `epsilon`: how far below the
    best a log-likelihood may be and still be gone on from (the best is kept and returned all the same).
    **Raises:** `ParameterError` for an order or `every` below 1, or a negative epsilon.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0},
        ...              accelerate=lt.Anderson(order=1))
        >>> round(float(fit.params["rate"]), 8)
        0.2

    **Source:** Anderson (1965), J. ACM 12, 547; Henderson & Varadhan (2019), J. Comput. Graph. Stat. 28, 834.
    """

    order: int = 5
    _: KW_ONLY
    every: int = 2
    damped: bool = False
    restarted: bool = False
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        at_least("Anderson: order", self.order, 1)
        at_least("Anderson: every", self.every, 1)
        at_least("Anderson: epsilon", self.epsilon, 0)

    @classmethod
    def daarem(cls, order: int = 10, *, epsilon: float = 0.01) -> "Anderson":
        """Damped Anderson acceleration with restarts and epsilon-monotonicity, as published."""
        return cls(order, every=1, damped=True, restarted=True, epsilon=epsilon)

    @property
    def forgiven(self) -> float:
        return self.epsilon

    def init(self) -> Memory:
        return Memory(Secants(), 1, 0.0)

    def propose(self, memory: Memory, point: np.ndarray, image: np.ndarray) -> tuple[Memory, np.ndarray]:
        most = min(self.order, (len(point) + 1) // 2 if self.damped else len(point))
        full = self.restarted and len(memory.secants.moves) >= most
        secants = (memory.secants._replace(moves=(), turns=()) if full else memory.secants).with_pair(
            point, image, most
        )
        memory = Memory(secants, max(memory.wait - 1, 0), memory.trust + 1)
        if memory.wait > 0 or not secants.moves:
            return memory, image
        moves, turns = secants.matrices()
        share = 1.0 / (1.0 + ALPHA ** (KAPPA - memory.trust)) if self.damped else 1.0
        gamma = ridge(turns, image - point, share)
        return memory._replace(wait=self.every), image - (moves + turns) @ gamma

    def rejected(self, memory: Memory) -> Memory:
        # after a dropped point the next pair would join two that are not on one path
        secants = memory.secants._replace(point=None, residual=None)
        return Memory(Secants() if self.restarted else secants, 2, max(memory.trust - self.order, -50.0))


def ridge(matrix: np.ndarray, target: np.ndarray, share: float) -> np.ndarray:
    """argmin |target − matrix γ|² + λ|γ|², with λ such that |γ|² is that share of what it is with λ = 0."""
    u, d, vt = np.linalg.svd(matrix, full_matrices=False)
    kept = d > 1e-12 * d[0]
    u, d, vt = u[:, kept], d[kept], vt[kept]
    b = d * (u.T @ target)
    wanted = share * float(((b / d**2) ** 2).sum())
    low, high = 0.0, float(d[0] ** 2) * 1e6 if share < 1 else 0.0
    for _ in range(HALVINGS if share < 1 else 0):
        middle = (max(low, float(d[-1] ** 2) * 1e-12) * high) ** 0.5
        low, high = (middle, high) if ((b / (d**2 + middle)) ** 2).sum() > wanted else (low, middle)
    return vt.T @ (b / (d**2 + high))
