"""The logarithm of every row of a block, in vector instructions: XLA's own, on a CPU, takes one number at a time."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

EXPONENT, RECIPROCAL = 0x7FF << 52, 2046 << 52  # bits of a double: its exponent; less it, that of the reciprocal
# where the last bit of a double counts ones, so that whole numbers can be written into it; and its bits
SHIFT, SHIFT_BITS = 2.0**52, (1023 + 52) << 52
# log 2 = HIGH + LOW; whole multiples of HIGH are exact
HIGH, LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10


@jax.custom_jvp
def log(x: Array) -> Array:
    """log x of numbers from 2⁻¹⁰²² to 2¹⁰²³, to two roundings; infinite and NaN as they are.

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
