"""Families of positive numbers: exponential and gamma."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln

from latens.families.base import AbstractExponentialFamily
from latens.numerics.constraints import AbstractConstraint, Positive
from latens.numerics.newton import maximise
from latens.numerics.space import Params


class Exponential(AbstractExponentialFamily):
    """Exponential distribution: f(y) = θ e^(−θy), y ≥ 0.

    T(y) = y, η = −θ, A = −log(−η).

    **Parameters:** `rate` θ (per unit of y).
    **Example:** two lifetimes, 5 seen and one not (the rate is 1/5):
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")])
        >>> round(float(fit.params["rate"]), 6)
        0.2

    **Source:** Johnson, Kotz & Balakrishnan (1994), Continuous Univariate Distributions 1, ch. 19.
    """

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"rate": Positive()}

    def statistic(self, y: Array) -> Array:
        return y[None]

    def natural(self, params: Params) -> Array:
        return -params["rate"][None]

    def log_partition(self, natural: Array) -> Array:
        return -jnp.log(-natural[0])

    def estimate(self, mean: Array) -> Params:
        return {"rate": 1.0 / mean[0]}

    def support(self, y: Array) -> Array:
        return y >= 0

    @property
    def words(self) -> str:
        return "a number of at least 0"

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jax.random.exponential(key) / params["rate"]


class Gamma(AbstractExponentialFamily):
    """Gamma distribution: f(y) = b^a y^(a−1) e^(−by) / Γ(a), y > 0.

    T(y) = (log y, y), η = (a, −b), A = log Γ(η₁) − η₁ log(−η₂), h(y) = 1/y. The M-step solves
    log a − ψ(a) = log ȳ − mean log y by damped Newton; b = a/ȳ.

    **Parameters:** `shape` a (no unit), `rate` b (per unit of y).
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Gamma()), [1.0, 2.0, 3.0, 4.0])
        >>> round(float(fit.params["shape"] / fit.params["rate"]), 6)
        2.5

    **Source:** Choi & Wette (1969), Technometrics 11, 683; start of the solve: Minka (2002), eq. 8.
    """

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"shape": Positive(), "rate": Positive()}

    def statistic(self, y: Array) -> Array:
        return jnp.stack([jnp.log(y), y])

    def natural(self, params: Params) -> Array:
        return jnp.stack([params["shape"], -params["rate"]])

    def log_partition(self, natural: Array) -> Array:
        return gammaln(natural[0]) - natural[0] * jnp.log(-natural[1])

    def log_base(self, y: Array) -> Array:
        return -jnp.log(y)

    def estimate(self, mean: Array) -> Params:
        # the gap log ȳ − mean log y is positive by Jensen; rounding must not make it 0
        gap = jnp.maximum(jnp.log(mean[1]) - mean[0], 1e-14)
        start = jnp.log((3 - gap + jnp.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap))

        def profile(u: Array) -> Array:
            shape = jnp.exp(u[0])
            return shape * (u[0] - gap - 1.0) - gammaln(shape)

        shape = jnp.exp(maximise(profile, start[None])[0])
        return {"shape": shape, "rate": shape / mean[1]}

    def support(self, y: Array) -> Array:
        return y > 0

    @property
    def words(self) -> str:
        return "a number above 0"

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jax.random.gamma(key, params["shape"]) / params["rate"]

    def spread(self, params: Params) -> Array:
        return 1.0 / params["shape"]
