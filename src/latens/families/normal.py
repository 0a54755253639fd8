"""The normal and the log-normal distribution."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import cells_of
from latens.errors import ModelError
from latens.families.base import AbstractFamily
from latens.families.datum import ABOVE_ZERO, FINITE
from latens.families.exponential import AbstractExponentialFamily
from latens.families.frame import AbstractFrame, Affine, Log, log_frame
from latens.families.roles import Location, Roles, Variance
from latens.families.trials import number
from latens.families.within import Within
from latens.numerics.constraints import AbstractConstraint, Positive, Real
from latens.numerics.integrals import normal_mass
from latens.numerics.space import Params
from latens.numerics.special import positive_log

LEAST_SQUARE = 1e-150  # a spread whose square is a number


def no_square(column: str, scale: float) -> str:
    """What is wrong with a column of such a spread."""
    return f"column '{column}': the variance, {scale:.3g} squared, is no number of double precision; change the units"


def _natural(params: Params) -> Array:
    return jnp.stack([params["mean"] / params["variance"], -0.5 / params["variance"]])


def _log_partition(natural: Array) -> Array:
    return -(natural[0] ** 2) / (4 * natural[1]) + 0.5 * jnp.log(jnp.pi / -natural[1])


def scaled_mass(lower: Array, upper: Array, mean: Array, variance: Array) -> Array:
    """log P(lower < Y < upper) of a normal; an infinite end is not scaled, so gradients stay finite."""

    def standard(end: Array) -> Array:
        known = jnp.isfinite(end)
        return jnp.where(known, (jnp.where(known, end, 0.0) - mean) / jnp.sqrt(variance), end)

    return normal_mass(standard(lower), standard(upper))


def _estimate(mean: Array) -> Params:
    return {"mean": mean[0], "variance": mean[1] - mean[0] ** 2}


class Normal(AbstractExponentialFamily):
    """Normal distribution: f(y) = (2πσ²)^(−1/2) exp(−(y − μ)² / 2σ²).

    T(y) = (y, y²), η = (μ/σ², −1/2σ²), A = −η₁²/4η₂ + ½ log(π/−η₂). With a known variance T(y) = y.

    **Arguments:** `variance`: None to estimate it, or the known σ² (in squared units of y).
    **Parameters:** `mean` μ (units of y), `variance` σ² (unless known).
    **Raises:** `ModelError` for a known variance that is not positive.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Normal()), [1.0, 2.0, 3.0])
        >>> float(fit.params["mean"].round(6)), float(fit.params["variance"].round(6))
        (2.0, 0.666667)

    **Source:** Johnson, Kotz & Balakrishnan (1994), Continuous Univariate Distributions 1, ch. 13.
    """

    support = FINITE
    recovery = ("is", 0, 0.0)

    variance: float | None = eqx.field(default=None, converter=number)

    def __check_init__(self) -> None:
        known = self.variance
        if isinstance(known, int | float) and not (np.isfinite(known) and known > 0):
            raise ModelError(f"Normal: the known variance must be positive, got {known}")

    @property
    def title(self) -> str:
        return "Normal" if self.variance is None else f"Normal (variance {self.variance:g}, known)"

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        free = {} if self.variance is not None else {"variance": Positive()}
        return {"mean": Real(), **free}

    def statistic(self, y: Array) -> Array:
        return jnp.stack([y, y * y]) if self.variance is None else y[None]

    def natural(self, params: Params) -> Array:
        return _natural(params) if self.variance is None else (params["mean"] / self.variance)[None]

    def log_partition(self, natural: Array) -> Array:
        return _log_partition(natural) if self.variance is None else 0.5 * self.variance * natural[0] ** 2

    def log_base(self, y: Array) -> Array:
        if self.variance is None:
            return jnp.zeros(())
        return -0.5 * (y * y / self.variance + jnp.log(2 * jnp.pi * self.variance))

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        variance = -0.5 / natural[1] if self.variance is None else jnp.asarray(self.variance)
        return scaled_mass(lower, upper, natural[0] * variance, variance)

    def estimate(self, mean: Array) -> Params:
        return _estimate(mean) if self.variance is None else {"mean": mean[0]}

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        variance = params["variance"] if self.variance is None else self.variance
        return params["mean"] + jnp.sqrt(variance) * jax.random.normal(key)

    def features_of(self, y: Array) -> Array:
        return y[None]

    def frame(self, xs: np.ndarray, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        values, weights = cells_of(xs).ends_seen(weights)
        seen = ~np.isnan(values)
        if not seen.any():
            return Affine(np.asarray(0.0), np.asarray(1.0), self.roles)
        centre = np.average(values[seen], weights=weights[seen])
        if self.variance is not None:
            return Affine(np.asarray(centre), np.asarray(1.0), self.roles)
        away = values[seen] - centre
        most = np.abs(away).max()  # whose square may be beyond the numbers there are
        scale = most * np.sqrt(np.average((away / (most or 1.0)) ** 2, weights=weights[seen]))
        if scale > 0 and not LEAST_SQUARE < scale < 1 / LEAST_SQUARE:
            return Affine(np.asarray(centre), np.asarray(1.0), self.roles, no_square(columns[0], scale))
        if not scale > 1e-14 * abs(centre):
            lack = (
                f"column '{columns[0]}': all values equal {centre:g}; a variance cannot be estimated from them; "
                "give the known one, Normal(variance=...)"
            )
            return Affine(np.asarray(centre), np.asarray(1.0), self.roles, lack)
        return Affine(np.asarray(centre), np.asarray(1.0 / scale), self.roles)

    def standard(self, params: Params) -> tuple[AbstractFrame, Params]:
        inside = {"mean": np.zeros(()), "variance": np.ones(())}
        if self.variance is not None:
            return Affine(params["mean"], np.ones(()), self.roles), {"mean": inside["mean"]}
        return Affine(params["mean"], 1.0 / np.sqrt(params["variance"]), self.roles), inside

    def about(self, params: Params) -> AbstractFamily:
        scale = 1.0 / jnp.sqrt(params["variance"]) if self.variance is None else jnp.ones(())
        return Within(self, Affine(params["mean"], scale, self.roles))

    def spread(self, params: Params) -> Array:
        return params["variance"] if self.variance is None else jnp.ones(())

    @property
    def roles(self) -> Roles:
        return {"mean": Location()} | ({} if self.variance is not None else {"variance": Variance()})


class LogNormal(AbstractExponentialFamily):
    """Log-normal distribution: log y is normal with the given mean and variance.

    T(y) = (log y, log² y), η = (μ/σ², −1/2σ²), h(y) = 1/y.

    **Parameters:** `mean` μ and `variance` σ² of log y.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.LogNormal()), [1.0, 1.0, 7.38905609893065])
        >>> round(float(fit.params["mean"]), 6)
        0.666667

    **Source:** Johnson, Kotz & Balakrishnan (1994), Continuous Univariate Distributions 1, ch. 14.
    """

    support = ABOVE_ZERO
    recovery = ("exp", 0, 0.0)
    roles: ClassVar = {"mean": Location(), "variance": Variance()}
    constraints: ClassVar = {"mean": Real(), "variance": Positive()}

    def statistic(self, y: Array) -> Array:
        return jnp.stack([jnp.log(y), jnp.log(y) ** 2])

    def natural(self, params: Params) -> Array:
        return _natural(params)

    def log_partition(self, natural: Array) -> Array:
        return _log_partition(natural)

    def log_base(self, y: Array) -> Array:
        return -jnp.log(y)

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        variance = -0.5 / natural[1]
        return scaled_mass(positive_log(lower), positive_log(upper), natural[0] * variance, variance)

    def estimate(self, mean: Array) -> Params:
        return _estimate(mean)

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jnp.exp(params["mean"] + jnp.sqrt(params["variance"]) * jax.random.normal(key))

    def features_of(self, y: Array) -> Array:
        return self.statistic(y)[:1]

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        return log_frame(self.roles, *cells_of(xs).ends_seen(weights))

    def framed(self, frame: AbstractFrame) -> AbstractFamily:
        return Normal() if isinstance(frame, Log) else self

    def standard(self, params: Params) -> tuple[AbstractFrame, Params]:
        inside = {"mean": np.zeros(()), "variance": np.ones(())}
        return Log(params["mean"], 1.0 / np.sqrt(params["variance"]), self.roles), inside

    def about(self, params: Params) -> AbstractFamily:
        return Within(Normal(), Log(params["mean"], 1.0 / jnp.sqrt(params["variance"]), self.roles))

    def spread(self, params: Params) -> Array:
        return params["variance"]
