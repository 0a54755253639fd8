"""Data drawn from a model, in the form users hand over."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import Partial
from latens.engine.problem import Problem
from latens.numerics.precision import double
from latens.numerics.space import Params


@double
def simulate(problem: Problem, params: Params, rows: np.ndarray, seed: int, *, unseen: bool = False) -> Any:
    """One draw like each of these rows of the data: of its trials or exposure, and `unseen` where it was.

    **Raises:** `ModelError` if the model does not say how to sample.
    """
    model = problem.model
    keys = jax.random.split(jax.random.key(seed), len(rows))
    likes = jax.tree.map(lambda leaf: leaf[rows], problem.sizes)
    draws = _draws(model, {name: jnp.asarray(v) for name, v in params.items()}, keys, likes)
    if unseen:
        draws = jax.tree.map(_blank, jax.tree.map(lambda leaf: leaf[rows], problem.xs), draws, is_leaf=_is_partial)
    return model.collect(draws, problem.columns)


@jax.jit
def _draws(model: Any, params: Params, keys: jax.Array, likes: Any) -> Any:
    return jax.vmap(model.sample, (None, 0, 0))(params, keys, likes)


def _is_partial(leaf: Any) -> bool:
    return isinstance(leaf, Partial)


def _blank(x: Any, draw: jax.Array) -> jax.Array:
    """The draw, NaN where the row was not seen."""
    if not isinstance(x, Partial):
        return draw
    seen = x.seen.reshape(-1, *[1] * (draw.ndim - 1))
    return jnp.where(seen, draw, jnp.nan)
