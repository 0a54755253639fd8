"""Pictures: by their structure and their numbers; tables of a fit, in the frames that the data came in."""

import sys
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import latens as lt
from latens.plots import PICTURES
from latens.plots.nonparametric import estimated

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

DRAWS = np.random.default_rng(3)
GROUP = DRAWS.random(150) < 0.4
TABLE = {
    "size $x$": np.where(GROUP, DRAWS.normal(3, 1, 150), DRAWS.normal(-2, 1, 150)),
    "red": np.where(GROUP, DRAWS.random(150) < 0.8, DRAWS.random(150) < 0.2).astype(float),
    "kind": np.where(GROUP, DRAWS.choice(list("abc"), 150), DRAWS.choice(list("abb"), 150)),
    "number": np.where(GROUP, DRAWS.poisson(9, 150), DRAWS.poisson(2, 150)).astype(float),
}
TABLE["size $x$"][:20] = np.nan
ITEMS = {name: np.where(GROUP, DRAWS.random(150) < 0.8, DRAWS.random(150) < 0.2).astype(float) for name in "ABCD"}
PLANE = np.where(GROUP[:, None], DRAWS.normal(4, 1, (150, 2)), DRAWS.normal(0, 1, (150, 2)))
TIMES, ENDS = 5 * DRAWS.weibull(1.5, 150), DRAWS.uniform(1, 9, 150)
CENSORED = lt.right_censored(np.minimum(TIMES, ENDS), (TIMES <= ENDS).astype(float))
SETS = lt.interval(np.floor(TIMES), np.where(DRAWS.random(150) < 0.2, np.inf, np.floor(TIMES) + 1))
TOSSES = [[5, 10], [9, 10], [8, 10], [4, 10], [7, 10]]
MIXED = {"size $x$": lt.Normal(), "red": lt.Bernoulli(), "kind": lt.Categorical(), "number": lt.Poisson()}


def _log_joint(params, x, z):
    return x * np.log(2.0) * z - params["rate"] + x * lt.safe_log(params["rate"]) - params["rate"] * z


FITS = {
    "mixed": lambda: lt.fit(lt.Mixture(lt.Product(MIXED), 2), TABLE),
    "classes": lambda: lt.fit(lt.Mixture(lt.Product({name: lt.Bernoulli() for name in ITEMS}), 2), ITEMS),
    "plane": lambda: lt.fit(
        lt.Mixture(lt.MultivariateNormal(2), 2), {"eruptions": PLANE[:, 0], "waiting": PLANE[:, 1]}
    ),
    "censored": lambda: lt.fit(lt.IID(lt.Weibull()), CENSORED),
    "sets": lambda: lt.fit(lt.IID(lt.Gamma()), SETS),
    "coins": lambda: lt.fit(
        lt.Mixture(lt.Binomial(), 2, weights=(0.5, 0.5)),
        TOSSES,
        start={"probability": [0.6, 0.5]},
        accelerate=lt.Plain(),
    ),
    "moths": lambda: lt.fit(
        lt.HardyWeinberg("C > I > T", {"black": "C", "mottled": "I", "light": "T"}),
        [85, 196, 341],
        start={"C": 1 / 3, "I": 1 / 3, "T": 1 / 3},
        accelerate=lt.Plain(),
    ),
    "wide": lambda: lt.fit(lt.IID(lt.LogNormal()), np.exp(3 * DRAWS.normal(size=100))),
    "own": lambda: lt.fit(lt.Latent(_log_joint, [0, 1], {"rate": lt.Positive()}), [1.0, 0.0, 4.0], starts=2),
}


@cache
def fitted(name):
    return FITS[name]()


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", FITS)
def test_every_picture_that_suits_is_drawn(name):
    fit = fitted(name)
    assert {"trace", "estimates", "information"} <= set(fit.plot.suited)
    for picture in set(fit.plot.suited) - {"profile"}:
        figure, (ax, other) = plt.subplots(1, 2)
        assert getattr(fit.plot, picture)(ax=ax).figure is figure
        assert not other.has_data()
        figure.canvas.draw()
        shown = [each for each in (ax, *ax.child_axes) if each.axison]
        assert any(each.get_xlabel() or each.get_ylabel() or each.get_yticklabels() for each in shown)
        assert any(each.has_data() for each in shown)
        assert len(fit.plot.data(picture)) > 0


