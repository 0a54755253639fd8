"""Families of counts: Poisson, Bernoulli, binomial, geometric and negative binomial."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln

from latens.errors import ModelError
from latens.families.base import AbstractExponentialFamily
from latens.numerics.constraints import AbstractConstraint, Positive, Unit
from latens.numerics.space import Params
from latens.numerics.special import safe_log


def _whole(y: Array) -> Array:
    return (y >= 0) & (y == jnp.floor(y))


def _number(known: float | None) -> float | None:
    return None if known is None else float(known)


def _require_positive(family: str, name: str, known: float | None) -> None:
    if isinstance(known, int | float) and not (np.isfinite(known) and known > 0):
        raise ModelError(f"{family}: {name} must be positive, got {known}")


class _Probability(AbstractExponentialFamily):
    """A family whose one parameter is a probability."""

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"probability": Unit()}


class _Successes(_Probability):
    """Independent trials: η = logit p, A = log(1 + e^η) for each."""

    def natural(self, params: Params) -> Array:
        p = params["probability"]
        return (safe_log(p) - safe_log(1.0 - p))[None]

    def log_partition(self, natural: Array) -> Array:
        return jax.nn.softplus(natural[0])

    def estimate(self, mean: Array) -> Params:
        return {"probability": mean[0]}


class _Failures(_Probability):
    """Failures before a number of successes: η = log(1 − p), A = −log(1 − e^η) for each success."""

    def natural(self, params: Params) -> Array:
        return safe_log(1.0 - params["probability"])[None]

    def log_partition(self, natural: Array) -> Array:
        return -jnp.log(-jnp.expm1(natural[0]))

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

    exposure: float | None = eqx.field(default=1.0, converter=_number)

    def __check_init__(self) -> None:
        _require_positive("Poisson", "exposure", self.exposure)

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,) if self.exposure is None else ()

    @property
    def fields(self) -> tuple[str, ...]:
        return ("count", "exposure") if self.exposure is None else ()

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"rate": Positive()}

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

    def estimate(self, mean: Array) -> Params:
        return {"rate": mean[0]}

    def support(self, y: Array) -> Array:
        return _whole(self._events(y)) & (self.count(y) > 0)

    @property
    def words(self) -> str:
        return "a whole number of at least 0" + (" with a positive exposure" if self.exposure is None else "")

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        exposure = like[1] if self.exposure is None else self.exposure
        events = jax.random.poisson(key, params["rate"] * exposure).astype(float)
        return jnp.stack([events, exposure]) if self.exposure is None else events


class Bernoulli(_Successes):
    """Bernoulli distribution: f(y) = p^y (1−p)^(1−y), y in {0, 1}.

    T(y) = y, η = log(p/(1−p)), A = log(1 + e^η).

    **Parameters:** `probability` p of a 1.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Bernoulli()), [1, 0, 0, 1, 1])
        >>> float(fit.params["probability"].round(6))
        0.6

    **Source:** Johnson, Kemp & Kotz (2005), Univariate Discrete Distributions, ch. 3.
    """

    def statistic(self, y: Array) -> Array:
        return y[None]

    def support(self, y: Array) -> Array:
        return (y == 0) | (y == 1)

    @property
    def words(self) -> str:
        return "0 or 1"

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jax.random.bernoulli(key, params["probability"]).astype(float)


class Binomial(_Successes):
    """Binomial distribution: f(y) = C(N, y) p^y (1−p)^(N−y).

    T(y) = y, η = log(p/(1−p)), A = log(1 + e^η) for each of the N trials.

    **Arguments:** `trials`: the number N of every datum, or None when each datum is a pair
    (successes, trials), so that every experiment may have its own.
    **Parameters:** `probability` p of a success.
    **Raises:** `ModelError` for a number of trials that is not positive.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Binomial()), [[5, 10], [1, 2]])
        >>> float(fit.params["probability"].round(6))
        0.5

    **Source:** Johnson, Kemp & Kotz (2005), Univariate Discrete Distributions, ch. 3.
    """

    trials: float | None = eqx.field(default=None, converter=_number)

    def __check_init__(self) -> None:
        _require_positive("Binomial", "trials", self.trials)

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,) if self.trials is None else ()

    @property
    def fields(self) -> tuple[str, ...]:
        return ("successes", "trials") if self.trials is None else ()

    def _successes(self, y: Array) -> Array:
        return y[0] if self.trials is None else y

    def count(self, y: Array) -> Array:
        return y[1] if self.trials is None else jnp.asarray(self.trials, dtype=jnp.result_type(float))

    def statistic(self, y: Array) -> Array:
        return self._successes(y)[None]

    def log_base(self, y: Array) -> Array:
        successes, trials = self._successes(y), self.count(y)
        return gammaln(trials + 1) - gammaln(successes + 1) - gammaln(trials - successes + 1)

    def support(self, y: Array) -> Array:
        trials = self.count(y)
        return _whole(self._successes(y)) & _whole(trials) & (self._successes(y) <= trials) & (trials > 0)

    @property
    def words(self) -> str:
        known = "the trials (successes, then trials)" if self.trials is None else "the trials"
        return f"a whole number from 0 to {known}"

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        trials = like[1] if self.trials is None else self.trials
        successes = jax.random.binomial(key, trials, params["probability"])
        return jnp.stack([successes, trials]) if self.trials is None else successes

    def features(self, x: Any) -> Array:
        shares = super().features(x)
        return shares / x[1] if self.trials is None and not hasattr(x, "seen") else shares


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

    def statistic(self, y: Array) -> Array:
        return (y - 1.0)[None]

    def support(self, y: Array) -> Array:
        return _whole(y) & (y >= 1)

    @property
    def words(self) -> str:
        return "a whole number of at least 1"

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

    size: float = eqx.field(converter=_number)

    def __check_init__(self) -> None:
        _require_positive("NegativeBinomial", "size", self.size)

    def count(self, y: Array) -> Array:
        return jnp.asarray(self.size, dtype=jnp.result_type(float))

    def statistic(self, y: Array) -> Array:
        return y[None]

    def log_base(self, y: Array) -> Array:
        return gammaln(y + self.size) - gammaln(self.size) - gammaln(y + 1.0)

    def support(self, y: Array) -> Array:
        return _whole(y)

    @property
    def words(self) -> str:
        return "a whole number of at least 0"

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        p = params["probability"]
        first, second = jax.random.split(key)
        return jax.random.poisson(second, jax.random.gamma(first, self.size) * (1 - p) / p).astype(float)
