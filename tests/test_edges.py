"""Edges that users live at, crossed with the models of the registry: a sample of the pairs, the same in every run."""

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import latens as lt
from latens.cells import Interval
from latens.engine import blocks

from registry import MODELS

EVERY, SALT = 5, 16  # of how many pairs one is tried, and what makes the choice take in every edge
EXACT = lt.Stop(tolerance=1e-9, max_steps=50_000)
LINE = ["normals", "normals-shared-variance", "normals-shared-mean", "planes", "planes-tied", "planes-diagonal"]
LINE += ["planes-spherical", "iid-normal-holes", "planes-missing-cells"]
POSITIVE = ["iid-gamma", "gammas", "weibull-censored", "different", "iid-exponential"]
HALVES = ["weibull-censored", "table-half-seen", "exponential-truncated-censored"]
COUNTED = ["linkage", "linkage-numeric", "moths", "inbred"]  # each row of theirs is a group
ROWS = [c.name for c in MODELS if c.name not in COUNTED]
PLAIN = [n for n in ROWS if n not in HALVES]  # rows are arrays, or dicts of them
NUMBERS = ["normals", "poissons", "gammas", "geometrics", "different", "normals-shared-variance"]
MIXTURES = [c.name for c in MODELS if isinstance(c.model, lt.Mixture)]
CASES = {c.name: c for c in MODELS}


def fitted(case, data=None, **changes):
    given = {"start": case.start, "weights": case.weights, "stop": EXACT} | changes
    return honest(lt.fit(case.model, case.data if data is None else data, **given))


def honest(fit):
    """A fit never lies: how it ended, what it says of its estimates, and what it cannot say."""
    assert fit.status in (lt.Status.CONVERGED, lt.Status.DEGENERATE), fit.message
    assert fit.converged or fit.reason
    blur = 1e-6 if fit.last.problem.single else 1e-9  # of the log-likelihood that steps are judged by
    assert np.all(np.diff(fit.trace) >= -blur * (1 + abs(fit.log_likelihood)))
    assert ".. inf" not in str(fit)
    json.dumps(fit.to_dict(), allow_nan=False)
    if fit.converged:
        errors = np.concatenate([np.ravel(v) for v in fit.standard_errors().values()])
        assert np.array_equal(~np.isfinite(errors), [name in fit.held for name in fit.names])
    return fit


def same(one, other, rtol=1e-5):
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-9, abs=1e-8)
    for name, value in one.params.items():
        np.testing.assert_allclose(value, other.params[name], rtol=rtol, atol=1e-7)


def table(data, change):
    """A function of every column."""
    return {n: change(np.asarray(c)) for n, c in data.items()} if isinstance(data, dict) else change(np.asarray(data))


def length(data):
    return len(next(iter(data.values()))) if isinstance(data, dict) else len(data)


def weights(case, _):
    times = np.random.default_rng(1).integers(1, 4, length(case.data))
    repeated = table(case.data, lambda column: np.repeat(column, times, axis=0))
    same(fitted(case, weights=times), fitted(case, repeated))


def small_weights(case, _):
    small, usual = (fitted(case, weights=np.full(length(case.data), w)) for w in (0.25, 1.0))
    assert small.log_likelihood == pytest.approx(0.25 * usual.log_likelihood, rel=1e-9)
    ratio = [np.ravel(small.standard_errors()[n] / usual.standard_errors()[n]) for n in usual.params]
    np.testing.assert_allclose(np.concatenate(ratio), 2.0, rtol=1e-3)


def prior(case, _):
    """At the maximum of the likelihood, one with its mode there changes nothing."""
    plain = fitted(case)
    same(fitted(case, start=plain.params, prior=lt.Prior(3.0, plain.params)), plain)


