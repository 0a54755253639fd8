"""Time per iteration and memory as rows grow from 1e4 to 1e7 (d = 2, k = 3, full covariances). Prints a table."""

import time
from itertools import pairwise
from multiprocessing import get_context

import numpy as np

import latens as lt

from memory import highest
from run import problem

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
D, K = 2, 3


def measure(n: int) -> tuple[float, float]:
    """(seconds per iteration, their median; MB beyond the data and their one copy in the frame)."""
    rows, start = problem(n, D, K)
    model, steps = lt.Mixture(lt.MultivariateNormal(D), K), max(20, min(200, 20_000_000 // n))

    def run(most: int) -> list[float]:
        """Seconds that each step took."""
        stop = lt.Stop(tolerance=0, max_steps=most)
        steps = lt.iterate(model, rows, start=start, accelerate=lt.Plain(), stop=stop)
        ends = [time.perf_counter() for _ in steps]
        return [b - a for a, b in pairwise(ends)]

    run(2)
    return float(np.median(run(1 + steps))), highest(lambda: run(2)) - rows.nbytes / 1e6


def main() -> None:
    """Measure and print."""
    found = []
    for n in SIZES:
        with get_context("spawn").Pool(1) as pool:
            found.append(pool.apply(measure, (n,)))
    times = np.array([seconds for seconds, _ in found])
    slope = np.polyfit(np.log(SIZES), np.log(times), 1)[0]
    print("| rows | ms per iteration | ns per row | MB beyond the data and their one copy |\n|---|---|---|---|")
    for n, (seconds, extra) in zip(SIZES, found, strict=True):
        print(f"| {n:,} | {1e3 * seconds:.2f} | {1e9 * seconds / n:.1f} | {extra:.0f} |")
    print(f"\nSlope of the logarithms: **{slope:.3f}**, aim 1 ± 0.05.")


if __name__ == "__main__":
    main()
