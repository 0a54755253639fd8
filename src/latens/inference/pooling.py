"""Estimates from several completed data sets as one: Rubin's rules."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from latens.errors import ParameterError
from latens.numerics.asked import number


@dataclass(frozen=True, eq=False)
class Pooled:
    """One answer from m completed data sets.

    `estimate` (p,); `covariance` (p, p): W + (1 + 1/m) B; `standard_error` (p,); `degrees` (p,): of
    freedom; `fraction_missing` (p,): of the information, by the spread between the answers.
    """

    estimate: np.ndarray
    covariance: np.ndarray
    degrees: np.ndarray
    fraction_missing: np.ndarray

    @property
    def standard_error(self) -> np.ndarray:
        """(p,) √ diagonal of the covariance."""
        return np.sqrt(np.diag(self.covariance))

    def interval(self, level: float = 0.95) -> np.ndarray:
        """(p, 2) confidence intervals by Student's t."""
        number(level, "interval: level", "a number strictly between 0 and 1, such as 0.95", 0.0, 1.0)
        from scipy.special import ndtri, stdtrit  # slow to load, and most runs pool nothing

        p = (1 + level) / 2
        half = np.where(np.isinf(self.degrees), ndtri(p), stdtrit(self.degrees, p)) * self.standard_error
        return np.stack([self.estimate - half, self.estimate + half], -1)


def pool(estimates: Any, covariances: Any) -> Pooled:
    """Rubin's rules: one estimate and its covariance from those of m completed data sets.

        Q̄ = mean Qᵢ,   T = W + (1 + 1/m) B,   W = mean Uᵢ,   B = the covariance of the Qᵢ

    **Arguments:** `estimates` (m, p) or (m,); `covariances` (m, p, p), or variances (m, p) or (m,), of those.
    **Returns:** `Pooled`.
    **Raises:** `ParameterError` for fewer than 2 data sets or shapes that do not fit.
    **Example:**
        >>> import latens as lt
        >>> pooled = lt.pool([1.0, 1.2, 0.8], [0.04, 0.04, 0.04])
        >>> float(pooled.estimate[0].round(6)), float(pooled.standard_error[0].round(6))
        (1.0, 0.305505)

    **Source:** Rubin (1987), Multiple Imputation for Nonresponse in Surveys, eqs. 3.1.2 to 3.1.6, 3.1.10.
    """
    answers, within = np.asarray(estimates, dtype=float), np.asarray(covariances, dtype=float)
    if answers.ndim == 1:
        answers, within = answers[:, None], within.reshape(len(within), -1) if within.ndim == 1 else within
    if answers.ndim != 2 or len(answers) < 2:
        raise ParameterError(f"pool: estimates of at least 2 data sets (m, p) are needed, got shape {answers.shape}")
    m, p = answers.shape
    if within.shape == (m, p):
        within = np.stack([np.diag(row) for row in within])
    if within.shape != (m, p, p):
        raise ParameterError(f"pool: covariances have shape {within.shape}; give ({m}, {p}, {p}) or ({m}, {p})")
    inside, between = within.mean(0), np.atleast_2d(np.cov(answers.T))
    total = inside + (1 + 1 / m) * between
    share = (1 + 1 / m) * np.diag(between) / np.diag(total)
    with np.errstate(divide="ignore"):
        degrees = (m - 1) / share**2
    increase = share / np.maximum(1 - share, 1e-300)
    missing = (increase + 2 / (degrees + 3)) / (increase + 1)
    return Pooled(answers.mean(0), total, degrees, missing)
