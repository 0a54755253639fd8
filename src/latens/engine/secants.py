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
