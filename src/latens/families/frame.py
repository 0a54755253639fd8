"""Coordinates a fit runs in: data are moved there, results are moved back.

Sums of squares lose digits far from the origin, and a flat quadratic form is only as good as its
coordinates; so each family names a map it is equivariant under, and the engine uses it.
"""

from abc import abstractmethod
from collections.abc import Collection
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import as_read, cells_of
from latens.families.moments import by_blocks, standard
from latens.families.roles import Roles, pairs, times
from latens.numerics.memory import own
from latens.numerics.space import Params
from latens.numerics.special import positive_log


class AbstractFrame(eqx.Module):
    """An invertible change of coordinates of the data, and what it does to the parameters."""

    @abstractmethod
    def apply(self, xs: Any) -> Any:
        """All rows (NumPy, leading axis n) into the frame, in memory that is not the caller's."""

    @abstractmethod
    def undo(self, xs: Any) -> Any:
        """All rows, as observed in the frame, back: a stand-in stays where nothing was seen."""

    @abstractmethod
    def move(self, x: Any) -> Any:
        """ONE datum, as observed, into the frame: what `apply` does, within a computation."""

    @abstractmethod
    def log_slope(self, x: Any) -> Array:
        """log |∂ frame / ∂ datum| of ONE datum, of what was seen exactly of it."""

    def unmixed(self, xs: Any) -> Any:
        """All rows in the frame with their columns as given but for units: none is a mixture of several."""
        return xs

    def sharing(self, names: Collection[str]) -> "AbstractFrame":
        """This frame, or one that leaves params alone where only some of those that it mixes are one for all."""
        return self

    def at_home(self, xs: Any, begins: np.ndarray) -> np.ndarray:
        """(g,) which groups of rows in the frame, each from where it begins, need no frame of their own."""
        return np.zeros(len(begins), dtype=bool)

    @abstractmethod
    def enter(self, params: Params) -> Params:
        """Parameters for the data as given → parameters for the data in the frame."""

    @abstractmethod
    def leave(self, params: Params) -> Params:
        """The inverse of `enter`."""

    @property
    def separate(self) -> "AbstractFrame":
        """This frame, or one like it that does not mix columns, so that single cells of a row may be unseen."""
        return self

    def suiting(self, xs: Any) -> "AbstractFrame":
        """This frame, or for rows of which single cells were not seen the one that does not mix columns."""
        return self

    @abstractmethod
    def log_jacobian(self, xs: Any) -> np.ndarray | float:
        """(n,) log |∂ frame / ∂ data| per row; add it to a log-density in the frame."""

    @property
    def lack(self) -> str:
        """Why the data from which it was made do not suffice to estimate from, unless a prior says more; or nothing."""
        return ""


class Identity(AbstractFrame):
    """No change."""

    def apply(self, xs: Any) -> Any:
        return jax.tree.map(own, xs)

    def undo(self, xs: Any) -> Any:
        return xs

    def move(self, x: Any) -> Any:
        return x

    def log_slope(self, x: Any) -> Array:
        return jnp.zeros(())

    def at_home(self, xs: Any, begins: np.ndarray) -> np.ndarray:
        return np.ones(len(begins), dtype=bool)

    def enter(self, params: Params) -> Params:
        return params

    def leave(self, params: Params) -> Params:
        return params

    def log_jacobian(self, xs: Any) -> float:
        return 0.0


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


class ByComponent(AbstractParts):
    """The data in one frame, the parameters of each component as they are in a frame of its own."""

    data: AbstractFrame

    @property
    def separate(self) -> AbstractFrame:
        return ByComponent(self.parts, self.names, tuple(frame.separate for frame in self.frames), self.data.separate)

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


