"""What was seen of a datum."""

from typing import Any

import equinox as eqx
import numpy as np


class Partial(eqx.Module):
    """Rows of which some were not seen at all: `value` holds a stand-in where `seen` is False."""

    value: Any  # (n, ...) array
    seen: Any  # (n,) booleans


# inside the support of every family, or harmless there: its statistics are multiplied by zero
STAND_IN = 0.5


def observe(xs: np.ndarray) -> Any:
    """The array itself when it has no NaN; else a `Partial`, so complete data pay nothing."""
    first = xs if xs.ndim == 1 else xs[:, 0]
    missing = np.isnan(first)
    if not missing.any():
        return xs
    return Partial(np.where(np.isnan(xs), STAND_IN, xs), ~missing)
