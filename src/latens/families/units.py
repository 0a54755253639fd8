"""A model of one's own in the units of its data."""

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
from latens.families.roles import AbstractRole, Coefficient
from latens.numerics.memory import own
from latens.numerics.space import Params


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

    def _moved(self, params: Params, way: str, scale: Any, origin: Any) -> Params:
        changed = dict(params)
        for name, role in self.roles:
            shift, units = self._of(role, self.shift, scale)
            changed[name] = getattr(role, way)(params[name], shift, units)
            if isinstance(role, Coefficient):
                of = 1.0 if role.of is None else scale[self.names.index(role.of)]
                changed[name] = changed[name] * of
                if role.intercept is not None:  # where the columns are 0 is elsewhere
                    gained, there = (
                        jnp.asarray(params[name] * self._of(role, origin, scale)[0] * of),
                        changed[role.intercept],
                    )
                    changed[role.intercept] = there + (gained.sum(-1) if gained.ndim > jnp.ndim(there) else gained)
        return changed

    def enter(self, params: Params) -> Params:
        return self._moved(params, "enter", self.scale, self.shift)

    def leave(self, params: Params) -> Params:
        return self._moved(params, "leave", 1.0 / self.scale, -self.shift * self.scale)

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