@pytest.mark.parametrize(
    ("name", "picture", "why"),
    [
        ("moths", "density", "not columns of numbers"),
        ("own", "density", "says nothing of one column"),
        ("censored", "posterior", "hides no label"),
        ("own", "fit", "says nothing of one column"),
    ],
)
def test_a_picture_that_does_not_suit_names_those_that_do(name, picture, why):
    with pytest.raises(lt.DataError, match=f"plot.{picture}: .*{why}.*there are trace") as error:
        getattr(fitted(name).plot, picture)()
    assert picture not in str(error.value).split("there are")[1].split(", ")


def test_trace_is_the_run():
    fit, data = fitted("coins"), fitted("coins").plot.data("trace")
    assert data["log_likelihood"].to_list() == fit.trace.tolist()
    assert data["evaluation"].to_list()[-1] == fit.evaluations
    ax = fit.plot.trace()
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), fit.trace)
    many = fitted("classes").plot.data("trace").filter(pl.col("series") == "optimum")
    assert many["reached"].sum() == fitted("classes").starts.settled


def test_rate_falls_as_the_missing_information_says():
    data = fitted("coins").plot.data("rate").filter(pl.col("series") == "run")
    ends = data["distance"].to_numpy()[-6:]
    expected = fitted("coins").information().fraction_missing
    np.testing.assert_allclose(ends[1:] / ends[:-1], expected, rtol=0.05)


@pytest.mark.parametrize("name", ["plane", "mixed", "censored", "sets", "wide"])
def test_density_integrates_to_one_and_is_the_sum_of_its_components(name):
    fit = fitted(name)
    for column in fit.columns:
        data = fit.plot.data("density", columns=column)
        total = data.filter(pl.col("series") == "density")
        x, y = total["x"].to_numpy(), total["y"].to_numpy()
        if column in ("red", "kind", "number"):
            assert 0.97 < y.sum() <= 1 + 1e-9
        else:
            assert 0.8 < np.trapezoid(y, x) <= 1 + 1e-6
        parts = data.filter(pl.col("series").str.starts_with("component"))
        if len(parts):
            summed = parts.group_by("x").agg(pl.col("y").sum()).sort("x")["y"].to_numpy()
            np.testing.assert_allclose(summed, y, rtol=1e-9)
        bars = data.filter(pl.col("series") == "observed")
        area = (bars["y"] * (bars["high"] - bars["low"])).sum()
        assert area <= 1 + 1e-9


def test_density_is_that_of_scipy():
    from scipy import stats

    fit = fitted("plane")
    data = fit.plot.data("density").filter(pl.col("series") == "component 1")
    x, z = data.select("x", "y").to_numpy(), data["z"].to_numpy()
    law = stats.multivariate_normal(fit.params["mean"][1], fit.params["covariance"][1])
    np.testing.assert_allclose(z, fit.params["weights"][1] * law.pdf(x), rtol=1e-8, atol=1e-300)


def test_binomial_densities_are_over_the_trials_of_the_rows():
    from scipy import stats

    fit = lt.fit(lt.IID(lt.Binomial()), [[1, 3], [2, 3], [4, 8]])
    data = fit.plot.data("density").filter(pl.col("series") == "density")
    p = float(fit.params["probability"])
    expected = (2 * stats.binom(3, p).pmf(data["x"]) + stats.binom(8, p).pmf(data["x"])) / 3
    np.testing.assert_allclose(data["y"], expected, rtol=1e-10)


def test_half_seen_cells_are_drawn_as_what_they_are():
    ax = fitted("sets").plot.density()
    labels = ax.get_legend_handles_labels()[1]
    assert {"known to lie between", "right-censored", "nonparametric estimate"} <= set(labels)
    rows = fitted("sets").plot.data("density").filter(pl.col("series") == "interval")
    assert len(rows) == np.isfinite(SETS.upper).sum()
    gone = fitted("mixed").plot.data("density", columns="size $x$").filter(pl.col("series") == "missing")
    assert gone["weight"].to_list() == [20.0]
    axes = fitted("mixed").plot.density(["size $x$", "number"])
    assert "20 rows with one of the two missing" in axes.get_legend_handles_labels()[1]
    assert axes.get_xlabel() == r"size \$x\$"


