"""Params as users see them, and the free coordinates that are computed in."""

from copy import copy
from functools import cached_property
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.engine.maps import AbstractMap
from latens.families.frame import AbstractFrame
from latens.models.base import AbstractModel
from latens.numerics.compiling import once
from latens.numerics.precision import double
from latens.numerics.space import Label, Params, Space
from latens.numerics.stacked import Chart


@once
def to_free(space: Space, params: Params) -> Array:
    """Params in the frame → free coordinates."""
    return space.free(params)


@once
def _entered(space: Space, frame: AbstractFrame, params: Params) -> Array:
    return space.free(frame.enter(params))


@once
def _left(space: Space, frame: AbstractFrame, free: Array) -> Params:
    return frame.leave(space.params(free))


class AbstractCoordinates(AbstractMap):
    """The way between params in the units of the data and points of the map: the frame, then the constraints."""

    model: AbstractModel  # in the frame
    columns: tuple[str, ...]  # names of those of the data
    space: Space
    frame: AbstractFrame

    def but(self, **changes: Any) -> Self:
        """The same with some of it changed."""
        other = copy(self)
        vars(other).update(changes)
        return other

    @double
    def free(self, params: Params, what: str = "start") -> np.ndarray:
        """Users' params → free coordinates in the frame; raises `ParameterError`."""
        return np.asarray(_entered(self.space, self.frame, self.space.check(params, what)))

    @double
    def params(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """Free coordinates → params as users see them, as NumPy arrays."""
        found = _left(self.space, self.frame, jnp.asarray(free))
        return {name: np.asarray(found[name]) for name in self.space.shapes}

    def outside(self, free: Array) -> Params:
        """The same within a computation."""
        return self.frame.leave(self.space.params(free))

    def inside(self, free: Array) -> Params:
        """Free coordinates → params in the frame."""
        return self.space.params(free)

    def carried(self, free: np.ndarray, other: "AbstractCoordinates") -> np.ndarray:
        """A point in the free coordinates that the other's frame has."""
        return free if other.frame is self.frame else other.free(self.params(free), "params")

    @property
    def centre(self) -> Array:
        """(p,) the origin of the free coordinates."""
        return jnp.asarray(np.zeros(self.space.size))  # jnp.zeros would compile

    @cached_property
    def labels(self) -> list[Label]:
        """Of every scalar, its parameter and its entry."""
        return self.space.labels(self.model.axes(self.columns))

    @cached_property
    def names(self) -> list[str]:
        """The same as texts."""
        return list(map(str, self.labels))

    @cached_property
    def _chart(self) -> Chart:
        return Chart(self.space.constraints.values())

    def chart(self, free: np.ndarray) -> np.ndarray:
        return self._chart.chart(free)

    def unchart(self, point: np.ndarray) -> np.ndarray:
        return self._chart.unchart(point)
