"""The multivariate normal distribution, by its kind of covariance."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import Interval, Partial, between, cells_of
from latens.errors import ModelError
from latens.families.base import AbstractFamily
from latens.families.datum import Moments
from latens.families.frame import AbstractFrame, Affine
from latens.families.full_normal import AbstractGaussian, FullNormal, standing_in
from latens.families.moments import moments
from latens.families.normal import Normal, scaled_mass
from latens.families.roles import Location, Variance
from latens.families.within import Within
from latens.numerics.constraints import AbstractConstraint, Positive, Real
from latens.numerics.space import Params


class AbstractSeparable(AbstractGaussian):
    """An unseen cell integrates to exp(½ log(π/−η₂) − η₁²/4η₂), an interval to that times its probability."""

    roles: ClassVar = {"mean": Location(), "variance": Variance()}

    @abstractmethod
    def cells(self, natural: Array) -> tuple[Array, Array]:
        """The linear and the quadratic natural parameter of every cell: (d,), (d,)."""

    def missing_kernel(self, potential: Array, x: Partial) -> Array:
        seen = jnp.broadcast_to(x.seen, (self.d,))
        return self._among(potential, x.value, seen, self._whole(*self.cells(potential[1:])))

    def interval_kernel(self, potential: Array, x: Interval) -> Array:
        linear, square = self.cells(potential[1:])
        whole, variance = self._whole(linear, square), -0.5 / square
        lower, upper = jnp.where(x.seen, -jnp.inf, x.lower), jnp.where(x.seen, jnp.inf, x.upper)
        within = jnp.vectorize(scaled_mass)(lower, upper, linear * variance, variance)
        return self._among(potential, x.value, x.seen, whole + within)

    @staticmethod
    def _whole(linear: Array, square: Array) -> Array:
        return 0.5 * jnp.log(jnp.pi / -square) - linear**2 / (4 * square)

    def _among(self, potential: Array, value: Array, seen: Array, others: Array) -> Array:
        """What the cells seen contribute, and these logarithms of integrals for the others."""
        return potential @ self.complete(jnp.where(seen, value, 0.0)) + jnp.where(seen, 0.0, others).sum()

    def standard(self, params: Params) -> tuple[AbstractFrame, Params]:
        inside = {"mean": np.zeros(self.d), "variance": np.ones(np.shape(params["variance"]))}
        return Affine(params["mean"], 1.0 / np.sqrt(params["variance"]), self.roles), inside

    def about(self, params: Params) -> AbstractFamily:
        return Within(self, Affine(params["mean"], 1.0 / jnp.sqrt(params["variance"]), self.roles))

    def _each(self, params: Params) -> Params:
        return {name: jnp.broadcast_to(value, (self.d,)) for name, value in params.items()}

    def expected(self, params: Params, x: Any) -> Moments:
        return jax.vmap(Normal().expected)(self._each(params), between(x))

    def fill(self, params: Params, key: Array, x: Any) -> Array:
        return jax.vmap(Normal().fill)(self._each(params), jax.random.split(key, self.d), between(x))

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return params["mean"] + jnp.sqrt(params["variance"]) * jax.random.normal(key, (self.d,))

    def spread(self, params: Params) -> Array:
        return params["variance"].min()

    def unseen_as_cells(self, xs: np.ndarray) -> Partial:
        return Partial(standing_in(xs), ~np.isnan(xs))


class DiagonalNormal(AbstractSeparable):
    """Multivariate normal, diagonal covariance: T(y) = (y, y²), η = (μ/v, −1/2v).

    Parameters `mean` (d,), `variance` v (d,).
    """

    kind = "diagonal"

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"mean": Real((self.d,)), "variance": Positive((self.d,))}

    def statistic(self, y: Array) -> Array:
        return jnp.concatenate([y, y * y])

    def natural(self, params: Params) -> Array:
        return jnp.concatenate([params["mean"] / params["variance"], -0.5 / params["variance"]])

    def log_partition(self, natural: Array) -> Array:
        linear, square = natural[: self.d], natural[self.d :]
        return (0.5 * jnp.log(jnp.pi / -square) - linear**2 / (4 * square)).sum()

    def cells(self, natural: Array) -> tuple[Array, Array]:
        return natural[: self.d], natural[self.d :]

    def estimate(self, mean: Array) -> Params:
        return {"mean": mean[: self.d], "variance": mean[self.d :] - mean[: self.d] ** 2}

    def frame(self, xs: np.ndarray, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        values, weights = cells_of(xs).ends_seen(weights)
        centre, scale, _, lack = moments(values, weights, columns)
        return Affine(centre, 1.0 / scale, self.roles, lack)


class SphericalNormal(AbstractSeparable):
    """Multivariate normal, covariance v·I: T(y) = (y, |y|²), η = (μ/v, −1/2v).

    Parameters `mean` (d,), `variance` v (a scalar).
    """

    kind = "spherical"

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"mean": Real((self.d,)), "variance": Positive()}

    def statistic(self, y: Array) -> Array:
        return jnp.concatenate([y, (y @ y)[None]])

    def natural(self, params: Params) -> Array:
        return jnp.concatenate([params["mean"] / params["variance"], -0.5 / params["variance"][None]])

    def log_partition(self, natural: Array) -> Array:
        linear, square = natural[: self.d], natural[self.d]
        return 0.5 * self.d * jnp.log(jnp.pi / -square) - linear @ linear / (4 * square)

    def cells(self, natural: Array) -> tuple[Array, Array]:
        return natural[: self.d], jnp.broadcast_to(natural[self.d], (self.d,))

    def estimate(self, mean: Array) -> Params:
        centre = mean[: self.d]
        return {"mean": centre, "variance": (mean[self.d] - centre @ centre) / self.d}

    def frame(self, xs: np.ndarray, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        values, weights = cells_of(xs).ends_seen(weights)
        centre, scale, _, lack = moments(values, weights, columns, constant_ok=True)
        # one scale for all columns: more would change what "spherical" means
        return Affine(centre, np.asarray(1.0 / np.sqrt(np.mean(scale**2))), self.roles, lack)


_KINDS: dict[str, type[AbstractGaussian]] = {
    "full": FullNormal,
    "diagonal": DiagonalNormal,
    "spherical": SphericalNormal,
}


def MultivariateNormal(d: int, covariance: str = "full") -> AbstractGaussian:
    """Multivariate normal distribution: f(y) = |2πΣ|^(−1/2) exp(−½ (y − μ)ᵀ Σ⁻¹ (y − μ)).

    **Arguments:** `d`: the number of columns; `covariance`: "full", "diagonal" or "spherical".
    **Parameters:** `mean` (d,), and `covariance` (d, d) when full, `variance` (d,) when diagonal,
    `variance` () when spherical; in (squared) units of the columns.
    **Raises:** `ModelError` for another kind, or d below 1.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), [[0.0, 1.0], [2.0, 1.0], [1.0, 4.0]])
        >>> fit.params["mean"].round(6).tolist()
        [1.0, 2.0]

    **Source:** Anderson (2003), An Introduction to Multivariate Statistical Analysis, ch. 3.
    """
    if covariance not in _KINDS:
        raise ModelError(f"MultivariateNormal: covariance must be one of {', '.join(_KINDS)}; got {covariance!r}")
    return _KINDS[covariance](d)
