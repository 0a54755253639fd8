"""What an accelerator is, the one that does nothing, and what the quasi-Newton ones learn from."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from latens.errors import ParameterError


class Sampled(NamedTuple):
    """A run on a sample: its rows, evaluations of the EM map over them, and how it ended."""

    rows: int
    evaluations: int
    status: str


class AbstractAccelerator(ABC):
    """A rule for the next point, given a point and its image under the EM map.

    Points are vectors (m,) of real numbers, whatever the constraints: means as they are, logarithms of what is
    positive, 2√p of a family's probabilities; `lt.accelerate` gives those of the map as they are.

    To write your own: a frozen dataclass with `init()`, `propose(memory, point, image)` and
    `rejected(memory)`. The engine compares the log-likelihood at a proposed point with the best so far, at
    no extra evaluation; one that lost ground is dropped and plain EM goes on, so every accelerator is as
    safe as EM.
    """

    leaps = True  # whether a long run may look, at a few evaluations, if the way it drifts leads to an edge

    @abstractmethod
    def init(self) -> Any:
        """The memory to begin with: any tree of arrays and numbers."""

    @abstractmethod
    def propose(self, memory: Any, point: np.ndarray, image: np.ndarray) -> tuple[Any, np.ndarray]:
        """(memory, next point); returning `image` itself is a plain step."""

    @abstractmethod
    def rejected(self, memory: Any) -> Any:
        """The memory after a proposed point was dropped: EM goes on from the image of the best point."""

    def prepared(self, problem: Any, free: np.ndarray, seed: int) -> "AbstractAccelerator":
        """The same with what can be learnt of a problem before it is evaluated at all rows, where a fit begins."""
        return self

    def samples(self, memory: Any) -> tuple[Sampled, ...]:
        """The runs on samples of the rows by which it was prepared."""
        return ()

    @property
    def forgiven(self) -> float:
        """How far below the best a proposed log-likelihood may be and still be gone on from.

        The best is kept: what a fit returns, and its trace, never fall.
        """
        return 0.0


@dataclass(frozen=True)
class Plain(AbstractAccelerator):
    """EM as it is: the next point is the image.

    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0},
        ...              accelerate=lt.Plain())
        >>> fit.converged
        True

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1.
    """

    leaps = False  # EM as it is

    def init(self) -> None:
        return None

    def propose(self, memory: None, point: np.ndarray, image: np.ndarray) -> tuple[None, np.ndarray]:
        return None, image

    def rejected(self, memory: None) -> None:
        return None


def at_least(what: str, value: float, least: float) -> None:
    """Raise `ParameterError` for a setting that is too small or no number."""
    if not value >= least:
        raise ParameterError(f"{what} must be at least {least:g}, got {value!r}")


class Secants(NamedTuple):
    """The latest differences, and where the last of them ended."""

    moves: tuple[np.ndarray, ...] = ()  # of points
    turns: tuple[np.ndarray, ...] = ()  # of residuals, image − point
    point: np.ndarray | None = None
    residual: np.ndarray | None = None

    def with_pair(self, point: np.ndarray, image: np.ndarray, most: int) -> "Secants":
        """One more pair; only the last `most` are kept."""
        residual = image - point
        if self.point is None or self.residual is None:
            return self._replace(point=point, residual=residual)
        move, turn = point - self.point, residual - self.residual
        size = float(np.linalg.norm(move))
        if not (0 < size < np.inf and np.linalg.norm(turn) > 0):
            return self._replace(point=point, residual=residual)
        moves, turns = (*self.moves, move / size), (*self.turns, turn / size)
        return Secants(moves[-most:], turns[-most:], point, residual)

    def matrices(self) -> tuple[np.ndarray, np.ndarray]:
        """(p, m) moves and turns."""
        return np.array(self.moves).T, np.array(self.turns).T

    def span(self, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(U, V, A): an orthonormal basis (p, k) of the moves, the turns along it, and A = −UᵀV (k, k), I − R there.

        Directions whose singular value is at most `least` of the largest are left out: the moves say nothing of them.
        """
        moves, turns = self.matrices()
        basis, sizes, mixing = np.linalg.svd(moves, full_matrices=False)
        kept = sizes > least * sizes[0]
        basis, turned = basis[:, kept], turns @ (mixing[kept].T / sizes[kept])
        return basis, turned, -basis.T @ turned
