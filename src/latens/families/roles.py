"""What a parameter is to the data, which says how it changes with their units and origin."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from latens.errors import DataError, ModelError, listed
from latens.numerics.modules import Module
from latens.numerics.space import Constraints, Space


class AbstractRole(Module):
    """The role of a parameter, for data that are moved to z = (y − shift) @ matrixᵀ, or (y − shift) · matrix.

    Its last axes belong to `columns` of the data, all of them if none is named; it may have leading axes of labels.
    """

    columns: tuple[str, ...] = ()

    response = True  # whether the columns are observations, of which there is a density, and not what it is given
    squared = False  # whether it is a variance, or a matrix with variances on the diagonal

    def __init__(self, *columns: str) -> None:
        self.columns = columns

    def axes(self, columns: Sequence[str]) -> tuple[Sequence[str], ...]:
        """Names of the entries of the last axes, for data of these columns."""
        return (self.columns or columns,)

    @abstractmethod
    def enter(self, value: Array, shift: Any, matrix: Any) -> Array:
        """The parameter of the data as given → that of the moved data."""

    def leave(self, value: Array, shift: Any, inverse: Any) -> Array:
        """The inverse, by the inverse of the matrix."""
        return self.enter(value, shift, inverse)

    def enter_logs(self, value: Array, shift: Any, scale: Any) -> Array:
        """The same for z = (log y − shift) · scale; most roles are then to log y what they are else to y."""
        return self.enter(value, shift, scale)

    def leave_logs(self, value: Array, shift: Any, scale: Any) -> Array:
        """The inverse."""
        return self.leave(value, shift, 1.0 / scale)


def times(value: Any, matrix: Any) -> Any:
    """value @ matrixᵀ, or value · matrix if that is a number or one for each column."""
    return value @ matrix.T if matrix.ndim == 2 else value * matrix


class Location(AbstractRole):
    """A value that the data may have, such as a mean."""

    def enter(self, value: Array, shift: Any, matrix: Any) -> Array:
        return jnp.asarray(times(value - shift, matrix))

    def leave(self, value: Array, shift: Any, inverse: Any) -> Array:
        return jnp.asarray(times(value, inverse) + shift)


class Scale(AbstractRole):
    """A difference between such values, or a factor of them: a standard deviation, a loading, a typical size."""

    def enter(self, value: Array, shift: Any, matrix: Any) -> Array:
        return jnp.asarray(times(value, matrix))

    def enter_logs(self, value: Array, shift: Any, scale: Any) -> Array:
        return jnp.exp((jnp.log(value) - shift) * scale)

    def leave_logs(self, value: Array, shift: Any, scale: Any) -> Array:
        return jnp.exp(jnp.log(value) / scale + shift)


class Variance(AbstractRole):
    """The square of a difference, for each column."""

    squared = True

    def enter(self, value: Array, shift: Any, matrix: Any) -> Array:
        return value * matrix**2


class Covariance(AbstractRole):
    """Products of differences, for each pair of columns."""

    squared = True

    def axes(self, columns: Sequence[str]) -> tuple[Sequence[str], ...]:
        return (self.columns or columns,) * 2

    def enter(self, value: Array, shift: Any, matrix: Any) -> Array:
        whole = matrix if jnp.ndim(matrix) == 2 else jnp.diag(matrix)
        moved = whole @ value @ whole.T
        # of nearly collinear columns even the last bit counts, so both halves must have the same
        return (moved + jnp.swapaxes(moved, -1, -2)) / 2


class Power(AbstractRole):
    """The power to which a factor of the data enters, such as the shape of a Weibull distribution: it has no unit."""

    def enter(self, value: Array, shift: Any, matrix: Any) -> Array:
        return value

    def enter_logs(self, value: Array, shift: Any, scale: Any) -> Array:
        return value / scale

    def leave_logs(self, value: Array, shift: Any, scale: Any) -> Array:
        return value * scale


class Coefficient(AbstractRole):
    """What is gained for each unit of columns that the model conditions on: in units of the column `of`, or in none.

    `intercept`: the parameter that says how much there is where those columns are 0.
    """

    of: str | None = eqx.field(static=True, default=None)
    intercept: str | None = eqx.field(static=True, default=None)
    response = False

    def __init__(self, *columns: str, of: str | None = None, intercept: str | None = None) -> None:
        self.columns, self.of, self.intercept = columns, of, intercept

    @property
    def related(self) -> tuple[str, ...]:
        """Other columns that it speaks of."""
        return () if self.of is None else (self.of,)

    def enter(self, value: Array, shift: Any, matrix: Any) -> Array:
        return value / matrix


Roles = Mapping[str, AbstractRole]


def pairs(roles: Any) -> tuple[tuple[str, AbstractRole], ...]:
    """Roles as a frame holds them: a program depends on them."""
    return tuple(dict(roles).items())


def axes_by(roles: Roles, constraints: Constraints, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
    """Parameter → names of the entries of its last axes, where these are those of the columns of its role."""
    shapes = Space(constraints).shapes
    named = {name: role.axes(columns) for name, role in roles.items() if name in shapes}
    return {n: axes for n, axes in named.items() if shapes[n][len(shapes[n]) - len(axes) :] == tuple(map(len, axes))}


def check(roles: Any, shapes: Mapping[str, tuple[int, ...]], columns: Sequence[str]) -> None:
    """Raises `ModelError` for roles that are none or do not fit the parameters, `DataError` for unknown columns."""
    if not isinstance(roles, Mapping):
        raise ModelError(f"roles are a dict, parameter → role such as lt.Location(), got {roles!r}")
    for name, role in roles.items():
        if name not in shapes:
            raise ModelError(f"roles: there is no parameter '{name}'; there are {listed(list(shapes))}")
        if not isinstance(role, AbstractRole):
            raise ModelError(f"roles: '{name}' needs a role such as lt.Location() or lt.Scale('y'), got {role!r}")
        named = (*role.columns, *(role.related if isinstance(role, Coefficient) else ()))
        absent = [column for column in named if column not in columns]
        if absent:
            raise DataError(
                f"parameter '{name}' belongs to column {absent[0]!r}, which is not in the data: {listed(list(columns))}"
            )
        if isinstance(role, Coefficient) and (not role.columns or role.intercept not in (None, *shapes)):
            wrong = f"its intercept '{role.intercept}' is no parameter" if role.columns else "it names no columns"
            raise ModelError(f"roles: '{name}': {wrong}; lt.Coefficient('x', 'z', intercept='a') names both")
        wanted, shape = tuple(map(len, role.axes(columns))), shapes[name]
        if shape[len(shape) - len(wanted) :] != wanted and set(wanted) != {1}:
            raise ModelError(
                f"roles: '{name}' has shape {shape}, its role is of {listed(list(role.columns or columns))}: its last "
                f"axes must be {wanted}"
            )


def squared(roles: Roles) -> frozenset[str]:
    """The parameters that are variances: their shared estimate is the average of separate ones, weighted by counts."""
    return frozenset(name for name, role in roles.items() if role.squared)
