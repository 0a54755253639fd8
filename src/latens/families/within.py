"""A family in coordinates of its own, for data in others."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import jax.numpy as jnp
from jax import Array

from latens.families.base import AbstractFamily
from latens.families.datum import AbstractDatum
from latens.families.frame import AbstractFrame
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.space import Params


class Within(AbstractDatum):
    """The distribution of y whose image in the frame has the family's, each under its own params.

        log f(y) = log f_frame(z) + log |∂z/∂y|

    What a component of a mixture computes with where the coordinates of all would cost it digits. Draws,
    expectations and the like are asked of the family that users gave.
    """

    family: Any  # as it is in the frame
    frame: AbstractFrame

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return self.family.constraints  # type: ignore[no-any-return]

    @property
    def title(self) -> str:
        return str(self.family.title)

    @property
    def linear(self) -> bool:
        return bool(self.family.linear)

    @property
    def proxy(self) -> "Within":
        return Within(self.family.proxy, self.frame)

    @property
    def pooled(self) -> frozenset[str]:
        return frozenset(self.family.pooled)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.family.shape)

    @property
    def words(self) -> str:
        return str(self.family.words)

    def support(self, y: Array) -> Array:
        return jnp.asarray(self.family.support(self.frame.move(y)))

    def about(self, params: Params) -> "Within":
        return Within(self.family.about(self.frame.enter(params)), self.frame)

    def potential(self, params: Params) -> Array:
        return jnp.asarray(self.family.potential(self.frame.enter(params)))

    def log_kernel(self, potential: Array, x: Any) -> Array:
        return self.family.log_kernel(potential, self.frame.move(x)) + self.frame.log_slope(x)

    def exact_kernel(self, potential: Array, y: Array) -> Array:
        return self.family.exact_kernel(potential, self.frame.move(y)) + self.frame.log_slope(y)

    def whole_kernel(self, potential: Array, y: Array) -> Array:
        return jnp.asarray(self.family.whole_kernel(potential, self.frame.move(y)))

    def set_kernel(self, potential: Array, lower: Array, upper: Array) -> Array:
        return jnp.asarray(self.family.set_kernel(potential, self.frame.move(lower), self.frame.move(upper)))

    def row_potential(self, params: Params, x: Any, at: Params) -> Any:
        return self.family.row_potential(self.frame.enter(params), self.frame.move(x), self.frame.enter(at))

    def row_kernel(self, potential: Any, x: Any) -> Array:
        return self.family.row_kernel(potential, self.frame.move(x)) + self.frame.log_slope(x)

    def maximise(self, totals: Array) -> Params:
        return self.frame.leave(self.family.maximise(totals))

    def mean_totals(self, params: Params, like: Any) -> Array:
        return jnp.asarray(self.family.mean_totals(self.frame.enter(params), like))

    def spread(self, params: Params) -> Array:
        return jnp.asarray(self.family.spread(self.frame.enter(params)))

    def features(self, x: Any) -> Array:
        return jnp.asarray(self.family.features(self.frame.move(x)))

    def observe(self, xs: Any) -> Any:
        return self.family.observe(xs)

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return dict(self.family.axes(columns))

    def _elsewhere(self, *arguments: Any) -> NoReturn:
        raise NotImplementedError("asked of the family that users gave")

    sample = set_moments = whole_moments = read = _elsewhere
