"""Rows may be anywhere: a second implementation, on disk, gives the same bits; sequences have lengths of their own."""

import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import poisson

import latens as lt
from latens.cells.sequences import widths
from latens.engine.accelerators.auto import Auto
from latens.engine.blocks import finer, shard_of
from latens.engine.loop import run
from latens.engine.problem import Problem
from latens.engine.rows import AbstractRows
from latens.engine.stop import Stop
from latens.inference.errors import Observed
from latens.inference.estimate import Estimate
from latens.numerics.compiling import double

from registry import PLANE

ROOT = Path(__file__).parent.parent


class ParquetRows(AbstractRows):
    """A row group of the file is a shard: read, computed with, and forgotten."""

    def __init__(self, path, n, size):
        self.path, self._n, self.size = path, n, size
        self.groups = pq.ParquetFile(path).num_row_groups

    @property
    def n(self):
        return self._n

    def _shard(self, i):
        columns = pq.ParquetFile(self.path).read_row_group(i).to_pydict()
        xs, weights = np.column_stack([columns[name] for name in ("x", "y")]), np.asarray(columns["weight"])
        if i == 0:
            self.blocks = len(xs) // self.size
        return shard_of(xs, weights, None, self.size, slice(0, self.blocks))

    def add(self, program, *args, width=1, **settings):
        @double
        def part(i):
            return jax.tree.map(np.asarray, program(*args, finer(self._shard(i), width), **settings))

        with ThreadPoolExecutor(2) as pool:
            parts = [part(0), *pool.map(part, range(1, self.groups))]
        return jax.tree.map(lambda *leaves: sum(leaves), *parts)

    @double
    def each(self, program, *args):
        found = [np.asarray(program(*args, self._shard(i))) for i in range(self.groups)]
        return np.concatenate([part.reshape(-1, *part.shape[2:]) for part in found])[: self.n]

    def take(self, rows):
        table = pq.read_table(self.path, columns=["x", "y"]).to_pydict()
        return np.column_stack([table["x"], table["y"]])[rows]

    def reweighted(self, weights):
        raise NotImplementedError

    def beside(self, values, weights):
        raise NotImplementedError


def test_rows_on_disk_give_the_same_bits(tmp_path):
    rows = np.concatenate([PLANE + 0.01 * i for i in range(600)])
    model = lt.Mixture(lt.MultivariateNormal(2), 2)
    start = {"weights": [0.5, 0.5], "mean": [[0, 0], [3, 3]], "covariance": [np.eye(2)] * 2}
    problem, stop = Problem(model, rows), Stop(max_steps=12)
    *_, inside = run(problem, problem.free(start), Auto(), stop)
    first = problem.rows.shards[0].weights
    assert len(problem.rows.shards) > 1
    x, y = np.asarray(problem.xs).T
    table = pa.table({"x": x, "y": y, "weight": problem.weights})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=first.size)
    logs = Estimate(inside)
    elsewhere = problem.stored(ParquetRows(tmp_path / "rows.parquet", len(rows), first.shape[1]))
    *_, found = run(elsewhere, elsewhere.free(start), Auto(), stop)
    assert found.log_likelihood == inside.log_likelihood
    np.testing.assert_array_equal(found.free, inside.free)
    here, there = (Estimate(end.ended(lt.Status.CONVERGED)) for end in (inside, found))
    for one in (here, there):
        object.__setattr__(one.at, "distance", 0.0)
    np.testing.assert_array_equal(Observed().once(here).covariance, Observed().once(there).covariance)
    assert logs.problem.operations > 0
    assert elsewhere.operations == pytest.approx(problem.operations, rel=0.5)


# -- a fit goes elsewhere --------------------------------------------------------------------------

CONTINUED = """
import pickle, sys
import latens as lt
from latens.engine.loop import run
fit = pickle.load(sys.stdin.buffer)
again = lt.fit(fit.model, {data}, start=fit.params)
*_, last = run(fit.last.problem, fit.last.free, lt.Auto(), lt.Stop())
print(repr(last.log_likelihood), repr(again.log_likelihood))
"""


