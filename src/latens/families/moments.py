"""What frames are made from: means and spreads of what was seen, a few rows at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from latens.cells import STAND_IN
from latens.numerics.memory import aligned
from latens.numerics.special import TINY

ROWS = 1 << 12  # at most this many rows are copied at a time
FAR = 10.0  # of a standard deviation 1 and a mean 0: as much of it loses four digits of a second moment


def standard(xs: Any, begins: np.ndarray) -> np.ndarray:
    """(g,) which groups of numbers have nearly mean 0 and variance 1 in any direction; none of those seen in part."""
    if not isinstance(xs, np.ndarray) or not np.isfinite(xs).all():
        return np.zeros(len(begins), dtype=bool)
    z = xs.reshape(len(xs), -1)
    sizes = np.diff(np.append(begins, len(z)))
    mean = np.add.reduceat(z, begins) / sizes[:, None]
    away = z - np.repeat(mean, sizes, axis=0)
    d = z.shape[1]
    second = np.zeros((len(begins), d, d))
    for i in range(d):
        second[:, i, : i + 1] = np.add.reduceat(away[:, : i + 1] * away[:, i, None], begins) / sizes[:, None]
    spread = np.linalg.eigvalsh(second)  # of the lower triangle
    near = (np.abs(mean) <= FAR).all(1)
    return np.asarray(near & (spread[:, 0] >= FAR**-2) & (spread[:, -1] <= FAR**2))


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """() of what was seen of values that are NaN where nothing was; a stand-in if that is all of them."""
    seen = ~np.isnan(values)
    return np.asarray(np.average(values[seen], weights=weights[seen]) if seen.any() else STAND_IN)


def by_blocks(function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """A function of rows, a few at a time, in memory that is not the caller's."""
    moved = aligned(rows)
    for i in range(0, len(rows), ROWS):
        moved[i : i + ROWS] = function(rows[i : i + ROWS])
    return moved


def moments(
    xs: np.ndarray, weights: np.ndarray, columns: Sequence[str], *, constant_ok: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Mean (d,) and standard deviation (d,) of the cells seen, the correlation (d, d) if all were, and a flaw.

    Two passes: the second moments are about the mean, so no digits are lost far from the origin. The flaw, if there is
    one, names a column that is constant, whose deviation is given as 1.
    """
    d = xs.shape[1]
    blocks = [slice(i, i + ROWS) for i in range(0, len(xs), ROWS)]
    # of a column of which nothing was seen only a prior knows
    total = np.maximum(sum((weights[b] @ ~np.isnan(xs[b]) for b in blocks), start=np.zeros(d)), TINY)
    centre = sum((weights[b] @ np.nan_to_num(xs[b]) for b in blocks), start=np.zeros(d)) / total
    second = np.zeros((d, d))
    for b in blocks:
        away = np.nan_to_num(xs[b] - centre)
        second += (away * weights[b, None]).T @ away
    scale = np.sqrt(np.diag(second) / total)
    constant, flaw = ~(scale > 1e-14 * np.abs(centre)), ""
    if (constant.any() and not constant_ok) or constant.all():
        j = int(np.argmax(constant))
        flaw = f"column '{columns[j]}' is constant ({centre[j]:g}): its variance cannot be estimated; drop the column"
    safe = np.where(constant, 1.0, scale)
    correlation = second / np.sqrt(np.outer(total, total)) / np.outer(safe, safe)
    return centre, safe if flaw else scale, correlation, flaw
