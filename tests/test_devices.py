"""Rows on another device than the one small things are computed by; a second CPU device stands for a GPU."""

import os
import subprocess
import sys

FAKED = """
import sys
sys.path.insert(0, {tests!r})
import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import latens as lt
from latens.numerics import devices
from registry import MODELS

other = jax.devices()[1]
model, table = lt.Mixture(lt.MultivariateNormal(2), 2), {{m.name: m for m in MODELS}}
cases = [table[name] for name in ("planes", "planes-missing-cells", "gammas", "weibull-censored", "latent", "table")]


def all_of(case):
    fit = lt.fit(case.model, case.data, start=case.start, stop=lt.Stop(max_steps=8, tolerance=0))
    here = fit.last.problem
    where = {{d for leaf in jax.tree.leaves(here.rows.at_hand) for d in leaf.devices()}}
    return fit.log_likelihood, fit.estimates, fit.log_density(), where


usual = [all_of(case) for case in cases]
errors = lt.fit(model, table["planes"].data).standard_errors()
devices._first = lambda: other
for case, (level, estimates, logs, where) in zip(cases, usual):
    there = all_of(case)
    assert where == {{jax.devices()[0]}} and there[3] == {{other}}, (where, there[3])
    np.testing.assert_allclose(there[0], level, rtol=1e-12)
    np.testing.assert_allclose(there[1], estimates, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(there[2], logs, rtol=1e-8, atol=1e-8)
fit = lt.fit(model, table["planes"].data)
for name, value in fit.standard_errors().items():
    np.testing.assert_allclose(np.sort(value.ravel()), np.sort(errors[name].ravel()), rtol=1e-6)
x = table["planes"].data
pq.write_table(pa.table({{"x": x[:, 0], "y": x[:, 1]}}), {file!r}, row_group_size=40)
files = lt.fit(model, {file!r}, start=fit.params, precision="single")
np.testing.assert_allclose(files.log_likelihood, fit.log_likelihood, rtol=1e-6)
print("same")
"""


def test_rows_on_another_device(tmp_path):
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"
    code = FAKED.format(tests=os.path.dirname(__file__), file=str(tmp_path / "rows.parquet"))
    out = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"XLA_FLAGS": flags}, capture_output=True, text=True
    )
    assert out.stdout.split() == ["same"], out.stderr[-3000:]
