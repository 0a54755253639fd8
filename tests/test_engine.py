"""Starts side by side, checkpoints, priors, identical rows, single precision, remaining time."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

import latens as lt
from latens.engine import blocks, checkpoint, starts
from latens.engine import rows as stored
from latens.engine.loop import Run, drive
from latens.engine.problem import Problem
from latens.models.seeding import some_distinct
from latens.numerics.compiling import one_thread_each
from latens.numerics.memory import own
from latens.report import progress

from registry import COUNTS, MODELS, PAIR, PLANE

POISSONS = lt.Mixture(lt.Poisson(), 2)
NORMALS = lt.Mixture(lt.Normal(), 2)
BEGIN = {"weights": [0.5, 0.5], "mean": [-1.0, 1.0], "variance": [1.0, 1.0]}
THREE = np.concatenate([PAIR, PAIR + 9])

# -- many starts ------------------------------------------------------------------------------------


def test_starts_meet_optima_and_say_how_often():
    fit = lt.fit(lt.Mixture(lt.Normal(), 3), THREE, starts=lt.Starts(6, random=6), seed=2)
    met = fit.starts
    assert met.tried == 12
    assert met.settled <= 12 - met.degenerate
    assert sum(found.reached for found in met.optima) == met.settled
    values = [found.log_likelihood for found in met.optima]
    assert values == sorted(values, reverse=True)
    assert fit.log_likelihood >= values[0] - 1e-6
    assert f"log-likelihood {values[0]:.3f} ({met.optima[0].reached} times)" in " ".join(str(fit).split())
    assert fit.to_dict()["starts"]["optima"][0]["reached"] == met.optima[0].reached


def test_relabelled_ends_are_one_optimum():
    swapped = {name: values[::-1] for name, values in BEGIN.items()}
    fit = lt.fit(NORMALS, PAIR, start=[BEGIN, swapped, BEGIN])
    assert [found.reached for found in fit.starts.optima] == [3]


def test_equal_heights_elsewhere_are_places_of_one_optimum():
    """Murray (1977): maxima at ρ = ±1/2, equally high; no number is told twice."""
    rows = np.array(
        [[1, 1], [1, -1], [-1, 1], [-1, -1]] + [[2, np.nan], [-2, np.nan]] * 2 + [[np.nan, 2], [np.nan, -2]] * 2
    )
    start = [{"mean": [0.0, 0.0], "covariance": [[2.0, r], [r, 2.0]]} for r in (0.4, -0.4)]
    fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), rows, start=start)
    assert [(found.reached, found.places) for found in fit.starts.optima] == [(2, 2)]
    assert "1 distinct optimum, log-likelihood -29.974 (2 times, at 2 places)" in " ".join(str(fit).split())


def test_seeds_see_weights_as_repetitions():
    rows, weights = np.array([[0.0, 1], [3, 2], [9, 9], [8, 7], [1, 0]]), np.array([1, 7, 2, 1, 5])
    model = lt.Mixture(lt.MultivariateNormal(2, "diagonal"), 2)
    weighted, repeated = Problem(model, rows, weights), Problem(model, np.repeat(rows, weights, axis=0))
    for i in range(5):
        np.testing.assert_allclose(starts.draw(weighted, 0, i), starts.draw(repeated, 0, i), atol=1e-12)


def test_ten_starts_that_agree_are_enough():
    assert lt.fit(NORMALS, np.concatenate([PAIR, PAIR + 50])).starts.tried == 10
    fit = lt.fit(lt.Mixture(lt.Normal(), 4), THREE, seed=1)
    assert fit.starts.tried == 30


def test_gene_counts_with_several_maxima_try_several_starts():
    """Haplotypes of two loci from few genotypes: maxima at −12.463 and −12.647."""
    haplotypes = ["AB", "Ab", "aB", "ab"]
    pairs = [(h, k) for i, h in enumerate(haplotypes) for k in haplotypes[i:]]
    cells = {f"{h}/{k}": f"{h}*{k}" if h == k else f"2*{h}*{k}" for h, k in pairs}
    seen = {}
    for h, k in pairs:
        seen.setdefault("".join(sorted(h[0] + k[0])) + "".join(sorted(h[1] + k[1])), []).append(f"{h}/{k}")
    model = lt.Cells(cells, seen=seen, parameters=[tuple(haplotypes)])
    fit = lt.fit(model, dict.fromkeys(seen, 0) | {"AABb": 3, "AaBb": 3, "AAbb": 1, "Aabb": 1})
    assert fit.log_likelihood > -12.4632
    assert len(fit.starts.optima) == 2


def test_the_same_on_any_number_of_cores(monkeypatch):
    rows = np.concatenate([PLANE + 0.01 * i for i in range(600)])  # 90,000: several shards
    model = lt.Mixture(lt.MultivariateNormal(2), 2)
    found = []
    for number in (1, 2, 5):
        for module in (blocks, stored, starts):
            monkeypatch.setattr(module, "cores", lambda number=number: number)
        found.append(lt.fit(model, rows, starts=6, seed=3, stop=lt.Stop(max_steps=5)))
    assert len(found[0].last.problem.rows.shards) == 2
    for other in found[1:]:
        assert np.array_equal(found[0].trace, other.trace)
        assert found[0].starts == other.starts
        for name, value in found[0].params.items():
            assert np.array_equal(value, other.params[name])


def test_rounding_in_single_precision_is_no_second_optimum():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, 3000), rng.normal(5, 1, 3000)])
    met = lt.fit(NORMALS, rows, starts=5, precision="single").starts
    assert [found.reached for found in met.optima] == [5]


def test_a_burst_is_squarem(monkeypatch):
    """The compiled rule takes the steps of `lt.Squarem`, from every point at once, also past a dropped point."""
    for way in ("chart", "unchart"):  # it reckons in the free coordinates
        monkeypatch.setattr(Problem, way, lambda self, point: point)
    problem = Problem(lt.Mixture(lt.Normal(), 3), THREE)
    points = [starts.draw(problem, 0, i, random=True) for i in range(6)]
    for evaluations in (1, 2, 3, 4, 7, 30):
        found = problem.burst(points, evaluations)
        for i, point in enumerate(points):
            begun, under_way = problem.step(point), Run(problem, point, lt.Squarem(), lt.Stop(0, evaluations - 1))
            *_, last = drive(under_way)
            assert found.log_likelihood[i] + problem.offset == pytest.approx(begun.log_likelihood, rel=1e-12)
            assert found.length[i] == pytest.approx(begun.length, rel=1e-9)
            assert found.level[i] + problem.offset == pytest.approx(last.log_likelihood, rel=1e-9)
            np.testing.assert_allclose(found.home[i], under_way.home, rtol=1e-5, atol=1e-6)


def test_a_burst_that_fails_says_so():
    """A component that dies on the way is found when the run is looked at, not taken for the end of it."""
    far = {"weights": [0.999, 0.001], "mean": [0.0, 40.0], "variance": [1.0, 1e-6]}
    fit = lt.fit(NORMALS, np.r_[PAIR, 40.0], start=[far])
    assert fit.starts.degenerate == 1
    assert fit.status is lt.Status.DEGENERATE


def test_starts_that_cannot_be():
    for make, words in (
        (lambda: lt.Starts(0), "at least 1"),
        (lambda: lt.Starts(-1, random=3), "seeded must be a whole number of at least 0"),
        (lambda: lt.fit(NORMALS, PAIR, start=[]), "empty"),
        (lambda: lt.fit(NORMALS, PAIR, start=[BEGIN, {"mean": [0, 1]}]), "start 1: parameter"),
        (lambda: lt.fit(NORMALS, PAIR, start=[BEGIN], starts=3), "not both"),
    ):
        with pytest.raises(lt.ParameterError, match=words):
            make()


# -- checkpoints ------------------------------------------------------------------------------------

RULES = [lt.Auto(), lt.Squarem(cap=1.0), lt.Anderson.daarem(), lt.QuasiNewton(), lt.Plain()]


@pytest.mark.parametrize("accelerate", RULES, ids=lambda a: type(a).__name__)
def test_an_interrupted_fit_goes_on_to_the_identical_result(accelerate, tmp_path, monkeypatch):
    model = lt.Mixture(lt.Normal(), 3)
    options = {"starts": 3, "seed": 1, "accelerate": accelerate, "stop": lt.Stop(tolerance=1e-9)}
    path, step, calls, last = tmp_path / "fit.npz", Problem.step, [], np.inf

    def broken(self, free):
        calls.append(1)
        if len(calls) == last:
            raise KeyboardInterrupt
        return step(self, free)

    monkeypatch.setattr(Problem, "step", broken)
    whole = lt.fit(model, PAIR, **options)
    calls, last = [], len(calls) - 1
    part = lt.fit(model, PAIR, checkpoint=path, **options)
    assert part.status is lt.Status.INTERRUPTED
    assert part.evaluations < whole.evaluations
    for _ in range(2):  # the second time there is nothing left to do
        rest = lt.fit(model, PAIR, checkpoint=path, **options)
        assert np.array_equal(rest.trace, whole.trace)
        assert np.array_equal(rest.accelerated, whole.accelerated)
        assert rest.evaluations == whole.evaluations
        assert rest.starts == whole.starts
        for name, value in whole.params.items():
            assert np.array_equal(rest.params[name], value)


KILLED = """
import latens as lt, numpy as np, sys
import latens.engine.checkpoint as checkpoint
from latens.engine.problem import Problem
checkpoint.SECONDS, step = 0.0, Problem.step
def slow(self, free):
    import time; time.sleep(0.05)
    return step(self, free)
