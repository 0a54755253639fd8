"""The beta distribution."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from latens.families.exponential import AbstractExponentialFamily
from latens.numerics.constraints import AbstractConstraint, Positive
from latens.numerics.newton import maximise
from latens.numerics.space import Params
from latens.numerics.special import log_beta
from latens.numerics.tails import beta_mass


class Beta(AbstractExponentialFamily):
    """Beta distribution: f(y) = y^(a−1) (1−y)^(b−1) / B(a, b), 0 < y < 1.

    T(y) = (log y, log(1−y)), η = (a, b), A = log B(η₁, η₂), h(y) = 1/(y(1−y)). The M-step solves
    ∇A(a, b) = mean T by damped Newton.

    **Parameters:** `a`, `b` (no units).
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Beta()), [0.2, 0.4, 0.6, 0.8])
        >>> bool(abs(fit.params["a"] - fit.params["b"]) < 1e-8)
        True

    **Source:** Gnanadesikan, Pinkham & Hughes (1967), Technometrics 9, 607; start of the solve:
    Johnson, Kotz & Balakrishnan (1995), Continuous Univariate Distributions 2, eq. 25.
    """

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"a": Positive(), "b": Positive()}

    def statistic(self, y: Array) -> Array:
        return jnp.stack([jnp.log(y), jnp.log1p(-y)])

    def natural(self, params: Params) -> Array:
        return jnp.stack([params["a"], params["b"]])

    def log_partition(self, natural: Array) -> Array:
        return log_beta(natural[0], natural[1])

    def log_base(self, y: Array) -> Array:
        return -jnp.log(y) - jnp.log1p(-y)

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        def logit(end: Array) -> Array:
            inside = jnp.where((end > 0) & (end < 1), end, 0.5)
            return jnp.where(end <= 0, -jnp.inf, jnp.where(end >= 1, jnp.inf, jnp.log(inside) - jnp.log1p(-inside)))

        whole = (lower <= 0) & (upper >= 1)
        mass = beta_mass(natural[0], natural[1], jnp.zeros(()), logit(lower), logit(upper))
        return jnp.where(whole, 0.0, mass)

    def estimate(self, mean: Array) -> Params:
        left, right = jnp.exp(mean[0]), jnp.exp(mean[1])
        # 1 − left − right is positive by Jensen; rounding must not make it 0
        room = jnp.maximum(1.0 - left - right, 1e-14)
        start = jnp.log(0.5 + 0.5 * jnp.stack([left, right]) / room)

        def surrogate(u: Array) -> Array:
            natural = jnp.exp(u)
            return natural @ mean - self.log_partition(natural)

        a, b = jnp.exp(maximise(surrogate, start))
        return {"a": a, "b": b}

    @property
    def recovery(self) -> tuple[str, int, float]:
        return ("exp", 0, 0.0)

    def support(self, y: Array) -> Array:
        return (y > 0) & (y < 1)

    @property
    def words(self) -> str:
        return "a number strictly between 0 and 1"

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jax.random.beta(key, params["a"], params["b"])

    def spread(self, params: Params) -> Array:
        return 1.0 / (1.0 + params["a"] + params["b"])