def test_large_data_are_thinned_and_the_picture_says_so():
    data = np.random.default_rng(0).normal(size=(20_000, 2))
    fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), data)
    ax = fit.plot.density()
    assert any("3,000 of 20,000 rows shown" in text.get_text() for text in ax.texts)
    assert len(ax.collections[0].get_offsets()) == 3_000


def test_hanging_rootogram_hangs_from_the_curve():
    fit = lt.fit(lt.IID(lt.Poisson()), [0, 1, 1, 2, 3, 3, 3, 5])
    ax = fit.plot.density(hanging=True)
    tops = np.array([bar.get_y() + bar.get_height() for bar in ax.patches])
    data = fit.plot.data("density").filter(pl.col("series") == "density")
    np.testing.assert_allclose(tops, np.sqrt(data["y"].to_numpy()))


def test_posterior_counts_every_row_once_for_each_value():
    fit = fitted("classes")
    data, given = fit.plot.data("posterior"), fit.posterior()
    for j, name in enumerate(fit.model.hidden):
        assert data.filter(pl.col("value") == name)["count"].sum() == (given[:, j] > 1e-4).sum()
    uncertain = fit.plot.data("uncertainty")["uncertainty"].to_numpy()
    np.testing.assert_allclose(uncertain, np.sort(1 - given.max(1)))


def test_profiles_have_the_intervals_of_the_fit():
    fit = fitted("mixed")
    data = fit.plot.data("profiles", level=0.8).filter(pl.col("term") == "red.probability").sort("component")
    np.testing.assert_allclose(data["estimate"], fit.params["red.probability"])
    ends = fit.confidence_intervals(0.8)["red.probability"]
    np.testing.assert_allclose(data.select("low", "high").to_numpy(), ends)


def test_information_adds_up():
    fit = fitted("coins")
    data, found = fit.plot.data("information"), fit.information()
    np.testing.assert_allclose(data["complete"], np.diag(found.complete))
    np.testing.assert_allclose(data["observed"] + data["missing"], data["complete"])
    bars = fit.plot.information().patches
    np.testing.assert_allclose([bar.get_width() for bar in bars[:2]], data["observed"] / data["complete"])


def test_uncertainty_over_columns():
    table = {
        "a": np.r_[DRAWS.normal(0, 1, 30), DRAWS.normal(4, 1, 30)],
        "b": np.r_[np.zeros(20), [np.nan] * 10, np.ones(30)],
    }
    fit = lt.fit(lt.Mixture(lt.Product({"a": lt.Normal(), "b": lt.Bernoulli()}), 2), table)
    over, plane = fit.plot.uncertainty("a"), fit.plot.uncertainty(["a", "b"])
    assert (over.get_xlabel(), over.get_ylabel()) == ("a", "1 − largest posterior probability")
    assert (plane.get_xlabel(), plane.get_ylabel()) == ("a", "b")
    assert any("10 not seen there" in text.get_text() for text in plane.texts)
    data = fit.plot.data("uncertainty", columns=["a", "b"]).sort("row")
    np.testing.assert_allclose(data["x"], table["a"], rtol=1e-12)  # there and back from the frame
    np.testing.assert_allclose(data["uncertainty"], 1 - fit.posterior().max(1))
    sizes = np.concatenate([each.get_sizes() for each in plane.collections])
    shown = data.filter(pl.col("y").is_not_null() & pl.col("y").is_finite())["uncertainty"].to_numpy()
    assert sizes.max() - sizes.min() == pytest.approx(120 * np.ptp(shown))
    with pytest.raises(lt.DataError, match="no column 'c'; the columns are a, b"):
        fit.plot.uncertainty("c")
    with pytest.raises(lt.DataError, match="one column or two different ones"):
        fit.plot.uncertainty(["a", "b", "a"])


