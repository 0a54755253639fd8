"""Time per iteration and memory as rows grow from 1e4 to 1e7 (d = 2, k = 3, full covariances). Prints a table."""

import time
from itertools import pairwise
from multiprocessing import get_context

import numpy as np

import latens as lt

from memory import peak
from run import problem

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
D, K = 2, 3


def pace(n: int) -> float:
    """Seconds per iteration, their median."""
    rows, start = problem(n, D, K)
    model, steps = lt.Mixture(lt.MultivariateNormal(D), K), max(20, min(200, 20_000_000 // n))

    def run(most: int) -> list[float]:
        """Seconds that each step took."""
        stop = lt.Stop(tolerance=0, max_steps=most)
        steps = lt.iterate(model, rows, start=start, accelerate=lt.Plain(), stop=stop)
        ends = [time.perf_counter() for _ in steps]
        return [b - a for a, b in pairwise(ends)]

    run(2)
    return float(np.median(run(1 + steps)))


def main() -> None:
    """Measure and print."""
    found = []
    for n in SIZES:
        # memory in a process of its own: what an earlier run leaves behind hides what a later one takes
        with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            extra = pool.apply(peak, (n, D, K, "full", True)) - n * D * 8 / 1e6
            found.append((pool.apply(pace, (n,)), extra))
    times = np.array([seconds for seconds, _ in found])
    slope = np.polyfit(np.log(SIZES), np.log(times), 1)[0]
    print("| rows | ms per iteration | ns per row | MB beyond the data and their one copy |\n|---|---|---|---|")
    for n, (seconds, extra) in zip(SIZES, found, strict=True):
        print(f"| {n:,} | {1e3 * seconds:.2f} | {1e9 * seconds / n:.1f} | {extra:.0f} |")
    print(f"\nSlope of the logarithms: **{slope:.3f}**, aim 1 ± 0.05.")


if __name__ == "__main__":
    main()
