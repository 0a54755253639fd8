"""Unseen parts filled in, by expectation and by draws; Rubin's rules; some columns given others; cells as text."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

import latens as lt
from latens.inference.imputation import Incomplete
from latens.numerics.compiling import double

NAN, INF = np.nan, np.inf
RNG = np.random.default_rng(0)
ROWS = RNG.multivariate_normal([1, 2], [[1.0, 0.7], [0.7, 2.0]], 300)
HOLES = ROWS.copy()
HOLES[:90, 1] = NAN
HOLES[90:150, 0] = NAN


def test_what_is_expected_of_a_missing_cell_is_its_regression_on_the_others():
    fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), HOLES)
    filled = fit.impute(HOLES)
    m, s = fit.params["mean"], fit.params["covariance"]
    np.testing.assert_allclose(filled.values[:90, 1], m[1] + s[0, 1] / s[0, 0] * (HOLES[:90, 0] - m[0]), rtol=1e-10)
    np.testing.assert_allclose(filled.errors[:90, 1], (s[1, 1] - s[0, 1] ** 2 / s[0, 0]) ** 0.5, rtol=1e-10)
    seen = ~np.isnan(HOLES)
    assert (filled.values[seen] == HOLES[seen]).all()
    assert (filled.errors[seen] == 0).all()


def test_draws_are_proper_and_pool_to_the_maximum_likelihood_answer():
    """Multiple imputation agrees with the fit itself: mean and standard error of the half-seen column."""
    fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), HOLES)
    draws = fit.impute(HOLES, draws=60, seed=1).draws
    seen = ~np.isnan(HOLES)
    assert all((d[seen] == HOLES[seen]).all() for d in draws)
    pooled = lt.pool([d[:, 1].mean() for d in draws], [d[:, 1].var(ddof=1) / 300 for d in draws])
    assert pooled.estimate[0] == pytest.approx(fit.params["mean"][1], abs=0.3 * fit.standard_errors()["mean"][1])
    assert pooled.standard_error[0] == pytest.approx(fit.standard_errors()["mean"][1], rel=0.15)
    assert pooled.fraction_missing[0] == pytest.approx(fit.information().fractions[1], abs=0.12)
    again = fit.impute(HOLES, draws=1, seed=1).draws[0]
    assert (again == draws[0]).all()


def test_pooling_is_rubins():
    """Rubin (1987), eqs. 3.1.2 to 3.1.6, by hand."""
    pooled = lt.pool([[1.0, 2.0], [3.0, 2.0]], [[0.5, 1.0], [1.5, 1.0]])
    assert pooled.estimate.tolist() == [2.0, 2.0]
    assert pooled.standard_error**2 == pytest.approx([1.0 + 1.5 * 2.0, 1.0])
    assert pooled.degrees[0] == pytest.approx(1 / (3 / 4) ** 2)
    assert pooled.degrees[1] == INF
    low, high = pooled.interval(0.9)[0]
    assert high - low == pytest.approx(2 * stats.t.ppf(0.95, 16 / 9) * 2.0)


@pytest.mark.parametrize(
    ("family", "law", "start"),
    [
        (lt.Normal(), stats.norm(1.0, 2.0), {"mean": 1.0, "variance": 4.0}),
        (lt.Gamma(), stats.gamma(2.0, scale=1.5), {"shape": 2.0, "rate": 1 / 1.5}),
        (lt.Weibull(), stats.weibull_min(1.5, scale=3.0), {"shape": 1.5, "scale": 3.0}),
        (lt.Poisson(), stats.poisson(4.0), {"rate": 4.0}),
    ],
    ids=["normal", "gamma", "weibull", "poisson"],
)
def test_censored_cells_are_filled_by_what_lies_beyond(family, law, start):
    """E[Y | Y ≥ 3] and its deviation against SciPy; draws of it follow the conditional distribution."""
    x = lt.interval([3.0] * 400 + [1.0, 2.0], [INF] * 400 + [1.0, 2.0])
    fit = lt.fit(lt.IID(family), x, start=start, stop=lt.Stop(max_steps=0))
    filled = fit.impute(x)
    discrete = isinstance(family, lt.Poisson)
    below = law.cdf(2.0 if discrete else 3.0)
    points = np.arange(3, 60) if discrete else law.ppf(below + (1 - below) * (np.arange(200_000) + 0.5) / 200_000)
    weights = law.pmf(points) / (1 - below) if discrete else np.full(len(points), 1 / len(points))
    mean = weights @ points
    assert filled.values[0] == pytest.approx(mean, rel=1e-4)
    assert filled.errors[0] == pytest.approx((weights @ (points - mean) ** 2) ** 0.5, rel=1e-3)
    assert filled.values[400:].tolist() == [1.0, 2.0]
    if not discrete:
        drawn = fit._estimate.problem  # the rows as they are, at these params
        y = np.asarray(double(lambda: Incomplete(drawn, x).draw(fit.last.free, 0))())[:400]
        assert (y >= 3.0).all()
        assert stats.kstest((law.cdf(y) - below) / (1 - below), "uniform").pvalue > 1e-3


def test_regression_by_a_mixture():
    """Ghahramani & Jordan (1994): the conditional mean mixes the components' regressions."""
    x = RNG.uniform(-3, 3, 400)
    rows = {"x": x, "y": np.abs(x) + 0.1 * RNG.normal(size=400)}
    fit = lt.fit(lt.Mixture(lt.MultivariateNormal(2), 2), rows)
    given = fit.conditional({"x": [-2.0, 0.5, 2.0]})
    np.testing.assert_allclose(given.mean["y"], [2.0, 0.5, 2.0], atol=0.25)
    assert given.weights.shape == (3, 2)
    assert (given.deviation["y"] > 0).all()
    assert given.weights[0].argmax() != given.weights[2].argmax()
    w, m, s = (fit.params[n] for n in ("weights", "mean", "covariance"))
    joint = w * stats.norm(m[:, 0], s[:, 0, 0] ** 0.5).pdf(0.5)
    lines = m[:, 1] + s[:, 0, 1] / s[:, 0, 0] * (0.5 - m[:, 0])
    assert given.mean["y"][1] == pytest.approx((joint / joint.sum()) @ lines, rel=1e-9)


