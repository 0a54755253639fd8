"""Wald intervals, formed on the free scale of each parameter."""

from statistics import NormalDist

import numpy as np

from latens.errors import ParameterError


def quantile(level: float) -> float:
    """z with P(|Z| ≤ z) = level; `ParameterError` for a level outside (0, 1)."""
    if not 0 < level < 1:
        raise ParameterError(f"level must lie strictly between 0 and 1, such as 0.95; got {level}")
    return NormalDist().inv_cdf((1 + level) / 2)


def wald(values: np.ndarray, errors: np.ndarray, links: np.ndarray, level: float) -> np.ndarray:
    """(P, 2) intervals: value ± z·error on the scale of the link, mapped back, so positive stays positive.

    `links` (P,): "identity", "log" or "logit" for each scalar.
    """
    free, slope = to_link(values, links)
    with np.errstate(over="ignore", invalid="ignore"):
        half = quantile(level) * errors * slope
        return np.stack([from_link(free - half, links), from_link(free + half, links)], 1)


def to_link(values: np.ndarray, links: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values on their links' scales, and the derivative of the link there."""
    free, slope = np.array(values, dtype=float), np.ones_like(values, dtype=float)
    logs, logits = links == "log", links == "logit"
    free[logs], slope[logs] = np.log(values[logs]), 1 / values[logs]
    inside = values[logits]
    free[logits], slope[logits] = np.log(inside) - np.log1p(-inside), 1 / (inside * (1 - inside))
    return free, slope


def from_link(free: np.ndarray, links: np.ndarray) -> np.ndarray:
    """The inverse of `to_link`."""
    values = np.array(free, dtype=float)
    logs, logits = links == "log", links == "logit"
    values[logs] = np.exp(free[logs])
    values[logits] = np.exp(-np.logaddexp(0, -free[logits]))
    return values