def single(case, _):
    double, quick = fitted(case), fitted(case, precision="single", stop=lt.Stop())
    assert quick.log_likelihood == pytest.approx(double.log_likelihood, rel=1e-6)
    for name, error in double.standard_errors().items():
        assert np.all(np.abs(quick.params[name] - double.params[name]) < 0.05 * error), name


def shards(case, monkeypatch):
    one = fitted(case)
    monkeypatch.setattr(blocks, "WORTH", 1.0)
    monkeypatch.setattr(blocks.Load, "size", 32)
    same(fitted(case), one)


def far_origin(case, _):
    there = {n: np.asarray(v, float) + (1e7 if n == "mean" else 0.0) for n, v in case.start.items()}
    far, near = fitted(case, np.asarray(case.data) + 1e7, start=there), fitted(case)
    assert far.log_likelihood == pytest.approx(near.log_likelihood, rel=1e-7)
    np.testing.assert_allclose(np.asarray(far.params["mean"]) - 1e7, near.params["mean"], atol=1e-4)


def times(data, unit):
    return lt.interval(unit * data.lower, unit * data.upper) if isinstance(data, Interval) else unit * data


def other_units(case, _):
    given = case.data if case.name in HALVES else np.asarray(case.data)
    seen, usual = np.sum(given.seen if case.name in HALVES else ~np.isnan(given)), fitted(case)
    for unit in (1e-6, 1e6):
        scaled = {n: np.asarray(v) * unit ** (n.endswith("scale") - n.endswith("rate")) for n, v in case.start.items()}
        moved = fitted(case, times(given, unit), start=scaled)
        assert moved.log_likelihood + seen * np.log(unit) == pytest.approx(usual.log_likelihood, rel=1e-7)


def exact_intervals(case, _):
    same(fitted(case, lt.interval(case.data, case.data)), fitted(case))


def narrow_intervals(case, _):
    values = np.asarray(case.data)
    half = 1e-6 * np.std(values)
    if np.all(values == np.floor(values)):
        half = 0.3  # of whole numbers, each holds just one
        same(fitted(case, lt.interval(values - half, values + half)), fitted(case))
        return
    narrow = fitted(case, lt.interval(values - half, values + half))
    exact = fitted(case).log_likelihood + len(values) * np.log(2 * half)
    assert narrow.log_likelihood == pytest.approx(exact, abs=1e-4)


def unseen_rows(case, _):
    none = table(case.data, lambda c: np.concatenate([np.asarray(c, float), np.full((7, *c.shape[1:]), np.nan)]))
    more, usual = fitted(case, none), fitted(case)
    assert more.n == usual.n
    assert more.bic == pytest.approx(usual.bic, abs=1e-5)
    assert more.unseen == usual.unseen + 7


def other_sizes(case, _):
    for k in (1, 3):
        honest(lt.fit(case.model.resized(k), case.data))


def labels(case, _):
    told = [int(j) if i % 2 else None for i, j in enumerate(fitted(case).predict())]
    fit = fitted(case, labels=told)
    known = np.array([[j is None or j == k for k in range(2)] for j in told])
    assert np.all(fit.posterior()[~known] == 0)


def odd_names(case, _):
    names = ["a.b [c]", "a.b", "", "mean"]
    rows = np.atleast_2d(np.asarray(case.data).T)
    fit = fitted(case, dict(zip(names, rows, strict=False)))
    assert fit.columns == tuple(names[: len(rows)])
    same(fit, fitted(case))


def again(case, _):
    """A second call, another thread, a pickle and a copy: the same to the last bit."""
    one = fitted(case)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(fitted, case).result()
    for fit in (other, pickle.loads(pickle.dumps(one)), copy.deepcopy(one)) if case.name != "latent" else (other,):
        assert fit.log_likelihood == one.log_likelihood
        for name, value in one.params.items():
            np.testing.assert_array_equal(fit.params[name], value)
            np.testing.assert_array_equal(fit.standard_errors()[name], one.standard_errors()[name])


