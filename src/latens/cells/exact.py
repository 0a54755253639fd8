"""Numbers that were seen: plain arrays, which cost nothing more."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells.base import AbstractCells, AbstractColumn
from latens.cells.missing import Partial
from latens.errors import DataError, listed


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
