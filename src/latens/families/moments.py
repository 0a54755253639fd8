"""Weighted first and second moments of many rows, block by block."""

from collections.abc import Sequence

import numpy as np

from latens.families.frame import ROWS
from latens.numerics.special import TINY


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
