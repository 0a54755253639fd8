"""Independent draws from one family, some perhaps not seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax import Array

from latens.cells import complete_cells
from latens.errors import ModelError
from latens.families.base import AbstractFamily
from latens.families.frame import AbstractFrame
from latens.models.base import AbstractModel, Rows
from latens.models.components import POINT, anywhere, collapsed, totals
from latens.numerics.space import Constraints, Params


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

    family: AbstractFamily

    def __check_init__(self) -> None:
        if not isinstance(self.family, AbstractFamily):
            raise ModelError(f"IID takes a family such as lt.Normal(), got {self.family!r}")

    @property
    def title(self) -> str:
        return f"IID: {self.family.title}"

    @property
    def constraints(self) -> Constraints:
        return dict(self.family.constraints)

    def potentials(self, params: Params) -> Array:
        return self.family.potential(params)

    def log_evidence(self, potentials: Array, x: Any) -> Array:
        return self.family.log_kernel(potentials, x)

    def estimate(self, stats: Array) -> Params | None:
        return self.family.maximise(stats) if self.finite else None

    @property
    def finite(self) -> bool:
        return self.family.linear

    def row_potentials(self, params: Params, x: Any) -> Array:
        return self.log_evidence(self.potentials(params), x)[None]

    def row_evidence(self, potentials: Array, x: Any) -> Array:
        return potentials[0]

    def read(self, data: Any) -> Rows:
        return Rows(*self.family.read(data))

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        self.family.require(xs, columns)

    def observe(self, xs: Any) -> Any:
        return self.family.observe(xs)

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        return self.family.frame(xs, weights, columns)

    def framed(self, frame: AbstractFrame) -> "IID":
        return IID(self.family.framed(frame))

    def start(self, xs: Any, weights: Array, frame: AbstractFrame, rng: np.random.Generator) -> Params:
        family = self.family.proxy
        potential = family.potential(anywhere(dict(family.constraints)))
        return self.family.maximise(totals(family.log_kernel, potential, complete_cells(xs), weights))

    def health(self, params: Params, n: Array) -> Array:
        return self.family.spread(params)[None] / POINT

    def ailment(self, part: int) -> str:
        return collapsed("the distribution")

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return self.family.axes(columns)

    def sample(self, params: Params, key: Array, like: Any = None) -> Any:
        return self.family.sample(params, key, like)
