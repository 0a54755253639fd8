"""More rows than memory is meant to take: a mixture of 8 full normals in 8 columns, from Parquet files.

python benchmarks/big.py [rows, default 1e7] [folder, default a temporary one]

Writes a table of Markdown to standard output: seconds per pass beside the same rows in memory, the memory of the
process at its highest, and passes until the log-likelihood is within 1 and 0.01 of the maximum, by each accelerator.
Every measurement is a process of its own. The figures in big.md are of 1e8 rows (6.4 GB of numbers).
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

COLUMNS, COMPONENTS, PER_FILE, PER_GROUP = 8, 8, 5_000_000, 1_000_000
PASSES = 5  # of which seconds are the median
MEMORY_ROWS = 20_000_000  # more are not put in memory: the pass of so many, times how many there are
RULES = ("Growing", "Auto", "Anderson", "Squarem", "Plain")
MOST = 400  # evaluations of a rule


def write(folder: Path, rows: int) -> None:
    """Files of rows drawn from the mixture, if they are not there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    law = np.random.default_rng(5)
    means = law.normal(size=(COMPONENTS, COLUMNS)) * 1.5
    roots = [np.linalg.cholesky(np.cov(law.normal(size=(COLUMNS, 3 * COLUMNS)))) for _ in range(COMPONENTS)]
    shares = law.dirichlet(np.full(COMPONENTS, 5.0))
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(-(-rows // PER_FILE)):
        path = folder / f"{i:03d}.parquet"
        if path.exists():
            continue
        draws, n = np.random.default_rng([1, i]), min(PER_FILE, rows - i * PER_FILE)
        which = draws.choice(COMPONENTS, n, p=shares)
        x = draws.normal(size=(n, COLUMNS))
        for j in range(COMPONENTS):
            x[which == j] = x[which == j] @ roots[j].T + means[j]
        table = pa.table({f"x{j}": x[:, j] for j in range(COLUMNS)})
        pq.write_table(table, path, row_group_size=PER_GROUP, use_dictionary=False, compression="none")


# -- what is measured in a process of its own ----------------------------------------------------------


def _problem(folder, cache=None):
    import latens as lt
    from latens.engine.sourced import problem_of

    return problem_of(lt.Mixture(lt.MultivariateNormal(COLUMNS), COMPONENTS), lt.Source(folder, cache=cache))


def _begin(problem):
    from latens.engine.solve import beginning

    return beginning(problem, None, None, 0).reach(problem)[0]


def _seconds(problem, free):
    problem.step(free)
    problem.step(free)  # what is kept is kept by the first
    times = []
    for _ in range(PASSES):
        begin = time.perf_counter()
        problem.step(free)
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def passes(folder, cache):
    """Seconds of the first pass (counting, sampling), and of the later ones."""
    begin = time.perf_counter()
    problem = _problem(folder, cache or None)
    first = time.perf_counter() - begin
    return {"first": first, "pass": _seconds(problem, _begin(problem)), "rows": problem.height}


def memory(folder, rows):
    """Seconds of a pass over so many of the rows in memory."""
    from latens.engine.problem import Problem

    problem = _problem(folder)
    free, read = _begin(problem), 0
    parts = []
    for part in problem.source.parts:
        for columns in problem.source.read(part):
            parts.append(np.column_stack([columns[name] for name in problem.columns]))
            read += len(parts[-1])
        if read >= int(rows):
            break
    inside = Problem(problem.given, np.concatenate(parts)[: int(rows)])
    parts.clear()
    return {"pass": _seconds(inside, inside.free(problem.params(free))), "rows": inside.height}


def fitted(folder, rule):
    """A fit to its certificate, and the log-likelihood at every evaluation of all rows."""
    import latens as lt

    begin = time.perf_counter()
    model = lt.Mixture(lt.MultivariateNormal(COLUMNS), COMPONENTS)
    fit = lt.fit(model, folder, accelerate=getattr(lt, rule)(), stop=lt.Stop(max_steps=MOST))
    seconds = time.perf_counter() - begin
    spent = np.arange(1, len(fit.trace) + 1) + np.cumsum(fit.rejected)
    return {
        "status": fit.status.value,
        "evaluations": fit.evaluations,
        "samples": [[each.rows, each.evaluations] for each in fit.samples],
        "trace": [[int(n), ell] for n, ell in zip(spent, fit.trace.tolist(), strict=True)],
        "seconds": seconds,
    }


def measured(what, *args):
    """What a process of its own gives, and the memory it took at its highest, in MB."""

    code = (
        "import json, resource, sys; sys.path.insert(0, sys.argv[1]); import big; "
        "found = getattr(big, sys.argv[2])(*sys.argv[3:]); "
        "print(json.dumps(found | {'peak': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), what, *map(str, args)]
    out = subprocess.run(command, capture_output=True, text=True)
    if out.returncode:
        raise RuntimeError(out.stderr[-2000:])
    return json.loads(out.stdout.splitlines()[-1])


def main(rows: int, folder: Path) -> None:
    data, cache = folder / f"rows-{rows}", folder / f"cache-{rows}"
    write(data, rows)
    held = measured("memory", data, min(rows, MEMORY_ROWS))
    inside = held["pass"] * rows / held["rows"]
    print(f"{rows:,} rows × {COLUMNS}, mixture of {COMPONENTS} full normals.\n")
    print("| | first pass, s | pass, s | beside in memory | memory at its highest, MB |\n|---|---|---|---|---|")
    note = "" if held["rows"] == rows else f" (of {held['rows']:,} rows, times {rows / held['rows']:g})"
    print(f"| in memory{note} | | {inside:.2f} | | {held['peak']:,} |")
    for name, where in (("files", ""), ("files, cache", cache)):
        found = measured("passes", data, where)
        ratio = found["pass"] / inside
        print(
            f"| {name} | {found['first']:.1f} | {found['pass']:.2f} | **{ratio:.2f}** | {found['peak']:,} |", flush=True
        )
    rules = RULES if rows <= MEMORY_ROWS else RULES[:2]  # plain EM over 1e8 rows takes hours
    runs = {rule: measured("fitted", data, rule) for rule in rules}
    best = max(run["trace"][-1][1] for run in runs.values())
    print("\n| rule | passes to the certificate | within 1 | within 0.01 | rows × evaluations of samples | s | MB |")
    print("|---|---|---|---|---|---|---|")
    for rule, run in runs.items():

        def until(gap, run=run):
            return next((str(n) for n, ell in run["trace"] if ell >= best - gap), "—")

        ends = run["evaluations"] if run["status"] == "converged" else f"> {MOST}"
        samples = ", ".join(f"{n:,} × {times}" for n, times in run["samples"])
        cells = (rule, ends, until(1), until(0.01), samples, f"{run['seconds']:.0f}", f"{run['peak']:,}")
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    wanted = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000
    if len(sys.argv) > 2:
        main(wanted, Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(wanted, Path(scratch))