Problem.step = slow
print("ready", flush=True)
lt.fit(lt.Mixture(lt.Poisson(), 2), np.arange(10.0), weights=np.array({days}), start={start}, accelerate=lt.Plain(),
       checkpoint=sys.argv[1])
"""


def test_a_killed_fit_goes_on(tmp_path):
    days, start = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1.0], {"weights": [0.3, 0.7], "rate": [1.0, 2.5]}
    path = tmp_path / "fit.npz"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(days=days, start=start), path], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    options = {"weights": days, "start": start, "accelerate": lt.Plain()}
    with np.load(path, allow_pickle=False) as file:
        done = json.loads(str(file["json"]))["evaluations"]
    rest = lt.fit(POISSONS, np.arange(10.0), checkpoint=path, **options)
    whole = lt.fit(POISSONS, np.arange(10.0), **options)
    assert 0 < done < whole.evaluations
    assert np.array_equal(rest.trace, whole.trace)


def test_after_max_steps_it_goes_on_under_the_new_rule(tmp_path):
    path, options = tmp_path / "fit.npz", {"start": BEGIN, "accelerate": lt.Squarem()}
    whole = lt.fit(NORMALS, PAIR, **options)
    part = lt.fit(NORMALS, PAIR, checkpoint=path, stop=lt.Stop(max_steps=4), **options)
    assert part.status is lt.Status.MAX_STEPS
    rest = lt.fit(NORMALS, PAIR, checkpoint=path, **options)
    assert rest.converged
    assert np.array_equal(rest.trace, whole.trace)


@pytest.mark.parametrize("accelerate", RULES, ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("loose", [lt.Stop(tolerance=0.5), lt.Stop(max_steps=3)], ids=["tolerance", "max_steps"])
def test_under_a_tighter_rule_it_goes_on_from_where_the_looser_one_ended(accelerate, loose, tmp_path):
    path, options = tmp_path / "fit.npz", {"start": BEGIN, "accelerate": accelerate}
    whole = lt.fit(NORMALS, PAIR, **options)
    part = lt.fit(NORMALS, PAIR, checkpoint=path, stop=loose, **options)
    assert part.evaluations < whole.evaluations
    again = lt.fit(NORMALS, PAIR, checkpoint=path, stop=loose, **options)
    assert (again.status, again.evaluations) == (part.status, part.evaluations)
    rest = lt.fit(NORMALS, PAIR, checkpoint=path, **options)
    assert rest.converged
    assert np.array_equal(rest.trace, whole.trace)
    kept = lt.fit(NORMALS, PAIR, checkpoint=path, stop=loose, **options)  # a looser rule takes nothing back
    assert np.array_equal(kept.trace, whole.trace)


def scaled_rates(times):
    """The same code whatever the number, which is in its closure."""

    def joint(p, x, z):
        rate, share = p["rate"] * jnp.where(z == 1, times, 1.0), jnp.where(z == 1, p["share"], 1 - p["share"])
        return jnp.log(share) + x * jnp.log(rate) - rate

    return lt.Latent(joint, [0, 1], {"rate": lt.Positive(), "share": lt.Unit()})


def test_a_model_that_computes_with_other_numbers_is_another(tmp_path):
    options = {"start": {"rate": 1.0, "share": 0.5}, "checkpoint": tmp_path / "fit.npz"}
    first = lt.fit(scaled_rates(3.0), COUNTS, **options)
    with pytest.raises(lt.DataError, match="another fit: at the point saved the log-likelihood was"):
        lt.fit(scaled_rates(5.0), COUNTS, **options)
    assert np.array_equal(lt.fit(scaled_rates(3.0), COUNTS, **options).trace, first.trace)


def test_a_checkpoint_of_another_beginning_is_refused(tmp_path):
    drawn, given = ({"checkpoint": tmp_path / name} for name in ("drawn.npz", "given.npz"))
    lt.fit(NORMALS, PAIR, **drawn)
    lt.fit(NORMALS, PAIR, starts=lt.Starts(30, finished=3), seed=np.int64(0), **drawn)  # what is usual, said aloud
    lt.fit(NORMALS, PAIR, start=BEGIN, **given)
    lt.fit(NORMALS, PAIR, start={name: np.array(value) for name, value in BEGIN.items()}, **given)
    moved = BEGIN | {"mean": [-1.0, 2.0]}
    for options, other in (
        ({"start": BEGIN, **drawn}, "start="),
        ({"starts": 3, **drawn}, "starts="),
        ({"starts": lt.Starts(5, random=5), **drawn}, "starts="),
        ({"seed": 1, **drawn}, "seed="),
        (given, "start="),
        ({"start": moved, **given}, "start="),
        ({"start": [BEGIN, moved], **given}, "start="),
    ):
        with pytest.raises(lt.DataError, match=f"another {other}"):
            lt.fit(NORMALS, PAIR, **options)


def test_a_file_that_is_no_checkpoint_is_one_message(tmp_path):
    good = tmp_path / "fit.npz"
    lt.fit(NORMALS, PAIR, start=BEGIN, checkpoint=good)
    whole = good.read_bytes()
    with np.load(good) as file:
        held = dict(file)
    state = json.loads(str(held["json"]))
    assert state["version"] == lt.__version__
    contents = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "torn": whole[:400] + bytes(40) + whole[440:],
        "text": b"hello",
        "pickle": pickle.dumps({"a": 1}),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "arrays.npz", x=np.ones(3))
    np.savez(tmp_path / "json.npz", json=np.array("[1, 2]"))
    np.save(tmp_path / "array.npy", np.ones(3))
    np.savez(tmp_path / "old.npz", **held | {"json": np.array(json.dumps(state | {"format": 2, "version": "0.0.1"}))})
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("json", "nothing")
    (tmp_path / "folder").mkdir()
    for path in tmp_path.iterdir():
        if path != good:
            with pytest.raises(lt.DataError, match="saved by latens 0.0.1" if path.stem == "old" else "no checkpoint"):
                lt.fit(NORMALS, PAIR, start=BEGIN, checkpoint=path)
    assert all((tmp_path / name).read_bytes() == content for name, content in contents.items())


def test_checkpoints_that_are_refused(tmp_path):
    path = tmp_path / "fit.npz"
    lt.fit(NORMALS, PAIR, start=BEGIN, checkpoint=path)
    for call, words in (
        (lambda: lt.fit(NORMALS, PAIR + 1, start=BEGIN, checkpoint=path), "checkpoint of another fit"),
        (lambda: lt.fit(NORMALS, PAIR, weights=np.full(150, 2.0), start=BEGIN, checkpoint=path), "another fit"),
        (
            lambda: lt.fit(NORMALS, PAIR, accelerate=lt.Plain(), start=BEGIN, checkpoint=path),
            "used Auto",
        ),
        (lambda: lt.fit(NORMALS, PAIR, accelerate=lt.Auto(3), start=BEGIN, checkpoint=path), "used Auto"),
        (lambda: lt.fit(NORMALS, PAIR, start=BEGIN, prior=1, checkpoint=path), "another fit"),
        (lambda: lt.fit(NORMALS, PAIR, start=BEGIN, checkpoint=tmp_path / "no" / "fit.npz"), "cannot be written"),
    ):
        with pytest.raises(lt.DataError, match=words):
            call()
    (tmp_path / "text").write_text("hello")
    with pytest.raises(lt.DataError, match="no checkpoint that can be read"):
        lt.fit(NORMALS, PAIR, start=BEGIN, checkpoint=tmp_path / "text")
    assert (tmp_path / "text").read_text() == "hello"


def test_a_disk_that_fills_up_does_not_end_the_fit(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", full)
    with pytest.warns(UserWarning, match="was not saved"):
        assert lt.fit(NORMALS, PAIR, start=BEGIN, checkpoint=tmp_path / "fit.npz").converged


# -- priors -----------------------------------------------------------------------------------------


def test_a_prior_is_observations_seen_before():
    data = [2.0, 4.0, 3.0]
    fit = lt.fit(lt.IID(lt.Poisson()), data, prior=lt.Prior(2.0, {"rate": 6.0}))
    rate = (9 + 2 * 6) / 5
    assert float(fit.params["rate"]) == pytest.approx(rate)
    assert float(fit.standard_errors()["rate"]) == pytest.approx((rate / 5) ** 0.5)
    alone = lt.fit(lt.IID(lt.Poisson()), data, start=fit.params, stop=lt.Stop(max_steps=0))
    assert fit.log_likelihood == pytest.approx(alone.log_likelihood)
    assert fit.log_posterior - fit.log_likelihood == pytest.approx(2 * (6 * np.log(rate) - rate))
    assert "maximum a posteriori (MAP)" in " ".join(str(fit).split())
    assert fit.to_dict()["prior"]["weight"] == 2.0
    assert "Prior" not in str(alone)


def test_a_prior_keeps_a_component_alive():
    data, start = [*PAIR, 30.0, 30.0], {"weights": [0.9, 0.1], "mean": [0.0, 30.0], "variance": [1.0, 0.1]}
    lost = lt.fit(NORMALS, data, start=start)
    assert lost.status is lt.Status.DEGENERATE
    assert "component 1 has collapsed" in lost.message
    assert "prior=" in lost.message
    kept = lt.fit(NORMALS, data, start=start, prior=1)
    assert kept.converged
    assert kept.params["variance"].min() > 0.1
    assert np.all(np.diff(kept.trace) >= -1e-10 * (1 + np.abs(kept.trace[1:])))
    errors = kept.standard_errors()["mean"]
    for method in ("louis", "oakes", "sem-exact"):
        np.testing.assert_allclose(kept.standard_errors(method)["mean"], errors, rtol=1e-5)
    with pytest.raises(lt.InferenceError, match="prior"):
        kept.likelihood_ratio(kept)


@pytest.mark.parametrize("name", ["table", "moths", "planes", "different"])
def test_the_mode_of_a_heavy_prior_is_its_params(name):
    case = next(c for c in MODELS if c.name == name)
    fit = lt.fit(case.model, case.data, start=case.start, prior=lt.Prior(1e9, case.start), stop=lt.Stop(max_steps=50))
    for name, value in case.start.items():
        np.testing.assert_allclose(fit.params[name], value, rtol=1e-5, atol=1e-5)


def test_priors_that_cannot_be():
    for call, kind, words in (
        (lambda: lt.Prior(0.0), lt.ParameterError, "positive number"),
        (lambda: lt.fit(NORMALS, PAIR, prior=-1), lt.ParameterError, "positive number"),
        (lambda: lt.fit(NORMALS, PAIR, prior=lt.Prior(1, {"mean": 1})), lt.ParameterError, "prior: parameter"),
        (lambda: lt.fit(lt.IID(lt.Weibull()), [1.0, 2.0], prior=1), lt.ModelError, "no conjugate prior"),
        (lambda: lt.fit(MODELS[-2].model, MODELS[-2].data, prior=1), lt.ModelError, "give the params"),
    ):
        with pytest.raises(kind, match=words):
            call()


# -- identical rows and single precision ------------------------------------------------------------


def test_identical_rows_are_looked_at_once(monkeypatch):
    monkeypatch.setattr(stored, "FEWEST", 50)
    fit = lt.fit(POISSONS, COUNTS, start={"weights": [0.5, 0.5], "rate": [1.0, 5.0]})
    problem = fit.last.problem
    assert len(np.unique(problem.rows.slots)) == len(np.unique(COUNTS))
    clusters = np.arange(len(COUNTS)) // 3
    together = fit.standard_errors(lt.Sandwich(clusters=clusters)), fit.standard_errors("opg"), fit.posterior()
    boot = fit.standard_errors(lt.Bootstrap(20, seed=1))
    monkeypatch.setattr(stored, "FEWEST", 10**9)
    each = lt.fit(POISSONS, COUNTS, start={"weights": [0.5, 0.5], "rate": [1.0, 5.0]})
    assert each.last.problem.rows.slots == slice(len(COUNTS))
    assert fit.log_likelihood == pytest.approx(each.log_likelihood, rel=1e-12)
    apart = each.standard_errors(lt.Sandwich(clusters=clusters)), each.standard_errors("opg"), each.posterior()
    for a, b in zip(together[:2], apart[:2], strict=True):
        np.testing.assert_allclose(a["rate"], b["rate"], rtol=1e-6)
    np.testing.assert_allclose(together[2], apart[2], atol=1e-7)
    np.testing.assert_allclose(boot["rate"], each.standard_errors(lt.Bootstrap(20, seed=1))["rate"], rtol=1e-5)
    np.testing.assert_allclose(fit.log_density(), each.log_density(), atol=1e-8)


def test_rows_that_differ_are_left_alone():
    rng = np.random.default_rng(0)
    assert stored.repeats(rng.normal(size=(5000, 2))) is None
    table = {"a": rng.integers(0, 3, 5000).astype(float), "b": np.where(rng.random(5000) < 0.1, np.nan, 1.0)}
    found = stored.repeats(table)
    assert len(found.first) == 6
    for column in table.values():
        np.testing.assert_array_equal(column[found.first][found.which], column)


@pytest.mark.parametrize(
    ("model", "row"),
    [(lt.IID(lt.Exponential()), ()), (lt.IID(lt.MultivariateNormal(2)), (2,)), (lt.IID(lt.Binomial()), (2,))],
)
def test_data_changed_after_the_fit_change_nothing(model, row):
    """JAX computes in NumPy's memory where it is aligned, so that must not be the caller's."""
    rng = np.random.default_rng(0)
    rows, weights = own(rng.integers(1, 9, (64, *row)).astype(float)), own(rng.uniform(1, 2, 64))
    if isinstance(model.family, lt.Binomial):
        rows[:, 1] = rows[:, 0] + 3
    fit = lt.fit(model, rows, weights=weights, start=lt.fit(model, rows).params)
    untouched = lt.fit(model, rows.copy(), weights=weights.copy(), start=lt.fit(model, rows).params)
    rows[:], weights[:] = 5.0, 3.0
    assert fit.log_density().tolist() == untouched.log_density().tolist()
    for name, error in fit.standard_errors().items():
        np.testing.assert_array_equal(error, untouched.standard_errors()[name])


def test_rows_weigh_the_same_in_one_place():
    problem = Problem(NORMALS, np.random.default_rng(0).normal(size=1_500_000))
    first, second, *_, last = problem.rows.shards
    assert first.weights is second.weights
    assert last.weights is not first.weights
    assert sum(np.asarray(shard.weights).sum() for shard in problem.rows.shards) == 1_500_000


def test_single_precision_is_near_and_says_what_it_is():
    rows = np.concatenate([PLANE + 0.01 * i for i in range(20)])
    model = lt.Mixture(lt.MultivariateNormal(2), 2)
    start = {"weights": [0.5, 0.5], "mean": [[0, 0], [3, 3]], "covariance": [np.eye(2)] * 2}
    double = lt.fit(model, rows, start=start)
    single = lt.fit(model, rows, start=start, precision="single")
    assert single.last.problem.quick.shards[0].xs.dtype == np.float32
    assert single.converged
    assert single.log_likelihood == pytest.approx(double.log_likelihood, rel=1e-7)
    np.testing.assert_allclose(single.params["mean"], double.params["mean"], atol=2e-3)
    again = lt.fit(model, rows, start=single.params, stop=lt.Stop(max_steps=0))
    assert single.log_likelihood == pytest.approx(again.log_likelihood, rel=1e-7)
    with pytest.raises(lt.ParameterError, match="'double' or 'single'"):
        lt.fit(model, rows, start=start, precision="half")


# -- the command line -------------------------------------------------------------------------------


def test_compiled_programs_are_kept_between_runs(tmp_path):
    command = [sys.executable, "-m", "latens", "demo", "exponential"]
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("JAX_", "TF_"))}
    environment["LATENS_CACHE"] = str(tmp_path / "c")
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        kept = sorted(path.name for path in (tmp_path / "c").rglob("*-cache"))
        assert len(kept) > 5
    (folder,) = (tmp_path / "c").iterdir()
    assert len(folder.name) == 12  # of this kind of processor
    subprocess.run(command, env=environment, capture_output=True, check=True)
    assert kept == sorted(path.name for path in (tmp_path / "c").rglob("*-cache"))
    (tmp_path / "file").write_text("")
    environment["LATENS_CACHE"] = str(tmp_path / "file" / "c")
    done = subprocess.run([*command[:-1]], env=environment, capture_output=True, text=True, check=True)
    assert "compiled programs cannot be kept" in done.stderr


def test_remaining_time():
    problem = lt.fit(NORMALS, PAIR, start=BEGIN).last.problem

    def at(evaluations, distance):
        return lt.Iterate(problem, np.zeros(5), 0.0, 0, evaluations, 0, False, distance)

    seen = [(0.0, at(10, 1e-2)), (10.0, at(20, 1e-4))]
    assert progress.remaining(seen, lt.Stop(1e-6)) == pytest.approx(10.0)
    assert progress.remaining(seen, lt.Stop(0, max_steps=119)) == pytest.approx(100.0)
    assert progress.remaining(seen[:1], lt.Stop()) == float("inf")
    assert [progress.duration(s) for s in (0.2, 90, 200, 9000, 3e5)] == ["1 s", "90 s", "3 min", "2 h", "3 d"]


def test_lapack_keeps_one_thread_while_any_fit_needs_it():
    """In whatever order fits in several threads begin and end, the caller's setting comes back."""

    def limits():
        return {library["num_threads"] for library in ThreadpoolController().select(user_api="blas").info()}

    before = limits()
    first, second = one_thread_each(), one_thread_each()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert limits() == {1}
    second.__exit__(None, None, None)
    assert limits() == before


