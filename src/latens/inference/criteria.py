"""Information criteria: smaller is better."""

from math import log

from latens.inference.estimate import Estimate

CRITERIA = {"aic": "AIC", "aicc": "AICc", "bic": "BIC", "caic": "CAIC", "sabic": "SABIC", "icl": "ICL"}
"""Name → what it is called."""


def aic(estimate: Estimate) -> float:
    return -2 * estimate.log_likelihood + 2 * estimate.free_parameters


def bic(estimate: Estimate) -> float:
    return -2 * estimate.log_likelihood + estimate.free_parameters * log(estimate.n)


def criteria(estimate: Estimate) -> dict[str, float | None]:
    """Name → value; None where a model has no such number."""
    n, p = estimate.n, estimate.free_parameters
    return {
        "aic": aic(estimate),
        "aicc": -2 * estimate.log_likelihood + 2 * p * n / (n - p - 1) if n > p + 1 else None,
        "bic": bic(estimate),
        "caic": bic(estimate) + p,
        "sabic": -2 * estimate.log_likelihood + p * log((n + 2) / 24),
        "icl": None if estimate.entropy is None else bic(estimate) + 2 * estimate.entropy,
    }
