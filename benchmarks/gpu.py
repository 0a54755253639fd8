"""One command for a machine with a GPU: seconds of an EM step there and on the processor of the same machine.

pip install -e ".[cuda]"; python benchmarks/gpu.py

Writes tables of Markdown: EM steps of (n, d, k) full normals in double and in single precision, whose log-likelihoods
are compared, and a whole fit with its standard errors. Without a GPU it says so and measures the processor alone.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np

SIZES = ((500_000, 8, 16), (1_000_000, 2, 3), (2_000_000, 32, 16), (10_000_000, 8, 8))
STEPS = 7
WHOLE = 500_000, 4, 4
LONGEST = 150  # seconds for one measurement


def normals(n, d, k):
    """Rows, the model and where EM begins."""
    import latens as lt

    draws = np.random.default_rng(0)
    means = draws.normal(size=(k, d)) * 3
    x = draws.normal(size=(n, d)) + means[draws.integers(0, k, n)]
    start = {"weights": np.full(k, 1 / k), "mean": means, "covariance": np.tile(np.eye(d), (k, 1, 1))}
    return x, lt.Mixture(lt.MultivariateNormal(d), k), start


def step(n, d, k, precision):
    """Median seconds, and the log-likelihood that all should agree on."""
    from latens.engine.problem import Problem

    x, model, start = normals(n, d, k)
    problem = Problem(model, x, precision=precision)
    free = problem.free(start)
    level = problem.step(free).log_likelihood
    times = []
    for _ in range(STEPS):
        begin = time.perf_counter()
        problem.step(free)
        times.append(time.perf_counter() - begin)
    return {"seconds": float(np.median(times)), "level": level}


def whole(n, d, k, precision):
    """Seconds of a fit and of its standard errors, the first in the process and the second."""
    import latens as lt

    x, model, start = normals(n, d, k)
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        fit = lt.fit(model, x, start=start, precision=precision)
        fitted = time.perf_counter()
        errors = fit.standard_errors()
        times.append((fitted - begin, time.perf_counter() - fitted))
    (first, first_errors), (second, second_errors) = times
    found = {"first": first, "first_errors": first_errors, "second": second, "second_errors": second_errors}
    return found | {"level": fit.log_likelihood, "error": float(errors["mean"][0, 0]), "status": str(fit.status)}


def measured(platform, what, *args):
    code = f"import json, sys; sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r}); import gpu; "
    code += f"print(json.dumps(gpu.{what}(*{args!r})))"
    env = os.environ | ({"JAX_PLATFORMS": platform} if platform else {})
    try:
        out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done in {LONGEST} s"}
    return json.loads(out.stdout.splitlines()[-1]) if out.returncode == 0 else {"failed": out.stderr[-300:]}


def main():
    import jax

    there = jax.default_backend() != "cpu"
    print(f"Device: {jax.devices()[0].device_kind if there else 'no GPU that JAX sees: the processor alone'}; ", end="")
    print(f"{os.cpu_count()} cores; JAX {jax.__version__}\n")
    print("| EM step of (n, d, k) | precision | processor, ms | GPU, ms | ratio | log-likelihoods differ by |")
    print("|---|---|---|---|---|---|")
    for n, d, k in SIZES:
        own = measured("cpu", "step", n, d, k, "double")
        for precision in ("double", "single"):
            found = measured("", "step", n, d, k, precision) if there else own
            here = "not done" if "failed" in own else f"{own['seconds'] * 1e3:.1f}"
            gpu = found.get("failed") or (f"{found['seconds'] * 1e3:.1f}" if there else "")
            both = there and "failed" not in own and "failed" not in found
            ratio = f"**{own['seconds'] / found['seconds']:.1f}**" if both else ""
            apart = f"{abs(found['level'] / own['level'] - 1):.0e}" if both else ""
            print(f"| ({n:,}, {d}, {k}) | {precision} | {here} | {gpu} | {ratio} | {apart} |", flush=True)
    print(f"\n| a fit of {WHOLE} | seconds | again | standard errors | again | log-likelihood | an error | status |")
    print("|---|---|---|---|---|---|---|---|")
    for place, platform in (("processor", "cpu"), ("GPU", ""))[: 1 + there]:
        for precision in ("double", "single"):
            o = measured(platform, "whole", *WHOLE, precision)
            cells = o.get("failed") or (
                f"{o['first']:.2f} | {o['second']:.3f} | {o['first_errors']:.2f} | {o['second_errors']:.3f} "
                f"| {o['level']:.6f} | {o['error']:.8f} | {o['status']}"
            )
            print(f"| {place}, {precision} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
