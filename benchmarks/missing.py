"""Speed and memory with missing cells: one EM iteration of a Gaussian mixture beside that of the complete data.

python missing.py prints the table; python missing.py memory prints MB beyond the data, in a process of its own.
"""

import sys
import time
from multiprocessing import get_context

import numpy as np

import latens as lt

from memory import highest
from run import problem

SHORT, LONG, PAIRS = 2, 7, 5
N, D, K = 200_000, 8, 8


def holed(rows: np.ndarray, share: float = 0.3) -> np.ndarray:
    """The rows with a share of their cells missing at random, in 2^d − 1 patterns: none is wholly unseen."""
    gone = np.random.default_rng(1).random(rows.shape) < share
    gone[gone.all(1), 0] = False
    return np.where(gone, np.nan, rows)


def seconds(rows: np.ndarray, start: dict[str, np.ndarray], steps: int) -> float:
    """Of a fit of so many steps."""
    model = lt.Mixture(lt.MultivariateNormal(rows.shape[1]), len(start["weights"]))
    began = time.perf_counter()
    lt.fit(model, rows, start=start, accelerate=lt.Plain(), stop=lt.Stop(tolerance=0, max_steps=steps))
    return time.perf_counter() - began


def iteration(rows: np.ndarray, start: dict[str, np.ndarray]) -> float:
    """Of one iteration: the slope between a short and a longer run."""
    return (seconds(rows, start, LONG) - seconds(rows, start, SHORT)) / (LONG - SHORT)


def peak() -> float:
    """MB at the highest point of a fit with missing cells, less the data, the programs compiled before."""
    rows, start = problem(N, D, K)
    rows = holed(rows)
    seconds(rows[:30_000].copy(), start, 2)
    return highest(lambda: seconds(rows, start, 3))


def growth() -> str:
    """Rows of 20 columns, nearly every one with a pattern of its own."""
    times = []
    sizes = (5_000, 10_000, 20_000, 40_000)
    for n in sizes:
        rows, start = problem(n, 20, 3)
        rows = holed(rows)
        seconds(rows, start, SHORT)
        times.append(min(iteration(rows, start) for _ in range(3)))
    patterns = len(np.unique(np.isnan(rows), axis=0))
    slope = np.polyfit(np.log(sizes), np.log(times), 1)[0]
    listed = ", ".join(f"{n:,}: {1e3 * t:.0f} ms" for n, t in zip(sizes, times, strict=True))
    return (
        f"Every row its own pattern (d = 20, k = 3; {patterns:,} patterns in {sizes[-1]:,} rows), per iteration: "
        f"{listed}; slope {slope:.2f} on logarithms."
    )


def main() -> None:
    """Print the table."""
    rows, start = problem(N, D, K)
    partial = holed(rows)
    patterns = len(np.unique(np.isnan(partial), axis=0))
    for each in (rows, partial):
        seconds(each, start, SHORT)
    pairs = [(iteration(rows, start), iteration(partial, start)) for _ in range(PAIRS)]
    ratios = [b / a for a, b in pairs]
    whole, some = (1e3 * np.median([pair[i] for pair in pairs]) for i in (0, 1))
    with get_context("spawn").Pool(1) as pool:
        memory = pool.apply(peak)
    print(
        f"Missing cells, full covariances, (n, d, k) = ({N:,}, {D}, {K}), {np.isnan(partial).mean():.0%} of the cells "
        f"in {patterns} patterns: {some:.1f} ms per iteration, complete data {whole:.1f} ms, ratio "
        f"**{np.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f}), aim at most 2.5; {memory:.0f} MB "
        "beyond the data, aim at most 300."
    )
    print()
    print(growth())


if __name__ == "__main__":
    print(round(peak())) if sys.argv[1:] == ["memory"] else main()
