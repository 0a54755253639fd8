"""Logarithms as coordinates, for families of which the logarithm is of location and scale."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import Interval, Partial, complete_like
from latens.families.frame import ROWS, AbstractFrame
from latens.numerics.memory import aligned
from latens.numerics.space import Params
from latens.numerics.special import positive_log


class Log(AbstractFrame):
    """z = (log y − shift) · scale, for positive numbers.

    Acts on parameters called `mean` and `variance`, those of log y, and on a `shape` a and `scale` s with
    log y = log s + (something without parameters)/a.
    """

    shift: Any  # ()
    scale: Any  # ()

    def apply(self, xs: Any) -> Any:
        if isinstance(xs, Interval):
            return Interval(self.apply(xs.lower), self.apply(xs.upper))
        moved = aligned(xs)
        # where the logarithms hardly differ, those of a double do not tell them apart
        precise = np.longdouble if self.scale * abs(self.shift) > 1e3 else np.float64
        with np.errstate(divide="ignore", invalid="ignore"):
            for i in range(0, len(xs), ROWS):
                logs = np.log(np.where(xs[i : i + ROWS] <= 0, 0.0, xs[i : i + ROWS]).astype(precise))
                moved[i : i + ROWS] = (logs - precise(self.shift)) * precise(self.scale)
        return moved

    def undo(self, xs: Any) -> Any:
        if isinstance(xs, Partial):
            return Partial(self.undo(xs.value), xs.seen)
        if isinstance(xs, Interval):
            return Interval(self.undo(xs.lower), self.undo(xs.upper))
        return jnp.exp(xs / self.scale + self.shift)

    def move(self, x: Any) -> Any:
        if isinstance(x, Interval):
            return Interval(self.move(x.lower), self.move(x.upper))
        if isinstance(x, Partial):
            return Partial(self.move(x.value), x.seen)
        return (positive_log(x) - self.shift) * self.scale

    def log_slope(self, x: Any) -> Array:
        slope = jnp.log(self.scale) - positive_log(complete_like(x))
        seen = x.exact if isinstance(x, Interval) else x.seen if isinstance(x, Partial) else True
        return jnp.where(seen, slope, 0.0)

    def enter(self, params: Params) -> Params:
        if "shape" in params:
            scale = jnp.exp((jnp.log(params["scale"]) - self.shift) * self.scale)
            return params | {"shape": params["shape"] / self.scale, "scale": scale}
        mean = (params["mean"] - self.shift) * self.scale
        return params | {"mean": mean, "variance": params["variance"] * self.scale**2}

    def leave(self, params: Params) -> Params:
        if "shape" in params:
            scale = jnp.exp(jnp.log(params["scale"]) / self.scale + self.shift)
            return params | {"shape": params["shape"] * self.scale, "scale": scale}
        mean = params["mean"] / self.scale + self.shift
        return params | {"mean": mean, "variance": params["variance"] / self.scale**2}

    def log_jacobian(self, xs: Any) -> np.ndarray:
        exact = xs.exact if isinstance(xs, Interval) else ~np.isnan(xs)
        value = np.where(exact, xs.lower if isinstance(xs, Interval) else xs, 1.0)
        return np.asarray(np.where(exact, np.log(self.scale) - np.log(value), 0.0))


def log_frame(values: np.ndarray, weights: np.ndarray) -> Log:
    """That in which the logarithms of what was seen (NaN where nothing was) have mean 0 and variance 1."""
    seen = values > 0  # NaN where nothing was; an end at 0 has no logarithm
    if not seen.any():
        return Log(np.asarray(0.0), np.asarray(1.0))
    logs, shares = np.log(values[seen].astype(np.longdouble)), weights[seen]
    centre = np.average(logs, weights=shares)
    scale = np.sqrt(np.average((logs - centre) ** 2, weights=shares))
    spread = scale > 1e-15 * max(1.0, abs(centre))
    return Log(np.asarray(float(centre)), np.asarray(float(1.0 / scale) if spread else 1.0))
