"""Rows beside what is known of their hidden label."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array


class Labelled(eqx.Module):
    """Rows of which something is known of the hidden label: `allowed` is (n, k) booleans."""

    x: Any
    allowed: Any


def labelled(xs: Any, allowed: Any) -> Any:
    """Rows with what is known of their labels; the rows themselves where that is nothing."""
    return xs if allowed is None else Labelled(xs, allowed)


def without_labels(xs: Any) -> Any:
    """The rows alone."""
    return xs.x if isinstance(xs, Labelled) else xs


def labels_of(xs: Any) -> Any:
    """(n, k) which labels each row may have; None where nothing is known of any."""
    return xs.allowed if isinstance(xs, Labelled) else None


def ruled_out(logs: Array, x: Any) -> Array:
    """(k,) logarithms for each label of ONE row: −∞ for those that it cannot have."""
    allowed = labels_of(x)
    return logs if allowed is None else jnp.where(allowed, logs, -jnp.inf)
