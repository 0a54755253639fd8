"""Functions that stay finite, with finite gradients, where the textbook form does not."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln

from latens.numerics.logarithm import log

TINY = 1e-300


def logsumexp(values: Array, axis: int = -1) -> Array:
    """log Σ exp(values) over one axis; at all −inf the value is −inf and the gradient 0.

    `jax.nn.logsumexp` has a NaN gradient there, which structural zeros would spread everywhere.
    """
    top = jax.lax.stop_gradient(values.max(axis, keepdims=True))
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    total = jnp.exp(values - top).sum(axis)
    empty = total == 0
    return jnp.where(empty, -jnp.inf, log(jnp.where(empty, 1.0, total)) + top.squeeze(axis))


def safe_log(values: Array) -> Array:
    """log(values), with zeros read as 1e-300: 0 · log 0 is then 0 and gradients stay finite."""
    return jnp.log(jnp.maximum(values, TINY))


def positive_log(values: Array) -> Array:
    """log(values), −inf at and below zero."""
    above = values > 0
    return jnp.where(above, jnp.log(jnp.where(above, values, 1.0)), -jnp.inf)


def log_beta(a: Array, b: Array) -> Array:
    """log B(a, b); `jax.scipy.special.betaln` is only good to 1e-6 at moderate a and b."""
    return gammaln(a) + gammaln(b) - gammaln(a + b)