def test_whole_numbers_in_bins():
    counts = DRAWS.poisson(60, 300)
    fit = lt.fit(lt.IID(lt.Poisson()), counts)
    fine, coarse = (fit.plot.data("density", bins=bins).filter(pl.col("series") == "observed") for bins in (None, 10))
    assert len(coarse) <= 10 < len(fine)
    assert fine["weight"].sum() == coarse["weight"].sum() == 300
    for bars in (fine, coarse):
        assert (bars["y"] * (bars["high"] - bars["low"])).sum() == pytest.approx(1)
    few = lt.fit(lt.IID(lt.Poisson()), np.arange(20))
    for bins, widths in ((1, [20]), (2, [10, 10]), (3, [7, 7, 7]), (20, [1] * 20)):
        bars = few.plot.data("density", bins=bins).filter(pl.col("series") == "observed")
        assert (bars["high"] - bars["low"]).to_list() == widths


def test_a_density_is_shown_from_the_edge_of_its_support():
    fit = lt.fit(lt.IID(lt.Weibull()), np.array([6.0, 9, 13, 20, 35, 12, 18]))
    assert 0 < fit.plot.data("density").filter(pl.col("series") == "density")["x"].min() < 0.1


def test_profile_meets_its_interval():
    fit = fitted("coins")
    data = fit.plot.data("profile", parameter="probability[0]", level=0.9).filter(pl.col("series") == "profile")
    low, high = fit.intervals(0.9, "profile")[0]
    signed = np.sqrt(data["deviance"].to_numpy()) * np.sign(data["value"].to_numpy() - fit.params["probability"][0])
    for end, side in ((low, -1), (high, 1)):
        assert np.interp(end, data["value"], signed) == pytest.approx(side * 1.6449, abs=0.02)
    ax = fit.plot.profile("probability[0]")
    assert ax.get_legend_handles_labels()[1] == ["profile likelihood", "Wald's approximation"]
    wald = fit.plot.data("profile", parameter="probability[0]", level=0.9).filter(pl.col("series") == "wald")
    signed = np.sqrt(wald["deviance"].to_numpy()) * np.sign(wald["value"].to_numpy() - fit.params["probability"][0])
    for end, side in zip(fit.intervals(0.9)[0], (-1, 1), strict=True):
        assert np.interp(end, wald["value"], signed) == pytest.approx(side * 1.6449, abs=0.002)
    with pytest.raises(lt.ParameterError, match=r"no scalar 'p'; there are probability\[0\], probability\[1\]"):
        fit.plot.profile("p")


def test_estimates_by_several_methods():
    fit = fitted("coins")
    data = fit.plot.data("estimates", methods=("observed", "sandwich"))
    assert data["method"].to_list() == ["observed"] * 2 + ["sandwich"] * 2
    np.testing.assert_allclose(data.select("low", "high").to_numpy()[2:], fit.intervals(method="sandwich"))


def test_patterns_are_counted_and_expected():
    fit = fitted("classes")
    data = fit.plot.data("fit")
    counts = data.filter(pl.col("series") == "count")
    assert counts["observed"].sum() == 150
    assert counts["expected"].sum() == pytest.approx(150, abs=1)
    first = counts.row(0, named=True)
    rows = np.stack(list(ITEMS.values()), 1)
    pattern = np.array([float(c) for c in first["pattern"]])
    assert first["observed"] == (rows == pattern).all(1).sum()
    row = {name: [value] for name, value in zip(ITEMS, pattern, strict=True)}
    assert first["expected"] == pytest.approx(150 * np.exp(fit.log_density(row)[0]))
    assert len(data.filter(pl.col("series") == "pair")) == 6
    moths = fitted("moths").plot.data("fit").sort("pattern")
    assert moths["observed"].to_list() == [85, 341, 196]
    np.testing.assert_allclose(moths["expected"], moths["observed"], rtol=1e-5)


def test_overlapping_groups_have_no_expected_counts():
    model = lt.HardyWeinberg("C > I > T", {"black": "C", "mottled": "I", "light": "T", "either": ["I", "T"]})
    fit = lt.fit(model, [85, 196, 341, 578])
    with pytest.raises(lt.DataError, match=r"plot.fit: groups overlap"):
        fit.plot.fit()