FINITE = [n for n in CASES if CASES[n].model.finite]
KEPT = [n for n in PLAIN if n not in ("coins", "latent", "iid-beta")]
EDGES = {
    weights: PLAIN,
    small_weights: [n for n in PLAIN if n != "coins"],
    prior: [n for n in FINITE if n not in ("exponential-truncated-censored",)],
    single: [n for n in ROWS if n not in ("iid-exponential", "iid-beta", "coins")],
    shards: [n for n in FINITE if n in ROWS],
    far_origin: LINE,
    other_units: POSITIVE,
    exact_intervals: NUMBERS,
    narrow_intervals: NUMBERS,
    unseen_rows: KEPT,
    other_sizes: [n for n in MIXTURES if n not in ("coins", "different")],
    labels: [n for n in MIXTURES if n != "coins"],
    odd_names: [*NUMBERS, "planes", "planes-diagonal", "planes-missing-cells"],
    again: list(CASES),
}
PAIRS = [(edge, name) for edge, names in EDGES.items() for name in names]
SAMPLE = [pair for pair in PAIRS if crc32(f"{pair[0].__name__} {pair[1]} {SALT}".encode()) % EVERY == 0]


def test_every_edge_and_most_models_are_in_the_sample():
    assert {edge for edge, _ in SAMPLE} == set(EDGES)
    assert len({name for _, name in SAMPLE}) > 0.8 * len(CASES)


@pytest.mark.parametrize(("edge", "name"), [pytest.param(e, n, id=f"{e.__name__}-{n}") for e, n in SAMPLE])
def test_edge(edge, name, monkeypatch):
    edge(CASES[name], monkeypatch)


# -- likelihoods without a maximum ---------------------------------------------------------------------

ONE_BIN = lt.interval(np.full(10, 0.2), np.full(10, 0.4))


