"""A function of ONE row over the rows of a block."""

from collections.abc import Callable
from typing import Any

import jax

from latens.cells import Patterned


def per_row(function: Callable[[Any], Any], xs: Any, axis: int = 0) -> Any:
    """The results with their rows from `axis` on; what the rows of a group share is done once for them."""

    def shared(leaf: Any) -> bool:
        return isinstance(leaf, Patterned) and leaf.value.ndim > leaf.seen.ndim

    def is_patterned(leaf: Any) -> bool:
        return isinstance(leaf, Patterned)

    if not any(shared(leaf) for leaf in jax.tree.leaves(xs, is_leaf=is_patterned)):
        return jax.vmap(function, 0, axis)(xs)
    axes = jax.tree.map(lambda leaf: Patterned(0, None) if is_patterned(leaf) else 0, xs, is_leaf=is_patterned)
    return jax.vmap(jax.vmap(function, (axes,), axis), 0, axis)(xs)
