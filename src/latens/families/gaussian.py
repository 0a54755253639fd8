"""What multivariate normal distributions share."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import cells_of
from latens.data.reader import Rows
from latens.data.table import rows_and_sets
from latens.errors import ModelError
from latens.families.exponential import AbstractExponentialFamily
from latens.families.support import Support


class AbstractGaussian(AbstractExponentialFamily):
    """What the three kinds share; each says how it writes the quadratic part."""

    d: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not (isinstance(self.d, int) and self.d >= 1):
            raise ModelError(f"MultivariateNormal: d must be a whole number of at least 1, got {self.d}")

    @property
    def title(self) -> str:
        return f"MultivariateNormal (d = {self.d}, {self.kind} covariance)"

    @property
    @abstractmethod
    def kind(self) -> str:
        """Of covariance: full, diagonal or spherical."""

    @property
    def support(self) -> Support:
        return Support(f"{self.d} finite numbers", lambda y: jnp.all(jnp.isfinite(y)), shape=(self.d,))

    def read(self, data: Any) -> Rows:
        return Rows(*rows_and_sets(data, self.d))

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        cells_of(xs).require(columns)

    def features_of(self, y: Array) -> Array:
        return y


def standing_in(rows: np.ndarray) -> np.ndarray:
    """Rows with a value seen elsewhere in the column in place of every NaN, as a start may use them."""
    filled, rng = rows.copy(), np.random.default_rng(0)
    for j in range(rows.shape[1]):
        gone = np.isnan(rows[:, j])
        if gone.any():
            known = rows[~gone, j]
            filled[gone, j] = rng.choice(known, gone.sum()) if len(known) else 0.0
    return filled
