"""Families of trials: Bernoulli and binomial; and what all families with one probability share."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln

from latens.errors import ModelError
from latens.families.datum import Support, is_whole
from latens.families.exponential import AbstractAbout, AbstractExponentialFamily, Recovery
from latens.numerics.constraints import EDGE, Unit
from latens.numerics.integrals import beta_mass, count_mass, side
from latens.numerics.space import Params
from latens.numerics.special import TINY, deviance, log_factorial, log_mixed, log_ratio, logsumexp, safe_log


def number(known: Any) -> Any:
    """A known number as it is given, None if it is not known; of one in a computation, that."""
    if known is None or isinstance(known, jax.Array):
        return known
    try:
        return float(known)
    except (TypeError, ValueError):
        raise ModelError(f"what is known of a family (variance, size, ...) must be a number, got {known!r}") from None


def require_positive(family: str, name: str, known: float | None) -> None:
    if isinstance(known, int | float) and not (np.isfinite(known) and known > 0):
        raise ModelError(f"{family}: {name} must be positive, got {known}")


class Probability(AbstractExponentialFamily):
    """A family whose one parameter is a probability."""

    constraints: ClassVar = {"probability": Unit()}


class _Successes(Probability):
    """Independent trials: η = logit p, A = log(1 + e^η) for each."""

    recovery: ClassVar[Recovery] = ("is", 0, 0.0)

    def natural(self, params: Params) -> Array:
        p = params["probability"]
        return (safe_log(p) - safe_log(1.0 - p))[None]

    def log_partition(self, natural: Array) -> Array:
        return jax.nn.softplus(natural[0])

    def estimate(self, mean: Array) -> Params:
        return {"probability": mean[0]}


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

    support = Support("0 or 1", lambda y: (y == 0) | (y == 1), whole=True)

    def statistic(self, y: Array) -> Array:
        return y[None]

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        held = jnp.stack([(lower <= 0) & (upper >= 0), (lower <= 1) & (upper >= 1)])
        logs = jnp.stack([-jax.nn.softplus(natural[0]), -jax.nn.softplus(-natural[0])])
        return jnp.where(held.all(), 0.0, logsumexp(jnp.where(held, logs, -jnp.inf)))

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

    trials: float | None = eqx.field(default=None, converter=number)

    def __check_init__(self) -> None:
        require_positive("Binomial", "trials", self.trials)

    def _successes(self, y: Array) -> Array:
        return y[0] if self.trials is None else y

    def count(self, y: Array) -> Array:
        return y[1] if self.trials is None else jnp.asarray(self.trials, dtype=jnp.result_type(float))

    def statistic(self, y: Array) -> Array:
        return self._successes(y)[None]

    def log_base(self, y: Array) -> Array:
        successes, trials = self._successes(y), self.count(y)
        return gammaln(trials + 1) - gammaln(successes + 1) - gammaln(trials - successes + 1)

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        trials = self.count(lower)
        ends = self._successes(lower), self._successes(upper)
        mean = trials * jax.nn.sigmoid(natural[0])
        # of m successes or more: Beta(m, trials − m + 1) below p
        return count_mass(
            lambda m, above: beta_mass(m, trials - m + 1.0, natural[0], *side(~above)), *ends, mean, trials
        )

    @property
    def support(self) -> Support:
        def holds(y: Array) -> Array:
            trials = self.count(y)
            return is_whole(self._successes(y)) & is_whole(trials) & (self._successes(y) <= trials) & (trials > 0)

        if self.trials is not None:
            return Support("a whole number from 0 to the trials", holds, whole=True)
        words = "a whole number from 0 to the trials (successes, then trials)"
        return Support(words, holds, whole=True, shape=(2,), fields=("successes", "trials"))

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        trials = like[1] if self.trials is None else self.trials
        successes = jax.random.binomial(key, trials, params["probability"])
        return jnp.stack([successes, trials]) if self.trials is None else successes

    def features_of(self, y: Array) -> Array:
        return self.statistic(y) / self.count(y)

    def about(self, params: Params) -> "Binomial":
        return _BinomialAbout(self.trials, jnp.clip(params["probability"], EDGE, 1.0 - EDGE))


class _BinomialAbout(AbstractAbout, Binomial):
    """The same, reckoned from a probability c: T(y) = y − Nc, η = logit p − logit c, A = log(1 − c + c e^η) − cη."""

    centre: Any = None

    def statistic(self, y: Array) -> Array:
        return (self._successes(y) - self.count(y) * self.centre)[None]

    def natural(self, params: Params) -> Array:
        p = jnp.clip(params["probability"], TINY, 1.0 - EDGE)
        return (log_ratio(p, self.centre) - log_ratio(1.0 - p, 1.0 - self.centre))[None]

    def log_partition(self, natural: Array) -> Array:
        return log_mixed(self.centre, natural[0])

    def log_base(self, y: Array) -> Array:
        successes, trials = self._successes(y), self.count(y)
        failures = trials - successes
        coefficient = log_factorial(trials) - log_factorial(successes) - log_factorial(failures)
        away = deviance(successes, trials * self.centre) + deviance(failures, trials * (1.0 - self.centre))
        return coefficient - away

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        return super().log_mass(natural + jnp.log(self.centre) - jnp.log1p(-self.centre), lower, upper)

    def estimate(self, mean: Array) -> Params:
        return {"probability": self.centre + mean[0]}
