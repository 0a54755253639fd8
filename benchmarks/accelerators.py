"""Evaluations of the EM map until |M(θ) − θ| < 1e-7, ours and R's SQUAREM on the very same maps.

R's SQUAREM (its defaults, with the objective) runs in R and asks this process for every evaluation, over a socket; so
times are shown without the map's own. Prints a table.
"""

import socket
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

import latens as lt

from maps import CASES, Case
from peers import has_r

TOLERANCE, MOST, STARTS = 1e-7, 50_000, 9
R = "R's SQUAREM"
OURS = {
    "plain": lt.Plain(),
    "Auto": lt.Auto(),
    "Anderson": lt.Anderson(),
    "DAAREM": lt.Anderson.daarem(),
    "QuasiNewton": lt.QuasiNewton(),
    "Squarem": lt.Squarem(),
    "Squarem, order 3": lt.Squarem(order=3),
}


class Result(NamedTuple):
    """One run."""

    evaluations: int
    value: float  # of the objective at the end
    beside: float  # seconds that were not the map's own
    whole: float  # seconds


class Near(Exception):
    """The residual is below the tolerance."""


class Counted:
    """A map that counts, and keeps its own time."""

    def __init__(self, case: Case) -> None:
        self.case, self.count, self.seconds = case, 0, 0.0
        self.last = case.start

    def map(self, point: np.ndarray) -> np.ndarray:
        began = time.perf_counter()
        with np.errstate(all="ignore"):
            image = self.case.map(point)
        self.seconds += time.perf_counter() - began
        self.count, self.last = self.count + 1, image
        return image

    def objective(self, point: np.ndarray) -> float:
        began = time.perf_counter()
        with np.errstate(all="ignore"):
            value = self.case.objective(point)
        self.seconds += time.perf_counter() - began
        return value


def ours(case: Case, accelerate: lt.AbstractAccelerator) -> Result:
    """By one of our rules."""
    counted = Counted(case)

    def watched(point: np.ndarray) -> np.ndarray:
        image = counted.map(point)
        if np.linalg.norm(image - point) < TOLERANCE:
            raise Near
        return image

    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with suppress(Near):
            lt.accelerate(watched, case.start, counted.objective, accelerate=accelerate, stop=lt.Stop(0, MOST))
    whole = time.perf_counter() - began
    return Result(counted.count, case.objective(counted.last), whole - counted.seconds, whole)


def theirs(case: Case) -> Result:
    """The same by R's SQUAREM; its time is what its process and the socket take beside the map."""
    counted, p = Counted(case), len(case.start)
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = Path(__file__).with_name("squarem.R")
        arguments = [str(server.getsockname()[1]), str(p), "1", str(TOLERANCE), str(MOST)]
        process = subprocess.Popen(["Rscript", str(script), *arguments])
        link, _ = server.accept()
        with link, link.makefile("rwb") as stream:

            def put(values: np.ndarray) -> None:
                stream.write(np.asarray(values, dtype=float).tobytes())
                stream.flush()

            put(case.start)
            began = time.perf_counter()
            while True:
                what, *point = np.frombuffer(stream.read(8 * (p + 1)))
                if what == 3:
                    break
                put(counted.map(np.array(point)) if what == 1 else np.array([counted.objective(np.array(point))]))
            whole = time.perf_counter() - began
            evaluations, _ = np.frombuffer(stream.read(16))
        process.wait()
    return Result(int(evaluations), case.objective(np.array(point)), whole - counted.seconds, whole)


def cell(found: list[Result], plain: list[Result]) -> str:
    """Median evaluations, and how many ended below or above plain EM."""
    middle = np.median([each.evaluations for each in found])
    off = [(a.value - b.value) / (1 + abs(b.value)) for a, b in zip(found, plain, strict=True)]
    ends = ((sum(x < -1e-6 for x in off), "lower"), (sum(x > 1e-6 for x in off), "higher"))
    other = ", ".join(f"{count} {word}" for count, word in ends if count)
    return ("—" if middle > MOST else f"{middle:,.0f}") + (f" ({other})" if other else "")


def ratio(theirs: list[Result], ours: list[Result]) -> float:
    """How many times as many evaluations, start by start: the median."""
    return float(np.median([a.evaluations / b.evaluations for a, b in zip(theirs, ours, strict=True)]))


def main() -> None:
    """Measure and print."""
    beside = has_r("SQUAREM")
    names = [*OURS, *([R] if beside else [])]
    print(
        f"Evaluations of the EM map until its residual is below {TOLERANCE:g}: medians of {STARTS} starts (in\n"
        "brackets, how many led to another maximum than plain EM; `—`: not within 50,000). "
        "Ratios are taken\nstart by start.\n"
    )
    print(f"| map | p | {' | '.join(names)} | R : Auto | ms beside the map: Auto, R |\n|{'---|' * (len(names) + 4)}")
    ratios, best = [], []
    for name, make in CASES.items():
        try:
            case = make()
        except OSError:
            print(f"{name}: its table is not here", file=sys.stderr)
            continue
        cases = [case._replace(start=start) for start in case.starts(STARTS)]
        found = {n: [ours(each, a) for each in cases] for n, a in OURS.items()}
        tail = ["", ""]
        if beside:
            found[R] = [theirs(each) for each in cases]
            ratios.append(ratio(found[R], found["Auto"]))
            best.append(max(ratio(found[R], found[n]) for n in OURS))
            beyond = (f"{1e3 * np.median([each.beside for each in found[n]]):.0f}" for n in ("Auto", R))
            tail = [f"**{ratios[-1]:.1f}**", ", ".join(beyond)]
        cells = [cell(each, found["plain"]) for each in found.values()]
        print(f"| {name} | {len(case.start)} | {' | '.join(cells)} | {' | '.join(tail)} |", flush=True)
    if beside:
        for found_ratios, what in ((ratios, "Auto"), (best, "the best of ours")):
            span = f"{min(found_ratios):.2f} to {max(found_ratios):.2f}"
            print(f"\nR's evaluations by those of {what}: median **{np.median(found_ratios):.2f}** ({span}).")
        print("Aims: at least 1 on every map, 2 in the median.")


if __name__ == "__main__":
    main()