@pytest.mark.parametrize(
    ("family", "data", "where"),
    [
        (lt.Normal(), lt.interval([4.4, 4.6, 4.5, 4.7, 4.3], [5.4, 5.6, 5.5, 5.7, 5.3]), "variance goes to 0"),
        (lt.LogNormal(), ONE_BIN, "variance goes to 0"),
        (lt.Gamma(), ONE_BIN, "shape goes to infinity"),
        (lt.Weibull(), ONE_BIN, "shape goes to infinity"),
        (lt.Exponential(), lt.interval(np.zeros(5), np.ones(5)), "rate goes to infinity"),
        (lt.Truncated(lt.Exponential(), 0, 1), np.sqrt(np.linspace(0.01, 0.99, 30)), "rate goes to 0"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "constraints") else "",
)
def test_a_limit_that_no_params_attain_is_told_soon(family, data, where):
    fit = lt.fit(lt.IID(family), data)
    assert fit.status is lt.Status.DEGENERATE
    assert where in fit.message
    assert fit.evaluations < 200


@pytest.mark.parametrize("family", [lt.Normal(), lt.Gamma()], ids=lambda family: type(family).__name__)
def test_a_likelihood_that_only_goes_on_rising_is_told(family):
    """Two bins: what puts 2/7 of the whole into the first, ever narrower around their edge, is as good as any."""
    fit = lt.fit(lt.IID(family), lt.grouped([1, 2, 3, 4], [10, 25, 0]))
    assert fit.status is lt.Status.DEGENERATE
    assert "no maximum" in fit.message
    assert fit.log_likelihood == pytest.approx(10 * np.log(10 / 35) + 25 * np.log(25 / 35), abs=1e-3)
    assert fit.evaluations < 400


def test_plain_em_stays_as_it_is():
    fit = lt.fit(
        lt.IID(lt.Normal()), lt.interval([0.0, 0.5], [1.0, 2.0]), accelerate=lt.Plain(), stop=lt.Stop(max_steps=300)
    )
    assert fit.status is lt.Status.MAX_STEPS
    assert fit.evaluations == 301


# -- M-steps that fail ------------------------------------------------------------------------------------


def test_components_many_orders_of_magnitude_apart():
    """Where one law has density 0 its derivatives are infinite: a responsibility of 0 leaves nothing of them."""
    rng = np.random.default_rng(0)
    early, late = 1 + 0.01 * rng.standard_normal(60), 1e6 * rng.weibull(2, 60)
    fit = lt.fit(lt.Mixture(lt.Weibull(), 2), np.concatenate([early, late]))
    apart = [lt.fit(lt.IID(lt.Weibull()), part).log_likelihood for part in (early, late)]
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(sum(apart) + 120 * np.log(0.5), abs=1e-3)


def gompertz(params, x, z):
    """The first law overflows for the old."""
    a, b = (jnp.where(z == 0, params[f"{n}0"], params[f"{n}1"]) for n in "ab")
    share = jnp.where(z == 0, params["w"], 1 - params["w"])
    return jnp.log(share) + jnp.log(a) + b * x - a * jnp.expm1(b * x) / b


def test_infinite_derivatives_of_a_law_of_ones_own():
    model = lt.Latent(gompertz, [0, 1], {"w": lt.Unit()} | {n: lt.Positive() for n in ("a0", "b0", "a1", "b1")})
    rng = np.random.default_rng(0)
    ages = np.concatenate([rng.gamma(4, 0.2, 60), 60 + rng.gamma(9, 2, 60)])
    fit = honest(lt.fit(model, ages, start={"w": 0.3, "a0": 0.1, "b0": 8.0, "a1": 1e-4, "b1": 0.1}))
    assert fit.converged
    assert fit.log_likelihood > -318


def test_an_m_step_that_cannot_be_computed_is_no_convergence():
    def log_joint(params, x, z):
        return -0.5 * (x - params["m"]) ** 2 + jnp.sqrt(jnp.minimum(params["m"], 0.0)) * 0.0

    fit = lt.fit(lt.Latent(log_joint, [0], {"m": lt.Real()}), [1.0, 2.0, 4.0], start={"m": 0.0})
    assert fit.status is lt.Status.DEGENERATE
    assert "M-step cannot be computed" in fit.message


# -- counts, strict bounds, priors ------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize(
    ("family", "law", "low"),
    [
        (lt.Poisson(), lambda r: stats.poisson(r), 0),
        (lt.NegativeBinomial(2.0), lambda p: stats.nbinom(2, p), 0),
        (lt.Binomial(trials=9), lambda p: stats.binom(9, p), 0),
        (lt.Geometric(), lambda p: stats.geom(p), 1),
    ],
    ids=["poisson", "negative-binomial", "binomial", "geometric"],
)
def test_strict_bounds_of_counts_leave_their_number_out(family, law, low, precision):
    texts = [">0", ">2", ">=2", "4+", "<3", "<=2", "1..3", "2", "5"]
    sets = [(1, 99), (3, 99), (2, 99), (4, 99), (low, 2), (low, 2), (1, 3), (2, 2), (5, 5)]
    fit = lt.fit(lt.IID(family), lt.read_cells({"n": texts}), precision=precision)
    (value,) = fit.params.values()
    mass = [law(float(value)).pmf(np.arange(max(a, low), b + 1)).sum() for a, b in sets]
    assert fit.log_likelihood == pytest.approx(np.log(mass).sum(), rel=1e-9)
    assert float(fit.log_density().sum()) == pytest.approx(fit.log_likelihood, rel=1e-9)