def test_a_pickled_fit_is_continued_in_another_process():
    data = [0, 1, 1, 2, 2, 9, 10, 11, 12, 9]
    model, start = lt.Mixture(lt.Poisson(), 2), {"weights": [0.5, 0.5], "rate": [1.0, 8.0]}
    begun = lt.fit(model, data, start=start, stop=lt.Stop(max_steps=1))
    whole = lt.fit(model, data, start=begun.params)
    code = CONTINUED.format(data=data)
    out = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(begun), capture_output=True, check=True)
    last, again = map(float, out.stdout.decode().split()[:2])
    assert last == pytest.approx(whole.log_likelihood, rel=1e-14)
    assert again == whole.log_likelihood


# -- sequences ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def worked():
    """The models of docs/own-model.md."""
    text = (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")
    space = {"__name__": "worked"}
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S):
        if "lt.AbstractModel" in block or block.startswith("import jax\n"):
            own = block[: block.index("\n\n\n", block.index("class "))]
            assert len(own.splitlines()) < 60
            exec(compile(own, "own-model.md", "exec"), space)
    return space


BEGIN = {
    "initial": np.array([0.4, 0.6]),
    "transition": np.array([[0.8, 0.2], [0.3, 0.7]]),
    "rate": np.array([1.0, 6.0]),
}


def forward(params, counts):
    """log P(counts) by hand, NaN where none was seen."""
    joint, log = params["initial"], 0.0
    for i, count in enumerate(counts):
        joint = joint if i == 0 else joint @ params["transition"]
        joint = joint if np.isnan(count) else joint * poisson.pmf(count, params["rate"])
        joint, log = joint / joint.sum(), log + np.log(joint.sum())
    return log


def test_evidence_of_sequences_is_that_of_each(worked):
    rng = np.random.default_rng(0)
    parts = [rng.poisson(3.0, length).astype(float) for length in (1, 7, 7, 30, 2, 400)]
    parts[3][4:9] = parts[1][-1] = np.nan
    fit = lt.fit(worked["PoissonHMM"](2), lt.sequences(parts), start=BEGIN, stop=lt.Stop(max_steps=0))
    np.testing.assert_allclose(fit.log_density(), [forward(BEGIN, part) for part in parts], rtol=1e-12)
    assert fit.n == sum(map(len, parts))
    assert fit.half_seen == {"0": {"missing": 6.0}}
    again = fit.log_density(lt.sequences(parts[::-1]))
    np.testing.assert_allclose(again, fit.log_density()[::-1], rtol=1e-12)
    twice = lt.fit(fit.model, lt.sequences(parts), weights=[2, 1, 0, 1, 1, 1], start=BEGIN, stop=lt.Stop(max_steps=0))
    assert twice.log_likelihood == pytest.approx(fit.log_density() @ [2, 1, 0, 1, 1, 1], rel=1e-13)


def test_one_long_sequence_costs_its_steps(worked):
    model, step = worked["PoissonHMM"](2), np.tile([1.0, 6.0], 2500)
    uneven = Problem(model, lt.sequences([step[:20]] * 999 + [step]))
    even = Problem(model, lt.sequences([step[:20]] * 1249))
    assert uneven.operations < 1.1 * even.operations
    assert sum(shard.weights.size for shard in uneven.rows.shards) < 1_100


def test_widths_waste_little():
    rng = np.random.default_rng(0)
    for lengths in (
        [5],
        [0, 3],
        [20] * 999 + [5000],
        rng.integers(1, 1000, 500),
        rng.lognormal(4, 1, 2000).astype(int),
    ):
        found = np.asarray(widths(np.asarray(lengths)))
        padded = found[np.searchsorted(found, lengths)]
        assert len(found) <= 6
        assert padded.sum() <= 1.5 * max(np.sum(lengths), 1)


def test_sequences_from_a_table():
    table = {"y": [1, 4, 0, 1, 2], "x": [0.0, 1.0, 2.0, np.nan, 4.0]}
    found = lt.sequences(table, of=["a", "b", "a", "b", "a"])
    assert found.lengths.tolist() == [3, 2]
    assert found.steps["y"].tolist() == [1.0, 0.0, 2.0, 4.0, 1.0]
    assert found.take(np.array([1])).steps["x"][0] == 1.0
    for call, words in (
        (lambda: lt.sequences([[1, 2], ["a"]]), "row 0.*'a' is not a number"),
        (lambda: lt.sequences([[1, 2], [[1, 2]]]), "sequence 1 does not have the columns"),
        (lambda: lt.sequences([]), "there are none"),
        (lambda: lt.sequences(5), "a list of arrays"),
        (lambda: lt.sequences([[1.0, np.inf]]), "step 1 is infinite"),
        (lambda: lt.sequences([1, 2, 3], of=[0, 1]), "give one for each"),
        (lambda: lt.fit(lt.IID(lt.Normal()), lt.sequences([[1.0, 2.0]])), "a model of one's own"),
    ):
        with pytest.raises(lt.DataError, match=words):
            call()


