"""A function of ONE row over the rows of a block."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax

from latens.cells import are_cells


def per_row(function: Callable[[Any], Any], xs: Any, axis: int = 0) -> Any:
    """The results with their rows from `axis` on; what the rows of a group share is done once for them."""

    def shared(leaf: Any) -> bool:
        return are_cells(leaf) and leaf.patterns is not None and leaf.value.ndim > leaf.seen.ndim

    if not any(shared(leaf) for leaf in jax.tree.leaves(xs, is_leaf=are_cells)):
        return jax.vmap(function, 0, axis)(xs)
    axes = jax.tree.map(lambda leaf: replace(leaf, value=0, seen=None) if shared(leaf) else 0, xs, is_leaf=are_cells)
    return jax.vmap(jax.vmap(function, (axes,), axis), 0, axis)(xs)