def test_nonparametric_estimates():
    """Kaplan & Meier's of the remission times of 6-MP, Cox & Oakes (1984), table 1.1; Turnbull's agrees."""
    times = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    seen = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    fit = lt.fit(lt.IID(lt.Exponential()), lt.right_censored(times, seen))
    column = next(iter(fit.plot._subject.seen.columns.values()))
    values, masses = estimated(column)
    assert values.tolist() == [6, 7, 10, 13, 16, 22, 23]
    survival = 1 - np.cumsum(masses)
    np.testing.assert_allclose(survival, [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], atol=5e-4)
    data = fit.plot.data("fit")
    rate = float(fit.params["rate"])
    np.testing.assert_allclose(data["expected"], -np.log1p(-data["share"].to_numpy()) / rate, rtol=2e-3)
    from latens.plots.nonparametric import _turnbull

    low = np.array(times, float)
    places, shares = _turnbull(low, np.where(seen, low, np.inf), np.ones(21))
    told = np.cumsum(shares)[[np.flatnonzero(places == value)[0] for value in values]]
    np.testing.assert_allclose(told, 1 - survival, atol=1e-6)


def test_quantiles_of_a_normal():
    from scipy import stats

    fit = fitted("plane")
    data = fit.plot.data("fit").filter(pl.col("column_x") == "waiting")
    law = [
        stats.norm(m, s**0.5) for m, s in zip(fit.params["mean"][:, 1], fit.params["covariance"][:, 1, 1], strict=True)
    ]
    below = sum(w * each.cdf(data["expected"]) for w, each in zip(fit.params["weights"], law, strict=True))
    np.testing.assert_allclose(below, data["share"], atol=4e-3)
    inside = (data["low"] <= data["observed"]) & (data["observed"] <= data["high"])
    assert inside.mean() > 0.9


def test_comparison_pictures_and_frames():
    choice = lt.choose(lambda k: lt.Mixture(lt.Poisson(), k), TABLE["number"], range(1, 4))
    ax = choice.plot()
    assert ax.get_xlabel() == "number of components"
    assert ax.get_legend_handles_labels()[1][:2] == ["AIC", "BIC"]
    frame = choice.comparison.frame()
    assert frame["fit"].to_list() == ["1", "2", "3"]
    np.testing.assert_allclose(frame["bic"], [choice.fits[k].bic for k in (1, 2, 3)])
    with pytest.raises(lt.ParameterError, match="unknown criterion 'dic'"):
        choice.plot("dic")


def test_bad_requests():
    fit = fitted("plane")
    with pytest.raises(lt.DataError, match="no column 'x'; the columns are eruptions, waiting"):
        fit.plot.density("x")
    with pytest.raises(lt.ParameterError, match="no picture 'pie'; there are trace"):
        fit.plot.data("pie")
    with pytest.raises(lt.LatensError, match="ax must be axes of matplotlib"):
        fit.plot.trace(ax=3)
    with pytest.raises(lt.ParameterError, match="unknown method"):
        fit.plot.estimates("jackknife")
    assert set(PICTURES) >= set(fit.plot.suited)


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(lt.LatensError, match=r'pip install "latens\[plot\]"'):
        fitted("coins").plot.trace()
    assert len(fitted("coins").plot.data("trace")) > 3


KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


@pytest.mark.parametrize("library", KINDS)
def test_tables_come_in_the_frames_of_the_data(library):
    make = KINDS[library]
    fit = lt.fit(lt.Mixture(lt.Product(MIXED), 2), make(TABLE), start=fitted("mixed").params)
    frames = fit.tidy(), fit.glance(), fit.augment(make(TABLE)), fit.plot.data("trace")
    assert all(type(frame) is type(make(TABLE)) for frame in frames)
    assert list(frames[2].to_pandas().columns if library != "pandas" else frames[2].columns)[:4] == list(TABLE)


