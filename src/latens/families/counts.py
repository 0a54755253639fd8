"""Families of counts without an upper end: Poisson, geometric and negative binomial."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln

from latens.errors import ModelError
from latens.families.datum import COUNT, Support, is_whole
from latens.families.exponential import AbstractAbout, AbstractExponentialFamily, Recovery
from latens.families.trials import Probability, number, require_positive
from latens.numerics.constraints import EDGE, Positive
from latens.numerics.integrals import beta_mass, count_mass, gamma_mass, log1mexp, side
from latens.numerics.space import Params
from latens.numerics.special import TINY, deviance, expm1mx, log1pmx, log_factorial, log_ratio, safe_log, stirling


class _Failures(Probability):
    """Failures before a number of successes: η = log(1 − p), A = −log(1 − e^η) for each success."""

    def natural(self, params: Params) -> Array:
        return jnp.log1p(-jnp.minimum(params["probability"], 1.0 - EDGE))[None]

    def log_partition(self, natural: Array) -> Array:
        return -log1mexp(natural[0])

    def estimate(self, mean: Array) -> Params:
        return {"probability": 1.0 / (1.0 + mean[0])}


class Poisson(AbstractExponentialFamily):
    """Poisson distribution: f(y) = (eλ)^y e^(−eλ) / y!, with exposure e.

    T(y) = y, η = log λ, A = e^η per unit of exposure.

    **Arguments:** `exposure`: the exposure of every datum (default 1), or None when each datum is a
    pair (count, exposure).
    **Parameters:** `rate` λ (counts per unit of exposure).
    **Raises:** `ModelError` for an exposure that is not positive.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Poisson(exposure=None)), [[3, 1.0], [9, 2.0]])
        >>> float(fit.params["rate"].round(6))
        4.0

    **Source:** Johnson, Kemp & Kotz (2005), Univariate Discrete Distributions, ch. 4.
    """

    recovery: ClassVar[Recovery] = ("is", 0, 0.0)

    constraints: ClassVar = {"rate": Positive()}

    exposure: float | None = eqx.field(default=1.0, converter=number)

    def __check_init__(self) -> None:
        require_positive("Poisson", "exposure", self.exposure)

    def _events(self, y: Array) -> Array:
        return y[0] if self.exposure is None else y

    def count(self, y: Array) -> Array:
        return y[1] if self.exposure is None else jnp.asarray(self.exposure, dtype=jnp.result_type(float))

    def statistic(self, y: Array) -> Array:
        return self._events(y)[None]

    def natural(self, params: Params) -> Array:
        return safe_log(params["rate"])[None]

    def log_partition(self, natural: Array) -> Array:
        return jnp.exp(natural[0])

    def log_base(self, y: Array) -> Array:
        events = self._events(y)
        return events * jnp.log(self.count(y)) - gammaln(events + 1.0)

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        mean = jnp.exp(natural[0]) * self.count(lower)
        ends = self._events(lower), self._events(upper)
        # of m events or more: a gamma distribution with shape m, below 1
        return count_mass(lambda m, above: gamma_mass(m, mean, *side(~above)), *ends, mean)

    def estimate(self, mean: Array) -> Params:
        return {"rate": mean[0]}

    @property
    def title(self) -> str:
        return "Poisson (exposure in the second column)" if self.exposure is None else "Poisson"

    @property
    def support(self) -> Support:
        if self.exposure is not None:
            return COUNT
        words = f"{COUNT.words} with a positive exposure"
        return Support(words, lambda y: is_whole(y[0]) & (y[1] > 0), True, (2,), ("count", "exposure"))

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        exposure = like[1] if self.exposure is None else self.exposure
        events = jax.random.poisson(key, params["rate"] * exposure).astype(float)
        return jnp.stack([events, exposure]) if self.exposure is None else events

    def about(self, params: Params) -> "Poisson":
        return _PoissonAbout(self.exposure, jnp.maximum(params["rate"], TINY))


class _PoissonAbout(AbstractAbout, Poisson):
    """The same, reckoned from a rate r: T(y) = y − er, η = log λ/r, A = r (e^η − 1 − η), h(y) = f(y | r)."""

    centre: Any = None

    def statistic(self, y: Array) -> Array:
        return (self._events(y) - self.count(y) * self.centre)[None]

    def natural(self, params: Params) -> Array:
        return log_ratio(jnp.maximum(params["rate"], TINY), self.centre)[None]

    def log_partition(self, natural: Array) -> Array:
        return self.centre * expm1mx(natural[0])

    def log_base(self, y: Array) -> Array:
        events = self._events(y)
        return -deviance(events, self.count(y) * self.centre) - log_factorial(events)

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        return super().log_mass(natural + jnp.log(self.centre), lower, upper)

    def estimate(self, mean: Array) -> Params:
        return {"rate": self.centre + mean[0]}


class Geometric(_Failures):
    """Geometric distribution: f(y) = p (1−p)^(y−1), y = 1, 2, …: trials until the first success.

    T(y) = y − 1, η = log(1−p), A = −log(1 − e^η). (Failures before it: `NegativeBinomial(1)`.)

    **Parameters:** `probability` p of a success.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Geometric()), [1, 2, 3, 4])
        >>> float(fit.params["probability"].round(6))
        0.4

    **Source:** Johnson, Kemp & Kotz (2005), Univariate Discrete Distributions, ch. 5.
    """

    support = Support("a whole number of at least 1", lambda y: is_whole(y) & (y >= 1), whole=True)
    recovery = ("is", 0, 1.0)

    def statistic(self, y: Array) -> Array:
        return (y - 1.0)[None]

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        first, beyond = jnp.maximum(jnp.ceil(lower), 1.0), jnp.floor(upper) + 1.0
        ends = jnp.isfinite(beyond)
        within = jnp.where(ends, beyond - first, 1.0)
        share = jnp.where(ends, log1mexp(natural[0] * jnp.maximum(within, 0.0)), 0.0)
        return natural[0] * (first - 1.0) + share

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jax.random.geometric(key, params["probability"]).astype(float)


class NegativeBinomial(_Failures):
    """Negative binomial distribution: f(y) = Γ(y+r)/(Γ(r) y!) p^r (1−p)^y: failures before r successes.

    T(y) = y, η = log(1−p), A = −log(1 − e^η) for each of the r successes.

    **Arguments:** `size`: r, known and positive (it need not be whole).
    **Parameters:** `probability` p of a success.
    **Raises:** `ModelError` for a size that is not positive.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.NegativeBinomial(2)), [2, 4, 6])
        >>> float(fit.params["probability"].round(6))
        0.333333

    **Source:** Johnson, Kemp & Kotz (2005), Univariate Discrete Distributions, ch. 5.
    """

    support = COUNT
    recovery = ("is", 0, 0.0)

    size: float = eqx.field(converter=number, default=None)

    def __check_init__(self) -> None:
        if self.size is None:
            raise ModelError(
                "NegativeBinomial: give the size, the number of successes that are waited for, such as "
                "NegativeBinomial(2.5); it is known, not estimated"
            )
        require_positive("NegativeBinomial", "size", self.size)

    def count(self, y: Array) -> Array:
        return jnp.asarray(self.size, dtype=jnp.result_type(float))

    def statistic(self, y: Array) -> Array:
        return y[None]

    def log_base(self, y: Array) -> Array:
        # log Γ(y + r)/(Γ(r) y!), without the terms that cancel: those of the larger of y and r
        some, r = jnp.maximum(y, 1.0), self.size
        many = r * jnp.log(some + r) + some * log1pmx(r / some) - log_factorial(some) - gammaln(r)
        few = some * jnp.log(some + r) + r * log1pmx(some / r) - stirling(r) - gammaln(some + 1.0)
        return jnp.where(y > 0, stirling(some + r) + jnp.where(some > r, many, few), 0.0)

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        odds = jnp.log(-jnp.expm1(natural[0])) - natural[0]
        mean = self.size * jnp.exp(-odds)
        # of m failures or more: Beta(size, m) above p
        return count_mass(lambda m, above: beta_mass(self.count(m), m, odds, *side(above)), lower, upper, mean)

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        p = params["probability"]
        first, second = jax.random.split(key)
        return jax.random.poisson(second, jax.random.gamma(first, self.size) * (1 - p) / p).astype(float)
