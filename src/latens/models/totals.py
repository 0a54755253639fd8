"""Totals of the complete statistic, where labels are known."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from latens.cells import complete_cells
from latens.numerics.compiling import by_size
from latens.numerics.space import Constraints, Params, Space


def totals(kernel: Callable[[Any, Any], Array], potentials: Any, xs: Any, weights: Array) -> Any:
    """Σ w S(x) for known labels: kernels are linear in φ, so it is a gradient, wherever it is taken.

    `kernel(φ, x)` is a scalar and `weights` (n,), or it is (k,) and `weights` (n, k).
    """
    return jax.grad(lambda phi: (weights * jax.vmap(kernel, (None, 0))(phi, xs)).sum())(potentials)


def anywhere(constraints: Constraints) -> Params:
    """Some params inside the constraints."""
    space = Space(constraints)
    return space.params(jnp.zeros(space.size))


@by_size()
def from_groups(model: Any, xs: Any, memberships: Array) -> Params:
    """The M-step from (n, k) memberships."""
    parts = model.components.proxy
    stats = totals(parts.log_kernels, parts.potentials(anywhere(parts.constraints)), complete_cells(xs), memberships)
    return model.maximise({"weights": memberships.sum(0), "components": stats})
