"""Rows may be anywhere: a second implementation, on disk, gives the same bits; sequences have lengths of their own."""

from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import latens as lt
from latens.engine.accelerators.auto import Auto
from latens.engine.blocks import HELD, finer, shard_of
from latens.engine.loop import run
from latens.engine.problem import Problem
from latens.engine.rows import AbstractRows
from latens.engine.stop import Stop
from latens.inference.errors import Observed
from latens.inference.estimate import Estimate
from latens.numerics.precision import double

from registry import PLANE


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
            shard = self._shard(i) if width == 1 else finer(self._shard(i), HELD // width)
            return jax.tree.map(np.asarray, program(*args, shard, **settings))

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
