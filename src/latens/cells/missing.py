"""Numbers that were seen, plain arrays, which cost nothing more; and numbers of which some were not."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells.base import AbstractCells, AbstractColumn, chosen, first_only
from latens.errors import DataError, listed


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

    def blank(self, draw: Any) -> np.ndarray:
        return np.where(np.asarray(self._each), draw, np.nan)


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


class Exact(AbstractCells, AbstractColumn):
    """A plain array, for as long as it is asked: rows, a datum, or a column as users hand it over.

    As read, NaN says that nothing was seen: then `as_read` tells the two apart.
    """

    seen = True

    value: Any

    complete = True

    @property
    def ends(self) -> tuple[Any, Any]:
        return self.value, self.value

    def mapped(self, function: Callable[[Any], Any]) -> Any:
        return function(self.value)

    def log_kernel(self, family: Any, potential: Array) -> Any:
        return family.exact_kernel(potential, self.value)

    def moments(self, family: Any, params: Any) -> tuple[Array, Array]:
        return self.value, jnp.zeros_like(self.value)

    def fill(self, family: Any, params: Any, key: Array) -> Array:
        return jnp.asarray(self.value)

    @property
    def numbers(self) -> np.ndarray:
        return np.asarray(self.value)

    def ends_seen(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.numbers, weights

    @property
    def kinds(self) -> dict[str, np.ndarray]:
        return {"missing": np.zeros(self.shape, dtype=bool)}

    @property
    def to_start(self) -> Any:
        return self.value

    def blank(self, draw: Array) -> Array:
        return draw

    def ends_called(self, name: str) -> tuple[Any, Any]:
        return self.value, self.value

    def told(self) -> tuple[Any, ...]:
        values = np.unique(np.asarray(self.value, dtype=float))
        return tuple(int(v) if v == int(v) else float(v) for v in values[np.isfinite(values)])

    def coded(self, names: Sequence[Any], k: int, name: str) -> np.ndarray:
        values, own_values = np.ravel(self.value), values_of(names)
        if own_values is None:
            return values
        found = np.full(values.shape, np.nan)
        for code, own in enumerate(own_values):
            found[values == own] = code
        lost = np.isnan(found) & ~np.isnan(values)
        if lost.any():
            row = int(np.argmax(lost))
            raise DataError(f"row {row}, column '{name}': {values[row]:g} is none of the categories {listed(names)}")
        return found

    def ungrouped(self, *, whole: bool) -> tuple[Any, None]:
        return self.value, None


def cells_of(x: Any) -> Any:
    """Cells of any kind as they are; anything else as what was seen exactly."""
    return x if isinstance(x, AbstractCells | AbstractColumn) else Exact(x)


def as_read(xs: Any) -> Any:
    """Rows as read: what is NaN in an array was not seen."""
    cells = cells_of(xs)
    if not cells.complete or not np.issubdtype(np.asarray(xs).dtype, np.floating):
        return cells
    gone = np.isnan(xs)
    return Partial(xs, ~gone) if gone.any() else cells


def values_of(names: Sequence[Any]) -> np.ndarray | None:
    """The numbers that all names are, written as texts or not; None if they are no numbers."""
    try:
        return np.asarray([float(name) for name in names]) if names else None
    except ValueError:
        return None
