"""Both `GaussianMixture`s with their defaults, from end to end, and scikit-learn's until it gains no more: writes
drop_in.md next to this file.

python benchmarks/drop_in.py [ROWS ...]

A process for each; ours is fitted twice, as the first fit compiles; theirs is the faster of two.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SIZES = (1_000, 10_000, 100_000, 1_000_000)
PIECE = """
import sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
begin = time.perf_counter()
from {module} import GaussianMixture
loaded = time.perf_counter() - begin
draws, n, d, k = np.random.default_rng(0), {n}, 8, 8
means = draws.normal(size=(k, d)) * 1.5
X = draws.normal(size=(n, d)) @ (np.eye(d) + 0.3 * draws.normal(size=(d, d))) + means[draws.integers(0, k, n)]
times = []
for _ in range(2):
    begin = time.perf_counter()
    mixture = GaussianMixture(8, random_state=0{options}).fit(X)
    times.append(time.perf_counter() - begin)
    if {once}:
        break
print(loaded, times[0], times[-1], mixture.score(X), mixture.n_iter_, mixture.converged_)
"""


FAR = ", tol=1e-9, max_iter=100_000"  # a gain for each row, from which on what is left is below 1e-6


def measured(module: str, n: int, options: str = "") -> list[str]:
    """Seconds of the import and of two fits, the log-likelihood of a row, steps, whether it has converged."""
    code = PIECE.format(module=module, n=n, options=options, once=bool(options))
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HERE.parent)
    return out.stdout.split() or sys.exit(out.stderr[-2000:])


def main() -> None:
    sizes = [int(float(size)) for size in sys.argv[1:]] or SIZES
    lines = [
        "# Both GaussianMixture with their defaults\n",
        f"`python benchmarks/drop_in.py`, {os.cpu_count()} cores, 8 components in 8 columns.\n",
        "Ours go on until the estimates are 1e-3 standard errors from the maximum; scikit-learn's end when a step",
        "gains less than 1e-3 for each row. On the right it goes on until a step gains 1e-9.\n",
        "| rows | ours, first fit, s | second, s | scikit-learn, s | ratio | log-likelihood, ours | theirs | steps "
        "| theirs to the end, s | ratio | log-likelihood | steps |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for n in sizes:
        own, other = measured("latens.sklearn", n), measured("sklearn.mixture", n)
        theirs, far = min(map(float, other[1:3])), measured("sklearn.mixture", n, FAR)
        lines.append(
            f"| {n:,} | {float(own[1]):.2f} | {float(own[2]):.3f} | {theirs:.3f} | **{theirs / float(own[2]):.1f}** "
            f"| {float(own[3]):.6f}{'' if own[5] == 'True' else ' (no maximum)'} | {float(other[3]):.6f} "
            f"| {own[4]}, {other[4]} | {float(far[2]):.1f} | **{float(far[2]) / float(own[2]):.0f}** "
            f"| {float(far[3]):.6f} | {far[4]} |"
        )
        print(lines[-1], flush=True)
    lines.append(f"\nThe import took {own[0][:4]} s, scikit-learn's {other[0][:4]} s.")
    (HERE / "drop_in.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
