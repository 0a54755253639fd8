"""Pairs of differences between points and between their residuals: what quasi-Newton rules learn from."""

from typing import NamedTuple

import numpy as np


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
