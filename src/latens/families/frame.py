"""Coordinates a fit runs in: data are moved there, results are moved back.

Sums of squares lose digits far from the origin, and a flat quadratic form is only as good as its
coordinates; so each family names an affine map it is equivariant under, and the engine uses it.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import Interval, Partial, Patterned
from latens.numerics.memory import aligned, own
from latens.numerics.space import Params

ROWS = 1 << 12  # at most this many rows are copied at a time


class AbstractFrame(eqx.Module):
    """An invertible change of coordinates of the data, and what it does to the parameters."""

    @abstractmethod
    def apply(self, xs: Any) -> Any:
        """All rows (NumPy, leading axis n) into the frame, in memory that is not the caller's."""

    @abstractmethod
    def undo(self, xs: Any) -> Any:
        """All rows, as observed in the frame, back: a stand-in stays where nothing was seen."""

    @abstractmethod
    def enter(self, params: Params) -> Params:
        """Parameters for the data as given → parameters for the data in the frame."""

    @abstractmethod
    def leave(self, params: Params) -> Params:
        """The inverse of `enter`."""

    def suiting(self, xs: Any) -> "AbstractFrame":
        """This frame, or for rows of which single cells were not seen one like it that does not mix columns."""
        return self

    @abstractmethod
    def log_jacobian(self, xs: Any) -> np.ndarray | float:
        """(n,) log |∂ frame / ∂ data| per row; add it to a log-density in the frame."""


class Identity(AbstractFrame):
    """No change."""

    def apply(self, xs: Any) -> Any:
        return jax.tree.map(own, xs)

    def undo(self, xs: Any) -> Any:
        return xs

    def enter(self, params: Params) -> Params:
        return params

    def leave(self, params: Params) -> Params:
        return params

    def log_jacobian(self, xs: Any) -> float:
        return 0.0


class Affine(AbstractFrame):
    """z = (y − shift) @ matrixᵀ for vectors, z = (y − shift) · scale for scalars and columns.

    Acts on parameters called `mean`, `covariance` and `variance`, with any leading axes.
    """

    shift: np.ndarray  # () or (d,)
    matrix: np.ndarray  # (d, d) lower triangular, or () or (d,) scales

    def _forward(self, y: Any, matrix: Any) -> Any:
        return y @ matrix.T if matrix.ndim == 2 else y * matrix

    def apply(self, xs: Any) -> Any:
        if isinstance(xs, Interval):
            return Interval(self.apply(xs.lower), self.apply(xs.upper))
        moved = aligned(xs)
        for i in range(0, len(xs), ROWS):
            moved[i : i + ROWS] = self._forward(xs[i : i + ROWS] - self.shift, self.matrix)
        return moved

    def undo(self, xs: Any) -> Any:
        if isinstance(xs, Partial | Patterned):
            return type(xs)(self.undo(xs.value), xs.seen)
        if isinstance(xs, Interval):
            return Interval(self.undo(xs.lower), self.undo(xs.upper))
        return self._forward(xs, self._inverse) + self.shift

    def suiting(self, xs: Any) -> AbstractFrame:
        if self.matrix.ndim < 2 or isinstance(xs, Interval) or not np.isnan(xs).any():
            return self
        return Affine(self.shift, 1.0 / np.linalg.norm(np.linalg.inv(self.matrix), axis=1))

    @property
    def _inverse(self) -> Array:
        matrix = jnp.asarray(self.matrix)
        return jnp.linalg.inv(matrix) if matrix.ndim == 2 else 1.0 / matrix

    def _spread(self, params: Params, matrix: Array) -> Params:
        changed = {}
        if "covariance" in params:
            whole = matrix if matrix.ndim == 2 else jnp.diag(matrix)
            changed["covariance"] = whole @ params["covariance"] @ whole.T
        if "variance" in params:
            changed["variance"] = params["variance"] * matrix**2
        return changed

    def enter(self, params: Params) -> Params:
        matrix = jnp.asarray(self.matrix)
        mean = self._forward(params["mean"] - self.shift, matrix)
        return params | {"mean": mean} | self._spread(params, matrix)

    def leave(self, params: Params) -> Params:
        back = self._inverse
        mean = self._forward(params["mean"], back) + self.shift
        return params | {"mean": mean} | self._spread(params, back)

    def log_jacobian(self, xs: Any) -> np.ndarray | float:
        """Only what was seen exactly has a density, and so a Jacobian: Σ over those cells of log scale."""
        exact = xs.exact if isinstance(xs, Interval) else ~np.isnan(xs)
        diagonal = np.diag(self.matrix) if self.matrix.ndim == 2 else self.matrix
        logs = np.broadcast_to(np.log(diagonal), exact.shape[1:])
        if exact.all():
            return float(logs.sum())
        return np.asarray(exact @ logs if exact.ndim == 2 else exact * logs)


class ByColumn(AbstractFrame):
    """One frame for each column of a table; parameters are called "column.name"."""

    columns: tuple[str, ...] = eqx.field(static=True)
    frames: tuple[AbstractFrame, ...]

    def _pairs(self) -> Iterator[tuple[str, AbstractFrame]]:
        return zip(self.columns, self.frames, strict=True)

    def apply(self, xs: dict[str, Any]) -> dict[str, Any]:
        return {c: frame.apply(xs[c]) for c, frame in self._pairs()}

    def undo(self, xs: dict[str, Any]) -> dict[str, Any]:
        return {c: frame.undo(xs[c]) for c, frame in self._pairs()}

    def _each(self, params: Params, way: str) -> Params:
        out = dict(params)
        for column, frame in self._pairs():
            prefix = f"{column}."
            own = {n.removeprefix(prefix): v for n, v in params.items() if n.startswith(prefix)}
            out |= {prefix + n: v for n, v in getattr(frame, way)(own).items()}
        return out

    def enter(self, params: Params) -> Params:
        return self._each(params, "enter")

    def leave(self, params: Params) -> Params:
        return self._each(params, "leave")

    def log_jacobian(self, xs: dict[str, Any]) -> np.ndarray | float:
        return sum((frame.log_jacobian(xs[c]) for c, frame in self._pairs()), start=0.0)