def test_a_table_of_text_is_read_and_completed():
    frame = pl.DataFrame(
        {
            "time": ["5.1", ">8", "?", "3..4", "2.2", "6.5", "7", "1.5", "4+", "<=2"],
            "kind": ["x", "y", "x|z", None, "x", "y", "z", "x", "y", "z"],
            "n": ["3", "", "2", "5+", "1", "4", "0", "2", "3", "<2"],
        }
    )
    cells = lt.read_cells(frame)
    assert cells["kind"].labels == ("x", "y", "z")
    time, number = cells["time"], cells["n"]
    assert time.lower[[1, 3, 8, 9]].tolist() == [np.nextafter(8, INF), 3.0, 4.0, -INF]
    assert time.upper[[1, 3, 8, 9]].tolist() == [INF, 4.0, INF, 2.0]
    assert np.isinf(time.lower[2])
    assert np.isinf(time.upper[2])
    assert number.upper[9] == np.nextafter(2, -INF)  # "<2" leaves 0 and 1
    model = lt.IID(lt.Product({"time": lt.Gamma(), "kind": lt.Categorical(3), "n": lt.Poisson()}))
    fit = lt.fit(model, cells)
    assert fit.half_seen["time"] == {"missing": 1.0, "right-censored": 2.0, "left-censored": 1.0, "interval": 1.0}
    assert fit.half_seen["kind"] == {"missing": 1.0, "subset": 1.0}
    assert "Half seen" in str(fit)
    assert fit.to_dict()["half_seen"] == fit.half_seen
    filled = fit.impute(cells, draws=2)
    assert filled.values["kind"][2] in ("x", "z")
    assert filled.values["time"][1] > 8
    assert 3 <= filled.values["time"][3] <= 4
    p = fit.params["kind.probabilities"]
    assert filled.errors["kind"][2] == pytest.approx(1 - max(p[0], p[2]) / (p[0] + p[2]))
    for drawn in filled.draws:
        assert drawn["kind"][2] in ("x", "z")
        assert drawn["n"][9] in (0.0, 1.0)
        assert drawn["n"][3] >= 5
        assert 3 <= drawn["time"][3] <= 4


