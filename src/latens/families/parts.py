"""Coordinates of the parts of a model: columns of a table, components of a mixture."""

from collections.abc import Collection, Iterator
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.families.frame import AbstractFrame
from latens.numerics.space import Params


class AbstractParts(AbstractFrame):
    """One frame for each part of the parameters, those of which are called "part.name"."""

    parts: tuple[str, ...] = eqx.field(static=True)
    names: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    frames: tuple[AbstractFrame, ...]

    def _each(self, params: Params, way: str) -> Params:
        out = dict(params)
        for part, names, frame in zip(self.parts, self.names, self.frames, strict=True):
            own = {name: params[f"{part}.{name}"] for name in names}
            out |= {f"{part}.{name}": value for name, value in getattr(frame, way)(own).items()}
        return out

    @property
    def lack(self) -> str:
        return next((frame.lack for frame in self.frames if frame.lack), "")

    def sharing(self, names: Collection[str]) -> AbstractFrame:
        pairs = zip(self.parts, self.names, self.frames, strict=True)
        frames = [f.sharing([n for n in own if f"{part}.{n}" in names]) for part, own, f in pairs]
        return eqx.tree_at(lambda parts: parts.frames, self, tuple(frames))

    def enter(self, params: Params) -> Params:
        return self._each(params, "enter")

    def leave(self, params: Params) -> Params:
        return self._each(params, "leave")


class ByColumn(AbstractParts):
    """One frame for each column of a table."""

    def _pairs(self) -> Iterator[tuple[str, AbstractFrame]]:
        return zip(self.parts, self.frames, strict=True)

    def apply(self, xs: dict[str, Any]) -> dict[str, Any]:
        return {c: frame.apply(xs[c]) for c, frame in self._pairs()}

    def undo(self, xs: dict[str, Any]) -> dict[str, Any]:
        return {c: frame.undo(xs[c]) for c, frame in self._pairs()}

    def unmixed(self, xs: dict[str, Any]) -> dict[str, Any]:
        return {c: frame.unmixed(xs[c]) for c, frame in self._pairs()}

    def move(self, x: dict[str, Any]) -> dict[str, Any]:
        return {c: frame.move(x[c]) for c, frame in self._pairs()}

    def log_slope(self, x: dict[str, Any]) -> Array:
        return jnp.stack([frame.log_slope(x[c]) for c, frame in self._pairs()]).sum()

    def log_jacobian(self, xs: dict[str, Any]) -> np.ndarray | float:
        return sum((frame.log_jacobian(xs[c]) for c, frame in self._pairs()), start=0.0)


class ByComponent(AbstractParts):
    """The data in one frame, the parameters of each component as they are in a frame of its own."""

    data: AbstractFrame

    def suiting(self, xs: Any) -> AbstractFrame:
        data = self.data.suiting(xs)
        if data is self.data:
            return self
        return ByComponent(self.parts, self.names, tuple(frame.suiting(xs) for frame in self.frames), data)

    def apply(self, xs: Any) -> Any:
        return self.data.apply(xs)

    def undo(self, xs: Any) -> Any:
        return self.data.undo(xs)

    def unmixed(self, xs: Any) -> Any:
        return self.data.unmixed(xs)

    def move(self, x: Any) -> Any:
        return self.data.move(x)

    def log_slope(self, x: Any) -> Array:
        return self.data.log_slope(x)

    def log_jacobian(self, xs: Any) -> np.ndarray | float:
        return self.data.log_jacobian(xs)
