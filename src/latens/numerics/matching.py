"""Which of one list goes with which of another."""

import numpy as np


def matching(cost: np.ndarray) -> np.ndarray:
    """For each row of a square matrix (k, k) its column, each used once, such that the sum of costs is least.

    **Source:** Crouse (2016), IEEE Trans. Aerosp. Electron. Syst. 52, 1679, in SciPy.
    """
    from scipy.optimize import linear_sum_assignment  # half a second that most runs need not wait for

    return np.asarray(linear_sum_assignment(cost)[1])