class Affine(AbstractFrame):
    """z = (y − shift) @ matrixᵀ for vectors, z = (y − shift) · scale for scalars and columns.

    Parameters follow by their roles, with any leading axes.
    """

    shift: Any  # () or (d,)
    matrix: Any  # (d, d) lower triangular, or () or (d,) scales
    roles: Any = eqx.field(static=True, converter=pairs)  # (name, role) of each parameter
    lack: str = eqx.field(static=True, default="")

    def _moved(self, y: Any) -> Any:
        return times(y - self.shift, self.matrix)

    def apply(self, xs: Any) -> Any:
        return cells_of(xs).mapped(lambda rows: by_blocks(self._moved, rows))

    def undo(self, xs: Any) -> Any:
        return cells_of(xs).mapped(lambda z: times(z, self._inverse) + self.shift)

    def unmixed(self, xs: Any) -> Any:
        return self.undo(xs)

    def move(self, x: Any) -> Any:
        cells = cells_of(x)
        return cells.mixed(self.shift, self.matrix) if self.matrix.ndim == 2 else cells.mapped(self._moved)

    def log_slope(self, x: Any) -> Array:
        cells = cells_of(x)
        if self.matrix.ndim == 2:
            return jnp.asarray(cells.mixed_slope(self.shift, self.matrix))
        return jnp.where(cells.seen, jnp.broadcast_to(jnp.log(self.matrix), cells.shape), 0.0).sum()

    @property
    def separate(self) -> AbstractFrame:
        if self.matrix.ndim < 2:
            return self
        return Affine(self.shift, 1.0 / np.linalg.norm(np.linalg.inv(self.matrix), axis=1), self.roles)

    def suiting(self, xs: Any) -> AbstractFrame:
        return self if self.matrix.ndim < 2 or not np.isnan(xs).any() else self.separate

    def at_home(self, xs: Any, begins: np.ndarray) -> np.ndarray:
        return standard(xs, begins)

    @property
    def _inverse(self) -> Array:
        matrix = jnp.asarray(self.matrix)
        return jnp.linalg.inv(matrix) if matrix.ndim == 2 else 1.0 / matrix

    def enter(self, params: Params) -> Params:
        matrix = jnp.asarray(self.matrix)
        return params | {name: role.enter(params[name], self.shift, matrix) for name, role in self.roles}

    def leave(self, params: Params) -> Params:
        inverse = self._inverse
        return params | {name: role.leave(params[name], self.shift, inverse) for name, role in self.roles}

    def log_jacobian(self, xs: Any) -> np.ndarray | float:
        """Only what was seen exactly has a density, and so a Jacobian: Σ over those cells of log scale."""
        cells = as_read(xs)
        exact = np.broadcast_to(cells.seen, cells.shape)
        diagonal = np.diag(self.matrix) if self.matrix.ndim == 2 else self.matrix
        logs = np.broadcast_to(np.log(diagonal), exact.shape[1:])
        if exact.all():
            return float(logs.sum())
        return np.asarray(exact @ logs if exact.ndim == 2 else exact * logs)


class AbstractByMean(Identity):
    """The data as they are; a pair of parameters as the mean and something that the data tell apart from it.

    Of a narrow distribution they tell the mean much better than either of the pair, whose estimates then go together.
    """

    unit: Any  # what the mean is reckoned in
    pair: eqx.AbstractClassVar[tuple[str, str]]

    def sharing(self, names: Collection[str]) -> AbstractFrame:
        return Identity() if sum(name in names for name in self.pair) == 1 else self

    def at_home(self, xs: Any, begins: np.ndarray) -> np.ndarray:
        return np.zeros(len(begins), dtype=bool)


class Log(AbstractFrame):
    """z = (log y − shift) · scale, for positive numbers; parameters follow by their roles."""

    shift: Any  # ()
    scale: Any  # ()
    roles: Any = eqx.field(static=True, converter=pairs)  # (name, role) of each parameter

    def apply(self, xs: Any) -> Any:
        return cells_of(xs).mapped(lambda rows: by_blocks(self._precisely, rows))

    def _precisely(self, rows: np.ndarray) -> np.ndarray:
        # where the logarithms hardly differ, those of a double do not tell them apart
        precise = np.longdouble if self.scale * abs(self.shift) > 1e3 else np.float64
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(np.where(rows <= 0, 0.0, rows).astype(precise))
            return np.asarray((logs - precise(self.shift)) * precise(self.scale))

    def undo(self, xs: Any) -> Any:
        return cells_of(xs).mapped(lambda z: jnp.exp(z / self.scale + self.shift))

    def move(self, x: Any) -> Any:
        return cells_of(x).mapped(lambda y: (positive_log(y) - self.shift) * self.scale)

    def log_slope(self, x: Any) -> Array:
        cells = cells_of(x)
        return jnp.where(cells.seen, jnp.log(self.scale) - positive_log(cells.value), 0.0)

    def at_home(self, xs: Any, begins: np.ndarray) -> np.ndarray:
        return standard(xs, begins)

    def enter(self, params: Params) -> Params:
        return params | {name: role.enter_logs(params[name], self.shift, self.scale) for name, role in self.roles}

    def leave(self, params: Params) -> Params:
        return params | {name: role.leave_logs(params[name], self.shift, self.scale) for name, role in self.roles}

    def log_jacobian(self, xs: Any) -> np.ndarray:
        cells = as_read(xs)
        exact = np.broadcast_to(cells.seen, cells.shape)
        value = np.where(exact, cells.ends[0], 1.0)
        return np.asarray(np.where(exact, np.log(self.scale) - np.log(value), 0.0))


def log_frame(roles: Roles, values: np.ndarray, weights: np.ndarray) -> Log:
    """That in which the logarithms of what was seen (NaN where nothing was) have mean 0 and variance 1."""
    seen = values > 0  # NaN where nothing was; an end at 0 has no logarithm
    if not seen.any():
        return Log(np.asarray(0.0), np.asarray(1.0), roles)
    logs, shares = np.log(values[seen].astype(np.longdouble)), weights[seen]
    centre = np.average(logs, weights=shares)
    scale = np.sqrt(np.average((logs - centre) ** 2, weights=shares))
    spread = scale > 1e-15 * max(1.0, abs(centre))
    return Log(np.asarray(float(centre)), np.asarray(float(1.0 / scale) if spread else 1.0), roles)
