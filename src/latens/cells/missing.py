"""Numbers of which some were not seen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

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
