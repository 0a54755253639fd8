"""The same bits wherever rows are gone over, by however many workers, and after some have died."""

import os
import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import latens as lt
from latens.engine.dask import Dask
from latens.engine.jobs import Sum, dumps
from latens.engine.ray import Ray
from latens.engine.sourced import engine_of
from latens.engine.workers import WorkersLost, serve

RNG = np.random.default_rng(2)
MODEL = lt.Mixture(lt.MultivariateNormal(2), 2)
START = {"weights": [0.5, 0.5], "mean": [[0, 0], [1, 1]], "covariance": [np.eye(2)] * 2}
RUN = {"start": START, "stop": lt.Stop(max_steps=12)}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    x = RNG.normal(size=(24_000, 2)) + RNG.integers(0, 2, 24_000)[:, None] * 2.0
    for i, part in enumerate(np.split(x, 4)):
        pq.write_table(pa.table({"x": part[:, 0], "y": part[:, 1]}), folder / f"{i}.parquet", row_group_size=2_500)
    return str(folder)


@pytest.fixture(scope="module")
def want(rows):
    return lt.fit(MODEL, rows, **RUN, engine=lt.Threads(1, memory=0))


def same(found, want):
    assert found.log_likelihood == want.log_likelihood
    np.testing.assert_array_equal(found.estimates, want.estimates)
    np.testing.assert_array_equal(found.trace, want.trace)


def killed(pids, at, **options):
    """A fit at the steps `at` of which one of the processes is killed, at once in the middle of a pass."""
    steps = list[lt.Iterate]()
    for step in lt.iterate(MODEL, **RUN, **options):
        steps.append(step)
        if len(steps) in at:
            threading.Timer(0.01, os.kill, (pids()[0], signal.SIGKILL)).start()
    return steps[-1]


def test_threads(rows, want):
    for engine in (lt.Threads(2), lt.Threads(4, memory=0), lt.Threads(3, memory=200_000)):
        same(lt.fit(MODEL, rows, **RUN, engine=engine), want)
    with ThreadPoolExecutor(3) as pool:  # of the caller, with one engine for all
        for found in pool.map(lambda _: lt.fit(MODEL, rows, **RUN, engine=engine), range(3)):
            same(found, want)
    assert want.engine.endswith("by 1 thread")


def test_processes_that_die(rows, want):
    engine = lt.Processes(2)
    try:
        same(lt.fit(MODEL, rows, **RUN, engine=engine), want)
        last = killed(lambda: list(engine._pools[0]._processes), (2, 6), data=rows, engine=engine)
        assert last.log_likelihood == want.log_likelihood
        np.testing.assert_array_equal(last.free, want.last.free)
        assert engine.lost >= 1
        assert "lost on the way" in engine.story
        with pytest.raises(lt.DataError, match=r"3.parquet, row group 2: row 900, column 'x'"):
            lt.fit(lt.IID(lt.Product({"x": lt.Exponential(), "y": lt.Normal()})), _spoiled(rows), engine=engine)
    finally:
        engine.close()


