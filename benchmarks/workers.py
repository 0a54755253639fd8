"""What becomes of training on a Dask cluster when a worker is killed: ours, XGBoost's, LightGBM's.

pip install xgboost-cpu lightgbm "dask[dataframe]"; python benchmarks/workers.py

Each trains once undisturbed, and once with one of four workers killed (kill -9) six seconds after it was begun;
"hangs" is said after sixty seconds. The cluster starts another worker in the place of the one killed.
"""

import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROWS, COLUMNS, WORKERS, ROUNDS, AFTER, PATIENCE = 2_000_000, 8, 4, 300, 6.0, 60.0


def write(folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

    draws = np.random.default_rng(0)
    for i in range(8):
        x = draws.normal(size=(ROWS // 8, COLUMNS)) + draws.integers(0, 3, ROWS // 8)[:, None]
        table = {f"x{j}": x[:, j] for j in range(COLUMNS)}
        pq.write_table(pa.table(table), Path(folder) / f"{i}.parquet", row_group_size=50_000)


def latens(client, folder):
    import latens as lt

    rules = {"starts": 1, "accelerate": lt.Plain(), "stop": lt.Stop(tolerance=0, max_steps=60)}
    fit = lt.fit(lt.Mixture(lt.MultivariateNormal(COLUMNS), 4), folder, engine=client, **rules)
    return fit.estimates.tobytes(), fit.engine.partition("; by ")[2]


def _frame(folder):
    import dask.dataframe as dd
    from distributed import wait

    frame = dd.read_parquet(folder).persist()
    wait(frame)
    return frame[[f"x{j}" for j in range(1, COLUMNS)]], frame["x0"]


def xgboost(client, folder):
    from xgboost import dask as xgb

    matrix = xgb.DaskDMatrix(client, *_frame(folder))
    found = xgb.train(client, {"tree_method": "hist", "nthread": 1}, matrix, num_boost_round=ROUNDS)
    return bytes(found["booster"].save_raw()), ""


def lightgbm(client, folder):
    from lightgbm import DaskLGBMRegressor

    x, y = _frame(folder)
    found = DaskLGBMRegressor(client=client, n_estimators=ROUNDS, num_threads=1, verbose=-1).fit(
        x.to_dask_array(lengths=True), y.to_dask_array(lengths=True)
    )
    return found.booster_.model_to_string().encode(), ""


def run(train, folder, *, kill):
    """(what came of it, seconds, note); in a thread, as one that hangs cannot be stopped."""
    from distributed import Client, LocalCluster

    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=WORKERS, **options) as cluster, Client(cluster) as client:
        pids = list(client.run(os.getpid).values())
        came = []

        def work():
            try:
                came.append((*train(client, folder), ""))
            except BaseException as error:
                came.append((None, "", f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"))

        worker = threading.Thread(target=work, daemon=True)
        begin = time.perf_counter()
        worker.start()
        if kill:
            timer = threading.Timer(AFTER, os.kill, (pids[0], signal.SIGKILL))
            timer.start()
        worker.join(PATIENCE)
        seconds = time.perf_counter() - begin
    return came[0] if came else (None, "", "hangs"), seconds


def main():
    with tempfile.TemporaryDirectory() as folder:
        write(folder)
        print("| | undisturbed, s | a worker killed | the same result | s |\n|---|---|---|---|---|")
        for train in (latens, xgboost, lightgbm):
            try:
                (whole, _, wrong), seconds = run(train, folder, kill=False)
                (found, note, error), later = run(train, folder, kill=True)
            except ImportError as missing:
                print(f"| {train.__name__} | not installed: {missing.name} |")
                continue
            same = "—" if found is None else "to the bit" if found == whole else "no"
            became = error or f"finished {note}"
            print(f"| {train.__name__} | {seconds:.1f}{wrong} | {became} | {same} | {later:.1f} |", flush=True)
    sys.stdout.flush()
    os._exit(0)  # threads that hang


if __name__ == "__main__":
    main()
