"""Peak memory of one fit beyond what the process held before it, in MB: python memory.py N D K [COVARIANCE].

Prints two numbers: what a fit adds once the same model has been fitted to a few rows (so the compiler has been
at work), and what it adds in a process that has compiled nothing yet, the data excluded from both.
"""

import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import latens as lt

from run import ours, problem


def resident() -> float:
    """MB this process holds now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6


def highest(work: Callable[[], object]) -> float:
    """MB at the highest point of some work, less what was held before it."""
    before, top, done = resident(), [0.0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            top[0] = max(top[0], resident())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return top[0] - before


def peak(n: int, d: int, k: int, covariance: str, warm: bool) -> float:
    """MB that a fit adds at its highest point."""
    rows, start = problem(n, d, k, covariance)
    if warm:
        ours(*problem(30_000, d, k, covariance), 3)
    else:
        lt.fit(lt.IID(lt.Normal()), [1.0, 2.0, 4.0])  # loads JAX, compiles next to nothing
    return highest(lambda: ours(rows, start, 3))


if __name__ == "__main__":
    n, d, k = (int(word) for word in sys.argv[1:4])
    covariance = sys.argv[4] if len(sys.argv) > 4 else "full"
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        print(*(round(pool.apply(peak, (n, d, k, covariance, warm))) for warm in (True, False)))
