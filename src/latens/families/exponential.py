"""Exponential families, and everything that follows from their formula."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from latens.errors import ModelError
from latens.families.datum import AbstractDatum
from latens.numerics.space import Params

Recovery = tuple[str, int, float] | None
"""How y is found in T(y): ("is", j, a) where y = T_j + a, or ("exp", j, 0) where y = e^{T_j}."""


class AbstractExponentialFamily(AbstractDatum):
    """f(y | θ) = h(y) exp(<η(θ), T(y)> − c(y) A(η)), with c(y) = 1 unless a datum has a size.

    To write your own, for ONE datum y (a scalar, or an array of shape `shape`):

    1. `constraints`: parameter name → constraint.
    2. `statistic(y)`: T(y), shape (p,).
    3. `natural(params)`: η, shape (p,).
    4. `log_partition(natural)`: A(η), a scalar; its gradient must be the mean of T per unit of c.
    5. `estimate(mean)`: the params whose mean statistic is `mean` (p,): the M-step.
    6. `sample(params, key, like)`: one draw.
    7. `support`: what values y can take, `lt.Support("a number above 0", lambda y: y > 0)`.
    8. if not the default: `log_base(y)` (log h, default 0), `count(y)` (c, default 1).
    9. if data may be known only to lie in an interval: `log_mass(natural, lower, upper)`; if unseen values
       are to be imputed: `recovery`; if digits matter where they are far from the origin, in spreads:
       `about(params)`.

    What you then get: densities, the M-step in any model, unseen data, starts, errors that name the
    row, and every law in `latens.testing.check_family`.

    **Source:** Barndorff-Nielsen (1978), Information and Exponential Families.
    """

    @abstractmethod
    def statistic(self, y: Array) -> Array:
        """T(y): (p,)."""

    @abstractmethod
    def natural(self, params: Params) -> Array:
        """η(params): (p,)."""

    @abstractmethod
    def log_partition(self, natural: Array) -> Array:
        """A(η): a scalar."""

    @abstractmethod
    def estimate(self, mean: Array) -> Params:
        """Mean statistic (p,) → params."""

    def log_base(self, y: Array) -> Array:
        """log h(y)."""
        return jnp.zeros(())

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        """log P(lower ≤ Y ≤ upper) at η, for data known only to lie between; an infinite end is open."""
        raise ModelError(f"{type(self).__name__} does not say how to integrate over an interval (`log_mass`)")

    @property
    def recovery(self) -> Recovery:
        """How y is found in T(y), so that unseen values can be imputed."""
        return None

    def count(self, y: Array) -> Array:
        """c(y): trials or exposure; 1 for most families."""
        return jnp.ones(())

    # -- derived ------------------------------------------------------------------------------------

    def complete(self, y: Array) -> Array:
        """[c(y), T(y)]: one flat row, so that a mixture is one matrix product."""
        return jnp.concatenate([self.count(y)[None], self.statistic(y)])

    def potential(self, params: Params) -> Array:
        natural = self.natural(params)
        return jnp.concatenate([-self.log_partition(natural)[None], natural])

    def mean(self, params: Params) -> Array:
        """E[T | params] = ∇A(η): (p,)."""
        return jax.grad(self.log_partition)(self.natural(params))

    def mean_totals(self, params: Params, like: Any) -> Array:
        return self.count(like) * jnp.concatenate([jnp.ones(1), self.mean(params)])

    def exact_kernel(self, potential: Array, y: Array) -> Array:
        return potential @ self.complete(y) + self.log_base(y)

    def whole_kernel(self, potential: Array, y: Array) -> Array:
        # 0 for normalised potentials, and its gradient is E[S]
        return self.count(y) * (potential[0] + self.log_partition(potential[1:]))

    def set_kernel(self, potential: Array, lower: Array, upper: Array) -> Array:
        # its gradient is the conditional mean E[S given the set]
        return self.whole_kernel(potential, lower) + self.log_mass(potential[1:], lower, upper)

    def set_moments(self, params: Params, lower: Array, upper: Array) -> tuple[Array, Array]:
        return self._derived(params, lambda eta: self._log_whole(eta, lower) + self.log_mass(eta, lower, upper))

    def whole_moments(self, params: Params, y: Array) -> tuple[Array, Array]:
        return self._derived(params, lambda eta: self._log_whole(eta, y))

    def _log_whole(self, eta: Array, y: Array) -> Array:
        return self.count(y) * self.log_partition(eta)

    def _derived(self, params: Params, log_total: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Mean and variance from log ∫ e^<η,T> over a set: its first two derivatives in η."""
        if self.recovery is None:
            raise ModelError(f"{type(self).__name__} does not say how to find y in its statistic (`recovery`)")
        how, j, offset = self.recovery
        eta = self.natural(params)

        def moved(step: Array) -> Array:
            return log_total(eta.at[j].add(step))

        zero = jnp.zeros(())
        if how == "exp":
            mean = jnp.exp(moved(zero + 1.0) - moved(zero))
            return mean, jnp.exp(moved(zero + 2.0) - moved(zero)) - mean**2
        slope = jax.grad(moved)
        return slope(zero) + offset, jax.grad(slope)(zero)

    def maximise(self, totals: Array) -> Params:
        return self.estimate(totals[1:] / totals[0])

    def features_of(self, y: Array) -> Array:
        return self.statistic(y)


class AbstractAbout(AbstractExponentialFamily):
    """An exponential family with its statistic and potentials reckoned from a distribution of its own."""

    apart = True
    recovery: ClassVar[Recovery] = None
