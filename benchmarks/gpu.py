"""One command for a machine with a GPU: seconds of an EM step there and on the processor of the same machine.

pip install -e ".[cuda]"; python benchmarks/gpu.py

Writes a table of Markdown. Steps are of (n, d, k) full normals in double and in single precision; log-likelihoods are
compared. Without a GPU it says so and measures the processor alone.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np

SIZES = ((500_000, 8, 16), (1_000_000, 2, 3), (2_000_000, 32, 16), (10_000_000, 8, 8))
STEPS = 7


def step(n, d, k, precision):
    """Median seconds, and the log-likelihood that all should agree on."""
    import jax

    import latens as lt
    from latens.engine.problem import Problem

    draws = np.random.default_rng(0)
    means = draws.normal(size=(k, d)) * 3
    x = draws.normal(size=(n, d)) + means[draws.integers(0, k, n)]
    problem = Problem(lt.Mixture(lt.MultivariateNormal(d), k), x, precision=precision)
    start = {"weights": np.full(k, 1 / k), "mean": means, "covariance": np.tile(np.eye(d), (k, 1, 1))}
    free = problem.free(start)
    level = problem.step(free).log_likelihood
    times = []
    for _ in range(STEPS):
        begin = time.perf_counter()
        problem.step(free)
        times.append(time.perf_counter() - begin)
    return {"seconds": float(np.median(times)), "level": level, "device": jax.devices()[0].device_kind}


def measured(platform, *args):
    code = f"import json, sys; sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r}); import gpu; "
    code += f"print(json.dumps(gpu.step(*{args!r})))"
    env = os.environ | ({"JAX_PLATFORMS": platform} if platform else {})
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    return json.loads(out.stdout.splitlines()[-1]) if out.returncode == 0 else {"error": out.stderr[-300:]}


def main():
    import jax

    there = jax.default_backend() != "cpu"
    print(f"Device: {jax.devices()[0].device_kind if there else 'no GPU that JAX sees: the processor alone'}\n")
    print("| (n, d, k) | precision | processor, ms | GPU, ms | ratio | log-likelihoods differ by |")
    print("|---|---|---|---|---|---|")
    for n, d, k in SIZES:
        own = measured("cpu", n, d, k, "double")
        for precision in ("double", "single"):
            found = measured("", n, d, k, precision) if there else own
            if "error" in found or "error" in own:
                print(f"| ({n:,}, {d}, {k}) | {precision} | failed: {found.get('error') or own.get('error')} |")
                continue
            here, gpu = own["seconds"] * 1e3, found["seconds"] * 1e3
            apart = abs(found["level"] / own["level"] - 1)
            beside = f"{gpu:.1f} | **{here / gpu:.1f}**" if there else " | "
            print(f"| ({n:,}, {d}, {k}) | {precision} | {here:.1f} | {beside} | {apart:.0e} |")


if __name__ == "__main__":
    main()
