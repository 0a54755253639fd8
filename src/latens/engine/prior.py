"""Conjugate priors, as statistics that were seen before the data."""

from copy import deepcopy
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import are_cells, cells_of
from latens.errors import ModelError
from latens.families.frame import AbstractFrame
from latens.families.roles import Covariance, Variance
from latens.models.base import AbstractModel
from latens.numerics.asked import number
from latens.numerics.compiling import once
from latens.numerics.space import Params, Space

NARROW = 0.25  # of a covariance: what observations so narrow have not is three quarters of it


@dataclass(frozen=True)
class Prior:
    """A conjugate prior worth so many complete observations: log p(θ) = weight · <φ(θ), E[S(Y) | params]> + const.

    Its mode is at `params`, and EM under it adds `weight · E[S | params]` to the expected statistics, so a component
    can neither die nor collapse. Estimates are then maximum a posteriori (MAP), and reports say so.

    **Arguments:** `weight`: in observations, each of the trials or the exposure that the data have on average;
    `params`: as in `start`; None (default) for those of all rows taken together (for a mixture: every component like
    the whole sample, all equally likely). With params given, data too few to estimate from alone will do.
    **Raises:** `ParameterError` for a weight that is not a positive number.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Poisson()), [0, 0, 0], prior=lt.Prior(1.0, {"rate": 4.0}))
        >>> float(fit.params["rate"].round(6))
        1.0

    **Source:** Diaconis & Ylvisaker (1979), Ann. Stat. 7, 269; Fraley & Raftery (2007), J. Classif. 24, 155.
    """

    weight: float
    params: Params | None = None

    @property
    def apart(self) -> bool:
        """Whether it tells components apart."""
        return self.params is not None

    @property
    def words(self) -> str:
        """What its observations are like, in a sentence."""
        return f"like {'all rows taken together' if self.params is None else 'params that were given'}"

    def __post_init__(self) -> None:
        number(self.weight, "Prior: the weight", "a positive number of observations", 0.0, inf)
        object.__setattr__(self, "params", deepcopy(self.params))  # the caller may change the original

    def bound(self, model: AbstractModel, frame: AbstractFrame, xs: Any, weights: Any) -> "Seen | Floor":
        """What it stands for, in the frame: observations as large as the data's are on average."""
        return Seen(jnp.asarray(self.weight), *self._of(model, frame, xs, weights))

    def _of(self, model: AbstractModel, frame: AbstractFrame, xs: Any, weights: Any) -> tuple[Params, Any]:
        if not model.finite:
            raise ModelError(f"{model.title} has no finite statistic, so no conjugate prior: fit it without prior=")
        space = Space(model.constraints)
        if self.params is None:
            params = model.pooled(xs, jnp.asarray(weights))
        else:
            params = _entered(frame, space.check(self.params, "prior"))
        share = np.asarray(weights) / np.sum(weights)
        like = jax.tree.map(lambda leaf: cells_of(leaf).on_average(share), xs, is_leaf=are_cells)
        return params, like


@dataclass(frozen=True)
class Ridge(Prior):
    """A floor for the spread of normals: log p(θ) = −weight/2 Σ_j w_j tr(D Σ_j⁻¹), D the covariance in `params`.

    EM under it adds `weight · w_j D` to the expected squares about each mean, and nothing to what tells means and
    weights: wherever components are, each keeps some spread.
    """

    @property
    def apart(self) -> bool:
        return False

    @property
    def words(self) -> str:
        return "for the spread of the components alone"

    def bound(self, model: AbstractModel, frame: AbstractFrame, xs: Any, weights: Any) -> "Floor":
        """What it stands for, in the frame."""
        params, like = self._of(model, frame, xs, weights)
        names = [name for name, role in model.roles.items() if isinstance(role, Covariance | Variance)]
        narrow = {name: value * NARROW if name in names else value for name, value in params.items()}
        return Floor(jnp.asarray(self.weight / (1 - NARROW)), params, narrow, like)


class Seen(NamedTuple):
    """Observations before the data: how many, at which params in the frame, and one like them on average."""

    weight: Array
    params: Params
    like: Any

    def statistics(self, model: AbstractModel) -> Any:
        """Their statistics, as the model reckons them."""
        return jax.tree.map(lambda leaf: self.weight * leaf, model.mean_statistics(self.params, self.like))


class Floor(NamedTuple):
    """The squares that observations at params have more than narrower ones about the same means."""

    weight: Array
    params: Params
    narrow: Params
    like: Any

    def statistics(self, model: AbstractModel) -> Any:
        """Their statistics, as the model reckons them."""
        wide, narrow = (model.mean_statistics(params, self.like) for params in (self.params, self.narrow))
        return jax.tree.map(lambda more, less: self.weight * (more - less), wide, narrow)


@once
def statistics_of(seen: Seen | Floor, model: AbstractModel) -> Any:
    """The same, compiled: op by op it takes a second."""
    return seen.statistics(model)


@once
def _entered(frame: AbstractFrame, params: Params) -> Params:
    return frame.enter(params)


def prior_of(given: "Prior | float | None") -> Prior | None:
    """A number is the weight of the usual prior."""
    if given is None or isinstance(given, Prior):
        return given
    return Prior(number(given, "prior", "lt.Prior(...) or its weight, a positive number of observations", 0.0, inf))
