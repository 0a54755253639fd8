"""The multivariate normal distribution with a full covariance."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import Patterned, Turned, cells_of
from latens.data.reader import Rows
from latens.data.table import rows_and_sets
from latens.errors import DataError, ModelError, counted
from latens.families.base import AbstractFamily
from latens.families.datum import Moments, Support
from latens.families.exponential import AbstractExponentialFamily
from latens.families.frame import AbstractFrame, Affine
from latens.families.moments import moments
from latens.families.roles import Covariance, Location
from latens.families.within import Within
from latens.numerics.constraints import AbstractConstraint, PositiveDefinite, Real
from latens.numerics.matrices import inverse_factor
from latens.numerics.space import Params

FLATTEST = 1e-13  # of the largest variance in any direction: what is below it is rounding of the matrix


class AbstractGaussian(AbstractExponentialFamily):
    """What the three kinds share; each says how it writes the quadratic part."""

    d: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not (isinstance(self.d, int) and self.d >= 1):
            raise ModelError(f"MultivariateNormal: d must be a whole number of at least 1, got {self.d}")

    @property
    def title(self) -> str:
        return f"MultivariateNormal (d = {self.d}, {self.kind} covariance)"

    @property
    @abstractmethod
    def kind(self) -> str:
        """Of covariance: full, diagonal or spherical."""

    @property
    def support(self) -> Support:
        return Support(f"{self.d} finite numbers", lambda y: jnp.all(jnp.isfinite(y)), shape=(self.d,))

    def read(self, data: Any) -> Rows:
        return Rows(*rows_and_sets(data, self.d))

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        cells_of(xs).require(columns)

    def features_of(self, y: Array) -> Array:
        return y


GOLDEN = (5**0.5 - 1) / 2  # its multiples spread evenly in [0, 1)


def standing_in(rows: np.ndarray) -> np.ndarray:
    """Rows with a value seen elsewhere in the column in place of every NaN, as a start may use them.

    Which one follows from the ranks of what was seen of the row: neither units nor the order of the rows, nor whether
    they are repeated, make a difference.
    """
    filled, gone = rows.copy(), np.isnan(rows)
    half = np.flatnonzero(gone.any(1))
    levels = [np.unique(column[~hole]) for column, hole in zip(rows.T, gone.T, strict=True)]
    place = np.zeros(len(half))
    for j, own in enumerate(levels):
        rank = np.searchsorted(own, rows[half, j]) + 1.0
        place += np.where(gone[half, j], 0.0, rank * (GOLDEN + j))
    for j, own in enumerate(levels):
        at = (place * GOLDEN ** (j + 1) % 1.0 * len(own)).astype(int)
        filled[half, j] = np.where(gone[half, j], own[at] if len(own) else 0.0, rows[half, j])
    return filled


class FullNormal(AbstractGaussian):
    """Multivariate normal, full covariance: T(y) = (y, yᵢyⱼ for i ≤ j), η = (Σ⁻¹μ, −½Σ⁻¹ folded).

    A = ½ hᵀΣh + ½ log |2πΣ| with h = Σ⁻¹μ. Parameters `mean` (d,), `covariance` (d, d).
    """

    kind = "full"
    roles: ClassVar = {"mean": Location(), "covariance": Covariance()}

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"mean": Real((self.d,)), "covariance": PositiveDefinite(self.d)}

    def _triangle(self) -> tuple[np.ndarray, np.ndarray]:
        return np.triu_indices(self.d)

    def statistic(self, y: Array) -> Array:
        # slices, not a gather: XLA fuses them into the matrix product's operand
        return jnp.concatenate([y] + [y[i] * y[i:] for i in range(self.d)])

    def natural(self, params: Params) -> Array:
        i, j = self._triangle()
        precision = jnp.linalg.inv(params["covariance"])
        return jnp.concatenate([precision @ params["mean"], -precision[i, j] * np.where(i == j, 0.5, 1.0)])

    def _precision(self, natural: Array) -> Array:
        half = jnp.zeros((self.d, self.d), natural.dtype).at[self._triangle()].set(natural[self.d :])
        return -(half + half.T)

    def log_partition(self, natural: Array) -> Array:
        factor = jnp.linalg.cholesky(self._precision(natural))
        z = jax.scipy.linalg.solve_triangular(factor, natural[: self.d], lower=True)
        return 0.5 * (z @ z + self.d * np.log(2 * np.pi)) - jnp.log(jnp.diag(factor)).sum()

    def marginal(self, potential: Array, seen: Array) -> Array:
        """(1 + p,) potentials of the cells seen (d,), the others integrated out one after the other.

        ∫ exp(c + h·y − y'Py/2) dyⱼ = exp(c + hⱼ²/2Pⱼⱼ + ½ log(2π/Pⱼⱼ) + (h − Pⱼhⱼ/Pⱼⱼ)·y − y'(P − PⱼPⱼ'/Pⱼⱼ)y/2):
        a step of the sweep, on a positive definite matrix stable in any order.

        **Source:** Beaton (1964), Res. Bull. 64-51, Educational Testing Service.
        """
        c, h, precision = self._swept(potential[0], potential[1 : 1 + self.d], self._precision(potential[1:]), seen)
        i, j = self._triangle()
        return jnp.concatenate([c[None], h, -precision[i, j] * np.where(i == j, 0.5, 1.0)])

    def _swept(self, c: Array, h: Array, precision: Array, seen: Array) -> tuple[Array, Array, Array]:
        def sweep(carry: tuple[Array, Array, Array], at: Array) -> tuple[tuple[Array, Array, Array], None]:
            c, h, precision = carry
            hidden = ~seen[at]
            column, pivot = precision[at], jnp.where(hidden, precision[at, at], 1.0)
            share = jnp.where(hidden, column / pivot, 0.0)
            gone = 0.5 * (h[at] ** 2 / pivot + jnp.log(2 * jnp.pi / pivot))
            left = precision - jnp.outer(share, column)
            return (c + jnp.where(hidden, gone, 0.0), h - share * h[at], left), None

        (c, h, precision), _ = jax.lax.scan(sweep, (c, h, precision), jnp.arange(self.d))
        return c, jnp.where(seen, h, 0.0), jnp.where(jnp.outer(seen, seen), precision, 0.0)

    def turned_kernel(self, potential: Array, x: Turned) -> Array:
        """Of a datum in coordinates of which the first were seen."""
        turned = x.turn.T @ self._precision(potential[1:]) @ x.turn
        c, h, precision = self._swept(potential[0], x.turn.T @ potential[1 : 1 + self.d], turned, x.seen)
        return c + h @ x.value - 0.5 * x.value @ precision @ x.value

    def patterned_kernel(self, potential: Array, x: Patterned) -> Array:
        """Of a datum of which some cells were seen."""
        return self.marginal(potential, x.seen) @ self.complete(jnp.where(x.seen, x.value, 0.0))

    def _given(self, params: Params, x: Any) -> tuple[Array, Array]:
        """(d,) mean and (d, d) covariance given the cells seen: Σ − Σ_s (Σ_ss)⁻¹ Σ_s', 0 for those."""
        mean, covariance = params["mean"], params["covariance"]
        seen = jnp.broadcast_to(x.seen, (self.d,))
        within = jnp.where(jnp.outer(seen, seen), covariance, jnp.eye(self.d))
        across = jnp.where(seen, covariance, 0.0)
        slope = jnp.linalg.solve(within, across.T).T
        there = mean + slope @ jnp.where(seen, x.value - mean, 0.0)
        return jnp.where(seen, x.value, there), covariance - slope @ across.T

    def expected(self, params: Params, x: Any) -> Moments:
        cells = cells_of(x)
        mean, covariance = self._given(params, cells)
        return Moments(mean, jnp.where(cells.seen, 0.0, jnp.diag(covariance)))

    def fill(self, params: Params, key: Array, x: Any) -> Array:
        cells = cells_of(x)
        if cells.complete:
            return jnp.asarray(x)
        mean, covariance = self._given(params, cells)
        values, vectors = jnp.linalg.eigh(covariance)  # singular along the cells seen
        draw = mean + vectors @ (jnp.sqrt(jnp.maximum(values, 0.0)) * jax.random.normal(key, (self.d,)))
        return jnp.where(cells.seen, cells.value, draw)

    def unseen_as_cells(self, xs: np.ndarray) -> Any:
        seen = ~np.isnan(xs)
        if (seen == seen[:, :1]).all():
            return super().unseen_as_cells(xs)
        return Patterned(standing_in(xs), seen)

    def read(self, data: Any) -> Rows:
        rows, names, _ = super().read(data)
        kinds = cells_of(rows).kinds
        half = np.any([flags for kind, flags in kinds.items() if kind != "missing"], 0)
        if half.any():
            row, j = np.argwhere(half)[0]
            raise DataError(
                f"row {row}, column '{names[j]}': an interval; with a full covariance a cell is seen or missing, "
                "since no closed form integrates several intervals at once; use covariance='diagonal', or a "
                "mixture of diagonal normals, for intervals"
            )
        return Rows(rows, names)

    def estimate(self, mean: Array) -> Params:
        i, j = self._triangle()
        m, upper = mean[: self.d], mean[self.d :]
        second = jnp.zeros((self.d, self.d)).at[i, j].set(upper).at[j, i].set(upper)
        return {"mean": m, "covariance": second - jnp.outer(m, m)}

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        factor = jnp.linalg.cholesky(params["covariance"])
        return params["mean"] + factor @ jax.random.normal(key, (self.d,))

    def standard(self, params: Params) -> tuple[AbstractFrame, Params]:
        whiten = inverse_factor(np.asarray(params["covariance"]))
        return Affine(np.asarray(params["mean"]), whiten, self.roles), {
            "mean": np.zeros(self.d),
            "covariance": np.eye(self.d),
        }

    def log_densities(self, params: Params, rows: Any) -> np.ndarray:
        xs = self.observe(rows)
        if cells_of(xs).patterns is None:
            return super().log_densities(params, rows)
        frame, inside = self.standard(params)
        within = Within(self, frame)
        return np.asarray(jax.vmap(within.log_kernel, (None, 0))(self.potential(inside), xs))

    def about(self, params: Params) -> AbstractFamily:
        factor = jnp.linalg.cholesky(params["covariance"])
        whiten = jax.scipy.linalg.solve_triangular(factor, jnp.eye(self.d), lower=True)
        return Within(self, Affine(params["mean"], whiten, self.roles))

    def spread(self, params: Params) -> Array:
        values = jnp.linalg.eigvalsh(params["covariance"])
        return jnp.where(values[0] > FLATTEST * values[-1], values[0], 0.0)

    def frame(self, xs: np.ndarray, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        centre, scale, correlation, lack = moments(xs, weights, columns)
        unseen = np.isnan(xs)
        if lack or (unseen != unseen[:, :1]).any():
            # a rotation would need the cells that are missing
            return Affine(centre, 1.0 / scale, self.roles, lack)
        try:
            factor = np.linalg.cholesky(correlation)
        except np.linalg.LinAlgError:
            factor = None
        if factor is None or np.diag(factor).min() < 1e-7:
            lack = (
                f"column '{columns[_dependent(correlation)]}' is a linear combination of the others over the "
                f"{counted(int(np.count_nonzero(weights)), 'row')} seen: a full covariance cannot be estimated; drop "
                "the column, give more rows, a prior with params, or use covariance='diagonal'"
            )
            return Affine(centre, 1.0 / scale, self.roles, lack)
        return Affine(centre, np.linalg.inv(factor) / scale, self.roles)


def _dependent(correlation: np.ndarray) -> int:
    """The first column that the columns before it determine."""
    for j in range(1, len(correlation)):
        if np.linalg.eigvalsh(correlation[: j + 1, : j + 1])[0] < 1e-14:
            return j
    return len(correlation) - 1
