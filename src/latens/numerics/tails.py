"""Tails of counts, from the continuous distributions they are integrals of."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from latens.numerics.masses import log1mexp, log_difference, log_integral
from latens.numerics.special import expm1mx, log_beta_rest, log_mixed, log_ratio, logsumexp, stirling


def gamma_mass(shape: Array, rate: Array, lower: Array, upper: Array) -> Array:
    """log ∫ of a gamma density over (lower, upper) on the scale u = log y, where it is log-concave."""

    def log_f(u: Array, shape: Array, top: Array, constant: Array) -> Array:
        return constant - shape * expm1mx(u - top)

    def roughly(u: Array, shape: Array, top: Array, constant: Array) -> Array:
        return -shape * (jnp.expm1(u - top) - (u - top))

    top = -log_ratio(rate, shape)
    return log_integral(log_f, roughly, (shape, top, -stirling(shape)), lower, upper, top)


def beta_mass(a: Array, b: Array, shift: Array, lower: Array, upper: Array) -> Array:
    """log ∫ of a beta density over (lower, upper) on the scale u = logit y − shift, where it is log-concave."""

    def log_f(u: Array, total: Array, share: Array, top: Array, constant: Array) -> Array:
        return constant - total * log_mixed(share, u - top)

    def roughly(u: Array, total: Array, share: Array, top: Array, constant: Array) -> Array:
        x = u - top
        return -total * (jnp.logaddexp(jnp.log1p(-share), jnp.log(share) + x) - share * x)

    constant = -log_beta_rest(a, b)
    top = log_ratio(a, b) - shift
    return log_integral(log_f, roughly, (a + b, a / (a + b), top, constant), lower, upper, top)


def _side(right: Array) -> tuple[Array, Array]:
    """The half-line left of 0, or right of it."""
    return jnp.where(right, 0.0, -jnp.inf), jnp.where(right, jnp.inf, 0.0)


def poisson_tail(m: Array, mean: Array, upper: Array) -> Array:
    """log P(Y ≥ m) if `upper`, else log P(Y < m), m ≥ 1: the gamma distribution with shape m below or above 1."""
    return gamma_mass(m, mean, *_side(~upper))


def binomial_tail(m: Array, trials: Array, logit: Array, upper: Array) -> Array:
    """log P(Y ≥ m) if `upper`, else log P(Y < m), 1 ≤ m ≤ trials: Beta(m, trials − m + 1) below or above p."""
    return beta_mass(m, trials - m + 1.0, logit, *_side(~upper))


def negative_binomial_tail(m: Array, size: Array, logit: Array, upper: Array) -> Array:
    """log P(Y ≥ m) if `upper`, else log P(Y < m), m ≥ 1: Beta(size, m) above or below p."""
    return beta_mass(size, m, logit, *_side(upper))


def count_mass(
    tail: Callable[[Array, Array], Array], lower: Array, upper: Array, mean: Array, most: Array | float = jnp.inf
) -> Array:
    """log P(lower ≤ Y ≤ upper) of a count from 0 to `most`, from `tail(m, upper)`.

    Each end is taken from the tail on its side of the mean, so that nothing cancels in either.
    """
    first, beyond = jnp.maximum(jnp.ceil(lower), 0.0), jnp.floor(upper) + 1.0
    right, far_right = first > mean, beyond > mean
    none_below, none_above = first <= 0, jnp.isposinf(beyond) | (beyond > most)
    # both at once, which is compiled once
    ends = jnp.stack([jnp.where(none_below, 1.0, first), jnp.where(none_above | (beyond <= 0), 1.0, beyond)])
    left, end = jax.vmap(tail)(ends, jnp.stack([right, far_right]))
    left = jnp.where(none_below, jnp.where(right, 0.0, -jnp.inf), left)
    end = jnp.where(none_above, jnp.where(far_right, -jnp.inf, 0.0), end)
    large, small = jnp.where(right, left, end), jnp.where(right, end, left)
    one_side = right | ~far_right
    apart = log_difference(jnp.where(one_side, large, 0.0), jnp.where(one_side, small, -1.0))
    outside = logsumexp(jnp.where(one_side, -2.0, jnp.stack([left, end])))
    mass = jnp.where(one_side, apart, log1mexp(jnp.minimum(outside, 0.0)))
    mass = jnp.where(none_below & none_above, 0.0, mass)
    return jnp.where((beyond > first) & (first <= most), mass, -jnp.inf)