def test_tidy_has_what_the_report_has():
    fit = fitted("mixed")
    frame = fit.tidy(level=0.9)
    assert frame.columns == [
        "term", "component", "estimate", "std_error", "conf_low", "conf_high", "missing_fraction", "note",
    ]  # fmt: skip
    row = frame.filter((pl.col("term") == "kind.probabilities[b]") & (pl.col("component") == "1")).row(0, named=True)
    assert row["estimate"] == fit.params["kind.probabilities"][1, 1]
    i = fit.names.index("kind.probabilities[1, b]")
    assert (row["conf_low"], row["conf_high"]) == tuple(fit.intervals(0.9)[i])
    assert row["std_error"] == fit.standard_errors()["kind.probabilities"][1, 1]
    edge = lt.fit(lt.IID(lt.Categorical(3)), [0, 1, 1, 0, 1]).tidy()
    assert "boundary" in edge["note"].to_list()[2]
    assert np.isnan(edge["std_error"][2])
    two = lt.fit(lt.Mixture([lt.Gamma(), lt.Normal()]), TIMES + 0.1, starts=2).tidy()
    assert {"shape", "mean", "weights"} <= set(two["term"].to_list())
    start = {"weights": [0.5, 0.5], "rate": [1.0, 2.0]}
    stopped = lt.fit(lt.Mixture(lt.Poisson(), 2), TABLE["number"], start=start, stop=lt.Stop(max_steps=1)).tidy()
    assert all("has not converged" in note for note in stopped["note"])
    assert stopped["std_error"].is_nan().all()


def test_glance_is_one_row():
    row = fitted("classes").glance().row(0, named=True)
    fit = fitted("classes")
    assert (row["n"], row["df"], row["bic"], row["converged"]) == (150, fit.free_parameters, fit.bic, True)
    assert row["icl"] == pytest.approx(fit.bic + 2 * fit.entropy)
    assert np.isnan(fitted("censored").glance()["icl"][0])


def test_augment_keeps_the_data():
    fit = fitted("plane")
    frame = pd.DataFrame({"eruptions": PLANE[:, 0], "waiting": PLANE[:, 1]}, index=np.arange(150)[::-1])
    found = fit.augment(frame)
    assert found.index.equals(frame.index)
    np.testing.assert_array_equal(found["class"], fit.predict(frame))
    np.testing.assert_allclose(found[["probability_0", "probability_1"]], fit.posterior(frame))
    np.testing.assert_allclose(found["density"], np.exp(fit.log_density(frame)))
    taken = fit.augment(frame.assign(density=1.0)[["waiting", "eruptions", "density"]].drop(columns="density"))
    np.testing.assert_array_equal(taken["class"], found["class"])
    array = lt.fit(lt.Mixture(lt.MultivariateNormal(2), 2), PLANE, start=fit.params).augment(PLANE)
    assert array.columns[:3] == ["0", "1", "class"]
    assert fit.augment().columns[0] == "class"
    named = lt.fit(lt.Mixture(lt.Poisson(), 2), {"class": TABLE["number"]}).augment({"class": TABLE["number"]})
    assert list(named)[:2] == ["class", "fitted_class"]
    assert "density" in fitted("censored").augment(CENSORED).columns


def test_histograms_are_drawn_in_their_bins():
    fit = lt.fit(lt.IID(lt.Normal()), lt.grouped([0, 1, 2, 4], [10, 25, 15]))
    bars = fit.plot.data("density").filter(pl.col("series") == "observed")
    np.testing.assert_allclose(bars["y"], [0.2, 0.5, 0.15], rtol=1e-6)
    assert bars["low"].to_list() == [0, 1, 2]
    steps = fit.plot.data("fit")
    assert steps["observed"].to_list() == [1, 2]
    np.testing.assert_allclose(steps["share"], [0.2, 0.7], rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: lt.fit(lt.IID(lt.Poisson()), [0.0, 0.0, 0.0]),
        lambda: lt.fit(lt.IID(lt.Poisson()), [3.0]),
        lambda: lt.fit(lt.Mixture(lt.Normal(), 1), [1.0, 2.0, 4.0]),
        lambda: lt.fit(lt.IID(lt.Categorical(3)), lt.one_of([0, 1, {0, 1}, None, 2])),
        lambda: lt.fit(lt.IID(lt.Poisson(exposure=None)), [[3, 1.0], [5, 2.0], [1, 1.0]]),
        lambda: lt.fit(lt.Mixture(lt.Normal(), 2), 1e9 + 1e-3 * PLANE[:, 0], weights=np.arange(150) % 3),
        lambda: lt.fit(lt.IID(lt.Product({"": lt.Normal(), "x_{1}^2 $\\alpha": lt.Poisson()})), {
            "": PLANE[:, 0], "x_{1}^2 $\\alpha": TABLE["number"]
        }),
        lambda: lt.fit(lt.Mixture(lt.Normal(), 2), PLANE[:, 0], starts=2, stop=lt.Stop(max_steps=2)),
        lambda: lt.fit(lt.IID(lt.Truncated(lt.Poisson(), lower=1)), [1, 2, 1, 3, 1, 4, 2]),
        lambda: lt.fit(lt.IID(lt.Beta()), [1e-9, 0.4, 0.999999, 0.2]),
    ],
)  # fmt: skip
def test_edges(make):
    fit = make()
    for name in set(fit.plot.suited) - {"profile"}:
        ax = getattr(fit.plot, name)()
        ax.figure.canvas.draw()
    assert len(fit.tidy()) == len(fit.shown)


