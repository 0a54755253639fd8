"""Wald intervals, formed on a scale of their own for each number."""

from statistics import NormalDist

import numpy as np

from latens.numerics.asked import number
from latens.numerics.constraints import EDGE
from latens.numerics.special import TINY

LINKS = ("identity", "log", "logit", "cloglog")


def quantile(level: float) -> float:
    """z with P(|Z| ≤ z) = level; `ParameterError` for a level outside (0, 1)."""
    number(level, "level", "a number strictly between 0 and 1, such as 0.95", 0.0, 1.0)
    return NormalDist().inv_cdf((1 + level) / 2)


def wald(values: np.ndarray, errors: np.ndarray, links: np.ndarray, level: float) -> np.ndarray:
    """(P, 2) intervals: value ± z·error on the scale of the link, mapped back, so positive stays positive.

    `links` (P,): one of `LINKS` for each number.
    """
    free, slope = to_link(values, links)
    with np.errstate(over="ignore", invalid="ignore"):
        half = quantile(level) * errors * slope
        low, high = from_link(free - half, links), from_link(free + half, links)
    return np.stack([np.minimum(low, values), np.maximum(high, values)], 1)  # a value at the end of its range


def to_link(values: np.ndarray, links: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values on their links' scales, and the derivative of the link there; the ends of a range one rounding inside."""
    free, slope = np.array(values, dtype=float), np.ones_like(values, dtype=float)
    logs, logits, clogs = (links == link for link in LINKS[1:])
    positive = np.maximum(values, TINY)
    inside = np.minimum(positive, 1 - EDGE)
    free[logs], slope[logs] = np.log(positive[logs]), 1 / positive[logs]
    p, rest = inside[logits], np.log1p(-inside[clogs])
    free[logits], slope[logits] = np.log(p) - np.log1p(-p), 1 / (p * (1 - p))
    free[clogs], slope[clogs] = np.log(-rest), -1 / (np.exp(rest) * rest)
    return free, slope


def from_link(free: np.ndarray, links: np.ndarray) -> np.ndarray:
    """The inverse of `to_link`."""
    values = np.array(free, dtype=float)
    logs, logits, clogs = (links == link for link in LINKS[1:])
    values[logs] = np.exp(free[logs])
    values[logits] = np.exp(-np.logaddexp(0, -free[logits]))
    values[clogs] = -np.expm1(-np.exp(free[clogs]))
    return values
