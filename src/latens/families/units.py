"""A model of one's own in the units of its data."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import cells_of
from latens.errors import DataError, ModelError, listed
from latens.families.frame import AbstractFrame
from latens.families.moments import moments
from latens.families.roles import AbstractRole, Coefficient, Roles, check
from latens.numerics.memory import own
from latens.numerics.space import Constraints, Params, Space

SOME = 64  # rows that show whether roles are right


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
            moved = getattr(role, way)(params[name], shift, units)
            changed[name] = jnp.reshape(moved, jnp.shape(params[name]))  # a number may belong to the only column
            if isinstance(role, Coefficient):
                of = 1.0 if role.of is None else scale[self.names.index(role.of)]
                changed[name] = changed[name] * of
                if role.intercept is not None:  # where the columns are 0 is elsewhere
                    away, there = self._of(role, origin, scale)[0], changed[role.intercept]
                    gained = jnp.asarray(params[name] * away * of)
                    gained = gained.sum(-1) if gained.ndim > jnp.ndim(there) else gained
                    changed[role.intercept] = there + jnp.reshape(gained, jnp.shape(there))
        return changed

    def enter(self, params: Params) -> Params:
        return self._moved(params, "enter", self.scale, self.shift)

    def leave(self, params: Params) -> Params:
        return self._moved(params, "leave", 1.0 / self.scale, -self.shift * self.scale)

    def _each(self, xs: Any, way: Any) -> Any:
        if isinstance(xs, Mapping):
            return dict(xs) | {n: way(xs[n], self.shift[j], self.scale[j]) for j, n in enumerate(self.names)}
        return way(xs, self.shift, self.scale) if xs.ndim > 1 else way(xs, self.shift[0], self.scale[0])

    def apply(self, xs: Any) -> Any:
        return self._each(jax.tree.map(own, xs), lambda y, shift, scale: own((y - shift) * scale))

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


def units_of(
    roles: Roles, constraints: Constraints, xs: Any, weights: np.ndarray, columns: Sequence[str]
) -> AbstractFrame:
    """The frame that roles allow for rows as read: only columns that a role speaks of are moved.

    **Raises:** `ModelError` for roles that do not fit the parameters, `DataError` for columns that are not in the data,
    or of which nothing was seen.
    """
    check(roles, Space(constraints).shapes, columns)
    if cells_of(xs).observations is not None:
        raise ModelError("roles are for rows of a table: leave them out for sequences, and scale the data yourself")
    spoken = {name for role in roles.values() for name in (role.columns or columns)}
    spoken |= {role.of for role in roles.values() if isinstance(role, Coefficient) and role.of is not None}
    names = tuple(name for name in columns if name in spoken or not isinstance(xs, Mapping))
    flat = [name for name in names if isinstance(xs, Mapping) and np.ndim(xs[name]) != 1]
    if flat:
        raise DataError(f"column '{flat[0]}' has {np.ndim(xs[flat[0]])} dimensions; one with a role is (n,)")
    table = _table(xs, names)
    gone = [name for j, name in enumerate(names) if name in spoken and np.isnan(table[:, j]).all()]
    if gone:
        raise DataError(f"column '{gone[0]}': nothing was seen, so nothing can be estimated from it; leave it out")
    centre, spread, _, _ = moments(table, np.asarray(weights), names, constant_ok=True)
    stays = np.array([name not in spoken for name in names]) | ~(spread > 1e-14 * np.abs(centre))
    scale = 1.0 / np.where(stays, 1.0, spread)
    return Units(names, tuple(roles.items()), np.where(stays, 0.0, centre), scale)


def disagreement(model: Any, frame: Units, xs: Any) -> str:
    """What is wrong if the evidence of rows does not follow when data and params are moved together, or nothing."""
    some = jax.tree.map(lambda leaf: leaf[:SOME], xs)
    spoken = np.abs(frame.shift) + np.abs(frame.scale - 1.0) > 0
    other = Units(frame.names, frame.roles, np.where(spoken, 0.3, 0.0), np.where(spoken, 1.7, 1.0))
    space = Space(model.constraints)
    params = space.params(0.1 * jnp.cos(jnp.arange(1.0, 1.0 + space.size)))

    def evidence(params: Params, xs: Any) -> np.ndarray:
        return np.asarray(jax.vmap(lambda x: model.evidence(params, x))(xs))

    here = evidence(params, jax.tree.map(jnp.asarray, some))
    there = evidence(other.enter(params), jax.tree.map(jnp.asarray, other.apply(some))) + other.log_jacobian(some)
    apart = np.abs(here - there)
    if not np.isfinite(apart).all() or (apart <= 1e-6 * (1 + np.abs(here))).all():
        return ""
    without = [name for name in space.shapes if name not in dict(frame.roles)]
    named = f" (without a role: {listed(without)})" if without else ""
    return (
        f"the roles of the parameters are not those that the model gives them{named}: when the data are moved and the "
        "parameters with them, the density does not follow; give every parameter in units of the data its role"
    )
