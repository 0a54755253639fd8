"""Logarithms of integrals over intervals and of sums over counts: no cancellation, in the middle and far out."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import erfc

from latens.numerics.special import TINY, expm1mx, log_beta_rest, log_mixed, log_ratio, logsumexp, stirling

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(20)
FEW_NODES, FEW_WEIGHTS = np.polynomial.legendre.leggauss(12)
NEGLIGIBLE = 42.0  # e^−42 of the top adds nothing to a double
BENDS = (4.0, 30.0)  # logarithms and logits turn within a few units, and are straight beyond these
FAR = 20.0  # standard deviations below which a tail is a continued fraction
NARROW = 0.5  # in standard deviations: below it a difference of distribution functions loses digits


def log1mexp(x: Array) -> Array:
    """log(1 − e^x) for x ≤ 0, −inf at 0, to full precision at both ends.

    **Source:** Mächler (2012), Accurately computing log(1 − exp(−|a|)), eq. 7.
    """
    near = x > -0.6931471805599453
    small = jnp.where(near & (x < 0), x, -0.5)
    large = jnp.where(near, -1.0, x)
    return jnp.where(near, jnp.where(x < 0, jnp.log(-jnp.expm1(small)), -jnp.inf), jnp.log1p(-jnp.exp(large)))


def _tail_rate(t: Array) -> Array:
    """φ(t)/Φ(−t) for t ≥ 20, by ten terms of Laplace's continued fraction."""
    fraction = t
    for k in range(10, 0, -1):
        fraction = t + k / fraction
    return fraction


@jax.custom_jvp
def log_ndtr(x: Array) -> Array:
    """log Φ(x), with derivatives from φ(x)/Φ(x). JAX's own is good to 4e-9 only just below −20.

    **Source:** Abramowitz & Stegun (1964), 26.2.14.
    """
    far = x < -FAR
    t = jnp.where(far, -x, FAR)
    below = -0.5 * t * t - 0.5 * np.log(2 * np.pi) - jnp.log(_tail_rate(t))
    tail = 0.5 * erfc(jnp.abs(jnp.where(far, 0.0, x)) / np.sqrt(2.0))
    return jnp.where(far, below, jnp.where(x < 0, jnp.log(tail), jnp.log1p(-tail)))


@log_ndtr.defjvp
def _log_ndtr_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (t,) = primals, tangents
    value, far = log_ndtr(x), x < -FAR
    near = jnp.where(far, 0.0, x)
    rate = jnp.exp(-0.5 * near * near - 0.5 * np.log(2 * np.pi) - jnp.where(far, 0.0, value))
    return value, jnp.where(far, _tail_rate(jnp.where(far, -x, FAR)), rate) * t


def log_difference(large: Array, small: Array) -> Array:
    """log(e^large − e^small) for large ≥ small, either of them perhaps −inf."""
    known = jnp.isfinite(small)
    gap = jnp.where(known, jnp.minimum(small - jnp.where(known, large, 0.0), 0.0), -jnp.inf)
    return large + jnp.where(known, log1mexp(jnp.where(known, gap, -1.0)), 0.0)


def hazard_mass(start: Array, end: Array) -> Array:
    """log(e^−start − e^−end), of cumulative hazards at the ends of an interval."""
    ends = jnp.isfinite(end)
    return -start + jnp.where(ends, log1mexp(jnp.minimum(start - jnp.where(ends, end, 0.0), 0.0)), 0.0)


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
    ends = jnp.stack([jnp.where(narrow | open_a, -1.0, low), jnp.where(narrow | open_b, 1.0, top)])
    below, above = log_ndtr(ends)
    wide = log_difference(jnp.where(open_b, 0.0, above), jnp.where(open_a, -jnp.inf, below))
    half = jnp.where(narrow, 0.5 * (top - low), 0.25)
    y = jnp.where(narrow, low, 0.0) + half * (1 + FEW_NODES)
    density = logsumexp(-0.5 * y * y + np.log(FEW_WEIGHTS)) - 0.5 * np.log(2 * np.pi)
    return jnp.where(narrow, density + jnp.log(jnp.where(half > 0, half, TINY)), wide)


def log_integral(
    log_f: Callable[..., Array],
    roughly: Callable[..., Array],
    params: tuple[Array, ...],
    lower: Array,
    upper: Array,
    mode: Array,
) -> Array:
    """log ∫ f over (lower, upper) of a log-concave f = exp log_f(u, *params); either end may be infinite.

    `roughly`: log f up to a constant and to a few digits, by which the panels are laid.
    """
    fixed = jax.lax.stop_gradient(params)
    points, shares = nodes(lambda u: roughly(u, *fixed), lower, upper, mode)
    return logsumexp(log_f(points, *params) + shares)


def nodes(log_f: Callable[[Array], Array], lower: Array, upper: Array, mode: Array) -> tuple[Array, Array]:
    """Points and log-weights of the integral of f, or of f times what is smooth, over (lower, upper).

    Gauss–Legendre on panels from the highest point of the interval outwards: cut where f has fallen by
    a factor e, at two fixed distances, and for good where it has fallen by e^42. The panels are chosen
    once and held, so derivatives in the parameters of f are those of the integrand, and equally exact.
    `log_f` takes arrays of any shape.
    """
    lower, upper, mode = jax.lax.stop_gradient((lower, upper, mode))
    top = jnp.clip(mode, lower, upper)
    sides = jnp.array([[-1.0], [1.0]])
    room = jnp.abs(jnp.stack([lower, upper]) - top)[:, None]
    # on each side, how far one can go from the top before log f has fallen by so much
    goals = log_f(top) - jnp.array([1.0, NEGLIGIBLE])

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        near, far = bracket
        middle = 0.5 * (near + far)
        over = log_f(top + sides * jnp.exp(middle)) > goals
        return jnp.where(over, middle, near), jnp.where(over, far, middle)

    span = jnp.full((2, 2), 34.0) + 0.0 * top
    reach = jnp.minimum(jnp.exp(jax.lax.fori_loop(0, 11, halve, (-span, span))[1]), room)
    last = reach[:, 1:]
    bends = jnp.broadcast_to(jnp.array(BENDS), (2, len(BENDS)))
    cuts = jnp.sort(jnp.minimum(jnp.concatenate([0.0 * last, reach[:, :1], bends, last], 1), last), 1)
    near, half = cuts[:, :-1, None], 0.5 * jnp.diff(cuts, axis=1)[..., None]
    points = top + sides[..., None] * (near + half * (1 + NODES))
    share = jnp.where(half > 0, jnp.log(jnp.where(half > 0, half, 1.0)), -jnp.inf)
    return points.ravel(), (share + np.log(NODE_WEIGHTS)).ravel()


# -- gamma and beta densities, and the tails of counts, which are theirs -----------------------------


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


def side(right: Array) -> tuple[Array, Array]:
    """The half-line left of 0, or right of it: on these scales, what is below and above a probability or a mean."""
    return jnp.where(right, 0.0, -jnp.inf), jnp.where(right, jnp.inf, 0.0)


def count_mass(
    tail: Callable[[Array, Array], Array], lower: Array, upper: Array, mean: Array, most: Array | float = jnp.inf
) -> Array:
    """log P(lower ≤ Y ≤ upper) of a count from 0 to `most`, from `tail(m, upper)`: log P(Y ≥ m), or log P(Y < m).

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
