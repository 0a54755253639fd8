"""Rows of files and streams: the same fit as of the same rows in memory, and clear words where it cannot be."""

import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import latens as lt
from latens.cells import Interval
from latens.data.source import source_of
from latens.engine.blocks import rung
from latens.engine.derivatives import complete_data
from latens.engine.engines import SHARDS, shards_of
from latens.engine.problem import Problem
from latens.engine.sourced import problem_of
from latens.inference.drawing import drawn, fresh
from latens.numerics.compiling import double

from registry import MODELS, PLANE

RNG = np.random.default_rng(1)
CLOSE = lt.Stop(tolerance=1e-10)


def texts(column):
    """A column as a file may hold it: numbers, or texts that say what was seen."""
    if isinstance(column, Interval):
        lower, upper = (np.asarray(end, dtype=float) for end in (column.lower, column.upper))
        pairs = zip(lower.tolist(), upper.tolist(), strict=True)
        return [f"{a!r}" if a == b else f">={a!r}" if np.isinf(b) else f"{a!r}..{b!r}" for a, b in pairs]
    if type(column).__name__ == "OneOf":
        return [None if m is None else "|".join(map(str, sorted(m))) for m in column.sets]
    return np.asarray(column, dtype=float)


def as_table(data):
    if isinstance(data, dict):
        return pa.table({name: pa.array(texts(column)) for name, column in data.items()})
    if isinstance(data, Interval):
        return pa.table({"x": pa.array(texts(data))})
    array = np.asarray(data, dtype=float)
    return pa.table({f"x{j}": column for j, column in enumerate(array.reshape(len(array), -1).T)})


def write(folder, table, cuts=(0.3, 0.5), group=40):
    """The rows of a table in files of several row groups each."""
    folder.mkdir(exist_ok=True)
    ends = [0, *(int(cut * table.num_rows) for cut in cuts), table.num_rows]
    for i, (begin, end) in enumerate(zip(ends, ends[1:], strict=False)):
        pq.write_table(table.slice(begin, end - begin), folder / f"{i}.parquet", row_group_size=group)
    return str(folder / "*.parquet")


READ = [m for m in MODELS if not isinstance(m.model, lt.Latent | lt.Cells)]


