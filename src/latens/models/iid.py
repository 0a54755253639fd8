"""Independent draws from one family, some perhaps not seen."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import complete_cells
from latens.data.reader import AbstractReader
from latens.families.base import AbstractFamily, no_family
from latens.families.frame import AbstractFrame
from latens.families.roles import Roles
from latens.models.base import AbstractModel, collapsed, least_spread
from latens.models.seeding import totals
from latens.numerics.compiling import by_size
from latens.numerics.space import Constraints, Params, Space


class IID(AbstractModel):
    """Independent, identically distributed rows: f(x | θ) = f(y | θ), or 1 where y was not seen (NaN).

    An unseen datum is missing data in EM's sense: the E-step fills in its expected statistic, which
    slows EM down by just the fraction of information it misses.

    **Arguments:** `family`: the distribution of a row.
    **Raises:** `ModelError` if that is not a family.
    **Example:**
        >>> import latens as lt
        >>> float(lt.fit(lt.IID(lt.Poisson()), [2, 4, 3]).params["rate"].round(6))
        3.0

    **Source:** Givens & Hoeting (2013), Computational Statistics, ex. 4.1 (two lifetimes, one missing).
    """

    usual_starts = 1

    family: AbstractFamily

    def __check_init__(self) -> None:
        if not isinstance(self.family, AbstractFamily):
            raise no_family("IID", self.family)

    @property
    def title(self) -> str:
        return f"IID: {self.family.title}"

    @property
    def constraints(self) -> Constraints:
        return dict(self.family.constraints)

    def potentials(self, params: Params) -> Any:
        return self.family.potential(params) if self.finite else params

    def log_evidence(self, potentials: Any, x: Any) -> Array:
        return (self.family.log_kernel if self.finite else self.family.row_kernel)(potentials, x)

    def evidence(self, params: Params, x: Any) -> Array:
        return self.family.log_kernel(self.family.potential(params), x)

    def estimate(self, stats: Array) -> Params | None:
        return self.family.maximise(stats) if self.finite else None

    @property
    def finite(self) -> bool:
        return self.family.linear

    def row_potentials(self, params: Params, x: Any, at: Params) -> Any:
        return self.potentials(params) if self.finite else self.family.row_potential(params, x, at)

    def suited(self, data: Any) -> "IID":
        return IID(self.family.suited(data))

    @property
    def reader(self) -> AbstractReader:
        return self.family

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        return self.family.frame(xs, weights, columns)

    def framed(self, frame: AbstractFrame) -> "IID":
        return IID(self.family.framed(frame))

    def start(self, xs: Any, weights: Array, frame: AbstractFrame, rng: np.random.Generator) -> Params:
        return _begin(self.family, xs, weights)

    def about(self, params: Params) -> "IID":
        return IID(self.family.about(params))

    def sum_of_terms(self, potentials: Array, stats: Array, n: Array) -> Array:
        return jnp.abs(potentials * stats).sum() / n if self.finite else jnp.zeros(())

    def mean_statistics(self, params: Params, like: Any) -> Array:
        return self.family.mean_totals(params, like)

    def pooled(self, xs: Any, weights: Array) -> Params:
        return _begin(self.family, xs, weights)

    def health(self, params: Params, n: Array) -> Array:
        return self.family.spread(params)[None] / least_spread(self.family.apart or not self.finite, n)

    def ailment(self, part: int) -> str:
        alone = getattr(self.family, "shape", None) == ()
        fewer = "" if alone else " or fewer columns, or restrict it (covariance='diagonal')"
        return collapsed("the distribution", f"give more rows{fewer}", alone=alone)

    @property
    def roles(self) -> Roles:
        return self.family.roles

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return self.family.axes(columns)

    def expected(self, params: Params, given: Any, x: Any) -> Any:
        return self.family.expected(params, x)

    def fill(self, params: Params, given: Any, key: Array, x: Any) -> Any:
        return self.family.fill(params, key, x)

    def sample(self, params: Params, key: Array, like: Any = None) -> Any:
        return self.family.sample(params, key, like)


def from_all(family: AbstractFamily, xs: Any, weights: Array) -> Params:
    """The M-step from what the rows are expected to be at some params."""
    proxy = family.proxy
    potential = proxy.potential(Space(proxy.constraints).centre)
    return family.maximise(totals(proxy.log_kernel, potential, complete_cells(xs), weights))


_begin = by_size()(from_all)
