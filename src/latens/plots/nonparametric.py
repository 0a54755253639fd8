"""What a column says of its distribution without a model."""

import numpy as np

from latens.plots.canvas import thinned
from latens.plots.columns import Column

MOST_SETS, ROUNDS, STILL = 1_500, 2_000, 1e-9  # distinct sets, and steps of EM at most; a change that ends it
NONE = 1e-7  # a mass that will be none


def estimated(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """The nonparametric estimate of the distribution of a column: values and their masses, which sum to 1 or less.

    Relative frequencies; where some are right-censored Kaplan & Meier's; where some are known as sets, Turnbull's.

    **Source:** Kaplan & Meier (1958), JASA 53, 457; Turnbull (1976), JRSS B 38, 290.
    """
    known = ~column.missing & (column.weights > 0)
    low, high, weights = column.lower[known], column.upper[known], column.weights[known]
    exact = low == high
    if exact.all():
        values, which = np.unique(low, return_inverse=True)
        masses = np.bincount(which.ravel(), weights)
        return values, masses / masses.sum()
    if (exact | np.isposinf(high)).all():
        return _kaplan_meier(low, exact, weights)
    return _turnbull(low, high, weights)


def _kaplan_meier(times: np.ndarray, seen: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.unique(times[seen])
    events = np.bincount(np.searchsorted(values, times[seen]), weights[seen])
    order = np.argsort(times)
    later = np.cumsum(weights[order][::-1])[::-1]
    at_risk = later[np.searchsorted(times[order], values)]
    survival = np.cumprod(1 - events / at_risk)
    return values, -np.diff(survival, prepend=1.0)


def _turnbull(low: np.ndarray, high: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By EM: each set is shared out among the values in it as these are likely."""
    sets, which = np.unique(np.stack([low, high], axis=1), axis=0, return_inverse=True)
    if len(sets) > MOST_SETS:
        some = thinned(len(sets), MOST_SETS)
        sets, counts = sets[some], np.bincount(which.ravel(), weights)[some]
    else:
        counts = np.bincount(which.ravel(), weights)
    values = np.append(np.unique(sets[np.isfinite(sets[:, 1]), 1]), np.inf)  # the last for what is beyond all
    # (lower, upper], as what is censored at a value went on beyond it, and bins are side by side
    above = np.where(sets[:, :1] < sets[:, 1:], sets[:, :1] < values, sets[:, :1] <= values)
    holds = above & (values <= sets[:, 1:])
    masses = np.full(len(values), 1 / len(values))
    for _ in range(ROUNDS):
        shares = holds * masses
        new = (counts / shares.sum(1)) @ shares / counts.sum()
        if np.abs(new - masses).max() < STILL:
            break
        masses = new
    kept = (masses > NONE) & np.isfinite(values)
    return values[kept], masses[kept]
