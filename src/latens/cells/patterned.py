"""Rows of which single cells were not seen, integrated out together with what they have to do with the others."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from latens.cells.base import AbstractCells
from latens.cells.missing import AbstractHoles


class Patterned(AbstractHoles):
    """Rows of which cells were not seen: `seen` is (n, d), or one (d,) for all rows of a group."""

    def log_kernel(self, family: Any, potential: Array) -> Any:
        return family.patterned_kernel(potential, self)

    def mixed(self, shift: Array, matrix: Array) -> AbstractCells:
        return self._turned(shift, matrix)[0]

    def mixed_slope(self, shift: Array, matrix: Array) -> Array:
        return self._turned(shift, matrix)[1]

    def _turned(self, shift: Array, matrix: Array) -> tuple["Turned", Array]:
        """The datum in coordinates of which the first are known, and the logarithm of its slope.

        y − shift = B z, B the inverse of the matrix. With Bₛ the rows of B for the cells seen and Bₛᵀ = Q R, z is
        Q (u, w), where Rᵀu = yₛ − shiftₛ is known and w was not seen. Q is orthogonal, so the digits that yₛ has are
        kept, however collinear the columns are.
        """
        order = jnp.argsort(~self.seen, stable=True)
        seen = self.seen[order]
        back = jax.scipy.linalg.solve_triangular(matrix, jnp.eye(len(shift)), lower=True)
        rows = jnp.where(seen[:, None], back[order], 0.0)
        turn, factor = jnp.linalg.qr(rows.T, mode="complete")
        factor = jnp.where(jnp.outer(seen, seen), factor, jnp.eye(len(shift)))
        away = jnp.where(seen, (self.value - shift)[order], 0.0)
        known = jax.scipy.linalg.solve_triangular(factor.T, away, lower=True)
        return Turned(known, seen, turn), -jnp.log(jnp.abs(jnp.diag(factor))).sum()

    @property
    def patterns(self) -> Any:
        return self.seen

    @property
    def to_start(self) -> Any:
        return self.value


class Turned(AbstractHoles):
    """A row in coordinates (u, w) of which the first were seen: the row is turn @ (u, w); `value` is 0 elsewhere."""

    turn: Any  # (d, d), orthogonal

    def log_kernel(self, family: Any, potential: Array) -> Any:
        return family.turned_kernel(potential, self)