def test_a_prior_counts_observations_whatever_their_size():
    sized = lt.fit(lt.IID(lt.Binomial()), [[5, 10]] * 10, prior=lt.Prior(10, {"probability": 0.9}))
    assert float(sized.params["probability"]) == pytest.approx(0.7)
    exposed = lt.fit(lt.IID(lt.Poisson(exposure=None)), [[6, 3.0]] * 4, prior=lt.Prior(4, {"rate": 4.0}))
    assert float(exposed.params["rate"]) == pytest.approx(3.0)
    many = lt.fit(lt.IID(lt.Multinomial(2)), [[30, 10]] * 3, prior=lt.Prior(3, {"probabilities": [0.25, 0.75]}))
    assert many.params["probabilities"][0] == pytest.approx(0.5)


def test_a_proper_prior_makes_few_rows_estimable():
    """The MAP of a normal: (Σ y yᵀ + w E[y yᵀ])/(n + w) about the mean of both."""
    rows = np.random.default_rng(3).normal(size=(4, 6))
    fit = lt.fit(
        lt.IID(lt.MultivariateNormal(6)), rows, prior=lt.Prior(5, {"mean": np.zeros(6), "covariance": np.eye(6)})
    )
    mean = rows.sum(0) / 9
    assert fit.converged
    np.testing.assert_allclose(fit.params["mean"], mean, atol=1e-9)
    np.testing.assert_allclose(
        fit.params["covariance"], (rows.T @ rows + 5 * np.eye(6)) / 9 - np.outer(mean, mean), atol=1e-9
    )
    alone = lt.fit(lt.IID(lt.Normal()), [3.0], prior=lt.Prior(1, {"mean": 1.0, "variance": 1.0}))
    assert float(alone.params["mean"]) == pytest.approx(2.0)
    with pytest.raises(lt.DataError, match="linear combination"):
        lt.fit(lt.IID(lt.MultivariateNormal(6)), rows)


def test_columns_that_begin_alike_keep_their_own():
    rng = np.random.default_rng(4)
    columns = {
        "x.1": rng.normal(100, 5, 90),
        "x": rng.normal(-3, 2, 90),
        "x.1.mean": rng.normal(7, 1, 90),
        "": rng.normal(size=90),
    }
    fit = lt.fit(lt.IID(lt.Product({n: lt.Normal() for n in columns})), columns)
    for name, column in columns.items():
        assert float(fit.params[f"{name}.mean"]) == pytest.approx(column.mean())
        assert float(fit.params[f"{name}.variance"]) == pytest.approx(column.var())


def test_a_list_of_equal_families_is_that_family_so_many_times():
    case = CASES["planes"]
    several = lt.Mixture([lt.MultivariateNormal(2)] * 2)
    start = {"weights": case.start["weights"]}
    start |= {f"{j}.{n}": case.start[n][j] for j in range(2) for n in ("mean", "covariance")}
    one, other = lt.fit(case.model, case.data, start=case.start), lt.fit(several, case.data, start=start)
    rows = np.array([[0.0, np.nan], [np.nan, 3.0], [4.0, 3.0]])
    np.testing.assert_allclose(one.posterior(rows), other.posterior(rows), atol=1e-5)
    np.testing.assert_allclose(one.log_density(rows), other.log_density(rows), atol=1e-5)
    np.testing.assert_allclose(one.impute(rows).values, other.impute(rows).values, atol=1e-4)


def test_categories_beside_counts_take_intervals():
    ends = lt.interval([0, 1, 0, 2, 1, 0, 2, 2], [1, 1, 0, 2, 2, 0, 2, 2])
    params = {"weights": [0.4, 0.6], "0.probabilities": [0.2, 0.3, 0.5], "1.rate": 1.3}
    fit = lt.fit(lt.Mixture([lt.Categorical(3), lt.Poisson()]), ends, start=params, stop=lt.Stop(max_steps=0))
    codes = np.arange(3)
    law = 0.4 * np.array(params["0.probabilities"]) + 0.6 * stats.poisson(1.3).pmf(codes)
    inside = (np.asarray(ends.lower)[:, None] <= codes) & (codes <= np.asarray(ends.upper)[:, None])
    assert fit.log_likelihood == pytest.approx(np.log(inside @ law).sum())
