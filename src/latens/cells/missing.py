"""Numbers of which some were not seen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells.base import AbstractCells, chosen, first_only


class AbstractHoles(AbstractCells):
    """Each number seen or not: `value` holds a stand-in where it was not."""

    value: Any
    seen: Any

    @property
    def _each(self) -> Any:
        """The flags of every number."""
        return self.seen.reshape(*self.seen.shape, *[1] * (self.value.ndim - self.seen.ndim))

    @property
    def ends(self) -> tuple[Any, Any]:
        return chosen(self._each, self.value, -np.inf), chosen(self._each, self.value, np.inf)

    @property
    def kinds(self) -> dict[str, np.ndarray]:
        return {"missing": ~np.asarray(self.seen)}

    def mapped(self, function: Callable[[Any], Any]) -> Any:
        return replace(self, value=function(self.value))

    def blank(self, draw: Array) -> Array:
        return jnp.where(self._each, draw, jnp.nan)


class Partial(AbstractHoles):
    """Rows of which some were not seen at all, `seen` (n,); or cells that have nothing to do with each other (n, d)."""

    def log_kernel(self, family: Any, potential: Array) -> Any:
        return family.missing_kernel(potential, self)

    def moments(self, family: Any, params: Any) -> tuple[Array, Array]:
        seen = first_only(self.seen, self.shape)
        mean, variance = family.whole_moments(params, self.value)
        return jnp.where(seen, self.value, mean), jnp.where(seen, 0.0, variance)

    def fill(self, family: Any, params: Any, key: Array) -> Array:
        return jnp.where(self.seen, self.value, family.sample(params, key, self.value))


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