def test_clusters_by_one_column_and_by_another(tmp_path):
    """Workers know rows by all that was read of them."""
    x, i = RNG.normal(size=600), np.arange(600)
    pq.write_table(pa.table({"x": x, "a": i % 7, "b": i // 100}), tmp_path / "0.parquet", row_group_size=100)
    source, engine = lt.Source(tmp_path, columns=("x",)), lt.Processes(2)
    try:
        fit, inside = lt.fit(lt.IID(lt.Normal()), source, engine=engine), lt.fit(lt.IID(lt.Normal()), x)
        for column, labels in (("a", i % 7), ("b", i // 100)):
            found, want = fit.errors(lt.Sandwich(clusters=column)), inside.errors(lt.Sandwich(clusters=labels))
            np.testing.assert_allclose(found.covariance, want.covariance, rtol=1e-9)
            assert found.notes == want.notes
    finally:
        engine.close()


def _spoiled(rows):
    """The same files but for one number, which is negative; all others of that column are not."""
    folder = os.path.join(rows, "spoiled")
    os.makedirs(folder, exist_ok=True)
    for i in range(4):
        table = pq.read_table(os.path.join(rows, f"{i}.parquet"), partitioning=None)
        x = np.abs(table["x"].to_numpy())
        if i == 3:
            x[5_900] = -1.0
        pq.write_table(pa.table({"x": x, "y": table["y"]}), os.path.join(folder, f"{i}.parquet"), row_group_size=2_500)
    return folder


class Leaving(Dask):
    """A cluster that all workers leave after some passes."""

    passes = 0

    def evaluate(self, *args):
        self.passes += 1
        if self.passes == 8:
            self.cluster.scale(0)
            while self._known():
                time.sleep(0.05)
        return super().evaluate(*args)


@pytest.mark.filterwarnings("ignore")  # of Dask, when workers die
def test_a_dask_cluster_whose_workers_die(rows, want, tmp_path, monkeypatch):
    from distributed import Client, LocalCluster

    rows = os.path.join(rows, "[0-9].parquet")
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=1, **options) as cluster, Client(cluster) as client:

        def pids():
            return list(client.run(os.getpid).values())

        fit = lt.fit(MODEL, rows, **RUN, engine=client)
        same(fit, want)
        same(pickle.loads(pickle.dumps(fit)), want)
        cluster.scale(2)
        client.wait_for_workers(2, timeout=60)
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        same(lt.fit(MODEL, rows, **RUN, engine=address), want)
        cluster.scale(4)
        client.wait_for_workers(4, timeout=60)
        engine = Dask(client)
        same(lt.fit(MODEL, rows, **RUN, engine=engine), want)
        last = killed(pids, (2, 6), data=rows, engine=engine)
        assert last.log_likelihood == want.log_likelihood
        np.testing.assert_array_equal(last.free, want.last.free)
        assert engine.lost >= 1
        # one that has done its task but not yet handed over what came of it
        address = engine.workers()[0]
        done = engine.submit(address, "none", None, b"", [], 1, 0, lt.__version__)
        assert engine.first_done([done]) == [done]
        os.kill(client.run(os.getpid, workers=[address])[address], signal.SIGKILL)
        while address in engine._known():
            time.sleep(0.05)
        assert engine.outcome(done) is None
        # all of them, with nobody to start others
        kept, leaving = tmp_path / "kept", Leaving(client, patience=1.0)
        leaving.cluster = cluster
        with pytest.raises(WorkersLost, match=r"no worker.*is kept in .*kept: the same call goes on from there"):
            lt.fit(MODEL, rows, **RUN, engine=leaving, checkpoint=kept)
        cluster.scale(2)
        client.wait_for_workers(2, timeout=60)
        same(lt.fit(MODEL, rows, **RUN, engine=client, checkpoint=kept), want)
    monkeypatch.setattr("latens.engine.dask.ANSWER", 0.5)
    with pytest.raises(lt.LatensError, match="no Dask scheduler answers at 127.0.0.1:1"):
        engine_of("dask://127.0.0.1:1")


@pytest.mark.filterwarnings("ignore")  # of JAX, when Ray starts its processes
def test_a_ray_cluster_whose_actors_die(rows, want):
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        rows = os.path.join(rows, "[0-9].parquet")
        engine = engine_of(ray)

        def pids():
            asked = [each.__ray_call__.remote(lambda _: os.getpid()) for each in engine.actors.values()]
            return ray.get(asked)

        fit = lt.fit(MODEL, rows, **RUN, engine=engine)
        same(fit, want)
        same(pickle.loads(pickle.dumps(fit)), want)
        last = killed(pids, (3,), data=rows, engine=engine)
        assert last.log_likelihood == want.log_likelihood
        np.testing.assert_array_equal(last.free, want.last.free)
        assert engine.lost == 1
        sent = engine.submit(engine.workers()[0], "key", None, b"", [], 1, 0, "0.0")
        with pytest.raises(lt.LatensError, match="a worker has latens .*, the driver 0.0: install one version"):
            engine.outcome(sent)
        engine.close()
        with pytest.raises(WorkersLost, match="no free processor: start nodes"):
            Ray(ray, patience=0.0).workers()
    finally:
        ray.shutdown()


def test_what_is_sent():
    from latens.engine.emmap import expect_shard

    job = Sum(expect_shard, (MODEL, {"a": np.zeros(2)}), 1, {})
    copy, again = (pickle.loads(dumps(job)) for _ in range(2))
    assert copy.program is again.program is expect_shard
    assert jax.tree.structure(copy.args) == jax.tree.structure(again.args)
    with pytest.raises(lt.LatensError, match="a worker has latens .*, the driver 0.0: install one version"):
        serve("key", None, dumps(job), [], 1, 0, "0.0")
    assert serve("key", None, dumps(job), [], 1, 0, lt.__version__) == b""


def test_engines_by_name():
    assert engine_of("threads:3").number == 3
    assert engine_of("processes").number is None
    for wrong in ("threads:x", "spark://a", 3):
        with pytest.raises(lt.ParameterError, match="engine must be"):
            engine_of(wrong)
