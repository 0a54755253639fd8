"""Rows that are seen once tell what all of them would."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import latens as lt
from latens.inference.stepwise import Pace
from latens.numerics.room import room

RNG = np.random.default_rng(1)
NORMALS, POISSONS = lt.Mixture(lt.Normal(), 2), lt.Mixture(lt.Poisson(), 2)
TABLE = lt.IID(lt.MultivariateNormal(3))


def _normals(n, rng=RNG):
    return rng.normal(np.where((first := rng.random(n) < 0.4), 0.0, 4.0), np.where(first, 1.0, 1.5))


def _counts(n):
    return RNG.poisson(np.where(RNG.random(n) < 0.4, 2.0, 7.0))


def _table(n, missing=0.2):
    rows = RNG.multivariate_normal([1, 2, 3], [[2, 1, 0.5], [1, 3, 1], [0.5, 1, 1]], n)
    rows[RNG.random(rows.shape) < missing] = np.nan
    return rows


def _fed(model, rows, size=500, **options):
    stream = lt.online(model, **options)
    for first in range(0, len(rows), size):
        stream.update(rows[first : first + size])
    return stream


def _errors(estimate):
    return np.sqrt(np.diag(estimate.covariance()))


def _same(one, other):
    np.testing.assert_array_equal(one.estimate.estimates, other.estimate.estimates)
    np.testing.assert_array_equal(one.estimate.covariance(), other.estimate.covariance())


@pytest.mark.parametrize(
    ("model", "draw"), [(NORMALS, _normals), (POISSONS, _counts), (TABLE, _table)], ids=["normals", "counts", "holes"]
)
def test_a_pass_over_many_rows_comes_to_the_fit_of_all(model, draw):
    rows = draw(100_000)
    estimate = _fed(model, rows).estimate
    fit = lt.fit(model, rows, start=estimate.params)
    assert estimate.n == estimate.used == fit.n
    assert estimate.unseen == fit.unseen
    assert (np.abs(estimate.estimates - fit.estimates) < 0.5 * _errors(fit)).all()
    np.testing.assert_allclose(_errors(estimate), _errors(fit), rtol=0.1)
    assert estimate.status is lt.Status.ONLINE
    report = str(estimate)
    assert "no certificate" in report
    assert "by the method 'observed'" in report


def test_where_nothing_is_hidden_it_is_the_fit_to_the_last_digits():
    """The step to the limit is none there: the estimate comes from the plain mean of the statistics."""
    rows = RNG.gamma(2.0, 3.0, 3000)
    for model in (lt.IID(lt.Normal()), lt.IID(lt.Gamma())):
        found = _fed(model, rows, 70, warmup=400).estimate.estimates
        np.testing.assert_allclose(found, lt.fit(model, rows).estimates, rtol=1e-6)
    kinds = RNG.choice(list("abcd"), 3000, p=[0.5, 0.3, 0.199, 0.001])
    kinds[:4] = list("abcd")
    found = _fed(lt.IID(lt.Categorical()), kinds, 70, warmup=400).estimate
    np.testing.assert_allclose(found.params["probabilities"], np.unique(kinds, return_counts=True)[1] / 3000, rtol=1e-6)
    assert found.names[3] == "probabilities[d]"


def test_weights_are_repetitions():
    rows, times = _normals(1200), RNG.integers(0, 4, 1200)
    weighted, repeated = lt.online(NORMALS, warmup=500), lt.online(NORMALS, warmup=500)
    for first in range(0, 1200, 100):
        part = slice(first, first + 100)
        weighted.update(rows[part], weights=times[part])
        repeated.update(np.repeat(rows[part], times[part]))
    assert weighted.n == repeated.n == times.sum()
    np.testing.assert_allclose(weighted.estimate.estimates, repeated.estimate.estimates, rtol=1e-7)
    np.testing.assert_allclose(_errors(weighted.estimate), _errors(repeated.estimate), rtol=1e-7)


def test_a_row_weighs_the_same_in_any_batch():
    for alpha in (0.6, 0.8, 1.0):
        pace = Pace(alpha, 500.0)
        assert pace.kept(1000, 300) == pytest.approx(pace.kept(1000, 100) * pace.kept(1100, 200), rel=1e-12)
        assert pace.kept(1e6, 1) == pytest.approx(1 - 1 / pace.memory(1e6), abs=1e-8)
    rows = _normals(6000)
    stream, at = lt.online(NORMALS, warmup=1000), 0
    for size in (1000, 7, 800, 1, 1, 192, 1500, 30, 2469):
        stream.update(rows[at : at + size])
        at += size
    even = _fed(NORMALS, rows, 250, warmup=1000).estimate
    assert (np.abs(stream.estimate.estimates - even.estimates) < 0.2 * _errors(even)).all()


def test_one_row_at_a_time():
    rows = _normals(1000)
    stream = lt.online(NORMALS, warmup=300)
    stream.update(rows[:300])
    for row in rows[300:]:
        stream.update([row])
    fit = lt.fit(NORMALS, rows, start=stream.estimate.params)
    assert stream.n == 1000
    assert (np.abs(stream.estimate.estimates - fit.estimates) < 0.5 * _errors(fit)).all()


def test_a_batch_of_a_size_that_was_met_compiles_nothing():
    seen = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: seen.append(name))
    for model, draw in ((NORMALS, _normals), (TABLE, _table)):
        stream = _fed(model, draw(400), warmup=300)
        for size in (1, 7, 1000, 5):
            stream.update(draw(size))
        del seen[:]
        for size in (1, 7, 990, 3):
            stream.update(draw(size))
        assert not [name for name in seen if "backend_compile" in name]
    assert [room(n) for n in (1, 16, 17, 500, 1000, 1025)] == [16, 16, 20, 512, 1024, 1280]


def test_units_and_origin_do_not_matter():
    rows = _normals(3000)
    plain, moved = (_fed(NORMALS, each, 250, warmup=500).estimate for each in (rows, 1e6 + 1e-3 * rows))
    # starts that are as good as one another in all but rounding name components in other orders
    here, there = (np.argsort(fit.params["mean"]) for fit in (plain, moved))
    np.testing.assert_allclose((moved.params["mean"][there] - 1e6) * 1e3, plain.params["mean"][here], atol=1e-6)
    np.testing.assert_allclose(moved.params["variance"][there] * 1e6, plain.params["variance"][here], rtol=1e-6)
    errors, own = (fit.standard_errors()["mean"] for fit in (plain, moved))
    np.testing.assert_allclose(own[there] * 1e3, errors[here], rtol=1e-6)


def _kinds(n):
    return {"size": _normals(n), "kind": RNG.choice(["red", "blue"], n)}


SAVED = {
    "normals": (NORMALS, _normals),
    "holes": (TABLE, _table),
    "gamma": (lt.IID(lt.Gamma()), lambda n: RNG.gamma(2.0, 3.0, n)),
    "censored": (lt.IID(lt.Exponential()), lambda n: lt.right_censored(RNG.exponential(1, n), RNG.random(n) < 0.5)),
    "table": (lt.Mixture(lt.Product({"size": lt.Normal(), "kind": lt.Categorical()}), 2), _kinds),
    "moths": (lt.HardyWeinberg("C > T", {"dark": "C", "light": "T"}), lambda n: {"dark": n, "light": 2 * n}),
}


@pytest.mark.parametrize("name", SAVED)
def test_saved_it_goes_on_to_the_identical_result(name, tmp_path):
    model, draw = SAVED[name]
    stream = lt.online(model, warmup=200)
    for _ in range(7):
        stream.update(draw(60))
    stream.save(tmp_path / "stream.npz")
    again = lt.Online.load(tmp_path / "stream.npz", model)
    copied = pickle.loads(pickle.dumps(stream))
    for _ in range(8):
        rows = draw(60)
        for each in (stream, again, copied):
            each.update(rows)
    _same(stream, again)
    _same(stream, copied)
    assert stream.estimate.names == again.estimate.names
    shown = pickle.loads(pickle.dumps(stream.estimate))
    np.testing.assert_array_equal(shown.estimates, stream.estimate.estimates)


def test_a_file_that_is_no_such_stream_is_refused(tmp_path):
    path = tmp_path / "stream.npz"
    stream = _fed(NORMALS, _normals(400), warmup=300)
    stream.save(path)
    with pytest.raises(lt.DataError, match="of another model .Mixture: 2 × Normal"):
        lt.Online.load(path, POISSONS)
    with np.load(path) as file:
        arrays = dict(file)
    state = json.loads(str(arrays["json"])) | {"format": 0, "version": "0.0.1"}
    np.savez(tmp_path / "old.npz", **arrays | {"json": np.array(json.dumps(state))})
    with pytest.raises(lt.DataError, match=r"saved by latens 0\.0\.1, in a form that latens .* does not read"):
        lt.Online.load(tmp_path / "old.npz", NORMALS)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:600] + b"\x07" * 40 + whole[640:], b"no", b""):
        (tmp_path / "bad.npz").write_bytes(damaged)
        with pytest.raises(lt.DataError, match="is no stream that can be read"):
            lt.Online.load(tmp_path / "bad.npz", NORMALS)
    evil = json.loads(str(arrays["json"]))
    evil["tree"] = {"module": ["os", "system"], "fields": {}}
    np.savez(tmp_path / "evil.npz", **arrays | {"json": np.array(json.dumps(evil))})
    with pytest.raises(lt.DataError, match="os is no part of latens"):
        lt.Online.load(tmp_path / "evil.npz", NORMALS)
    with pytest.raises(lt.DataError, match="cannot be written"):
        stream.save(tmp_path / "nowhere" / "stream.npz")
    with pytest.raises(lt.InferenceError, match="has 3 of the 5000 rows"):
        _fed(NORMALS, [1.0, 2.0, 3.0]).save(path)


def test_rows_come_in_any_form_and_order():
    rows = _table(900, 0.0)
    frame = pl.DataFrame(dict(zip("abc", rows.T, strict=True)))
    one, other = lt.online(TABLE, warmup=300), lt.online(TABLE, warmup=300)
    for first in range(0, 900, 100):
        part = frame[first : first + 100]
        one.update(part)
        forms = (part, part[["c", "a", "b"]], part.to_pandas(), {n: part[n].to_list() for n in "bca"})
        other.update(forms[first // 100 % 4 if first >= 300 else 0])
    _same(one, other)
    assert one.estimate.columns == ("a", "b", "c")
    # cells that were all seen of the first rows, and later were not
    part = _table(300, 0.3)
    one.update(part)
    fit = lt.fit(TABLE, np.concatenate([rows, part]))
    assert one.estimate.unseen == fit.unseen
    assert (np.abs(one.estimate.estimates - fit.estimates) < 0.3 * _errors(fit)).all()
    estimate = one.estimate
    there = lt.fit(TABLE, part, start=estimate.params, stop=lt.Stop(max_steps=0))
    np.testing.assert_allclose(estimate.log_density(part), there.log_density(), atol=1e-9)


def test_the_first_rows_may_be_half_seen_labelled_and_lack_categories():
    stream = lt.online(lt.IID(lt.Exponential()), warmup=200)
    times = RNG.exponential(2, 300)
    stream.update(lt.right_censored(np.minimum(times[:100], 3), times[:100] < 3))
    stream.update([*times[100:200], np.nan])
    stream.update(times[200:])
    seen = np.r_[np.minimum(times[:100], 3), times[100:]].sum()
    assert stream.estimate.params["rate"] == pytest.approx(((times[:100] < 3).sum() + 200) / seen, rel=0.01)
    stream = lt.online(lt.IID(lt.Categorical()), warmup=4)
    for kind in ("red", "red", "blue", None, "red"):
        stream.update({"kind": [kind]})
    assert stream.estimate.params["probabilities"].tolist() == pytest.approx([0.25, 0.75])
    stream = lt.online(NORMALS, warmup=200)
    for i in range(4):
        rows = _normals(100)
        stream.update(rows, labels=(rows > 2).astype(int) if i % 2 == 0 else None)
    assert np.diff(stream.estimate.params["mean"]) > 3  # in the order of the labels
    assert stream.estimate.predict([0.0, 5.0]).tolist() == [0, 1]


class Coin(lt.AbstractModel):
    """Tosses, in sequences."""

    @property
    def constraints(self):
        return {"p": lt.Unit()}

    def potentials(self, params):
        return jnp.log(jnp.stack([1 - params["p"], params["p"]]))

    def log_evidence(self, potentials, x):
        return jnp.where(x.within, jnp.where(x.value > 0.5, potentials[1], potentials[0]), 0.0).sum()


def test_sequences_for_a_model_of_ones_own(tmp_path):
    tosses, stream = [], lt.online(Coin(), warmup=40)
    for _ in range(5):
        batch = [(RNG.random(k) < 0.3).astype(float) for k in RNG.integers(1, 6, 30)]
        stream.update(lt.sequences(batch))
        tosses += batch
    stream.save(tmp_path / "coin.npz")
    for each in (stream, lt.Online.load(tmp_path / "coin.npz", Coin())):
        assert each.n == 150
        assert each.estimate.params["p"] == pytest.approx(np.concatenate(tosses).mean(), rel=1e-6)


def test_rows_of_which_nothing_was_seen_count_for_nothing():
    stream = _fed(TABLE, _table(500), warmup=300)
    before = stream.estimate
    stream.update(np.full((3, 3), np.nan))
    after = stream.estimate
    assert after.n == before.n
    assert after.unseen == before.unseen + 3
    np.testing.assert_array_equal(after.estimates, before.estimates)
    assert "count for nothing" in str(after)


def test_a_stream_that_changes_forgets_what_was_before():
    rows = np.r_[RNG.normal(0, 1, 2000), RNG.normal(5, 1, 10_000)]
    estimate = _fed(lt.IID(lt.Normal()), rows, 100, warmup=500).estimate
    assert estimate.used < estimate.n
    assert estimate.params["mean"] == pytest.approx(5, abs=0.1)
    assert "of 12000 count" in str(estimate)


def test_what_degenerates_says_so():
    stream = lt.online(NORMALS, warmup=50)
    stream.update(np.r_[RNG.normal(size=30), np.full(30, 7.0)])
    assert stream.status is lt.Status.DEGENERATE
    assert "has collapsed" in stream.reason
    estimate = stream.estimate
    assert np.isfinite(estimate.estimates).all()
    assert "has collapsed" in str(estimate)
    for asked in (estimate.covariance, lambda: stream.update([1.0])):
        with pytest.raises(lt.InferenceError, match="the stream has ended .component . has collapsed"):
            asked()
    few = lt.online(POISSONS, warmup=3, start={"weights": [0.5, 0.5], "rate": [1.5, 1.5]})
    few.update([1, 1, 2, 2])
    with pytest.raises(lt.InferenceError, match="do not tell all parameters apart"):
        few.estimate.standard_errors()


def test_a_boundary_is_held():
    rows = RNG.choice(2, 2000)
    estimate = _fed(lt.IID(lt.Categorical(3)), rows, 100, warmup=500).estimate
    errors = estimate.standard_errors()["probabilities"]
    np.testing.assert_allclose(errors[:2], np.sqrt(0.25 / 2000), rtol=0.02)
    assert np.isnan(errors[2])
    assert "boundary" in estimate.held["probabilities[2]"]
    assert "Held (1)" in str(estimate)


def test_what_is_wrong_is_said_and_changes_nothing():
    stream = _fed(NORMALS, _normals(400), warmup=300)
    before = stream.estimate.estimates
    for rows, options, words in (
        ([], {}, "the data are empty"),
        ([1.0, np.inf], {}, "row 1.*inf is not a finite number"),
        (["a"], {}, "'a' is not a number"),
        ({"y": [1.0]}, {}, "column '0' is not in this batch, which has y"),
        ([[1.0, 2.0]], {}, "shape"),
        ([1.0, 2.0], {"weights": [1.0, np.nan]}, "row 1: the weight nan"),
        ([1.0, 2.0], {"weights": [0.0, 0.0]}, "all weights are zero"),
        ([1.0, 2.0], {"weights": [1.0]}, "one weight for each"),
        ([1.0], {"labels": [4]}, "row 0, labels: 4 is not a code"),
    ):
        with pytest.raises(lt.DataError, match=words):
            stream.update(rows, **options)
    np.testing.assert_array_equal(stream.estimate.estimates, before)
    kinds = _fed(lt.IID(lt.Categorical()), ["a", "b"] * 10, warmup=5)
    with pytest.raises(lt.DataError, match="row 1.*'c' is none of the categories a, b"):
        kinds.update(["a", "c"])
    named = _fed(TABLE, pl.DataFrame(_table(400, 0.0), schema=list("abc")), warmup=300)
    with pytest.raises(lt.DataError, match="column 'b' is not in this batch, which has a, x, c"):
        named.update({"a": [1.0], "x": [2.0], "c": [3.0]})
    first = lt.online(TABLE)
    first.update({"a": [1.0], "b": [2.0], "c": [3.0]})
    with pytest.raises(lt.DataError, match="first batch has the columns a, b, c, a later one a, x, c"):
        first.update({"a": [1.0], "x": [2.0], "c": [3.0]})
    assert first.n == 1
    with pytest.raises(lt.InferenceError, match="1 of the 5000 rows"):
        _ = first.estimate
    for model, options, kind, words in (
        (lt.IID(lt.Weibull()), {}, lt.ModelError, "Weibull.*use lt.fit"),
        (lt.Poisson(), {}, lt.ModelError, "expected a model"),
        (NORMALS, {"alpha": 0.5}, lt.ParameterError, "alpha must be a number above 1/2"),
        (NORMALS, {"warmup": 0}, lt.ParameterError, "warmup"),
    ):
        with pytest.raises(kind, match=words):
            lt.online(model, **options)
    with pytest.raises(lt.ParameterError, match="level"):
        stream.estimate.intervals(1.0)


def test_streams_run_side_by_side_and_take_single_precision():
    rows = _normals(900).astype(np.float32)

    def run(_):
        return _fed(NORMALS, rows, 100, warmup=300).estimate.estimates

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(run, range(2))
    np.testing.assert_array_equal(one, other)
    assert one.dtype == np.float64


def test_where_nearly_all_is_missing_it_stays_near():
    """99 % missing and few first rows: a step to the limit may go too far, and is kept short."""
    beta = lt.Mixture(lt.Beta(), 2)
    for seed in (2, 5):
        draws = np.random.default_rng(seed)
        rows = draws.beta(np.where(draws.random(2400) < 0.5, 2, 9), 4)
        found = _fed(beta, rows, 400, warmup=200).estimate.log_density(rows).sum()
        assert found > lt.fit(beta, rows).log_likelihood - 4
