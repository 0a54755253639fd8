"""Twenty starts to the same final log-likelihood as scikit-learn's, from the same twenty: total times.

Every measurement of ours is a process of its own: the first fit compiles, the second does not. Prints two lines.
"""

import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import latens as lt

from maps import REFERENCE

STARTS = 20
TOL = 1e-9  # of scikit-learn, in log-likelihood per row


def data(name: str) -> tuple[np.ndarray, int]:
    """Rows and the number of components."""
    if name == "faithful":
        return np.loadtxt(REFERENCE / "faithful.csv", delimiter=",", skiprows=1)[:, -2:], 2
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 4)) * 2.0
    return centres[rng.integers(6, size=10_000)] + rng.normal(size=(10_000, 4)), 6


def starts(rows: np.ndarray, k: int) -> list[dict[str, np.ndarray]]:
    """Means at random rows, the covariance of all, equal weights."""
    rng = np.random.default_rng(1)
    spread = np.stack([np.cov(rows.T)] * k)
    return [
        {"weights": np.full(k, 1 / k), "mean": rows[rng.choice(len(rows), k, replace=False)], "covariance": spread}
        for _ in range(STARTS)
    ]


def ours(name: str) -> tuple[float, float, float]:
    """(seconds of the first fit, of the second, log-likelihood)."""
    rows, k = data(name)
    begin, model, times = starts(rows, k), lt.Mixture(lt.MultivariateNormal(rows.shape[1]), k), []
    for _ in range(2):
        began = time.perf_counter()
        fit = lt.fit(model, rows, start=begin)
        times.append(time.perf_counter() - began)
    return (*times, fit.log_likelihood)


def theirs(name: str) -> tuple[float, float]:
    """(seconds, the best log-likelihood)."""
    rows, k = data(name)
    began, best = time.perf_counter(), -np.inf
    for start in starts(rows, k):
        mixture = GaussianMixture(
            k,
            weights_init=start["weights"],
            means_init=start["mean"],
            precisions_init=np.linalg.inv(start["covariance"]),
            init_params="random_from_data",
            max_iter=5_000,
            tol=TOL,
            reg_covar=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            best = max(best, mixture.fit(rows).score(rows) * len(rows))
    return time.perf_counter() - began, best


def main() -> None:
    """Measure and print."""
    for name, title in (("faithful", "Old Faithful, k = 2"), ("six", "n = 10,000, d = 4, k = 6")):
        command = [sys.executable, str(Path(__file__)), name]
        found = np.array(
            [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)],
            dtype=float,
        )
        first, second, value = np.median(found, 0)
        seconds, best = theirs(name)
        span = f"{seconds / found[:, 1].max():.0f} to {seconds / found[:, 1].min():.0f}"
        print(
            f"{title}: 20 starts, scikit-learn {seconds:.2f} s; ours {first:.2f} s with compiling "
            f"(**{seconds / first:.1f}** times), {second:.3f} s without (**{seconds / second:.0f}** times, {span}); "
            f"log-likelihoods {value:.6f} and {best:.6f}, ours less theirs {(value - best) / abs(best):+.0e} of it; "
            "aim 30 times.\n",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(*ours(sys.argv[1]))
    else:
        main()
