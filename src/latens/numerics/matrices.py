"""Two algorithms on matrices: which rows go with which columns, and factors of nearly singular ones."""

import numpy as np


def matching(cost: np.ndarray) -> np.ndarray:
    """For each row of a square matrix (k, k) its column, each used once, such that the sum of costs is least.

    **Source:** Crouse (2016), IEEE Trans. Aerosp. Electron. Syst. 52, 1679, in SciPy.
    """
    from scipy.optimize import linear_sum_assignment  # half a second that most runs need not wait for

    return np.asarray(linear_sum_assignment(cost)[1])


def inverse_factor(covariance: np.ndarray) -> np.ndarray:
    """(d, d) W with W Σ Wᵀ = I, lower triangular: the inverse of Cholesky's factor, in the longest doubles there are.

    Of columns correlated by 1 − δ a factor in doubles has lost 1/δ of its digits; NaN where Σ is not positive definite.
    """
    d = len(covariance)
    factor, inverse = np.zeros((2, d, d), np.longdouble)
    for j in range(d):
        left = covariance[j:, j].astype(np.longdouble) - factor[j:, :j] @ factor[j, :j]
        factor[j:, j] = left / np.sqrt(left[0]) if left[0] > 0 else np.nan
    for j in range(d):
        inverse[j, j] = 1 / factor[j, j]
        inverse[j, :j] = -inverse[j, j] * (factor[j, :j] @ inverse[:j, :j])
    return inverse.astype(np.float64)
