"""A family in coordinates of its own, for data in others."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from jax import Array

from latens.families.datum import AbstractDatum, Support
from latens.families.frame import AbstractFrame
from latens.families.roles import Roles
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.space import Params


def _asked_of_given(self: Any, *args: Any, **settings: Any) -> NoReturn:
    raise NotImplementedError("asked of the family that users gave")


class AbstractInside(AbstractDatum):
    """A family as computations see it. Draws, expectations and the like are asked of the one that users gave."""

    sample = set_moments = whole_moments = read = _asked_of_given


class AbstractOver(AbstractDatum):
    """A family made of another one, which may have params of its own."""

    family: Any

    def _enter(self, params: Params) -> Params:
        """The params of the other one."""
        return params

    def _leave(self, params: Params) -> Params:
        """The inverse."""
        return params

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return self.family.constraints

    @property
    def linear(self) -> bool:
        return self.family.linear

    @property
    def apart(self) -> bool:
        return self.family.apart

    def potential(self, params: Params) -> Array:
        return self.family.potential(self._enter(params))

    def maximise(self, totals: Array) -> Params:
        return self._leave(self.family.maximise(totals))

    def mean_totals(self, params: Params, like: Any) -> Array:
        return self.family.mean_totals(self._enter(params), like)

    def spread(self, params: Params) -> Array:
        return self.family.spread(self._enter(params))


class Moved(AbstractInside, AbstractOver):
    """The distribution of y whose image z in some coordinates has the family's.

        log f(y) = log f(z) + log |∂z/∂y|

    What a component of a mixture computes with where the coordinates of all would cost it digits.
    """

    coordinates: AbstractFrame

    @property
    def title(self) -> str:
        return self.family.title

    @property
    def proxy(self) -> "Moved":
        return type(self)(self.family.proxy, self.coordinates)

    @property
    def roles(self) -> Roles:
        return dict(self.family.roles)

    @property
    def support(self) -> Support:
        inside: Support = self.family.support
        return replace(inside, holds=lambda y: inside(self.coordinates.move(y)))

    def about(self, params: Params) -> "Moved":
        return type(self)(self.family.about(self._enter(params)), self.coordinates)

    def log_kernel(self, potential: Array, x: Any) -> Array:
        return self.family.log_kernel(potential, self.coordinates.move(x)) + self.coordinates.log_slope(x)

    def exact_kernel(self, potential: Array, y: Array) -> Array:
        return self.family.exact_kernel(potential, self.coordinates.move(y)) + self.coordinates.log_slope(y)

    def whole_kernel(self, potential: Array, y: Array) -> Array:
        return self.family.whole_kernel(potential, self.coordinates.move(y))

    def set_kernel(self, potential: Array, lower: Array, upper: Array) -> Array:
        return self.family.set_kernel(potential, self.coordinates.move(lower), self.coordinates.move(upper))

    def row_potential(self, params: Params, x: Any, at: Params) -> Any:
        return self.family.row_potential(self._enter(params), self.coordinates.move(x), self._enter(at))

    def row_kernel(self, potential: Any, x: Any) -> Array:
        return self.family.row_kernel(potential, self.coordinates.move(x)) + self.coordinates.log_slope(x)

    def features(self, x: Any) -> Array:
        return self.family.features(self.coordinates.move(x))

    def observe(self, xs: Any) -> Any:
        return self.family.observe(xs)

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return dict(self.family.axes(columns))


class Within(Moved):
    """The same under params that are those of y, not of z: in coordinates of one distribution of the family."""

    apart = True

    def _enter(self, params: Params) -> Params:
        return self.coordinates.enter(params)

    def _leave(self, params: Params) -> Params:
        return self.coordinates.leave(params)


class Reexpressed(Moved):
    """The same data under other params: those that the family's own have in the frame."""

    def _enter(self, params: Params) -> Params:
        return self.coordinates.leave(params)

    def _leave(self, params: Params) -> Params:
        return self.coordinates.enter(params)