TABLE = {
    "size": RNG.gamma(2, 3, 80),
    "number": RNG.poisson(4, 80),
    "kind": RNG.integers(0, 3, 80),
    "share": RNG.beta(2, 3, 80),
    "level": 1e5 + 1e3 * RNG.normal(size=80),
}
FAMILIES = {
    "size": lt.Gamma(),
    "number": lt.Poisson(),
    "kind": lt.Categorical(3),
    "share": lt.Beta(),
    "level": lt.Normal(),
}
BEGIN = {
    "weights": [0.3, 0.7],
    "size.shape": [1.0, 2.0],
    "size.rate": [0.5, 0.5],
    "number.rate": [2.0, 5.0],
    "kind.probabilities": [[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]],
    "share.a": [1.0, 2.0],
    "share.b": [2.0, 1.0],
    "level.mean": [0.99e5, 1.01e5],
    "level.variance": [1e6, 1e6],
}


def test_what_was_seen_stays_bit_for_bit_in_a_mixture():
    unseen = {name: RNG.random(80) < 0.2 for name in TABLE}
    holes = {name: np.where(unseen[name], NAN, column) for name, column in TABLE.items()}
    ends = np.where(unseen["size"], INF, TABLE["size"])
    fit = lt.fit(lt.Mixture(lt.Product(FAMILIES), 2), holes, start=BEGIN, stop=lt.Stop(tolerance=1.0))
    for data in (holes, holes | {"size": lt.interval(TABLE["size"], ends)}, TABLE):
        filled = fit.impute(data)
        draw = double(lambda: Incomplete(fit.last.problem, data).draw(fit.last.free, 0))()  # noqa: B023
        for name, column in TABLE.items():
            seen = ~unseen[name] if data is not TABLE else slice(None)
            assert np.array_equal(filled.values[name][seen], column[seen])
            assert np.array_equal(np.asarray(draw[name])[seen], column[seen])
            assert not filled.errors[name][seen].any()


def test_rows_of_a_mixture_of_planes_stay_as_they_were():
    rows = 3 * RNG.normal(size=(3, 4))[RNG.integers(3, size=400)] + RNG.normal(size=(400, 4))
    gone = RNG.random(rows.shape) < 0.25
    holes = np.where(gone, NAN, rows)
    filled = lt.fit(lt.Mixture(lt.MultivariateNormal(4), 3), holes, starts=2).impute(holes)
    assert np.array_equal(filled.values[~gone], rows[~gone])
    assert not filled.errors[~gone].any()
    assert (filled.errors[gone] > 0).all()


@pytest.mark.parametrize("frame", [pl.DataFrame, pd.DataFrame], ids=["polars", "pandas"])
def test_columns_that_were_wholly_seen_keep_their_type(frame):
    level = np.where(TABLE["kind"] > 1, NAN, TABLE["level"])
    table = {"number": TABLE["number"], "yes": TABLE["kind"] > 0, "level": level}
    model = lt.IID(lt.Product({"number": lt.Poisson(), "yes": lt.Bernoulli(), "level": lt.Normal()}))
    given = frame(table)
    filled = lt.fit(model, given).impute(given)
    assert filled.values["number"].dtype == given["number"].dtype
    assert filled.values["yes"].dtype == given["yes"].dtype
    assert (filled.values["number"].to_numpy() == table["number"]).all()
    assert not np.isnan(filled.values["level"].to_numpy()).any()
    assert (filled.errors["number"].to_numpy() == 0).all()


