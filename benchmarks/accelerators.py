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

import numpy as np

import latens as lt

from maps import CASES, Case
from peers import has_r

TOLERANCE, MOST = 1e-7, 50_000
OURS = {
    "plain": lt.Plain(),
    "Auto": lt.Auto(),
    "Anderson": lt.Anderson(),
    "DAAREM": lt.Anderson.daarem(),
    "QuasiNewton": lt.QuasiNewton(),
    "Squarem": lt.Squarem(),
    "Squarem, order 3": lt.Squarem(order=3),
    "ParabolicEM": lt.ParabolicEM(),
}


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


def ours(case: Case, accelerate: lt.AbstractAccelerator) -> tuple[int, float, float, float]:
    """(evaluations, objective, seconds beside the map's own, seconds in all)."""
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
    return counted.count, case.objective(counted.last), whole - counted.seconds, whole


def theirs(case: Case) -> tuple[int, float, float, float]:
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
    return int(evaluations), case.objective(np.array(point)), whole - counted.seconds, whole


def main() -> None:
    """Measure and print."""
    beside = has_r("SQUAREM")
    names = [*OURS, *(["R's SQUAREM"] if beside else [])]
    print(
        f"Evaluations of the EM map until its residual is below {TOLERANCE:g} (in brackets: where another maximum was"
    )
    print("reached, its log-likelihood less that of plain EM; `—`: not within 50,000).\n")
    print(f"| map | p | {' | '.join(names)} | R : Auto | ms beside the map: Auto, R |\n|{'---|' * (len(names) + 4)}")
    ratios, best = [], []
    for name, make in CASES.items():
        try:
            case = make()
        except OSError:
            print(f"{name}: its table is not here", file=sys.stderr)
            continue
        found = {n: ours(case, a) for n, a in OURS.items()} | ({"R's SQUAREM": theirs(case)} if beside else {})
        target = found["plain"][1]
        cells = []
        for count, value, _, _ in found.values():
            off = value - target
            other = f" ({off:+.4f})" if abs(off) > 1e-6 * (1 + abs(target)) else ""
            cells.append(("—" if count > MOST else f"{count:,}") + other)
        tail = ["", ""]
        if beside:
            r = found["R's SQUAREM"]
            ratios.append(r[0] / found["Auto"][0])
            best.append(r[0] / min(found[n][0] for n in OURS if abs(found[n][1] - target) < 1e-6 * (1 + abs(target))))
            tail = [f"**{ratios[-1]:.1f}**", f"{1e3 * found['Auto'][2]:.0f}, {1e3 * r[2]:.0f}"]
        print(f"| {name} | {len(case.start)} | {' | '.join(cells)} | {' | '.join(tail)} |", flush=True)
    if beside:
        for ratio, what in ((ratios, "Auto"), (best, "the best of ours")):
            span = f"{min(ratio):.1f} to {max(ratio):.1f}"
            print(f"\nR's evaluations by those of {what}: median **{np.median(ratio):.1f}** ({span}).")
        print("Aims: at least 1 on every map, 2 in the median.")


if __name__ == "__main__":
    main()
