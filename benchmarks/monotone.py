"""Random models of the tests' registry, data and starts × every accelerator: does the likelihood ever fall?

python monotone.py [FITS] writes monotone.md: over all fits, violations of monotonicity (aim 0), and how often an
accelerator ended below plain EM from the same start: at another maximum, or otherwise (aim 0).
"""

import os
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import latens as lt
from latens.engine.loop import Run, drive
from latens.engine.problem import Problem

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from registry import MODELS

ACCELERATORS = {
    "Auto": lt.Auto(),
    "Anderson": lt.Anderson(),
    "DAAREM": lt.Anderson.daarem(),
    "QuasiNewton": lt.QuasiNewton(),
    "Squarem": lt.Squarem(),
    "Squarem, cap 1": lt.Squarem(cap=1.0),
    "Squarem, scheme 1": lt.Squarem(1),
    "Squarem, scheme 2": lt.Squarem(2),
    "Squarem, order 2": lt.Squarem(order=2),
}
STOP = lt.Stop(max_steps=3_000)
HEAD = [
    "fits",
    "converged",
    "degenerate",
    "max steps",
    "fell",
    "as plain EM",
    "higher",
    "lower, another maximum",
    "lower, not converged",
    "lower",
]


def finish(problem: Problem, free: np.ndarray, accelerate: lt.AbstractAccelerator) -> tuple[lt.Iterate, bool]:
    """The end of a run, and whether its log-likelihood fell on the way by more than rounding."""
    under_way = Run(problem, free, accelerate, STOP)
    *_, last = drive(under_way)
    values = np.array([passed.log_likelihood for passed in under_way.path])
    return last, bool((np.diff(values) < -1e-10 * (1 + np.abs(values[1:]))).any())


def one(index: int, repeats: int) -> dict[str, np.ndarray]:
    """Counts of one model by accelerator, in the order of HEAD."""
    case = MODELS[index]
    counts = {name: np.zeros(len(HEAD), int) for name in ("plain", *ACCELERATORS)}
    given = Problem(case.model, case.data, case.weights)
    begin = given.free(case.start)
    for i in range(repeats):
        rng = np.random.default_rng([index, i])
        problem = given.reweighted(given.weights * rng.exponential(size=len(given.weights)))
        start = begin + rng.normal(scale=rng.choice([0.1, 0.5, 1.0]), size=begin.shape)
        try:
            plain, fell = finish(problem, start, lt.Plain())
        except lt.ParameterError:
            continue  # a start that gives some row no probability
        ends = {"plain": (plain, fell)} | {name: finish(problem, start, a) for name, a in ACCELERATORS.items()}
        for name, (end, fell) in ends.items():
            gap = (end.log_likelihood - plain.log_likelihood) / (1 + abs(plain.log_likelihood))
            # plain EM may itself have been stopped on its way
            both = lt.Status.CONVERGED is end.status is plain.status
            counts[name] += [
                1,
                end.status is lt.Status.CONVERGED,
                end.status is lt.Status.DEGENERATE,
                end.status is lt.Status.MAX_STEPS,
                fell,
                abs(gap) <= 1e-6,
                gap > 1e-6,
                gap < -1e-6 and both and apart(end, plain),
                gap < -1e-6 and not both,
                gap < -1e-6 and both and not apart(end, plain),
            ]
    return counts


def apart(end: lt.Iterate, plain: lt.Iterate) -> bool:
    """Whether two ends are different maxima, and not the same one half reached."""
    return bool(np.abs(end.free - plain.free).max() > 1e-2)


def main() -> None:
    """Run and write."""
    fits = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    repeats = -(-fits // ((len(ACCELERATORS) + 1) * len(MODELS)))
    began, total = time.perf_counter(), {}
    with get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=4) as pool:
        jobs = [(case.name, pool.apply_async(one, (i, repeats))) for i, case in enumerate(MODELS)]
        for name, job in jobs:
            for accelerator, counts in job.get().items():
                total[accelerator] = total.get(accelerator, 0) + counts
                if counts[4] or counts[8] or counts[9]:
                    print(name, accelerator, dict(zip(HEAD, counts.tolist(), strict=True)), flush=True)
    number = sum(int(counts[0]) for counts in total.values())
    lines = [
        "# Never worse than plain EM",
        "",
        f"{number:,} fits: {len(MODELS)} models of `tests/registry.py` × random weights of the rows (exponential) × "
        "random starts (normal, 0.1 to 1 around the registry's, on the free scale) × "
        f"{len(total)} rules; at most {STOP.max_steps:,} steps; {time.perf_counter() - began:.0f} s. "
        "Written by `python benchmarks/monotone.py`.",
        "",
        "Fell: the log-likelihood fell by more than 1e-10 of it between two points gone on from (aim 0). The last five "
        "compare the end with that of plain EM from the same start: within 1e-6 of it, higher, lower at another "
        "maximum, lower where one of the two degenerated or was stopped by the number of steps, and lower otherwise "
        "(aim 0).",
        "",
        f"| rule | {' | '.join(HEAD)} |",
        f"|{'---|' * (len(HEAD) + 1)}",
        *[f"| {name} | {' | '.join(map(str, counts))} |" for name, counts in total.items()],
    ]
    text = "\n".join(lines) + "\n"
    Path(__file__).with_name("monotone.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
