"""Families of positive numbers: exponential and gamma."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln

from latens.cells import cells_of
from latens.errors import DataError
from latens.families.base import AbstractFamily
from latens.families.datum import ABOVE_ZERO, NOT_NEGATIVE
from latens.families.exponential import AbstractAbout, AbstractExponentialFamily, Recovery
from latens.families.frame import AbstractByMean, AbstractFrame
from latens.families.moments import weighted_mean
from latens.families.within import Reexpressed
from latens.numerics.constraints import Positive
from latens.numerics.integrals import gamma_mass, hazard_mass
from latens.numerics.newton import maximum
from latens.numerics.space import Params
from latens.numerics.special import log1pmx, positive_log, short, stirling


def _times(rate: Array, end: Array) -> Array:
    """rate · end where the end is finite, whose gradient is finite where it is not."""
    known = jnp.isfinite(end)
    return jnp.where(known, rate * jnp.where(known, end, 0.0), end)


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

    support = NOT_NEGATIVE
    recovery = ("is", 0, 0.0)
    constraints: ClassVar = {"rate": Positive()}

    def statistic(self, y: Array) -> Array:
        return y[None]

    def natural(self, params: Params) -> Array:
        return -params["rate"][None]

    def log_partition(self, natural: Array) -> Array:
        return -jnp.log(-natural[0])

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        return hazard_mass(-natural[0] * jnp.maximum(lower, 0.0), _times(-natural[0], upper))

    def estimate(self, mean: Array) -> Params:
        return {"rate": 1.0 / mean[0]}

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        super().require(xs, columns)
        values = cells_of(xs).numbers
        if not np.nan_to_num(values).any():
            raise DataError(
                f"column '{columns[0]}': all values are 0, so the likelihood grows with the rate for ever; give "
                "the data before they were rounded"
            )

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

    support = ABOVE_ZERO
    recovery: ClassVar[Recovery] = ("is", 1, 0.0)
    constraints: ClassVar = {"shape": Positive(), "rate": Positive()}

    def statistic(self, y: Array) -> Array:
        return jnp.stack([jnp.log(y), y])

    def natural(self, params: Params) -> Array:
        return jnp.stack([params["shape"], -params["rate"]])

    def log_partition(self, natural: Array) -> Array:
        return gammaln(natural[0]) - natural[0] * jnp.log(-natural[1])

    def log_base(self, y: Array) -> Array:
        return -jnp.log(y)

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        whole = (lower <= 0) & jnp.isposinf(upper)
        mass = gamma_mass(natural[0], -natural[1], positive_log(lower), positive_log(upper))
        return jnp.where(whole, 0.0, mass)

    def estimate(self, mean: Array) -> Params:
        return self._of_gap(jnp.log(mean[1]) - mean[0], mean[1], 1e-14)

    def _of_gap(self, gap: Array, mean: Array, least: float) -> Params:
        """From log ȳ − mean log y, which is positive by Jensen; rounding must not make it 0."""
        gap = jnp.maximum(gap, least)
        start = jnp.log((3 - gap + jnp.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap))
        shape = jnp.exp(maximum(lambda u: -jnp.exp(u[0]) * gap - stirling(jnp.exp(u[0])), start[None])[0])
        return {"shape": shape, "rate": shape / mean}

    def about(self, params: Params) -> "Gamma":
        return _GammaAbout(short(params["shape"] / params["rate"]))

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        return GammaFrame(weighted_mean(cells_of(xs).numbers, weights))

    def framed(self, frame: AbstractFrame) -> AbstractFamily:
        return Reexpressed(self, frame) if isinstance(frame, GammaFrame) else self

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jax.random.gamma(key, params["shape"]) / params["rate"]

    def spread(self, params: Params) -> Array:
        return 1.0 / params["shape"]


class GammaFrame(AbstractByMean):
    """In the place of a gamma's rate b, what it is for each unit of shape: b u/a, u the unit."""

    pair: ClassVar[tuple[str, str]] = ("shape", "rate")

    def enter(self, params: Params) -> Params:
        return params | {"rate": params["rate"] * (self.unit / params["shape"])}

    def leave(self, params: Params) -> Params:
        return params | {"rate": params["rate"] * (params["shape"] / self.unit)}


class _GammaAbout(AbstractAbout, Gamma):
    """The same, reckoned from a value c near the mean m: T(y) = (log(1 + t) − t, t), t = y/c − 1, η = (a, a (1 − c/m)).

    The difference m − c is exact, so densities are as good as the data.
    """

    centre: Array

    def statistic(self, y: Array) -> Array:
        away = (y - self.centre) / self.centre
        near = jnp.abs(away) < 0.5
        far = jnp.log(jnp.where(near, 1.0, y / self.centre)) - away
        return jnp.stack([jnp.where(near, log1pmx(jnp.where(near, away, 0.0)), far), away])

    def natural(self, params: Params) -> Array:
        mean = params["shape"] / params["rate"]
        return params["shape"] * jnp.stack([jnp.ones(()), (mean - self.centre) / mean])

    def log_partition(self, natural: Array) -> Array:
        return stirling(natural[0]) - natural[0] * log1pmx(-natural[1] / natural[0])

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        plain = jnp.stack([natural[0], natural[1] - natural[0]])
        return super().log_mass(plain, lower / self.centre, upper / self.centre)

    def estimate(self, mean: Array) -> Params:
        return self._of_gap(log1pmx(mean[1]) - mean[0], self.centre * (1.0 + mean[1]), 1e-30)
