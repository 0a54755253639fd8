"""Speed and memory beside scikit-learn, in one run: writes results.md next to this file.

Per EM iteration of a full-covariance Gaussian mixture in float64, same data, same start, same number of iterations,
all cores for both. An iteration is the slope between a short and a longer run, so starting costs cancel; runs
alternate, and ratios are taken pair by pair.
"""

import platform
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import latens as lt
from latens.engine.blocks import cores

SHAPES = [(500_000, 8, 16, 8.0), (1_000_000, 2, 3, 8.0), (200_000, 32, 16, 3.0)]
SHORT, LONG, PAIRS = 2, 7, 5


def problem(n: int, d: int, k: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Rows from k normals, and a start that belongs to none of them."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(k, d)) * 2
    rows = centres[rng.integers(k, size=n)] + rng.normal(size=(n, d))
    start = {"weights": np.full(k, 1 / k), "mean": rows[:k], "covariance": np.stack([np.eye(d)] * k)}
    return rows, start


def ours(rows: np.ndarray, start: dict[str, np.ndarray], steps: int) -> tuple[float, float]:
    """(seconds, log-likelihood after these steps)."""
    model = lt.Mixture(lt.MultivariateNormal(rows.shape[1]), len(start["weights"]))
    stop = lt.Stop(tolerance=0, max_steps=steps)
    began = time.perf_counter()
    fit = lt.fit(model, rows, start=start, accelerate=lt.Plain(), stop=stop)
    return time.perf_counter() - began, fit.log_likelihood


def theirs(rows: np.ndarray, start: dict[str, np.ndarray], steps: int) -> tuple[float, GaussianMixture]:
    """(seconds, the fitted estimator)."""
    mixture = GaussianMixture(
        len(start["weights"]),
        weights_init=start["weights"],
        means_init=start["mean"],
        precisions_init=np.linalg.inv(start["covariance"]),
        init_params="random_from_data",
        max_iter=steps,
        tol=0,
        reg_covar=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        began = time.perf_counter()
        mixture.fit(rows)
    return time.perf_counter() - began, mixture


def script(name: str, *arguments: int) -> str:
    """What a script beside this one prints, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name(name)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def compare(n: int, d: int, k: int, aim: float) -> str:
    """One row of the table."""
    rows, start = problem(n, d, k)
    _, reached = ours(rows, start, LONG)  # compiles
    a, b, ratios = [], [], []
    for _ in range(PAIRS):
        a.append((ours(rows, start, LONG)[0] - ours(rows, start, SHORT)[0]) / (LONG - SHORT))
        (long, mixture), (short, _) = theirs(rows, start, LONG), theirs(rows, start, SHORT)
        b.append((long - short) / (LONG - SHORT))
        ratios.append(b[-1] / a[-1])
    total = mixture.score(rows) * n
    memory = script("memory.py", n, d, k).split()
    return (
        f"| ({n:,}, {d}, {k}) | {1e3 * np.median(a):.1f} | {1e3 * np.median(b):.0f} | **{np.median(ratios):.1f}** "
        f"({min(ratios):.1f} to {max(ratios):.1f}) | {aim:g} | {abs(reached - total) / abs(total):.0e} "
        f"| {memory[0]} | {memory[1]} |"
    )


def start_up() -> str:
    """Import times, medians of seven processes each."""

    def seconds(*command: str) -> float:
        times = []
        for _ in range(7):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
        return float(np.median(times))

    python = sys.executable
    bare, jax = seconds(python, "-c", "pass"), seconds(python, "-c", "import jax")
    lazy, whole = seconds(python, "-c", "import latens"), seconds(python, "-c", "import latens; latens.fit")
    shown = seconds(python, "-m", "latens", "--help")
    return (
        f"`import jax` {jax - bare:.2f} s; `import latens` {lazy - bare:.2f} s, with `latens.fit` loaded "
        f"{whole - bare:.2f} s "
        f"({(whole - bare) / (jax - bare):.2f} times `import jax`); `latens --help` {shown:.2f} s."
    )


def main() -> None:
    """Measure and write."""
    import jax

    lines = [
        "# Results",
        "",
        f"{platform.machine()}, {cores()} cores, Python {platform.python_version()}, JAX {jax.__version__}, "
        f"scikit-learn {sklearn.__version__}, latens {lt.__version__}; written by `make bench`.",
        "",
        "Full-covariance Gaussian mixtures, float64, per EM iteration; medians of "
        f"{PAIRS} alternating pairs, ratio with minimum and maximum.",
        "",
        "| (n, d, k) | latens, ms | scikit-learn, ms | ratio | aim | log-likelihoods differ by | MB beyond the data, "
        "programs compiled | MB with compiling |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for shape in SHAPES:
        lines.append(compare(*shape))
        print(lines[-1], flush=True)
    lines += ["", script("missing.py"), "", script("against_r.py"), "", script("inference.py"), "", start_up(), ""]
    Path(__file__).with_name("results.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
