"""Information criteria: smaller is better."""

from collections.abc import Callable
from math import log

Criterion = Callable[[float, int, float, float | None], float | None]


def _bic(ell: float, p: int, n: float) -> float:
    return -2 * ell + p * log(n)


CRITERIA: dict[str, Criterion] = {
    "aic": lambda ell, p, n, entropy: -2 * ell + 2 * p,
    "aicc": lambda ell, p, n, entropy: -2 * ell + 2 * p * n / (n - p - 1) if n > p + 1 else None,
    "bic": lambda ell, p, n, entropy: _bic(ell, p, n),
    "caic": lambda ell, p, n, entropy: _bic(ell, p, n) + p,
    "sabic": lambda ell, p, n, entropy: -2 * ell + p * log((n + 2) / 24),
    "icl": lambda ell, p, n, entropy: None if entropy is None else _bic(ell, p, n) + 2 * entropy,
}
"""Name → criterion of (log-likelihood, free parameters, total weight, entropy of hidden labels or None)."""

HEADINGS = {"aic": "AIC", "aicc": "AICc", "bic": "BIC", "caic": "CAIC", "sabic": "SABIC", "icl": "ICL"}
"""Name → what it is called."""
