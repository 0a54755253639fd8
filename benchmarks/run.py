"""Speed and memory beside peers, in one run: writes results.md next to this file.

Per EM iteration of a Gaussian mixture in float64, same data, same start, same number of iterations, all cores for all.
Starting costs cancel: theirs is the slope between a short and a longer run, ours from the end of one to the last one.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import latens as lt
from latens.engine.blocks import cores

from peers import by_armadillo, by_mclust

SHAPES = [
    (500_000, 8, 16, "full"),
    (1_000_000, 2, 3, "full"),
    (200_000, 32, 16, "full"),
    (500_000, 32, 16, "diagonal"),
]
AIMS = [(25, 10), (25, 6), (8, 5), (8, None)]  # times scikit-learn, times Armadillo
SHORT, LONG, PAIRS = 2, 7, 5
MORE = 30  # iterations of ours, which are short


def problem(n: int, d: int, k: int, covariance: str = "full") -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Rows from k normals, and a start that belongs to none of them."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(k, d)) * 2
    rows = centres[rng.integers(k, size=n)] + rng.normal(size=(n, d))
    start = {"weights": np.full(k, 1 / k), "mean": rows[:k]}
    spread = {"covariance": np.stack([np.eye(d)] * k)} if covariance == "full" else {"variance": np.ones((k, d))}
    return rows, start | spread


def mixture(start: dict[str, np.ndarray]) -> lt.Mixture:
    """The model that the start belongs to."""
    k, d = start["mean"].shape
    return lt.Mixture(lt.MultivariateNormal(d, "full" if "covariance" in start else "diagonal"), k)


def ours(rows: np.ndarray, start: dict[str, np.ndarray], steps: int) -> tuple[float, float]:
    """(seconds, log-likelihood after these steps)."""
    began = time.perf_counter()
    fit = lt.fit(mixture(start), rows, start=start, accelerate=lt.Plain(), stop=lt.Stop(tolerance=0, max_steps=steps))
    return time.perf_counter() - began, fit.log_likelihood


def pace(rows: np.ndarray, start: dict[str, np.ndarray]) -> float:
    """Seconds per iteration of ours, from the end of the first to the end of the last."""
    stop = lt.Stop(tolerance=0, max_steps=MORE)
    ends = [
        time.perf_counter() for _ in lt.iterate(mixture(start), rows, start=start, accelerate=lt.Plain(), stop=stop)
    ]
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def theirs(rows: np.ndarray, start: dict[str, np.ndarray], steps: int) -> tuple[float, GaussianMixture]:
    """(seconds, the fitted estimator)."""
    full = "covariance" in start
    estimator = GaussianMixture(
        len(start["weights"]),
        covariance_type="full" if full else "diag",
        weights_init=start["weights"],
        means_init=start["mean"],
        precisions_init=np.linalg.inv(start["covariance"]) if full else 1 / start["variance"],
        init_params="random_from_data",
        max_iter=steps,
        tol=0,
        reg_covar=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        began = time.perf_counter()
        estimator.fit(rows)
    return time.perf_counter() - began, estimator


def script(name: str, *arguments: int | str) -> str:
    """What a script beside this one prints, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name(name)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def compare(shape: tuple[int, int, int, str], aims: tuple[float, float | None]) -> str:
    """One row of the table."""
    n, d, k, covariance = shape
    rows, start = problem(n, d, k, covariance)
    _, reached = ours(rows, start, LONG)  # compiles
    mine, skl = [], []
    for _ in range(PAIRS):
        mine.append(pace(rows, start))
        (long, estimator), (short, _) = theirs(rows, start, LONG), theirs(rows, start, SHORT)
        skl.append((long - short) / (LONG - SHORT))
    ends = [estimator.score(rows) * n]
    cells = [f"({n:,}, {d}, {k}) {covariance}", f"{1e3 * np.median(mine):.1f}", _beside(mine, skl, aims[0])]
    for by, aim, steps in ((by_armadillo, aims[1], (SHORT, LONG, 2)), (by_mclust, None, (1, LONG, 1))):
        found = by(rows, k, covariance, steps)
        cells.append("not here" if found is None else _beside(mine, found.seconds, aim))
        ends += [] if found is None else [found.log_likelihood]
    memory = script("memory.py", n, d, k, covariance).split()
    off = max(abs(end - reached) for end in ends) / abs(reached)
    return f"| {' | '.join([*cells, f'{off:.0e}', memory[0], memory[1]])} |"


