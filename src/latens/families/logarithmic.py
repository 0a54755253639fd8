"""Logarithms as coordinates, for families of which the logarithm is of location and scale."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import as_read, cells_of
from latens.families.frame import AbstractFrame, by_blocks
from latens.families.roles import Roles, pairs
from latens.numerics.space import Params
from latens.numerics.special import positive_log


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
