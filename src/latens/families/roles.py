"""What a parameter is to the data, which says how it changes with their units and origin."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import cells_of
from latens.errors import DataError
from latens.families.frame import AbstractFrame
from latens.families.moments import moments
from latens.numerics.memory import own
from latens.numerics.modules import Module
from latens.numerics.space import Params


class AbstractRole(Module):
    """The role of a parameter, for data that are moved to z = (y − shift) · scale.

    Its last axes belong to `columns` of the data, all of them if none is named; it may have leading axes of labels.
    """

    columns: tuple[str, ...] = ()

    response = True  # whether the columns are observations, of which there is a density, and not what it is given

    def __init__(self, *columns: str) -> None:
        self.columns = columns

    def axes(self, columns: Sequence[str]) -> tuple[Sequence[str], ...]:
        """Names of the entries of the last axes, for data of these columns."""
        return (self.columns or columns,)

    @abstractmethod
    def moved(self, value: Array, shift: Any, scale: Any) -> Array:
        """The parameter of the data as given → that of the moved data, whose columns' shifts and scales these are."""


class Location(AbstractRole):
    """A value that the data may have, such as a mean."""

    def moved(self, value: Array, shift: Any, scale: Any) -> Array:
        return (value - shift) * scale


class Scale(AbstractRole):
    """A difference between such values: a standard deviation, a loading."""

    def moved(self, value: Array, shift: Any, scale: Any) -> Array:
        return value * scale


class Variance(AbstractRole):
    """The square of a difference, for each column."""

    def moved(self, value: Array, shift: Any, scale: Any) -> Array:
        return value * scale**2


class Covariance(AbstractRole):
    """Products of differences, for each pair of columns."""

    def axes(self, columns: Sequence[str]) -> tuple[Sequence[str], ...]:
        return (self.columns or columns,) * 2

    def moved(self, value: Array, shift: Any, scale: Any) -> Array:
        return value * scale * jnp.asarray(scale)[..., None]


class Coefficient(AbstractRole):
    """What is gained for each unit of columns that the model conditions on: in units of the column `of`, or in none.

    `intercept`: the parameter that says how much there is where those columns are 0.
    """

    of: str | None = eqx.field(static=True, default=None)
    intercept: str | None = eqx.field(static=True, default=None)
    response = False

    def __init__(self, *columns: str, of: str | None = None, intercept: str | None = None) -> None:
        self.columns, self.of, self.intercept = columns, of, intercept

    def moved(self, value: Array, shift: Any, scale: Any) -> Array:
        return value / scale


class Units(AbstractFrame):
    """Every column in units of its own standard deviation about its own mean; parameters follow by their roles."""

    names: tuple[str, ...] = eqx.field(static=True)  # of the columns
    roles: tuple[tuple[str, AbstractRole], ...] = eqx.field(static=True)
    shift: Any  # (d,)
    scale: Any  # (d,), 1 for columns that stay as they are

    def _of(self, role: AbstractRole, shift: Any, scale: Any) -> tuple[Any, Any]:
        """The shifts and scales of the columns of a role; numbers where there is one column."""
        at = np.array([self.names.index(name) for name in role.columns or self.names])
        return (shift[at[0]], scale[at[0]]) if len(role.columns) == 1 else (shift[at], scale[at])

    def _moved(self, params: Params, shift: Any, scale: Any) -> Params:
        changed = dict(params)
        for name, role in self.roles:
            away, units = self._of(role, shift, scale)
            changed[name] = role.moved(params[name], away, units)
            if isinstance(role, Coefficient):
                of = 1.0 if role.of is None else scale[self.names.index(role.of)]
                changed[name] = changed[name] * of
                if role.intercept is not None:
                    gained, there = jnp.asarray(params[name] * away * of), changed[role.intercept]
                    changed[role.intercept] = there + (gained.sum(-1) if gained.ndim > jnp.ndim(there) else gained)
        return changed

    def enter(self, params: Params) -> Params:
        return self._moved(params, self.shift, self.scale)

    def leave(self, params: Params) -> Params:
        return self._moved(params, -self.shift * self.scale, 1.0 / self.scale)

    def _each(self, xs: Any, way: Any) -> Any:
        if isinstance(xs, Mapping):
            return {n: way(xs[n], self.shift[j], self.scale[j]) for j, n in enumerate(self.names)}
        return way(xs, self.shift, self.scale) if xs.ndim > 1 else way(xs, self.shift[0], self.scale[0])

    def apply(self, xs: Any) -> Any:
        return self._each(xs, lambda y, shift, scale: own((np.asarray(y) - shift) * scale))

    def undo(self, xs: Any) -> Any:
        return self._each(xs, lambda z, shift, scale: z / scale + shift)

    def move(self, x: Any) -> Any:
        return self._each(x, lambda y, shift, scale: (y - shift) * scale)

    @property
    def _densities(self) -> np.ndarray:
        """(d,) log scale of the columns that have a density."""
        given = {name for _, role in self.roles if not role.response for name in role.columns}
        return np.array([0.0 if name in given else np.log(self.scale[j]) for j, name in enumerate(self.names)])

    def log_slope(self, x: Any) -> Array:
        seen = [~jnp.isnan(x[name]) for name in self.names] if isinstance(x, Mapping) else ~jnp.isnan(x)
        return jnp.where(jnp.stack(seen) if isinstance(seen, list) else seen, self._densities, 0.0).sum()

    def log_jacobian(self, xs: Any) -> np.ndarray | float:
        return np.asarray(~np.isnan(_table(xs, self.names)) @ self._densities)


def _table(xs: Any, names: Sequence[str]) -> np.ndarray:
    """(n, d) the columns of rows as read."""
    if isinstance(xs, Mapping):
        return np.column_stack([xs[name] for name in names])
    return np.reshape(xs, (len(xs), -1))


def units_of(roles: Mapping[str, AbstractRole], xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
    """The frame that roles allow for rows as read: only columns that a role speaks of are moved.

    **Raises:** `DataError` for a role of a column that is not in the data.
    """
    names = tuple(columns) or tuple(str(j) for j in range(np.reshape(xs, (len(xs), -1)).shape[1]))
    spoken = {name for role in roles.values() for name in (role.columns or names)}
    absent = [name for name in spoken if name not in names]
    if absent:
        raise DataError(f"a parameter belongs to column '{absent[0]}', which is not in the data: {', '.join(names)}")
    if not cells_of(xs).complete and not isinstance(xs, Mapping):
        raise DataError("parameters with roles are for tables of numbers")
    centre, spread, _, _ = moments(_table(xs, names), np.asarray(weights), names, constant_ok=True)
    stays = np.array([name not in spoken for name in names]) | ~(spread > 0) | ~np.isfinite(spread)
    return Units(names, tuple(roles.items()), np.where(stays, 0.0, centre), np.where(stays, 1.0, 1.0 / spread))