@pytest.mark.parametrize("case", READ, ids=lambda case: case.name)
def test_rows_of_files_are_the_same_rows(case, tmp_path):
    inside = Problem(case.model, case.data)
    files = problem_of(case.model, write(tmp_path / "rows", as_table(case.data)))
    free = inside.free(case.start)
    np.testing.assert_allclose(files.free(case.start), free, rtol=1e-13)
    here, there = inside.step(free), files.step(free)
    assert there.log_likelihood == pytest.approx(here.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(there.free, here.free, rtol=1e-9, atol=1e-10)
    informations = double(lambda problem: complete_data(problem, free).informations())
    for a, b in zip(informations(inside), informations(files), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-9 * np.abs(a).max())
    assert (files.n, files.height, files.unseen) == (inside.n, inside.height, inside.unseen)
    assert files.observations == inside.observations
    assert sorted(map(str, files.half_seen.values())) == sorted(map(str, inside.half_seen.values()))
    np.testing.assert_allclose(files.log_densities(free), inside.log_densities(free), rtol=1e-10, atol=1e-12)
    if case.model.hidden is not None:
        assert files.entropy(free) == pytest.approx(inside.entropy(free), rel=1e-9, abs=1e-9)


# -- a table with holes, weights, labels and categories -----------------------------------------------

N = 3_000
KIND = RNG.integers(0, 2, N)
X = RNG.normal(KIND * 4.0, 1.0 + KIND)
COLOUR = np.array(["red", "green", "blue"], dtype=object)[np.where(RNG.random(N) < 0.6, KIND, 2)]
COLOUR[-5] = "white"
MIXED = {
    "x": np.where(RNG.random(N) < 0.1, np.nan, X),
    "colour": np.where(RNG.random(N) < 0.1, None, COLOUR),
    "times": RNG.integers(0, 4, N).astype(float),
    "kind": np.where(RNG.random(N) < 0.1, KIND, np.nan),
    "year": np.arange(N) % 7 + 2000.0,
}
MIXED["x"][7], MIXED["colour"][7] = np.nan, None
MIXTURE = lt.Mixture(lt.Product({"x": lt.Normal(), "colour": lt.Categorical()}), 2)
DATA = {name: MIXED[name] for name in ("x", "colour")}
COLUMNS = ["x", "colour"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return write(tmp_path_factory.mktemp("mixed") / "rows", pa.table(MIXED), group=700)


@pytest.fixture(scope="module")
def both(mixed):
    """The same fit in memory and of files."""
    inside = lt.fit(MIXTURE, DATA, weights=MIXED["times"], starts=4, stop=CLOSE)
    source = lt.Source(mixed, columns=COLUMNS, weights="times")
    return inside, lt.fit(inside.model, source, start=inside.params, stop=CLOSE)


def test_standard_errors_by_every_method(both):
    inside, files = both
    assert files.converged
    assert files.log_likelihood == pytest.approx(inside.log_likelihood, rel=1e-13)
    for method in ("observed", "louis", "oakes", "sem-exact", "opg", "sandwich"):
        here, there = (fit.errors(method).covariance for fit in both)
        np.testing.assert_allclose(there, here, rtol=1e-10, atol=1e-12, err_msg=method)
    assert files.half_seen == inside.half_seen
    assert (files.n, files.unseen, files.rows) == (inside.n, inside.unseen, inside.rows)
    assert files.bic == pytest.approx(inside.bic, rel=1e-13)
    assert files.entropy == pytest.approx(inside.entropy, rel=1e-10)
    assert files.names == inside.names
    np.testing.assert_allclose(files.posterior(), inside.posterior(), atol=1e-11)
    np.testing.assert_allclose(files.predict(DATA), inside.predict(DATA))
    assert "3 files" in files.engine
    assert "Rows  " in str(files)


def test_bootstraps_and_profiles(mixed):
    model, source = lt.IID(lt.Normal()), lt.Source(mixed, columns=["x"], weights="times")
    inside = lt.fit(model, MIXED["x"], weights=MIXED["times"])
    files = lt.fit(model, source)
    here, there = (fit.errors(lt.Bootstrap(100, seed=1)).covariance for fit in (inside, files))
    assert (np.abs(np.log(np.diag(there) / np.diag(here))) < 0.7).all()
    again = lt.fit(model, source, engine=lt.Threads(1, memory=0))
    some = lt.Bootstrap(20)  # rows are drawn by their places, whoever reads them
    np.testing.assert_array_equal(again.errors(some).replicates, files.errors(some).replicates)
    ends = [fit.intervals(method="profile") for fit in (inside, files)]
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-9)


def test_rows_like_those_of_files_are_drawn_in_every_pass(mixed):
    """As many as the weights say, holes and names where they were, the same whoever draws them."""
    source = lt.Source(mixed, columns=["colour", "x"], weights="times")
    model = lt.IID(lt.Product({"x": lt.Normal(), "colour": lt.Categorical()}))
    inside, files = lt.fit(model, DATA, weights=MIXED["times"]), lt.fit(model, source)
    new = drawn(files._estimate, 3)
    problem = fresh(files._estimate, new)
    assert (problem.n, problem.observations, problem.unseen) == (files.n + files.unseen, files.n, files.unseen)
    assert problem.half_seen == files.half_seen
    assert problem.given.reader.labels(problem.columns) == inside.model.reader.labels(problem.columns)
    for part in new.parts:
        here, there = (list(each.read(part)) for each in (new, pickle.loads(pickle.dumps(new))))
        jax.tree.map(np.testing.assert_array_equal, here, there)
    few = lt.ParametricBootstrap(20, seed=2)
    here, there = (np.diag(fit.errors(few).covariance) for fit in (inside, files))
    assert (np.abs(np.log(there / here)) < 1.5).all()


def test_a_ratio_of_likelihoods_is_looked_at_by_rows_drawn_like_those_of_files():
    lives = RNG.gamma(2.0, 3.0, 400)
    stream = lt.Batches(lambda: [{"life": lives[:150]}, {"life": lives[150:]}])
    one, two = (lt.fit(lt.IID(family), stream) for family in (lt.Exponential(), lt.Gamma()))
    test = two.likelihood_ratio(one, replicates=19)
    assert test.p_value == pytest.approx(0.05)
    assert len(test.replicates) == 19
    assert 0 <= test.replicates.min() < test.replicates.max() < 0.2 * test.statistic


def test_rows_are_not_drawn_where_nothing_says_how_they_come_about(mixed):
    few = lt.ParametricBootstrap(20)
    labelled = lt.fit(MIXTURE, lt.Source(mixed, columns=["colour", "x"], labels="kind"), seed=1)
    with pytest.raises(lt.InferenceError, match="some labels are known"):
        labelled.errors(few)
    lives = lt.Batches(lambda: [{"life": ["1", "2.5", ">3"]}] * 4)
    with pytest.raises(lt.InferenceError, match="only as intervals"):
        lt.fit(lt.IID(lt.Exponential()), lives).errors(few)


@pytest.mark.parametrize("data", [{"x": [1, 2, 3.0]}, lt.Batches(lambda: [{"x": [1, 2, 3.0], "w": [0.1] * 3}])])
def test_weights_that_make_no_row_are_refused(data):
    weights = "w" if isinstance(data, lt.Batches) else [0.1] * 3
    fit = lt.fit(lt.IID(lt.Poisson()), data, weights=weights)
    with pytest.raises(lt.InferenceError, match="add up to 0.3 of a row"):
        fit.standard_errors("parametric-bootstrap")


def test_a_row_that_stands_for_many_is_drawn_in_pieces():
    table = {"deaths": [0.0, 1.0, 2.0, 3.0, 4.0], "times": [10900.0, 6500.0, 2200.0, 300.0, 99.6]}
    fit = lt.fit(lt.IID(lt.Poisson()), lt.Batches(lambda: [table], weights="times"))
    source = drawn(fit._estimate, 0)
    with jax.enable_x64(True):
        sizes = [len(piece["deaths"]) for piece in source.read(source.parts[0])]
    assert sum(sizes) == 20_000
    assert max(sizes) <= 4096
    assert fresh(fit._estimate, source).n == 20_000


def test_clusters_are_those_of_a_column(both, mixed):
    """Numbers or texts, weights of 0 among them, whatever the model is of."""
    inside, files = both
    here = inside.errors(lt.Sandwich(clusters=MIXED["year"]))
    there = files.errors(lt.Sandwich(clusters="year"))
    np.testing.assert_allclose(there.covariance, here.covariance, rtol=1e-9, atol=1e-12)
    assert there.notes[0] == here.notes[0] == "7 clusters"
    model, seen = lt.IID(lt.Normal()), np.array([colour is not None for colour in MIXED["colour"]])
    alone = lt.fit(model, MIXED["x"][seen], weights=MIXED["times"][seen])
    stream = lt.Batches(lambda: pa.table(MIXED).filter(pa.array(seen)).to_batches(500), columns=["x"], weights="times")
    streamed = lt.fit(model, stream)
    want = alone.errors(lt.Sandwich(clusters=MIXED["colour"][seen].astype(str))).covariance
    np.testing.assert_allclose(streamed.errors(lt.Sandwich(clusters="colour")).covariance, want, rtol=1e-9)
    source = lt.Source(mixed, columns=["x"], weights="times")
    text = lt.fit(model, source)
    for clusters, wrong in (
        (np.arange(N) % 9, r"name the column of clusters, lt.Sandwich\(clusters="),
        ("month", "no column 'month'"),
        ("x", "one of the model's"),
        ("colour", r"1.parquet.*: row \d+: no 'colour' says which cluster|0.parquet.*row 7: no 'colour' says which"),
    ):
        with pytest.raises(lt.DataError, match=wrong):
            text.errors(lt.Sandwich(clusters=clusters))


def test_what_needs_rows_at_hand_looks_at_some(both, tmp_path):
    inside, files = both
    assert set(files.plot.suited) <= set(inside.plot.suited)
    for name in ("density", "posterior", "fit", "information"):
        assert files.plot.data(name).shape == inside.plot.data(name).shape
    files.report(tmp_path / "page.html")
    assert "Steps are not shown here" in (tmp_path / "page.html").read_text(encoding="utf-8")
    same = lt.fit(MIXTURE, files.last.problem.source, starts=1, stop=lt.Stop(max_steps=2))
    assert "log likelihood" in str(lt.compare({"a": files, "b": same}))
    with pytest.raises(lt.DataError, match="not fits of the same data|other data"):
        lt.compare({"a": files, "b": inside})


def test_labels_filters_and_orders(mixed):
    known = [None if np.isnan(kind) else int(kind) for kind in MIXED["kind"]]
    inside = lt.fit(MIXTURE, DATA, labels=known, start=None, seed=1, stop=CLOSE)
    files = lt.fit(MIXTURE, lt.Source(mixed, columns=["colour", "x"], labels="kind"), seed=1, stop=CLOSE)
    assert files.log_likelihood == pytest.approx(inside.log_likelihood, rel=1e-12)
    assert files.half_seen["labels"] == inside.half_seen["labels"]
    late = MIXED["year"] >= 2003
    part = lt.fit(lt.IID(lt.Normal()), MIXED["x"][late])
    rule = [("year", ">=", 2003)]
    found = lt.fit(lt.IID(lt.Normal()), lt.Source(mixed, columns=["x"], filter=rule))
    assert found.log_likelihood == pytest.approx(part.log_likelihood, rel=1e-12)
    assert found.rows == late.sum()
    named = lt.fit(lt.IID(lt.Normal()), lt.Source(mixed, columns=["x"]), weights="times")
    assert named.n == pytest.approx(MIXED["times"] @ ~np.isnan(MIXED["x"]))


def test_written_predictions_and_imputations(both, tmp_path, mixed):
    inside, files = both
    told = files.predict_to(tmp_path / "told", keep=["year"])
    assert [path.name for path in told] == ["0.parquet", "1.parquet", "2.parquet"]
    found, wanted = pl.concat(map(pl.read_parquet, told)), inside.augment(DATA)
    np.testing.assert_array_equal(found["year"], MIXED["year"])
    for name in ("class", "probability_1", "uncertainty", "density"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-10)
    filled = pl.concat(map(pl.read_parquet, files.impute_to(tmp_path / "filled")))
    complete = inside.impute(DATA).values
    np.testing.assert_allclose(filled["x"], complete["x"], rtol=1e-10)
    assert filled["colour"].to_list() == complete["colour"].tolist()
    # a fit in memory may be asked about files, too
    other = inside.predict_to(tmp_path / "other", lt.Source(mixed, columns=COLUMNS))
    np.testing.assert_allclose(pl.concat(map(pl.read_parquet, other))["density"], wanted["density"], rtol=1e-12)
    draws = pl.read_parquet(files.impute_to(tmp_path / "draws", draws=2, seed=3)[0])
    holes = np.isnan(MIXED["x"][:900])
    one, two = (draws.filter(pl.col("draw") == b)["x"].to_numpy() for b in (1, 2))
    np.testing.assert_array_equal(one == two, ~holes)
    assert len(set(one[holes])) == holes.sum()  # rows of every piece have draws of their own
    with pytest.raises(lt.DataError, match="in memory: use fit.augment"):
        inside.predict_to(tmp_path / "none")
    with pytest.raises(lt.ParameterError, match="is the file that is read"):
        files.predict_to(Path(mixed).parent)


def test_text_files_are_read_in_parts(mixed, monkeypatch, tmp_path):
    import latens.data.lines as lines

    monkeypatch.setattr(lines, "LENGTH", 20_000)
    frame = pl.read_parquet(mixed)
    frame.with_columns(pl.col("x").cast(pl.String).fill_null("NA").str.replace("NaN", "?")).write_csv(
        tmp_path / "a.csv"
    )
    source = lt.Source(tmp_path / "a.csv", columns=COLUMNS, weights="times")
    assert len(source.parts) > 3
    files = lt.fit(MIXTURE, source, seed=2, stop=CLOSE)
    inside = lt.fit(MIXTURE, DATA, weights=MIXED["times"], seed=2, stop=CLOSE)
    assert files.log_likelihood == pytest.approx(inside.log_likelihood, rel=1e-12)
    quoted = tmp_path / "quoted.csv"
    rows = [f'{i},"a, ""b""\nc{i % 2}"' for i in range(4_000)]
    quoted.write_text("x,kind\n" + "\n".join(rows))
    source = lt.Source(quoted)
    assert len(source.parts) > 1
    found = lt.fit(lt.IID(lt.Product({"x": lt.Normal(), "kind": lt.Categorical()})), source)
    assert found.params["x.mean"] == pytest.approx(1999.5)
    assert found.params["kind.probabilities"].tolist() == [0.5, 0.5]


def test_streams_can_be_anything_that_is_opened_again():
    frame = pl.DataFrame({"x": X})
    want = lt.fit(lt.IID(lt.Normal()), X)
    for opened in (
        lambda: frame,
        lambda: [frame[:1000], frame[1000:]],
        lambda: iter([{"x": X[:7]}, {"x": X[7:]}]),
        lambda: frame.to_arrow().to_batches(max_chunksize=900),
        lambda: frame.to_arrow().to_reader(max_chunksize=900),
        lambda: [frame.to_pandas()],
    ):
        found = lt.fit(lt.IID(lt.Normal()), lt.Batches(opened))
        assert found.log_likelihood == pytest.approx(want.log_likelihood, rel=1e-13)
    left = [frame[:2000], frame]  # what is there only the first time is missed the second
    with pytest.raises(lt.DataError, match="gave 2000 rows this time, 3000 before"):
        lt.fit(lt.IID(lt.Normal()), lt.Batches(lambda: [left.pop()]), engine=lt.Threads(memory=0))
    swapped = X.copy()
    swapped[[5, 1700]] = X[[1700, 5]]
    for other in (np.append(X[:-1], 0.5), swapped):
        left = [{"x": other}, {"x": X}]
        with pytest.raises(lt.DataError, match=r"gave other rows this time, or in another order"):
            lt.fit(lt.IID(lt.Normal()), lt.Batches(lambda left=left: [left.pop()]), engine=lt.Threads(memory=0))
    sizes = [500, 900, 3000, 7, 1000] * 20
    same = {"kind": np.array(["a", "b", None])[np.arange(3000) % 3], "x": X}

    def cut():
        size = sizes.pop()
        return [{name: each[i : i + size] for name, each in same.items()} for i in range(0, 3000, size)]

    model = lt.IID(lt.Product({"x": lt.Normal(), "kind": lt.Categorical()}))
    lt.fit(model, lt.Batches(cut), engine=lt.Threads(memory=0))  # cut in another way each time
    once = iter([frame])
    with pytest.raises(lt.DataError, match=r"same iterator again.*lt.online"):
        lt.fit(lt.IID(lt.Normal()), lt.Batches(lambda: once))


# -- many rows -----------------------------------------------------------------------------------------


def test_what_a_sample_would_miss_is_found(tmp_path):
    """More rows than are kept: one category, one value, one hole, far from each other."""
    n = 70_000
    kind = np.array(["a", "b"], dtype=object)[RNG.integers(0, 2, n)]
    kind[-1] = "only once"
    rare, holes = np.zeros(n), RNG.normal(size=n)
    rare[40_001], holes[123] = 1.0, np.nan
    table = {"kind": kind, "rare": rare, "y": holes}
    model = lt.IID(lt.Product({"kind": lt.Categorical(), "rare": lt.Normal(), "y": lt.Normal()}))
    files = lt.fit(model, write(tmp_path / "rows", pa.table(table), group=20_000), stop=CLOSE)
    inside = lt.fit(model, table, stop=CLOSE)
    assert files.half_seen == inside.half_seen == {"y": {"missing": 1.0}}
    for name, value in inside.params.items():
        np.testing.assert_allclose(files.params[name], value, rtol=1e-9, atol=1e-12)
    assert files.log_likelihood == pytest.approx(inside.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(files.intervals(), inside.intervals(), rtol=1e-8, atol=1e-10)


def test_a_far_frame_gives_the_same_maximum(tmp_path):
    """Units and origin are those of a sample; more rows than it has, far from 0, with an outlier."""
    x = 1e6 + RNG.normal(RNG.integers(0, 2, 50_000) * 5.0, 1.0)
    x[17] = 1e6 + 400.0
    model, stop = lt.Mixture(lt.Normal(), 2), lt.Stop(tolerance=1e-9)
    inside = lt.fit(model, x, stop=stop)
    files = lt.fit(model, write(tmp_path / "rows", pa.table({"x": x}), group=9_000), stop=stop)
    here, there = (fit.sorted("mean") for fit in (inside, files))
    assert files.log_likelihood == pytest.approx(inside.log_likelihood, abs=1e-5)
    for a, b in zip(here.standard_errors().values(), there.standard_errors().values(), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6)
    single = lt.fit(model, str(tmp_path / "rows" / "*.parquet"), precision="single", start=here.params)
    assert single.converged
    assert single.log_likelihood == pytest.approx(inside.log_likelihood, abs=1e-3)


PEAK = """
import resource, sys
import latens as lt
model = lt.Mixture(lt.MultivariateNormal(4), 2)
fit = lt.fit(model, sys.argv[1], starts=1, stop=lt.Stop(max_steps=3), engine=lt.Threads(2, memory=0))
print(fit.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_is_flat_in_the_number_of_files(tmp_path):
    rows = RNG.normal(size=(120_000, 4))
    rows[::2] += 3.0
    table = pa.table({f"x{j}": rows[:, j] for j in range(4)})
    peaks = []
    for number in (1, 4, 16):
        folder = tmp_path / str(number)
        folder.mkdir()
        for i in range(number):
            pq.write_table(table, folder / f"{i}.parquet", use_dictionary=False)
        out = subprocess.run(
            [sys.executable, "-c", PEAK, str(folder)], capture_output=True, check=True, text=True
        ).stdout.split()
        assert int(out[0]) == number * 120_000
        peaks.append(int(out[1]))
    assert peaks[2] < peaks[0] + 30, peaks  # 16 files hold 61 MB of numbers


def test_shards_follow_the_data():
    assert [rung(n) for n in (1, 2, 3, 4, 5, 7, 9, 13, 17)] == [1, 2, 3, 4, 6, 8, 12, 16, 24]
    from latens.data.parts import Part

    for sizes in ([5], [1] * 7, [3] * 1000, [1] * 500 + [1000] * 3, [0] * 90):
        parts = [Part(i, "f", i, size) for i, size in enumerate(sizes)]
        found = shards_of(parts)
        assert [part for shard in found for part in shard] == parts
        assert len(found) <= SHARDS


# -- kept between passes -------------------------------------------------------------------------------


def test_a_cache_has_the_same_bits(mixed, tmp_path, monkeypatch):
    start = {"weights": [0.4, 0.6], "x.mean": [0, 3], "x.variance": [1, 2], "colour.probabilities": [[0.25] * 4] * 2}
    run = {"start": start, "stop": lt.Stop(max_steps=8)}
    plain = lt.fit(MIXTURE, lt.Source(mixed, columns=COLUMNS), **run, engine=lt.Threads(memory=0))
    source = lt.Source(mixed, columns=COLUMNS, cache=tmp_path / "cache")
    for _ in range(2):  # written, and read by another fit
        kept = lt.fit(MIXTURE, source, **run, engine=lt.Threads(memory=0))
        assert kept.log_likelihood == plain.log_likelihood
        np.testing.assert_array_equal(kept.estimates, plain.estimates)
    assert (tmp_path / "cache" / "CACHEDIR.TAG").exists()
    victim = next(path for path in (tmp_path / "cache").rglob("*-00000") if path.stat().st_size > 100)
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(lt.DataError, match="cut off.*delete .*rows are kept anew"):
        lt.fit(MIXTURE, source, **run, engine=lt.Threads(memory=0))
    victim.write_bytes(whole)
    # what a later pass reads is the folder
    problem = problem_of(MIXTURE, source, engine=lt.Threads(memory=0))
    monkeypatch.setattr(lt.Source, "pieces", lambda *_: pytest.fail("the files were read"))
    problem.step(problem.free(start))


def test_a_full_disk_ends_the_keeping_only(mixed, tmp_path, monkeypatch):
    from latens.engine import kept

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.pickle, "dump", full)
    source = lt.Source(mixed, columns=COLUMNS, cache=tmp_path / "cache")
    with pytest.warns(UserWarning, match="cannot be kept.*No space left.*goes on without"):
        found = lt.fit(MIXTURE, source, starts=1, stop=lt.Stop(max_steps=3), engine=lt.Threads(memory=0))
    assert found.rows == N


# -- what is wrong with files ---------------------------------------------------------------------------


def table_of(**columns):
    return pa.table(columns)


def files(folder, *tables):
    for i, table in enumerate(tables):
        pq.write_table(table, folder / f"{i}.parquet", row_group_size=3)
    return str(folder / "*.parquet")


def test_errors_name_the_file_and_what_to_do(tmp_path):
    normal = lt.IID(lt.Normal())
    cases = [
        ([table_of(x=[1.0]), table_of(y=[1.0])], {}, "1.parquet has no column 'x', which .*0.parquet has"),
        ([table_of(x=[1.0]), table_of(x=[1.0], y=[2.0])], {}, "has a column 'y', which .* has not"),
        ([table_of(x=[1.0]), table_of(x=["a"])], {}, "column 'x' is double in .*0.parquet and string in .*1.parquet"),
        ([table_of(x=[1.0, 2.0])], {"columns": ["z"]}, "there is no column 'z'; it has x"),
        ([table_of(x=[1.0, 2.0])], {"weights": "n"}, "there is no column 'n'"),
        ([table_of(x=[1.0, 2, 3, 4, np.inf])], {}, "0.parquet, row group 1: row 1, column 'x': inf is not a finite"),
        ([table_of(x=[1.0, 2], n=[1.0, -1])], {"weights": "n"}, "0.parquet, row group 0: row 1: the weight -1"),
        ([table_of(x=[1.0, 2], n=[0.0, 0])], {"weights": "n"}, "all weights are zero"),
        ([table_of(x=[1.0, 1.0])], {}, "0.parquet: column 'x': all values equal 1"),
        ([table_of(x=[1.0, 2.0])], {"filter": [("x", ">", 5)]}, "no row that passes the filter"),
        ([table_of(x=pa.array([[1.0], [2.0]]))], {}, r"column 'x' holds list.*no numbers or texts"),
        ([table_of(x=pa.array([], pa.float64()))], {}, "there is no row, so nothing to fit"),
        ([table_of(x=["1", "2", "soon"])], {}, "row 2, column 'x': 'soon' is not a number"),
    ]
    for i, (tables, options, words) in enumerate(cases):
        folder = tmp_path / str(i)
        folder.mkdir()
        with pytest.raises(lt.DataError, match=words):
            lt.fit(normal, lt.Source(files(folder, *tables), **options))
    with pytest.raises(lt.DataError, match="no file matches nothing-here"):
        lt.fit(normal, "nothing-here*.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(lt.DataError, match="there is no Parquet file in the folder"):
        lt.fit(normal, tmp_path / "empty")
    with pytest.raises(lt.DataError, match="name the column of weights"):
        lt.fit(normal, str(tmp_path / "0" / "0.parquet"), weights=[1.0])
    with pytest.raises(lt.ParameterError, match="engine= is for the rows of files"):
        lt.fit(normal, [1.0, 2.0], engine=lt.Threads())
    with pytest.raises(lt.ParameterError, match="engine must be"):
        lt.fit(normal, str(tmp_path / "0" / "0.parquet"), engine="spark")


def test_poisson_of_negative_counts_names_the_row(tmp_path):
    counts = np.abs(RNG.poisson(3, 20)).astype(float)
    counts[16] = -2
    with pytest.raises(lt.DataError, match=r"row group 5: row 1, column 'x': -2"):
        lt.fit(lt.IID(lt.Poisson()), files(tmp_path, table_of(x=counts)))


def test_a_damaged_file(tmp_path):
    path = files(tmp_path, table_of(x=np.arange(50.0)), table_of(x=np.arange(50.0)))
    whole = (tmp_path / "1.parquet").read_bytes()
    (tmp_path / "1.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(lt.DataError, match="1.parquet cannot be read.*cut off"):
        lt.fit(lt.IID(lt.Normal()), path)


def test_a_file_that_changes_stops_the_fit_with_its_checkpoint(tmp_path):
    plane = pa.table({"x": PLANE[:, 0], "y": PLANE[:, 1]})
    path, kept = write(tmp_path / "rows", plane), tmp_path / "kept"
    model, start = lt.Mixture(lt.MultivariateNormal(2), 2), MODELS[9].start
    want = lt.fit(model, path, start=start)
    first = tmp_path / "rows" / "0.parquet"
    before = first.stat()

    def steps():
        from latens.engine.checkpoint import Checkpoint
        from latens.engine.loop import Run, drive
        from latens.engine.solve import beginning, rules

        problem = problem_of(model, path, engine=lt.Threads(memory=0))
        begun = beginning(problem, start, None, 0)
        saved = Checkpoint(kept, problem, begun.plain())
        run = Run(problem, begun.reach(problem)[0], *rules(problem, None, None))
        return saved.keep(run, drive(run), None)

    under_way = steps()
    for _ in range(3):
        next(under_way)
    os.utime(first, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    with pytest.raises(lt.DataError, match=r"0.parquet has changed since.*is kept in .*kept: the same call goes on"):
        list(under_way)
    os.utime(first, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = lt.fit(model, path, start=start, checkpoint=kept)
    assert again.log_likelihood == want.log_likelihood
    np.testing.assert_array_equal(again.estimates, want.estimates)


def test_a_fit_of_files_goes_elsewhere(both):
    _, files = both
    copy = pickle.loads(pickle.dumps(files))
    assert copy.log_likelihood == files.log_likelihood
    np.testing.assert_array_equal(copy.standard_errors()["x.mean"], files.standard_errors()["x.mean"])
    assert len(files.sample(5)["x"]) == 5
    assert source_of({"x": [1]}) is None


# -- kinds of columns and of mistakes ---------------------------------------------------------------------


def test_columns_as_files_have_them(tmp_path):
    """Unused categories, another order, a column of nothing: the rows are what counts."""
    x, c = X[:900], COLOUR[:900].copy()
    c[:300] = None
    want = lt.fit(MIXTURE, {"x": x, "colour": c}, starts=2)
    run = {"start": want.params, "stop": CLOSE}
    unused = pa.array(c[300:600].tolist()).dictionary_encode()
    unused = pa.DictionaryArray.from_arrays(unused.indices, pa.array([*unused.dictionary.to_pylist(), "never"]))
    pq.write_table(pa.table({"x": x[:300], "colour": pa.nulls(300)}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"colour": unused, "x": x[300:600]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"x": x[600:], "colour": pa.array(c[600:].tolist())}), tmp_path / "2.parquet")
    found = lt.fit(want.model, tmp_path, **run)
    assert found.log_likelihood == pytest.approx(want.log_likelihood, rel=1e-9)
    batches = lt.Batches(lambda: [{"x": x[:500], "colour": c[:500]}, {"colour": c[500:], "x": x[500:]}])
    assert lt.fit(want.model, batches, **run).log_likelihood == pytest.approx(want.log_likelihood, rel=1e-9)
    twice = lt.Source([tmp_path, os.path.relpath(tmp_path)])
    assert len(twice.paths) == 3


def test_a_cache_is_shared_and_watched(mixed, tmp_path):
    source = lt.Source(mixed, columns=COLUMNS, weights="times", cache=tmp_path / "cache")
    run = {"start": lt.fit(MIXTURE, source, starts=1, stop=lt.Stop(max_steps=1)).params, "stop": lt.Stop(max_steps=3)}
    for folder in (tmp_path / "cache").iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)

    def fitted(_):
        return lt.fit(MIXTURE, source, **run, engine=lt.Threads(1, memory=0))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(fitted, range(4)))
    assert len({fit.log_likelihood for fit in found}) == 1
    files = sorted(path for path in (tmp_path / "cache").rglob("0*") if path.is_file())
    pieces = [path for path in files if "-" in path.name]
    one, other = (path.read_bytes() for path in pieces[:2])
    for victim, content, words in (
        (pieces[0], one[: -len(one) // 3] + bytes(len(one) - len(one[: -len(one) // 3])), "its numbers have changed"),
        (pieces[0], other, "it is 00"),
        (files[0], b"", "invalid literal"),
    ):
        before = victim.read_bytes()
        victim.write_bytes(content)
        with pytest.raises(lt.DataError, match=f"is not what was written there .*{words}.*rows are kept anew"):
            fitted(0)
        victim.write_bytes(before)


def test_arguments_that_cannot_be(mixed, both, tmp_path):
    _, fit = both
    normal = lt.IID(lt.Normal())
    for make, words in (
        (lambda: lt.Source(mixed, columns="x"), "columns must be a list"),
        (lambda: lt.Source(mixed, columns=["x", "x"]), "'x' is there twice"),
        (lambda: lt.Source(mixed, columns=["x", "n"], weights="n"), "'n' is there twice, or is that of weights"),
        (lambda: lt.Source(mixed, filter="x > 0"), "filter must be a list"),
        (lambda: lt.Source(mixed, filter=[("x", "~", 0)]), "is no condition such as"),
        (lambda: lt.Source(mixed, filter=[("x", "in", "ab")]), "'in' takes a list"),
        (
            lambda: lt.fit(normal, lt.Source(mixed, columns=["x"], filter=[("x", ">", "a")])),
            "compare numbers with numbers",
        ),
        (lambda: lt.Source({"x": [1.0]}).parts, "takes a path, a pattern, a folder"),
        (lambda: lt.Batches(iter([])), "takes a function that opens the stream anew"),
        (lambda: lt.fit(normal, lt.Batches(lambda: [{"x": [1, 2], "y": [1]}])), "no dict of columns alike"),
        (lambda: fit.predict(lt.Source(mixed)), "fit.predict_to"),
        (lambda: lt.fit(MIXTURE, lt.Source(mixed, columns=["x"], labels="colour")), "holds texts, not labels"),
        (lambda: fit.impute_to(tmp_path, keep=["x"]), "column 'x' would be written twice"),
        (lambda: fit.predict_to(tmp_path, keep="year"), "keep must be a list"),
    ):
        with pytest.raises((lt.DataError, lt.ParameterError), match=words):
            make()


def test_a_row_that_a_start_gives_no_probability_is_named_by_its_place(tmp_path):
    x = RNG.normal(size=60)
    x[47] = 1e6
    path = write(tmp_path / "rows", pa.table({"x": x}), cuts=(0.5,), group=10)

    def log_joint(params, row, z):
        return jnp.where(row["x"] > 100.0, -jnp.inf, jnp.log(0.5) - 0.5 * (row["x"] - params["mean"] * z) ** 2)

    model = lt.Latent(log_joint, [0, 1], {"mean": lt.Real()})
    with pytest.raises(lt.ParameterError, match=r"start: .*1.parquet, row group 1: row 7 has log-likelihood -inf"):
        lt.fit(model, path, start={"mean": 1.0})


def test_few_rows_have_a_weight_or_a_stream_goes_on(tmp_path):
    """One row in five thousand: none of a sample drawn from all would have one."""
    n = 100_000
    weights, x = np.zeros(n), RNG.normal(size=n)
    weights[::5_000] = 2.0
    path = write(tmp_path / "rows", pa.table({"x": x, "w": weights}), group=30_000)
    found = lt.fit(lt.IID(lt.Normal()), path, weights="w")
    assert found.log_likelihood == pytest.approx(lt.fit(lt.IID(lt.Normal()), x, weights=weights).log_likelihood)
    stream = lt.Batches(lambda: [{"x": x[:900]}, {"x": x[900:2_000]}])
    kept, model = tmp_path / "kept", lt.Mixture(lt.Normal(), 2)
    lt.fit(model, stream, starts=1, stop=lt.Stop(max_steps=3), checkpoint=kept)
    again = lt.fit(model, stream, starts=1, stop=lt.Stop(max_steps=6), checkpoint=kept)
    assert again.log_likelihood == lt.fit(model, stream, starts=1, stop=lt.Stop(max_steps=6)).log_likelihood
