"""The multivariate normal distribution with a full, diagonal or spherical covariance."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import Partial
from latens.errors import DataError, ModelError
from latens.families.base import AbstractExponentialFamily
from latens.families.frame import AbstractFrame, Affine
from latens.families.moments import moments
from latens.numerics.constraints import AbstractConstraint, Positive, PositiveDefinite, Real
from latens.numerics.space import Params


class _Gaussian(AbstractExponentialFamily):
    """What the three kinds share; each says how it writes the quadratic part."""

    d: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not (isinstance(self.d, int) and self.d >= 1):
            raise ModelError(f"MultivariateNormal: d must be a whole number of at least 1, got {self.d}")

    @property
    def title(self) -> str:
        kind = next(name for name, made in _KINDS.items() if made is type(self))
        return f"MultivariateNormal (d = {self.d}, {kind} covariance)"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.d,)

    def support(self, y: Array) -> Array:
        return jnp.all(jnp.isfinite(y))

    @property
    def words(self) -> str:
        return f"{self.d} finite numbers"

    def features(self, x: Any) -> Array:
        return x.value if isinstance(x, Partial) else x

    @property
    def pooled(self) -> frozenset[str]:
        return frozenset({"covariance", "variance"})


class FullNormal(_Gaussian):
    """Multivariate normal, full covariance: T(y) = (y, yᵢyⱼ for i ≤ j), η = (Σ⁻¹μ, −½Σ⁻¹ folded).

    A = ½ hᵀΣh + ½ log |2πΣ| with h = Σ⁻¹μ. Parameters `mean` (d,), `covariance` (d, d).
    """

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"mean": Real((self.d,)), "covariance": PositiveDefinite(self.d)}

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return {"mean": (columns,), "covariance": (columns, columns)}

    def _triangle(self) -> tuple[np.ndarray, np.ndarray]:
        return np.triu_indices(self.d)

    def statistic(self, y: Array) -> Array:
        # slices, not a gather: XLA fuses them into the matrix product's operand
        return jnp.concatenate([y] + [y[i] * y[i:] for i in range(self.d)])

    def natural(self, params: Params) -> Array:
        i, j = self._triangle()
        precision = jnp.linalg.inv(params["covariance"])
        return jnp.concatenate([precision @ params["mean"], -precision[i, j] * np.where(i == j, 0.5, 1.0)])

    def log_partition(self, natural: Array) -> Array:
        i, j = self._triangle()
        half = jnp.zeros((self.d, self.d)).at[i, j].set(natural[self.d :])
        factor = jnp.linalg.cholesky(-(half + half.T))
        z = jax.scipy.linalg.solve_triangular(factor, natural[: self.d], lower=True)
        return 0.5 * (z @ z + self.d * np.log(2 * np.pi)) - jnp.log(jnp.diag(factor)).sum()

    def estimate(self, mean: Array) -> Params:
        i, j = self._triangle()
        m, upper = mean[: self.d], mean[self.d :]
        second = jnp.zeros((self.d, self.d)).at[i, j].set(upper).at[j, i].set(upper)
        return {"mean": m, "covariance": second - jnp.outer(m, m)}

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        factor = jnp.linalg.cholesky(params["covariance"])
        return params["mean"] + factor @ jax.random.normal(key, (self.d,))

    def spread(self, params: Params) -> Array:
        return jnp.linalg.eigvalsh(params["covariance"]).min()

    def frame(self, xs: np.ndarray, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        centre, scale, correlation = moments(xs, weights, columns)
        try:
            factor = np.linalg.cholesky(correlation)
        except np.linalg.LinAlgError:
            factor = None
        if factor is None or np.diag(factor).min() < 1e-7:
            raise DataError(
                f"column '{columns[_dependent(correlation)]}' is a linear combination of the others over the "
                f"{np.count_nonzero(weights)} rows seen: a full covariance cannot be estimated; drop the column, "
                "give more rows, or use covariance='diagonal'"
            )
        return Affine(centre, np.linalg.inv(factor) / scale)


class DiagonalNormal(_Gaussian):
    """Multivariate normal, diagonal covariance: T(y) = (y, y²), η = (μ/v, −1/2v).

    Parameters `mean` (d,), `variance` v (d,).
    """

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"mean": Real((self.d,)), "variance": Positive((self.d,))}

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return {"mean": (columns,), "variance": (columns,)}

    def statistic(self, y: Array) -> Array:
        return jnp.concatenate([y, y * y])

    def natural(self, params: Params) -> Array:
        return jnp.concatenate([params["mean"] / params["variance"], -0.5 / params["variance"]])

    def log_partition(self, natural: Array) -> Array:
        linear, square = natural[: self.d], natural[self.d :]
        return (0.5 * jnp.log(jnp.pi / -square) - linear**2 / (4 * square)).sum()

    def estimate(self, mean: Array) -> Params:
        return {"mean": mean[: self.d], "variance": mean[self.d :] - mean[: self.d] ** 2}

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return params["mean"] + jnp.sqrt(params["variance"]) * jax.random.normal(key, (self.d,))

    def spread(self, params: Params) -> Array:
        return params["variance"].min()

    def frame(self, xs: np.ndarray, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        centre, scale, _ = moments(xs, weights, columns)
        return Affine(centre, 1.0 / scale)


class SphericalNormal(_Gaussian):
    """Multivariate normal, covariance v·I: T(y) = (y, |y|²), η = (μ/v, −1/2v).

    Parameters `mean` (d,), `variance` v (a scalar).
    """

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"mean": Real((self.d,)), "variance": Positive()}

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return {"mean": (columns,)}

    def statistic(self, y: Array) -> Array:
        return jnp.concatenate([y, (y @ y)[None]])

    def natural(self, params: Params) -> Array:
        return jnp.concatenate([params["mean"] / params["variance"], -0.5 / params["variance"][None]])

    def log_partition(self, natural: Array) -> Array:
        linear, square = natural[: self.d], natural[self.d]
        return 0.5 * self.d * jnp.log(jnp.pi / -square) - linear @ linear / (4 * square)

    def estimate(self, mean: Array) -> Params:
        centre = mean[: self.d]
        return {"mean": centre, "variance": (mean[self.d] - centre @ centre) / self.d}

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return params["mean"] + jnp.sqrt(params["variance"]) * jax.random.normal(key, (self.d,))

    def spread(self, params: Params) -> Array:
        return params["variance"]

    def frame(self, xs: np.ndarray, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        centre, scale, _ = moments(xs, weights, columns, constant_ok=True)
        # one scale for all columns: more would change what "spherical" means
        return Affine(centre, np.asarray(1.0 / np.sqrt(np.mean(scale**2))))


_KINDS: dict[str, type[_Gaussian]] = {
    "full": FullNormal,
    "diagonal": DiagonalNormal,
    "spherical": SphericalNormal,
}


def MultivariateNormal(d: int, covariance: str = "full") -> _Gaussian:
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


def _dependent(correlation: np.ndarray) -> int:
    """The first column that the columns before it determine."""
    for j in range(1, len(correlation)):
        if np.linalg.eigvalsh(correlation[: j + 1, : j + 1])[0] < 1e-14:
            return j
    return len(correlation) - 1
