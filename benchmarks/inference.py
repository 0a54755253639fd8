"""Cost of standard errors, as lines of Markdown: `python benchmarks/inference.py`.

A large model, compiling included and again without; and a small one beside a Hessian of its log-likelihood by
numerical differentiation (SciPy), which is what there is without this library.
"""

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.differentiate import hessian
from scipy.stats import poisson

import latens as lt

COUNTS = np.arange(10)
DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])  # Hasselblad (1969)
EXACT = np.array([0.1946842987, 0.3500297114, 0.2504782703])  # in 50 digits


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def large(n: int = 100_000, d: int = 8, k: int = 16) -> str:
    rng = np.random.default_rng(0)
    centres, mixing = 3 * rng.normal(size=(k, d)), np.eye(d) + rng.normal(size=(k, d, d)) / 3
    labels = rng.integers(k, size=n)
    rows = centres[labels] + np.einsum("nij,nj->ni", mixing[labels], rng.normal(size=(n, d)))
    start = {"weights": np.full(k, 1 / k), "mean": centres, "covariance": mixing @ mixing.transpose(0, 2, 1)}
    first, second = (lt.fit(lt.Mixture(lt.MultivariateNormal(d), k), rows, start=start) for _ in range(2))
    cold, _ = timed(first.standard_errors)
    warm, _ = timed(second.standard_errors)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return (
        f"All standard errors of a full Gaussian mixture with {first.free_parameters} free parameters (n = {n:,}, "
        f"d = {d}, k = {k}): {cold:.1f} s with compiling (aim 15), {warm:.1f} s without; the whole process at most "
        f"{peak:.2f} GB (aim 2)."
    )


def small(times: int = 20) -> str:
    """The mixture of two Poissons of the published death notices."""

    def fit() -> lt.Fit:
        start = {"weights": [0.3, 0.7], "rate": [1.0, 2.5]}
        return lt.fit(lt.Mixture(lt.Poisson(), 2), COUNTS, weights=DAYS, start=start, stop=lt.Stop(tolerance=1e-10))

    def ours(done: lt.Fit) -> np.ndarray:
        done.information()
        done.confidence_intervals()
        errors = done.standard_errors()
        return np.array([errors["weights"][0], *errors["rate"]])

    def log_likelihood(theta: np.ndarray) -> np.ndarray:
        share, one, two = theta[..., None]
        return (DAYS * np.log(share * poisson.pmf(COUNTS, one) + (1 - share) * poisson.pmf(COUNTS, two))).sum(-1)

    def theirs(at: np.ndarray) -> np.ndarray:
        return np.sqrt(np.diag(np.linalg.inv(-hessian(log_likelihood, at, initial_step=0.05).ddf)))

    ours(fit())
    a, b, last = [], [], fit()
    at = np.array([last.params["weights"][0], *last.params["rate"]])
    for _ in range(times):
        done = fit()
        seconds, mine = timed(lambda done=done: ours(done))
        a.append(seconds)
        seconds, other = timed(lambda: theirs(at))
        b.append(seconds)
    off = [np.abs(found - EXACT).max() for found in (mine, other)]
    return (
        f"Informations, intervals and standard errors of the two-Poisson mixture: {1e3 * np.median(a):.1f} ms "
        f"(aim 50), off by at most {off[0]:.0e}; by SciPy's numerical Hessian, standard errors "
        f"alone, {1e3 * np.median(b):.1f} ms, off by {off[1]:.0e}: ratio **{np.median(b) / np.median(a):.1f}**."
    )


if __name__ == "__main__":
    print(large(), small(), sep="\n\n")