def test_states_are_told_apart_up_to_their_order(worked):
    model = worked["PoissonHMM"](2)
    drawn = lt.fit(model, lt.sequences([[0.0] * 40] * 8), start=BEGIN, stop=lt.Stop(max_steps=0)).sample(8, seed=3)
    assert drawn.lengths.tolist() == [40] * 8
    fit = lt.fit(model, drawn, starts=6)
    assert len(fit.starts.optima) == 1
    assert fit.starts.optima[0].places == 1
    ordered = fit.sorted("rate", descending=True)
    assert ordered.params["rate"][0] > ordered.params["rate"][1]
    assert ordered.log_likelihood == fit.log_likelihood
    again = lt.fit(model, drawn, start=ordered.params, stop=lt.Stop(max_steps=0))
    assert again.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-12)
    boot = ordered.errors(lt.ParametricBootstrap(20, seed=1))
    assert (np.abs(boot.replicates[:, -2:] - ordered.params["rate"]) < 3).all()


# -- roles ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("origin", "unit"), [(0.0, 1.0), (1e7, 1.0), (-3e4, 1e-3), (0.0, 1e5)])
def test_a_factor_model_wherever_the_data_are(worked, origin, unit):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(150, 1)) * [1.0, 0.8, -0.6] + rng.normal(size=(150, 3)) * [0.5, 1.0, 0.7]
    rows[rng.random(rows.shape) < 0.15] = np.nan
    near, far = (lt.fit(worked["OneFactor"](3), each) for each in (rows, origin + unit * rows))
    assert far.converged
    assert len(far.starts.optima) == 1
    shift = np.sum(~np.isnan(rows)) * np.log(unit)
    assert far.log_likelihood == pytest.approx(near.log_likelihood - shift, abs=1e-5)
    same = near.params["loading"] * np.sign(near.params["loading"][0])
    np.testing.assert_allclose(far.params["loading"] / unit * np.sign(far.params["loading"][0]), same, rtol=1e-4)
    ratio = far.standard_errors()["variance"] / near.standard_errors()["variance"]
    np.testing.assert_allclose(ratio, unit**2, rtol=1e-3)


def test_a_regression_on_years(worked):
    rng = np.random.default_rng(0)
    year, dose = rng.integers(1990, 2020, 200).astype(float), rng.uniform(0, 1e-6, 200)
    count = rng.poisson(np.exp(0.5 + 0.05 * (year - 2005) + 4e5 * dose)).astype(float)
    fit = lt.fit(worked["PoissonRegression"](("year", "dose")), {"count": count, "year": year, "dose": dose})
    assert fit.converged
    assert fit.names == ["intercept", "slope[year]", "slope[dose]"]
    design = np.column_stack([np.ones(200), year - 2005, dose * 1e6])
    beta = np.zeros(3)
    for _ in range(30):  # Newton's method by hand
        mu = np.exp(design @ beta)
        beta += np.linalg.solve((design.T * mu) @ design, design.T @ (count - mu))
    errors = np.sqrt(np.diag(np.linalg.inv((design.T * np.exp(design @ beta)) @ design)))
    np.testing.assert_allclose(fit.params["slope"] / [1, 1e6], beta[1:], rtol=1e-6)
    np.testing.assert_allclose(fit.standard_errors()["slope"] / [1, 1e6], errors[1:], rtol=1e-6)
    assert float(fit.params["intercept"]) == pytest.approx(beta[0] - 2005 * beta[1], rel=1e-6)
    with pytest.raises(lt.DataError, match="belongs to column 'age', which is not in the data"):
        lt.fit(worked["PoissonRegression"](("age",)), {"count": count, "year": year})
