"""Information criteria: smaller is better."""

from math import log

from latens.inference.estimate import Estimate

CRITERIA = {"aic": "AIC", "aicc": "AICc", "bic": "BIC", "caic": "CAIC", "sabic": "SABIC", "icl": "ICL"}
"""Name → what it is called."""


def aic(of: Estimate) -> float:
    return -2 * of.log_likelihood + 2 * of.free_parameters


def bic(of: Estimate) -> float:
    return -2 * of.log_likelihood + of.free_parameters * log(of.n)


def criteria(of: Estimate) -> dict[str, float | None]:
    """Name → value; None where a model has no such number."""
    n, p = of.n, of.free_parameters
    return {
        "aic": aic(of),
        "aicc": -2 * of.log_likelihood + 2 * p * n / (n - p - 1) if n > p + 1 else None,
        "bic": bic(of),
        "caic": bic(of) + p,
        "sabic": -2 * of.log_likelihood + p * log((n + 2) / 24),
        "icl": None if of.entropy is None else bic(of) + 2 * of.entropy,
    }
