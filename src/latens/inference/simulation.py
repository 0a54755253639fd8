"""Data drawn from a model, in the form users hand over."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import Interval, Labelled, Subset, is_half_seen, shown
from latens.data.shapes import with_names
from latens.engine.problem import Problem
from latens.errors import InferenceError
from latens.numerics.precision import double
from latens.numerics.space import Params


@double
def simulate(problem: Problem, params: Params, rows: np.ndarray, seed: int, *, unseen: bool = False) -> Any:
    """One draw like each of these rows of the data: of its trials or exposure, and `unseen` where it was.

    **Raises:** `ModelError` if the model does not say how to sample; `InferenceError` if `unseen` is asked
    for and values are censored: nothing says where those that were seen would have been.
    """
    model = problem.given
    if unseen and isinstance(problem.xs, Labelled):
        raise InferenceError(
            "some labels are known, and the model does not say which rows come with one: new data like these "
            "cannot be drawn; draw rows instead (method='bootstrap')"
        )
    keys = jax.random.split(jax.random.key(seed), len(rows))
    likes = jax.tree.map(lambda leaf: leaf[rows], problem.sizes)
    draws = _draws(model, {name: jnp.asarray(v) for name, v in params.items()}, keys, likes)
    if unseen:
        draws = jax.tree.map(_blank, jax.tree.map(lambda leaf: leaf[rows], problem.xs), draws, is_leaf=is_half_seen)
    found, names = model.collect(draws, problem.columns), model.labels(problem.columns)
    if isinstance(found, dict):
        return with_names(found, names)
    return with_names({problem.columns[0]: found}, names)[problem.columns[0]] if names else found


@jax.jit
def _draws(model: Any, params: Params, keys: jax.Array, likes: Any) -> Any:
    return jax.vmap(model.sample, (None, 0, 0))(params, keys, likes)


def _blank(x: Any, draw: jax.Array) -> jax.Array:
    """The draw, NaN where the row was not seen."""
    if isinstance(x, Interval | Subset):
        raise InferenceError(
            "some values are known only as intervals or sets, and the model does not say how they come to be: "
            "new data like these cannot be drawn; draw rows instead (method='bootstrap')"
        )
    return jnp.where(jnp.isnan(shown(x)), jnp.nan, draw) if is_half_seen(x) else draw