def _beside(mine: list[float], other: list[float], aim: float | None) -> str:
    """Another's time, and the ratio to ours with minimum and maximum and its aim."""
    span = f"{min(other) / max(mine):.1f} to {max(other) / min(mine):.1f}"
    goal = "" if aim is None else f", aim {aim:g}"
    return f"{1e3 * np.median(other):.0f} ms: **{np.median(other) / np.median(mine):.1f}** ({span}{goal})"


def limit() -> str:
    """The share of the machine's own speed: two matrix products and the exponentials, by our time."""
    n, d, k, _ = SHAPES[0]
    rows, start = problem(n, d, k)
    pace(rows, start)
    mine = min(pace(rows, start) for _ in range(5))
    a = np.random.default_rng(0).normal(size=(2000, 2000))
    rate = max(2 * 2000**3 / _seconds(lambda: a @ a) for _ in range(5))
    parts = np.random.default_rng(0).uniform(-20, 0, (cores(), 1 << 15))
    out = np.empty_like(parts)
    with ThreadPoolExecutor(cores()) as pool:

        def all_cores() -> None:
            list(pool.map(lambda i: [np.exp(parts[i], out=out[i]) for _ in range(200)], range(cores())))

        exponentials = max(parts.size * 200 / _seconds(all_cores) for _ in range(5))
    width = 1 + d + d * (d + 1) // 2
    least = 2 * 2 * n * width * k / rate + n * k / exponentials
    return (
        f"Share of the physical limit at ({n:,}, {d}, {k}): two products of ({n:,} × {width}) by ({width} × {k}) at "
        f"this machine's {rate / 1e9:.0f} Gflop/s and {n * k:,} exponentials at {exponentials / 1e9:.2f} billion a "
        f"second take {1e3 * least:.1f} ms, our iteration {1e3 * mine:.1f} ms: **{least / mine:.0%}**, aim 50 %."
    )


def processor() -> str:
    """Its name and widest vectors, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    known = set(told.get("flags", "").split())
    widest = next((name for name, flag in (("AVX-512", "avx512f"), ("AVX2", "avx2")) if flag in known), "")
    return ", ".join(word for word in (told.get("model name", platform.machine()), widest) if word)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


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


def warm_demo() -> str:
    """The second and third run of a small example, whose programs the first one kept."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"LATENS_CACHE": folder}
        command = [sys.executable, "-m", "latens", "demo", "moths"]
        run = partial(subprocess.run, command, check=True, capture_output=True, env=environment)
        cold, *warm = [_seconds(run) for _ in range(4)]
    return f"`latens demo moths`: {cold:.1f} s when nothing is kept, then {min(warm):.2f} to {max(warm):.2f} s, aim 3."


def main() -> None:
    """Measure and write."""
    import jax

    head = ["(n, d, k)", "latens, ms", "scikit-learn", "Armadillo", "mclust", "log-likelihoods differ by at most"]
    head += ["MB beyond the data, programs compiled", "with compiling"]
    lines = [
        "# Results",
        "",
        f"{platform.machine()} ({processor()}), {cores()} cores, Python {platform.python_version()}, "
        f"JAX {jax.__version__}, scikit-learn {sklearn.__version__}, latens {lt.__version__}; written by `make bench`.",
        "",
        f"Gaussian mixtures, float64, per EM iteration, same start and iterations; medians of {PAIRS} pairs of runs "
        "(of 2 for Armadillo, of 1 for mclust), ratios with minimum and maximum.",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
    ]
    for shape, aims in zip(SHAPES, AIMS, strict=True):
        lines.append(compare(shape, aims))
        print(lines[-1], flush=True)
    for title, part in (
        ("", limit),
        ("Many starts", partial(script, "starts.py")),
        ("Accelerators", partial(script, "accelerators.py")),
        ("Growth", partial(script, "growth.py")),
        ("Half-seen data", partial(script, "missing.py")),
        ("", partial(script, "against_r.py")),
        ("Uncertainty", partial(script, "inference.py")),
        ("Starting", start_up),
        ("", warm_demo),
    ):
        found = part()
        lines += ["", *([f"## {title}", ""] if title else []), found]
        print(found, flush=True)
        Path(__file__).with_name("results.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
