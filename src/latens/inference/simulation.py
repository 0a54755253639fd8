"""Data drawn from a model, in the form users hand over."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import are_cells, cells_of, labels_of, lengths_of, taken
from latens.data.as_given import with_names
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
    if unseen and labels_of(problem.xs) is not None:
        raise InferenceError(
            "some labels are known, and the model does not say which rows come with one: new data like these "
            "cannot be drawn; draw rows instead (method='bootstrap')"
        )
    keys = jax.random.split(jax.random.key(seed), len(rows))
    likes, given = taken(problem.sizes, rows), {name: jnp.asarray(v) for name, v in params.items()}

    def draw(keys: jax.Array, likes: Any) -> Any:
        return _draws(model, given, keys, likes)

    draws = draw(keys, likes) if lengths_of(likes) is None else likes.drawn(draw, keys)
    if unseen:
        those = taken(problem.xs, rows)
        draws = jax.tree.map(lambda x, draw: cells_of(x).blank(draw), those, draws, is_leaf=are_cells)
    found, names = model.reader.collect(draws, problem.columns), model.reader.labels(problem.columns)
    if isinstance(found, dict):
        return with_names(found, names)
    return with_names({problem.columns[0]: found}, names)[problem.columns[0]] if names else found


@jax.jit
def _draws(model: Any, params: Params, keys: jax.Array, likes: Any) -> Any:
    return jax.vmap(model.sample, (None, 0, 0))(params, keys, likes)