def mixed_normals(shape):
    family = lt.MultivariateNormal(2, shape)
    start = {"weights": [0.4, 0.6], "mean": [[-1.0, 0.0], [1.0, 2.0]]}
    spread = {"covariance": [np.eye(2)] * 2} if shape == "full" else {"variance": np.ones((2, 2))}
    return lt.fit(lt.Mixture(family, 2), {"x": HOLES[:, 0], "y": HOLES[:, 1]}, start=start | spread)


@pytest.mark.parametrize("shape", ["full", "diagonal"])
def test_given_nothing_of_a_column_it_is_as_in_the_whole(shape):
    fit = mixed_normals(shape)
    w, m = fit.params["weights"], fit.params["mean"]
    for unseen in ([NAN], [None], lt.interval([-INF], [INF])):
        given = fit.conditional({"x": unseen})
        np.testing.assert_allclose(given.weights, w[None], rtol=1e-12)
        np.testing.assert_allclose(given.mean["y"], w @ m[:, 1], rtol=1e-12)
    exact = fit.conditional({"x": lt.interval([0.5, -INF], [0.5, INF])})
    np.testing.assert_allclose(exact.mean["y"][0], fit.conditional({"x": 0.5}).mean["y"][0], rtol=1e-12)


def test_given_an_interval_components_weigh_by_its_probability():
    fit = mixed_normals("diagonal")
    given = fit.conditional({"x": lt.interval([0.0, -INF], [INF, 1.0])})
    law = stats.norm(fit.params["mean"][:, 0], fit.params["variance"][:, 0] ** 0.5)
    joint = fit.params["weights"] * np.array([law.sf(0.0), law.cdf(1.0)])
    wanted = joint / joint.sum(1, keepdims=True)
    np.testing.assert_allclose(given.weights, wanted, rtol=1e-9)
    np.testing.assert_allclose(given.mean["y"], wanted @ fit.params["mean"][:, 1], rtol=1e-9)
    with pytest.raises(lt.DataError, match="full covariance"):
        mixed_normals("full").conditional({"x": lt.interval([0.0], [INF])})


def test_given_a_set_of_categories_components_weigh_by_its_probability():
    model = lt.Mixture(lt.Product({"kind": lt.Categorical(3), "number": lt.Poisson()}), 2)
    data = {"kind": TABLE["kind"], "number": TABLE["number"] + 9.0 * (TABLE["kind"] == 2)}
    fit = lt.fit(model, data, starts=2)
    p, rate = fit.params["kind.probabilities"], fit.params["number.rate"]
    joint = fit.params["weights"] * np.stack([p[:, 0] + p[:, 1], p[:, 2], p.sum(1), p[:, 1] + p[:, 2]])
    wanted = joint / joint.sum(1, keepdims=True)
    sets = [{0, 1}, 2, None, {1, 2}]
    for given in ({"kind": sets}, {"kind": lt.one_of(sets)}):
        found = fit.conditional(given)
        np.testing.assert_allclose(found.weights, wanted, rtol=1e-9)
        np.testing.assert_allclose(found.mean["number"], wanted @ rate, rtol=1e-9)
    at_least = stats.poisson(rate).sf(6)
    chances = fit.conditional({"number": lt.interval([7.0], [INF])}).probabilities["kind"][0]
    np.testing.assert_allclose(chances, (fit.params["weights"] * at_least) @ p / (fit.params["weights"] @ at_least))
    with pytest.raises(lt.DataError, match=r"column 'kind' has shape \(1, 2\)"):
        fit.conditional({"kind": [[0, 1]]})