def test_sizes_stand_where_they_stand_whatever_they_are_called():
    fit = lt.fit(lt.IID(lt.Binomial()), {"heads": [1, 2, 4], "of": [3, 3, 8]})
    assert fit.plot.data("fit")["observed"].sum() == 3
    assert fit.plot.density().get_xlabel() == "heads"


def test_options_are_checked():
    frame = pd.DataFrame(PLANE)
    fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), frame)
    assert fit.plot.density(columns=0).get_ylabel() == "density"
    for bins in (0, 2.5, "a"):
        with pytest.raises(lt.ParameterError, match="bins must be a whole number"):
            fit.plot.density(0, bins=bins)
    with pytest.raises(lt.ParameterError, match="10000 at most"):
        fit.plot.density(0, bins=10**7)
    with pytest.raises(lt.ParameterError, match=r"plot.density takes no 'foo'; it takes columns, bins"):
        fit.plot.data("density", foo=1)
    assert len(fit.plot.data("density", hanging=True))
    huge = lt.fit(lt.IID(lt.Poisson()), [10**9, 10**9 + 5, 3 * 10**9])
    assert len(huge.plot.data("density")) < 2_000


def test_names_with_commas_and_brackets_stay_whole():
    table = {"a, b": ITEMS["A"], "c[0]": ITEMS["B"], "d.e": ITEMS["C"]}
    fit = lt.fit(lt.Mixture(lt.Product({name: lt.Bernoulli() for name in table}), 2), table, starts=2)
    assert set(fit.plot.data("profiles")["item"]) == set(table)
    assert "a, b.probability" in fit.tidy()["term"].to_list()


def test_a_method_that_gives_no_interval_is_named():
    start = {"weights": [0.5, 0.5], "rate": [1.0, 2.0]}
    fit = lt.fit(lt.Mixture(lt.Poisson(), 2), TABLE["number"], start=start, stop=lt.Stop(max_steps=1))
    assert "none by observed" in fit.plot.estimates().get_title(loc="left")
    assert "has not converged" in fit.plot.data("estimates")["reason"][0]


def test_an_interval_without_an_end_is_an_arrow():
    fit = lt.fit(lt.IID(lt.Bernoulli()), [1.0, 1.0, 1.0, 1.0])
    data = fit.plot.data("estimates", methods="profile")
    assert data["low"][0] < 1
    assert fit.plot.estimates("profile").child_axes[0].has_data()


def test_profiles_of_numbers_and_of_their_logarithms_stand_apart():
    table = {"a": PLANE[:, 0], "b": PLANE[:, 1], "c": np.exp(PLANE[:, 0])}
    families = {"a": lt.Normal(), "b": lt.Normal(), "c": lt.LogNormal()}
    fit = lt.fit(lt.Mixture(lt.Product(families), 2), table, starts=2)
    data = fit.plot.data("profiles")
    assert set(data["panel"]) == {"mean", "variance", "mean of the logarithm"}
    labels = [axes.get_ylabel() for axes in fit.plot.profiles().child_axes]
    assert labels == ["mean (in sd from the data's mean)", "variance", "mean of the logarithm"]
    sets = {name: lt.interval(np.floor(table[name]), np.floor(table[name]) + 1) for name in "ab"}
    grouped = lt.fit(lt.Mixture(lt.Product({name: lt.Normal() for name in "ab"}), 2), sets, starts=2)
    assert grouped.plot.profiles().child_axes[0].get_ylabel() == "mean"