def test_points_go_together_only_where_that_costs_little():
    rng = np.random.default_rng(0)
    y = rng.gamma(3.0, size=200)
    costly = Problem(lt.Mixture(lt.Gamma(), 2), lt.right_censored(np.minimum(y, 4.0), y < 4.0))
    cheap, many = (Problem(lt.Mixture(lt.Normal(), 2), rng.normal(size=n)) for n in (200, 20_000))
    assert [problem.together for problem in (costly, cheap, many)] == [1, 10, 1]


def test_later_steps_leave_the_program_for_many_points_after_as_much_work_as_compiling():
    problem = Problem(lt.Mixture(lt.Normal(), 2), np.random.default_rng(0).normal(size=2000))
    free = np.linspace(-0.5, 0.5, problem.space.size)
    alone = problem.step(free)
    problem.spared()
    assert 100 < problem.spare < 10_000
    problem.spare = 1
    for _ in range(2):
        step = problem.step(free)
        np.testing.assert_allclose(np.r_[step.log_likelihood, step.free], np.r_[alone.log_likelihood, alone.free])
        assert problem.spare == 0
    problem.spared()
    assert problem.reweighted(2 * problem.weights).spare == problem.modelled(problem.model).spare == 0


def test_some_of_many_rows_are_the_same_however_they_come():
    """In any order, repeated or weighted, with missing cells, and fewer if there are fewer."""
    draws = np.random.default_rng(4)
    rows = {"a": np.round(draws.normal(size=3_000), 2), "b": draws.integers(0, 4, 3_000)}
    rows["a"][::50] = np.nan
    weights = draws.integers(1, 4, 3_000)
    again = draws.permutation(np.repeat(np.arange(3_000), weights))

    def some(keep, own, seed):
        found, counts = some_distinct({name: column[keep] for name, column in rows.items()}, own, 400, seed)
        return rows["a"][keep][found], rows["b"][keep][found], counts

    everyone = np.arange(3_000)
    want = some(everyone, weights, 1)
    assert len(want[0]) == 400
    for one, other in zip(want, some(again, np.ones(len(again)), 1), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(want[0], some(everyone, weights, 2)[0])
    few = everyone[np.isnan(rows["a"])]
    assert len(some(np.repeat(few, 100), np.ones(6_000), 1)[0]) == 4
    whole = np.isin(rows["b"], want[1]) & np.isin(rows["a"], want[0])
    assert want[2].sum() <= weights[whole | np.isnan(rows["a"])].sum()
