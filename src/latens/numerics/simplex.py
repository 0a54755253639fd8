"""Numbers that sum to one."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.numerics.constraints import EDGE, AbstractConstraint
from latens.numerics.special import TINY


class Simplex(AbstractConstraint):
    """k positive numbers that sum to one, estimated as isometric log-ratios.

    They are logarithms less their mean, in an orthonormal basis, times √2, so that two numbers have their logit for a
    coordinate. Relabelling turns or reflects them and changes no distance: a rule that goes by distances takes the
    same way whatever the labels are.

    **Source:** Egozcue et al. (2003), Math. Geol. 35, 279.
    """

    k: int = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.k,)

    @property
    def size(self) -> int:
        return self.k - 1

    def free(self, value: Array) -> Array:
        return 2**0.5 * self._reflected(jnp.log(jnp.maximum(value, EDGE)))[:-1]

    def value(self, free: Array) -> Array:
        logs = self._reflected(jnp.concatenate([free / 2**0.5, np.zeros(1)]))
        odds = jnp.exp(logs - jax.lax.stop_gradient(logs.max()))
        return jnp.maximum(odds / odds.sum(), TINY)

    def chart(self, free: np.ndarray) -> np.ndarray:
        """2 √p, a point of a sphere: for two numbers, the circle that `Unit` has its angle on."""
        logs = self._reflected(np.concatenate([free / 2**0.5, np.zeros((*free.shape[:-1], 1))], -1))
        odds = np.exp(logs - logs.max(-1, keepdims=True))
        return np.asarray(2 * np.sqrt(odds / odds.sum(-1, keepdims=True)))

    def unchart(self, point: np.ndarray) -> np.ndarray:
        squares = np.maximum(point**2, TINY)
        logs = np.log(np.maximum(squares / squares.sum(-1, keepdims=True), EDGE))
        return np.asarray(2**0.5 * self._reflected(logs)[..., :-1])

    @property
    def width(self) -> int:
        return self.k

    def _reflected(self, logs: Any) -> Any:
        """In the mirror that swaps the last axis for the mean, −(1, ..., 1)/√k; it is its own inverse."""
        normal = np.full(self.k, self.k**-0.5)
        normal[-1] += 1.0
        return logs - normal * (logs @ normal)[..., None] / normal[-1]

    def holds(self, value: np.ndarray) -> bool:
        return bool((value > 0).all() and abs(value.sum() - 1.0) < 1e-6)

    @property
    def words(self) -> str:
        return "positive and summing to one"

    @property
    def independent(self) -> np.ndarray:
        return np.arange(self.k) < self.k - 1

    @property
    def link(self) -> np.ndarray:
        return np.full(self.shape, "logit")
