"""Logarithms of integrals over intervals: no cancellation, in the middle and far out in either tail."""

from collections.abc import Callable
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import log_ndtr

from latens.numerics.special import logsumexp

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(20)
FEW_NODES, FEW_WEIGHTS = np.polynomial.legendre.leggauss(12)
NEGLIGIBLE = 42.0  # e^−42 of the top adds nothing to a double
BENDS = (4.0, 30.0)  # logarithms and logits turn within a few units, and are straight beyond these
NARROW = 0.5  # in standard deviations: below it a difference of distribution functions loses digits


def log1mexp(x: Array) -> Array:
    """log(1 − e^x) for x ≤ 0, −inf at 0, to full precision at both ends.

    **Source:** Mächler (2012), Accurately computing log(1 − exp(−|a|)), eq. 7.
    """
    near = x > -0.6931471805599453
    small = jnp.where(near & (x < 0), x, -0.5)
    large = jnp.where(near, -1.0, x)
    return jnp.where(near, jnp.where(x < 0, jnp.log(-jnp.expm1(small)), -jnp.inf), jnp.log1p(-jnp.exp(large)))


def log_difference(large: Array, small: Array) -> Array:
    """log(e^large − e^small) for large ≥ small, either of them perhaps −inf."""
    known = jnp.isfinite(small)
    gap = jnp.where(known, jnp.minimum(small - jnp.where(known, large, 0.0), 0.0), -jnp.inf)
    return large + jnp.where(known, log1mexp(jnp.where(known, gap, -1.0)), 0.0)


def normal_mass(lower: Array, upper: Array) -> Array:
    """log P(lower < Z < upper) of a standard normal; either end may be infinite.

    A difference of the tail on whose side the interval lies; where it is narrow, Gauss–Legendre.
    """
    # mirrored to where the upper tail is not the small one
    flip = lower + upper > 0
    a, b = jnp.where(flip, -upper, lower), jnp.where(flip, -lower, upper)
    open_a, open_b = jnp.isneginf(a), jnp.isposinf(b)
    low = jnp.where(open_a, 0.0, a)
    top = jnp.where(open_b, 0.0, b)
    narrow = ~open_a & ~open_b & ((top - low) * jnp.maximum(1.0, jnp.abs(low)) < NARROW)
    # for the branch not taken: any interval that is not narrow, so that its gradient is finite too
    wide_low = jnp.where(narrow | open_a, -1.0, low)
    wide_top = jnp.where(narrow | open_b, 1.0, top)
    below = jnp.where(open_a, -jnp.inf, log_ndtr(wide_low))
    wide = log_difference(jnp.where(open_b, 0.0, log_ndtr(wide_top)), below)
    half = jnp.where(narrow, 0.5 * (top - low), 0.25)
    y = jnp.where(narrow, low, 0.0) + half * (1 + FEW_NODES)
    density = logsumexp(-0.5 * y * y + np.log(FEW_WEIGHTS)) - 0.5 * np.log(2 * np.pi)
    return jnp.where(narrow, density + jnp.log(jnp.where(half > 0, half, 1.0)), wide)


def log_integral(log_f: Callable[[Array], Array], lower: Array, upper: Array, mode: Array) -> Array:
    """log ∫ f over (lower, upper) of a log-concave f with its top at `mode`; either end may be infinite.

    Gauss–Legendre on panels from the highest point of the interval outwards: cut where f has fallen by
    a factor e, at two fixed distances, and for good where it has fallen by e^42. The panels are chosen
    once and held, so derivatives in the parameters of f are those of the integrand, and equally exact.
    """
    top = jax.lax.stop_gradient(jnp.clip(mode, lower, upper))
    held = jax.lax.stop_gradient

    def reach(sign: float, drop: float, end: Array) -> Array:
        """How far one can go from the top before log f has fallen by `drop`."""
        goal = held(log_f(top)) - drop

        def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
            near, far = bracket
            middle = 0.5 * (near + far)
            over = held(log_f(top + sign * jnp.exp(middle))) > goal
            return jnp.where(over, middle, near), jnp.where(over, far, middle)

        span = (jnp.full_like(top, -34.0), jnp.full_like(top, 34.0))
        far = jnp.exp(jax.lax.fori_loop(0, 11, halve, span)[1])
        return jnp.minimum(held(far), jnp.abs(end - top))

    parts = []
    for sign, end in ((-1.0, lower), (1.0, upper)):
        last = reach(sign, NEGLIGIBLE, end)
        cuts = jnp.sort(jnp.minimum(jnp.stack([0.0 * last, reach(sign, 1.0, end), *BENDS, last]), last))
        for near, far in pairwise(cuts):
            half = held(0.5 * (far - near))
            y = top + sign * (near + half * (1 + NODES))
            share = jnp.where(half > 0, jnp.log(jnp.where(half > 0, half, 1.0)), -jnp.inf)
            parts.append(jax.vmap(log_f)(y) + np.log(NODE_WEIGHTS) + share)
    return logsumexp(jnp.concatenate(parts))
