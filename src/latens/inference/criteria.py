"""Information criteria: smaller is better."""

from collections.abc import Callable
from math import log

from latens.inference.estimate import Estimate


def aic(of: Estimate) -> float:
    return -2 * of.log_likelihood + 2 * of.free_parameters


def bic(of: Estimate) -> float:
    return -2 * of.log_likelihood + of.free_parameters * log(of.n)


def _aicc(of: Estimate) -> float | None:
    n, p = of.n, of.free_parameters
    return -2 * of.log_likelihood + 2 * p * n / (n - p - 1) if n > p + 1 else None


def _sabic(of: Estimate) -> float:
    return -2 * of.log_likelihood + of.free_parameters * log((of.n + 2) / 24)


CRITERIA: dict[str, Callable[[Estimate], float | None]] = {
    "aic": aic,
    "aicc": _aicc,
    "bic": bic,
    "caic": lambda of: bic(of) + of.free_parameters,
    "sabic": _sabic,
    "icl": lambda of: None if of.entropy is None else bic(of) + 2 * of.entropy,
}

HEADINGS = {"aic": "AIC", "aicc": "AICc", "bic": "BIC", "caic": "CAIC", "sabic": "SABIC", "icl": "ICL"}
"""Name → what it is called."""
