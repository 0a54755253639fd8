"""What a half-seen datum is expected to be: linear in the distribution, so that components mix."""

import equinox as eqx
import jax.numpy as jnp
from jax import Array


class Moments(eqx.Module):
    """Mean and variance of every number of a datum, 0 where it was seen."""

    mean: Array
    variance: Array

    def mixed(self, weights: Array) -> "Moments":
        """Of a mixture with these (k,) weights, the components along the first axis."""
        mean = _mixed(weights, self.mean)
        return Moments(mean, jnp.tensordot(weights, self.variance + (self.mean - mean) ** 2, 1))

    @property
    def value(self) -> Array:
        """What takes the place of the datum."""
        return self.mean

    @property
    def deviation(self) -> Array:
        """How far from it the datum may be: a standard deviation."""
        return jnp.sqrt(jnp.maximum(self.variance, 0.0))


class Chances(eqx.Module):
    """Probabilities of the categories of a datum."""

    probabilities: Array  # (k,)

    def mixed(self, weights: Array) -> "Chances":
        """Of a mixture with these (k,) weights."""
        return Chances(_mixed(weights, self.probabilities))

    @property
    def value(self) -> Array:
        """The most probable category."""
        return self.probabilities.argmax(-1).astype(float)

    @property
    def deviation(self) -> Array:
        """The probability that it is another one."""
        return 1.0 - self.probabilities.max(-1)


def _mixed(weights: Array, each: Array) -> Array:
    """Σ_j w_j e_j, and e itself where all components have the same, as of what was seen: not one rounding away."""
    return jnp.where((each == each[0]).all(0), each[0], jnp.tensordot(weights, each, 1))


Expected = Moments | Chances
