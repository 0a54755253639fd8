"""Functions that stay finite, with finite gradients, where the textbook form does not."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

EXPONENT, RECIPROCAL = 0x7FF << 52, 2046 << 52  # bits of a double: its exponent; less it, that of the reciprocal
# where the last bit of a double counts ones, so that whole numbers can be written into it; and its bits
SHIFT, SHIFT_BITS = 2.0**52, (1023 + 52) << 52
# log 2 = HIGH + LOW; whole multiples of HIGH are exact
HIGH, LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
TINY = 1e-300
SIGNS = np.array([1.0, 1.0, -1.0])  # of a, b and a + b in log B(a, b)
RISING = np.poly(-np.arange(12.0))  # coefficients of a(a + 1)...(a + 11), the highest first


@jax.custom_jvp
def log(x: Array) -> Array:
    """log x of numbers from 2⁻¹⁰²² to 2¹⁰²³, to two roundings; infinite and NaN as they are.

    In vector instructions: XLA's own, on a CPU, takes one number at a time.

        x = 2ᵉ m, m from √½ to √2:  log x = e log 2 + 2 atanh s,   s = (m − 1)/(m + 1)

    atanh s = s + s³/3 + s⁵/5 + ..., of which eleven terms are enough for |s| < 0.172. As m is x by a power of 2, not
    cut out of its bits, the series has the right derivatives by itself: JAX forgets the rule below where it takes apart
    what a scan computes.
    """
    if x.dtype != jnp.float64:
        return jnp.log(x)
    bits = jax.lax.bitcast_convert_type(x, jnp.int64)
    raised = jax.lax.shift_right_logical(bits, np.int64(52)) | SHIFT_BITS
    exponent = jax.lax.bitcast_convert_type(raised, jnp.float64) - (SHIFT + 1023.0)
    m = x * jax.lax.bitcast_convert_type(RECIPROCAL - (bits & EXPONENT), jnp.float64)
    above = m > np.sqrt(2.0)
    m, exponent = jnp.where(above, 0.5 * m, m), jnp.where(above, exponent + 1.0, exponent)
    s = (m - 1.0) / (m + 1.0)
    square, tail = s * s, jnp.zeros_like(s)
    for odd in range(21, 1, -2):
        tail = tail * square + 2.0 / odd
    found = exponent * HIGH + (2.0 * s + (s * square * tail + exponent * LOW))
    return jnp.where(x < jnp.inf, found, x)


@log.defjvp
def _slope(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return log(primals[0]), tangents[0] / primals[0]


def logsumexp(values: Array, axis: int = -1) -> Array:
    """log Σ exp(values) over one axis; at all −inf the value is −inf and the gradient 0.

    `jax.nn.logsumexp` has a NaN gradient there, which structural zeros would spread everywhere.
    """
    top = jax.lax.stop_gradient(values.max(axis, keepdims=True))
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    total = jnp.exp(values - top).sum(axis)
    empty = total == 0
    return jnp.where(empty, -jnp.inf, log(jnp.where(empty, 1.0, total)) + top.squeeze(axis))


def segment_logsumexp(values: Array, segments: Array | np.ndarray, number: int) -> Array:
    """(number,) log Σ exp(values) over each segment; the values are finite, no segment is empty, their order rises."""
    top = jax.lax.stop_gradient(jax.ops.segment_max(values, segments, number, indices_are_sorted=True))
    total = jax.ops.segment_sum(jnp.exp(values - top[segments]), segments, number, indices_are_sorted=True)
    return log(total) + top


def safe_log(values: Array) -> Array:
    """log(values), with zeros read as 1e-300: 0 · log 0 is then 0 and gradients stay finite."""
    return jnp.log(jnp.maximum(values, TINY))


def positive_log(values: Array) -> Array:
    """log(values), −inf at and below zero."""
    above = values > 0
    return jnp.where(above, jnp.log(jnp.where(above, values, 1.0)), -jnp.inf)


def short(x: Array) -> Array:
    """x to 24 bits: a number near it, whose difference from it is exact.

    **Source:** Dekker (1971), Numer. Math. 18, 224, eq. 5.7 (Veltkamp).
    """
    high = x * (2.0**29 + 1.0)
    return high - (high - x)


def log_ratio(y: Array, centre: Array) -> Array:
    """log(y/c) of positive numbers, to full precision next to y = c."""
    away = (y - centre) / centre
    near = jnp.abs(away) < 0.5
    return jnp.where(near, jnp.log1p(jnp.where(near, away, 0.0)), jnp.log(jnp.where(near, 1.0, y / centre)))


@jax.custom_jvp
def log1pmx(x: Array) -> Array:
    """log(1 + x) − x for x > −1, to full precision next to 0, where it is −x²/2.

    2 atanh s − x = 2s³ (1/3 + s²/5 + ...) − s x,   s = x/(2 + x)
    """
    near = jnp.abs(x) < 0.25
    t = jnp.where(near, x, 0.0)
    s = t / (2.0 + t)
    square, tail = s * s, jnp.zeros_like(s)
    for odd in range(21, 1, -2):
        tail = tail * square + 2.0 / odd
    far = jnp.where(near, 1.0, x)
    return jnp.where(near, s * (square * tail - t), jnp.log1p(far) - far)


# the rules save derivatives of series; where JAX forgets them, the series have the same ones
log1pmx.defjvps(lambda t, value, x: -x / (1.0 + x) * t)


@jax.custom_jvp
def expm1mx(x: Array) -> Array:
    """e^x − 1 − x, to full precision next to 0, where it is x²/2."""
    near = jnp.abs(x) < 0.5
    t = jnp.where(near, x, 0.0)
    tail = jnp.zeros_like(t)
    for k in range(16, 1, -1):
        tail = (1.0 + tail) * t / k
    far = jnp.where(near, 1.0, x)
    return jnp.where(near, t * tail, jnp.expm1(far) - far)


expm1mx.defjvps(lambda t, value, x: jnp.expm1(x) * t)


@jax.custom_jvp
def log_mixed(share: Array, x: Array) -> Array:
    """log(1 − p + p eˣ) − p x ≥ 0, to full precision next to x = 0, where it is p(1 − p) x²/2."""
    near = jnp.abs(x) < 0.5
    t = jnp.where(near, x, 0.0)
    close = log1pmx(share * jnp.expm1(t)) + share * expm1mx(t)
    far = jnp.where(near, 1.0, x)
    wide = jnp.logaddexp(jnp.log1p(-share), jnp.log(share) + far) - share * far
    return jnp.where(near, close, wide)


def _mixed_odds(share: Array, x: Array) -> Array:
    """(eˣ − 1)/(1 − p + p eˣ), from that of −x and 1 − p where eˣ could be too large."""
    up = x > 0
    down = jnp.where(up, -x, x)
    scale = jnp.where(up, share, 1.0 - share) + jnp.where(up, 1.0 - share, share) * jnp.exp(down)
    return jnp.where(up, -1.0, 1.0) * jnp.expm1(down) / scale


log_mixed.defjvps(
    lambda t, value, share, x: (_mixed_odds(share, x) - x) * t,
    lambda t, value, share, x: share * (1.0 - share) * _mixed_odds(share, x) * t,
)


@jax.custom_jvp
def stirling(a: Array) -> Array:
    """log Γ(a) − (a log a − a) for a > 0: ½ log(2π/a) + 1/12a − ..., without the terms that cancel.

    Below 12 from that of a + 12, by log Γ(a) = log Γ(a + 12) − log a(a + 1)...(a + 11).

    **Source:** Abramowitz & Stegun (1964), 6.1.15, 6.1.40.
    """
    large = a > 12.0
    t = jnp.where(large, a, a + 12.0)
    inverse, tail = 1.0 / (t * t), jnp.zeros_like(t)
    for term in (1 / 156, -691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12):
        tail = tail * inverse + term
    series = 0.5 * jnp.log(2 * jnp.pi / t) + tail / t
    b = jnp.where(large, 1.0, a)
    rising = jnp.zeros_like(b)
    for coefficient in RISING:
        rising = rising * b + coefficient
    small = (b + 12.0) * jnp.log(b + 12.0) - 12.0 - jnp.log(rising) - b * jnp.log(b)
    return series + jnp.where(large, 0.0, small)


def _stirling_slope(a: Array) -> Array:
    """ψ(a) − log a, the derivative of `stirling`."""
    large = a > 12.0
    t = jnp.where(large, a, a + 12.0)
    inverse, tail = 1.0 / (t * t), jnp.zeros_like(t)
    for term in (-1 / 12, 691 / 32760, -1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12):
        tail = (tail + term) * inverse
    b = jnp.where(large, 1.0, a)
    small = jnp.log(b + 12.0) - jnp.log(b) - (1.0 / (b[..., None] + jnp.arange(12.0))).sum(-1)
    return tail - 0.5 / t + jnp.where(large, 0.0, small)


stirling.defjvps(lambda t, value, a: _stirling_slope(a) * t)


def log_factorial(y: Array) -> Array:
    """log y! − (y log y − y) for y ≥ 0, without the terms that cancel."""
    some = jnp.where(y > 0, y, 1.0)
    return jnp.where(y > 0, stirling(some) + jnp.log(some), 0.0)


def deviance(y: Array, mean: Array) -> Array:
    """y log(y/m) − y + m for y ≥ 0, to full precision next to y = m, where it is (y − m)²/2m.

    **Source:** Loader (2000), Fast and Accurate Computation of Binomial Probabilities.
    """
    x = jnp.where(y > 0, (y - mean) / mean, 0.0)
    return mean * jnp.where(y > 0, x * jnp.log1p(x) + log1pmx(x), 1.0)


def log_beta(a: Array, b: Array) -> Array:
    """log B(a, b), without the terms of log Γ that cancel; `jax.scipy.special.betaln` is only good to 1e-6."""
    return log_beta_rest(a, b) - a * jnp.log1p(b / a) - b * jnp.log1p(a / b)


def log_beta_rest(a: Array, b: Array) -> Array:
    """log B(a, b) − a log μ − b log(1 − μ), μ = a/(a + b)."""
    return stirling(jnp.stack([a, b, a + b])) @ SIGNS
