"""The beta distribution."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import cells_of
from latens.families.base import AbstractFamily
from latens.families.datum import Support
from latens.families.exponential import AbstractAbout, AbstractExponentialFamily, Recovery
from latens.families.frame import AbstractByMean, AbstractFrame
from latens.families.moments import weighted_mean
from latens.families.within import Reexpressed
from latens.numerics.constraints import EDGE, Positive
from latens.numerics.integrals import beta_mass
from latens.numerics.newton import maximum
from latens.numerics.space import Params
from latens.numerics.special import log1pmx, log_beta, log_beta_rest, short


class Beta(AbstractExponentialFamily):
    """Beta distribution: f(y) = y^(a−1) (1−y)^(b−1) / B(a, b), 0 < y < 1.

    T(y) = (log y, log(1−y)), η = (a, b), A = log B(η₁, η₂), h(y) = 1/(y(1−y)). The M-step solves
    ∇A(a, b) = mean T by damped Newton, in the logit of the mean and log(a + b).

    **Parameters:** `a`, `b` (no units).
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Beta()), [0.2, 0.4, 0.6, 0.8])
        >>> bool(abs(fit.params["a"] - fit.params["b"]) < 1e-8)
        True

    **Source:** Gnanadesikan, Pinkham & Hughes (1967), Technometrics 9, 607; start of the solve:
    Johnson, Kotz & Balakrishnan (1995), Continuous Univariate Distributions 2, eq. 25.
    """

    support = Support("a number strictly between 0 and 1", lambda y: (y > 0) & (y < 1))
    recovery: ClassVar[Recovery] = ("exp", 0, 0.0)
    constraints: ClassVar = {"a": Positive(), "b": Positive()}

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
        centre = jax.nn.sigmoid(mean[0] - mean[1])
        left, right = mean[0] - jnp.log(centre), mean[1] - jnp.log1p(-centre)
        return _solve(centre * left + (1.0 - centre) * right, left - right, centre, 1e-14)

    def about(self, params: Params) -> "Beta":
        mean, rest = _means(params)
        # near 1 it is the rest that must not be rounded to nothing
        return _BetaAbout(jnp.where(mean < 0.5, short(mean), 1.0 - short(jnp.maximum(rest, EDGE))))

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        mean = weighted_mean(cells_of(xs).numbers, weights)
        return BetaFrame(mean / (1.0 - mean))

    def framed(self, frame: AbstractFrame) -> AbstractFamily:
        return Reexpressed(self, frame) if isinstance(frame, BetaFrame) else self

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jax.random.beta(key, params["a"], params["b"])

    def spread(self, params: Params) -> Array:
        return 1.0 / (1.0 + params["a"] + params["b"])


class BetaFrame(AbstractByMean):
    """In the place of a its odds a/(b u), u the unit, in that of b the total a + b."""

    pair: ClassVar[tuple[str, str]] = ("a", "b")

    def enter(self, params: Params) -> Params:
        return params | {"a": params["a"] / params["b"] / self.unit, "b": params["a"] + params["b"]}

    def leave(self, params: Params) -> Params:
        return params | _of_odds(params["a"] * self.unit, params["b"])


class _BetaAbout(AbstractAbout, Beta):
    """The same, reckoned from a value c near the mean m, with t = (y − c)/c and u = (c − y)/(1 − c):

        T(y) = (c (log(1 + t) − t) + (1 − c)(log(1 + u) − u), log(1 + t) − log(1 + u)),   η = (a + b, (a + b)(m − c))

    The difference m − c is exact, so densities are as good as the data.
    """

    centre: Array

    def statistic(self, y: Array) -> Array:
        shares = jnp.stack([self.centre, 1.0 - self.centre])
        away = jnp.stack([y - self.centre, self.centre - y]) / shares
        near = jnp.abs(away) < 0.5
        wide = jnp.where(near, 0.0, jnp.stack([jnp.log(y), jnp.log1p(-y)]) - jnp.log(shares))
        logs = jnp.where(near, jnp.log1p(jnp.where(near, away, 0.0)), wide)
        rest = jnp.where(near, log1pmx(jnp.where(near, away, 0.0)), wide - away)
        return jnp.stack([shares @ rest, logs[0] - logs[1]])

    def natural(self, params: Params) -> Array:
        mean, rest = _means(params)
        away = jnp.where(mean < 0.5, mean - self.centre, (1.0 - self.centre) - rest)
        return (params["a"] + params["b"]) * jnp.stack([jnp.ones(()), away])

    def log_partition(self, natural: Array) -> Array:
        total, away = natural[0], natural[1] / natural[0]
        mean = self.centre + away
        return log_beta_rest(total * mean, total * (1.0 - mean)) + total * _divergence(away, self.centre)

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        a = natural[0] * self.centre + natural[1]
        return super().log_mass(jnp.stack([a, natural[0] - a]), lower, upper)

    def estimate(self, mean: Array) -> Params:
        return _solve(mean[0], mean[1], self.centre, 1e-30)


def _means(params: Params) -> tuple[Array, Array]:
    """E[Y] and E[1 − Y], each with its own digits."""
    total = params["a"] + params["b"]
    return params["a"] / total, params["b"] / total


def _of_odds(odds: Array, total: Array) -> Params:
    """Params with those odds a/b, and a + b."""
    return {"a": total * odds / (1.0 + odds), "b": total / (1.0 + odds)}


def _divergence(away: Array, centre: Array) -> Array:
    """μ log(μ/m) + (1 − μ) log((1 − μ)/(1 − m)), μ = m + away."""
    centres = jnp.stack([centre, 1.0 - centre])
    x = jnp.stack([away, -away]) / centres
    return centres @ (x * jnp.log1p(x) + log1pmx(x))


def _solve(both: Array, apart: Array, centre: Array, least: float) -> Params:
    """From the means of the statistic about c."""
    both = jnp.minimum(both, -least)  # negative by Jensen; rounding must not make it 0
    left, right = both + (1.0 - centre) * apart, both - centre * apart
    gap = jnp.maximum(-jnp.log1p(centre * jnp.expm1(left) + (1.0 - centre) * jnp.expm1(right)), least)
    start = jnp.stack([apart, jnp.log(1.0 + 0.5 / jnp.expm1(gap))])

    def away_at(u: Array) -> Array:
        odds = jnp.expm1(u)
        return centre * (1.0 - centre) * odds / (1.0 + centre * odds)

    def surrogate(u: Array) -> Array:
        away, total = away_at(u[0]), jnp.exp(u[1])
        mean = centre + away
        fit = both + away * apart - _divergence(away, centre)
        return total * fit - log_beta_rest(total * mean, total * (1.0 - mean))

    odds, size = maximum(surrogate, start)
    return _of_odds(centre / (1.0 - centre) * jnp.exp(odds), jnp.exp(size))
