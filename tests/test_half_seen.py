"""Half-seen data: estimates against direct maximisation, and what every model owes to what was not seen."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize

import latens as lt

NAN = np.nan
INF = np.inf
few = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))

# each: family, a draw of n values, the truth
FAMILIES = {
    "exponential": (lt.Exponential(), lambda r, n: r.exponential(2.0, n), {"rate": 0.5}),
    "normal": (lt.Normal(), lambda r, n: r.normal(3, 2, n), {"mean": 3.0, "variance": 4.0}),
    "log-normal": (lt.LogNormal(), lambda r, n: r.lognormal(1, 0.5, n), {"mean": 1.0, "variance": 0.25}),
    "gamma": (lt.Gamma(), lambda r, n: r.gamma(2.5, 2.0, n), {"shape": 2.5, "rate": 0.5}),
    "weibull": (lt.Weibull(), lambda r, n: 3 * r.weibull(1.7, n), {"shape": 1.7, "scale": 3.0}),
    "beta": (lt.Beta(), lambda r, n: r.beta(2, 3, n), {"a": 2.0, "b": 3.0}),
    "poisson": (lt.Poisson(), lambda r, n: r.poisson(4.0, n).astype(float), {"rate": 4.0}),
    "binomial": (lt.Binomial(trials=9), lambda r, n: r.binomial(9, 0.4, n).astype(float), {"probability": 0.4}),
    "negative-binomial": (
        lt.NegativeBinomial(2.0),
        lambda r, n: r.negative_binomial(2, 0.3, n).astype(float),
        {"probability": 0.3},
    ),
    "geometric": (lt.Geometric(), lambda r, n: r.geometric(0.3, n).astype(float), {"probability": 0.3}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_censored_data_recover_the_truth_and_the_naive_treatments_do_not(name):
    """Above a limit only that is known: 4 standard errors hold the truth, which the limit, or dropping, do not."""
    family, draw, truth = FAMILIES[name]
    y = draw(np.random.default_rng(3), 1500)
    limit = np.quantile(y, 0.6) + (0.5 if np.all(y == np.floor(y)) else 0.0)
    seen = y <= limit
    fit = lt.fit(lt.IID(family), lt.right_censored(np.minimum(y, np.ceil(limit) if limit % 1 == 0.5 else limit), seen))
    assert fit.converged
    errors = fit.standard_errors()
    for parameter, value in truth.items():
        assert abs(fit.params[parameter] - value) <= 4 * errors[parameter]
    assert 0.02 < fit.information().fraction_missing < 1
    assert fit.half_seen["0"] == {"right-censored": float((~seen).sum())}
    dropped = lt.fit(lt.IID(family), y[seen])
    off = [abs(dropped.params[p] - v) / errors[p] for p, v in truth.items()]
    assert max(off) > 4


@pytest.mark.parametrize("name", ["exponential", "weibull"])
def test_truncated_data_recover_the_truth(name):
    """Values below the limit were never seen: truncation, not censoring; the rest may be censored as well."""
    family, draw, truth = FAMILIES[name]
    y = draw(np.random.default_rng(4), 3000)
    y = y[y >= np.quantile(y, 0.3)]
    lower, upper = float(y.min()), float(np.quantile(y, 0.8))
    model = lt.IID(lt.Truncated(family, lower=lower))
    fit = lt.fit(model, lt.right_censored(np.minimum(y, upper), y <= upper))
    assert fit.converged
    for parameter, value in truth.items():
        assert abs(fit.params[parameter] - value) <= 4 * fit.standard_errors()[parameter]
    naive = lt.fit(lt.IID(family), y)
    assert max(abs(naive.params[p] - v) / fit.standard_errors()[p] for p, v in truth.items()) > 4


def test_standard_errors_along_a_curved_ridge():
    """A normal of which only a tail is seen: mean and variance trade places along a ridge, yet each has its error."""
    y = np.random.default_rng(8).exponential(1, 50)
    fit = lt.fit(lt.IID(lt.Truncated(lt.Normal(), lower=0)), y)

    def log_likelihood(mean, variance):
        return stats.truncnorm.logpdf(y, -mean / variance**0.5, np.inf, mean, variance**0.5).sum()

    at = np.array([float(fit.params["mean"]), float(fit.params["variance"])])
    h = 1e-3 * np.abs(at) * np.eye(2)
    second = [
        [sum(s * t * log_likelihood(*(at + s * a + t * b)) for s in (1, -1) for t in (1, -1)) for b in h] for a in h
    ]
    information = -np.array(second) / (4 * np.outer(h.diagonal(), h.diagonal()))
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    found = fit.standard_errors()
    np.testing.assert_allclose([float(found["mean"]), float(found["variance"])], expected, rtol=0.02)


def test_a_histogram_is_maximum_likelihood_of_its_bins():
    edges, counts = [-INF, 0, 1, 2, 4, INF], np.array([12.0, 25, 31, 24, 8])
    fit = lt.fit(lt.IID(lt.Normal()), lt.grouped(edges, counts))
    law = stats.norm(float(fit.params["mean"]), float(fit.params["variance"]) ** 0.5)
    assert fit.log_likelihood == pytest.approx(counts @ np.log(np.diff(law.cdf(edges))), rel=1e-12)

    def minus(u):
        return -counts @ np.log(np.maximum(np.diff(stats.norm(u[0], np.exp(u[1])).cdf(edges)), 1e-300))

    best = minimize(minus, [1.0, 0.5], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-8)
    assert fit.n == 100


@pytest.mark.parametrize(
    ("family", "law", "edges"),
    [
        (lt.Poisson(), lambda p: stats.poisson(p["rate"]), [0, 1, 2, INF]),
        (lt.Poisson(), lambda p: stats.poisson(p["rate"]), [0.5, 2, 3.5, 5, INF]),
        (lt.Geometric(), lambda p: stats.geom(p["probability"]), [1, 2, 4, 9, INF]),
        (lt.Binomial(trials=5), lambda p: stats.binom(5, p["probability"]), [0, 2, 4, 5]),
        (lt.NegativeBinomial(2.5), lambda p: stats.nbinom(2.5, p["probability"]), [0, 3, 7, 20]),
    ],
    ids=["poisson", "poisson-between", "geometric", "binomial", "negative-binomial"],
)
@pytest.mark.parametrize("closed", ["left", "right"])
def test_bins_of_whole_numbers_hold_each_of_them_once(family, law, edges, closed):
    """The outermost edges belong to their bins, as in hist(include.lowest = TRUE) of R."""
    data = lt.grouped(edges, 30.0 + np.arange(len(edges) - 1), closed)
    fit = lt.fit(lt.IID(family), data)
    ends = np.array(edges) - (0.0 if closed == "right" else 1e-6)
    ends[0], ends[-1] = edges[0] - 1e-6, edges[-1]
    wanted = np.diff(law(fit.params).cdf(ends))
    np.testing.assert_allclose(np.exp(fit.log_density()), wanted, rtol=1e-9)
    np.testing.assert_allclose(np.exp(fit.log_density(data)), wanted, rtol=1e-9)


@pytest.mark.parametrize("precision", ["double", "single"])
def test_the_first_bin_may_be_of_nothing_alone(precision):
    fit = lt.fit(lt.IID(lt.Poisson()), lt.grouped([-INF, 0, 1, INF], [30, 30, 40], "right"), precision=precision)
    rate = float(fit.params["rate"])
    wanted = [np.exp(-rate), rate * np.exp(-rate), 1 - (1 + rate) * np.exp(-rate)]
    np.testing.assert_allclose(np.exp(fit.log_density()), wanted, rtol=1e-9 if precision == "double" else 1e-5)


def test_bins_that_share_a_whole_number_must_say_which_holds_it():
    edges, counts = [0, 1, 2, INF], [30, 30, 40]
    poissons, shared = lt.Mixture(lt.Poisson(), 2), lt.grouped(edges, counts)
    for model, data in (
        (lt.IID(lt.Poisson()), shared),
        (poissons, shared),
        (lt.Mixture([lt.Poisson(), lt.Geometric()]), shared),
        (lt.IID(lt.Categorical(3)), lt.grouped([0, 1, 2], [3, 4])),
        (lt.IID(lt.Truncated(lt.Poisson(), lower=0)), shared),
        (lt.IID(lt.Product({"n": lt.Poisson()})), {"n": shared}),
    ):
        with pytest.raises(lt.DataError, match="1 is a value that can occur, and both bins .* say closed='left'"):
            lt.fit(model, data)
    fit = lt.fit(poissons, lt.grouped(edges, counts, "left"))
    for ask in (fit.log_density, fit.impute):
        with pytest.raises(lt.DataError, match="closed='left'"):
            ask(shared)
    between = lt.fit(lt.IID(lt.Poisson()), lt.grouped([-0.5, 0.5, 1.5, INF], counts))
    assert np.exp(between.log_density()).sum() == pytest.approx(1, abs=1e-12)
    with pytest.raises(lt.DataError, match="closed must be 'left'"):
        lt.grouped(edges, counts, "both")


def test_which_bin_an_edge_belongs_to_does_not_matter_to_a_density():
    edges, counts = [-INF, 0, 1, 2, 4, INF], [12.0, 25, 31, 24, 8]
    found = [lt.fit(lt.IID(lt.Normal()), lt.grouped(edges, counts, c)).log_likelihood for c in (None, "left", "right")]
    np.testing.assert_allclose(found, found[0], rtol=1e-13)


# ---------------------------------------------------------------- a table, every cell half seen in its own way

N = 40
TABLE = lt.Product({"size": lt.Normal(), "kind": lt.Categorical(3), "number": lt.Poisson()})
TWO = lt.Mixture(TABLE, 2)
AT = {
    "weights": [0.4, 0.6],
    "size.mean": [-1.0, 2.0],
    "size.variance": [1.0, 2.0],
    "kind.probabilities": [[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]],
    "number.rate": [2.0, 5.0],
}
ROWS = np.random.default_rng(5)
LABEL = (ROWS.random(N) < 0.6).astype(int)
SIZE, NUMBER = ROWS.normal([-1, 2], 1.2, (N, 2))[np.arange(N), LABEL], ROWS.poisson([2, 5], (N, 2))[np.arange(N), LABEL]
KIND = ROWS.integers(0, 3, N)
masks = st.lists(st.integers(0, 3), min_size=N, max_size=N)


def half_seen(how_size, how_kind, how_number):
    """0: exact, 1: an interval or pair that holds it, 2: one side open or the pair, 3: missing."""
    low, top = SIZE.copy(), SIZE.copy()
    few, many = NUMBER.astype(float), NUMBER.astype(float)
    sets = []
    for i in range(N):
        low[i], top[i] = ((low[i], top[i]), (low[i] - 0.7, top[i] + 0.4), (low[i] - 0.7, INF), (-INF, INF))[how_size[i]]
        few[i], many[i] = ((few[i], many[i]), (few[i] - 1, many[i] + 2), (few[i] - 1, INF), (-INF, INF))[how_number[i]]
        pair = {int(KIND[i]), (int(KIND[i]) + 1) % 3}
        sets.append((int(KIND[i]), pair, pair, None)[how_kind[i]])
    return low, top, few, many, sets


def table(low, top, few, many, sets):
    return {"size": lt.interval(low, top), "kind": lt.one_of(sets), "number": lt.interval(few, many)}


def brute(low, top, few, many, sets):
    """(N,) log Σ_j w_j ∏ probabilities of the sets, by SciPy."""
    total = np.zeros(N)
    for j, w in enumerate(AT["weights"]):
        law = stats.norm(AT["size.mean"][j], AT["size.variance"][j] ** 0.5)
        one = np.where(low == top, law.pdf(np.where(low == top, low, 0)), law.cdf(top) - law.cdf(low))
        count = stats.poisson(AT["number.rate"][j])
        two = count.cdf(many) - count.cdf(few - 1)
        p = np.array(AT["kind.probabilities"][j])
        three = np.array([p[s] if isinstance(s, int) else 1.0 if s is None else sum(p[c] for c in s) for s in sets])
        total += w * one * two * three
    return np.log(total)


def logs_at(data):
    return lt.fit(TWO, data, start=AT, stop=lt.Stop(max_steps=0)).log_density()


@few
@given(masks, masks, masks)
def test_the_evidence_is_brute_force_whatever_was_seen(a, b, c):
    sets = half_seen(a, b, c)
    np.testing.assert_allclose(logs_at(table(*sets)), brute(*sets), rtol=1e-9, atol=1e-11)


@few
@given(masks, masks, masks)
def test_a_wider_set_has_no_smaller_probability(a, b, c):
    wider = [[3 if how == 1 and i % 2 else min(how + 1, 3) if how else 0 for i, how in enumerate(m)] for m in (a, b, c)]
    assert (logs_at(table(*half_seen(*wider))) >= logs_at(table(*half_seen(a, b, c))) - 1e-12).all()


@few
@given(masks, masks, masks)
def test_a_row_with_nothing_seen_changes_no_step(a, b, c):
    """The evidence of such a row is 1, and at the maximum its expected statistics are those of the others."""
    gone = [[*m[:-4], 3, 3, 3, 3] for m in (a, b, c)]
    data = table(*half_seen(*gone))
    plain = {"accelerate": lt.Plain(), "stop": lt.Stop(tolerance=0, max_steps=3)}
    with_rows = list(lt.iterate(TWO, data, start=AT, **plain))
    without = list(lt.iterate(TWO, data, start=AT, weights=[1.0] * (N - 4) + [0.0] * 4, **plain))
    assert with_rows[0].log_likelihood == pytest.approx(without[0].log_likelihood, rel=1e-12)
    assert np.diff([s.log_likelihood for s in with_rows]).min() >= -1e-9


def test_rows_with_nothing_seen_change_no_estimate():
    data = np.r_[SIZE, NAN, NAN, NAN]
    model = lt.Mixture(lt.Normal(), 2)
    start = {"weights": [0.5, 0.5], "mean": [-1, 2], "variance": [1, 1]}
    a, b = (lt.fit(model, rows, start=start, stop=lt.Stop(tolerance=1e-9)) for rows in (SIZE, data))
    for name in start:
        np.testing.assert_allclose(a.params[name], b.params[name], rtol=1e-6)
        np.testing.assert_allclose(a.standard_errors()[name], b.standard_errors()[name], rtol=1e-5)
    assert a.information().fraction_missing < b.information().fraction_missing


def test_seeing_more_never_increases_the_missing_information_on_average():
    rng = np.random.default_rng(8)
    gone = rng.random((6, 60)) < 0.5  # which of two cells
    model, fractions = lt.IID(lt.MultivariateNormal(2)), np.zeros((6, 3))
    for i in range(6):
        rows = rng.multivariate_normal([0, 1], [[1, 0.6], [0.6, 2]], 60)
        for j, share in enumerate((0.2, 0.4, 0.7)):
            part = rows.copy()
            hidden = np.arange(60) < share * 60
            part[hidden, np.where(gone[i], 0, 1)[hidden]] = NAN
            fractions[i, j] = lt.fit(model, part).information().fractions.mean()
    assert (np.diff(fractions.mean(0)) > 0).all()


# ---------------------------------------------------------------- missing cells of multivariate normals

PLANES = np.concatenate(
    [
        np.random.default_rng(1).multivariate_normal([0, 0, 0], [[2, 0.6, 0.3], [0.6, 1, 0], [0.3, 0, 1]], 120),
        np.random.default_rng(2).multivariate_normal([5, 3, 4], np.eye(3), 80),
    ]
)
HOLES = np.where(np.random.default_rng(3).random(PLANES.shape) < 0.3, NAN, PLANES)


def observed_mixture(rows, params, kind):
    """Σ log Σ_j w_j N(cells seen), row by row with SciPy."""
    total = 0.0
    for row in rows:
        o = ~np.isnan(row)
        if not o.any():
            continue
        parts = []
        for j, w in enumerate(params["weights"]):
            if kind == "full":
                cov = params["covariance"][j]
            elif kind == "tied":
                cov = params["covariance"]
            else:
                cov = np.diag(np.broadcast_to(params["variance"][j], 3))
            parts.append(w * stats.multivariate_normal(params["mean"][j][o], cov[np.ix_(o, o)]).pdf(row[o]))
        total += np.log(sum(parts))
    return total


@pytest.mark.parametrize("kind", ["full", "tied", "diagonal", "spherical"])
def test_missing_cells_of_mixtures_of_normals(kind):
    shared = ("covariance",) if kind == "tied" else ()
    model = lt.Mixture(lt.MultivariateNormal(3, "full" if kind == "tied" else kind), 2, shared=shared)
    rows = np.concatenate([HOLES, [[NAN] * 3]])
    fit = lt.fit(model, rows, starts=4)
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(observed_mixture(rows, fit.params, kind), rel=1e-10)
    order = np.argsort(fit.params["mean"][:, 0])
    np.testing.assert_allclose(fit.params["mean"][order], [[0, 0, 0], [5, 3, 4]], atol=0.45)
    told = fit.half_seen
    assert sum(k["missing"] for k in told.values()) == np.isnan(rows).sum()
    assert fit.posterior().shape == (201, 2)
    np.testing.assert_allclose(fit.posterior()[-1], fit.params["weights"], rtol=1e-9)
    labels = fit.predict(HOLES)
    assert np.mean(labels == order[np.r_[np.zeros(120, int), np.ones(80, int)]]) > 0.9


def test_intervals_of_a_diagonal_mixture():
    low, top = HOLES.copy(), HOLES.copy()
    cut = np.random.default_rng(4).random(HOLES.shape) < 0.2
    low[cut], top[cut] = np.floor(HOLES[cut]), np.floor(HOLES[cut]) + 1
    fit = lt.fit(lt.Mixture(lt.MultivariateNormal(3, "diagonal"), 2), lt.interval(low, top), starts=4)
    assert fit.converged
    logs = []
    for j in range(2):
        law = stats.norm(fit.params["mean"][j], fit.params["variance"][j] ** 0.5)
        exact = low == top
        with np.errstate(divide="ignore"):
            cells = np.where(exact, law.logpdf(np.where(exact, low, 0)), np.log(law.cdf(top) - law.cdf(low)))
        logs.append(np.log(fit.params["weights"][j]) + np.where(np.isnan(low), 0.0, cells).sum(1))
    assert fit.log_likelihood == pytest.approx(np.logaddexp(*logs).sum(), rel=1e-10)
    assert fit.half_seen["0"]["interval"] == (cut & ~np.isnan(HOLES))[:, 0].sum()


def test_successes_known_only_as_a_range():
    """Coins whose first counts are only known to be at least so many, of so many tosses."""
    rng = np.random.default_rng(6)
    heads = rng.binomial(10, np.where(rng.random(80) < 0.5, 0.2, 0.8)).astype(float)
    top = np.where(np.arange(80) < 10, 10.0, heads)
    tosses = {"successes": lt.interval(heads, top), "trials": np.full(80, 10.0)}
    fit = lt.fit(lt.Mixture(lt.Binomial(), 2), tosses, starts=2)
    w, p = fit.params["weights"], fit.params["probability"]
    chances = stats.binom(10, p).cdf(top[:, None]) - stats.binom(10, p).cdf(heads[:, None] - 1)
    assert fit.log_likelihood == pytest.approx(np.log(chances @ w).sum(), rel=1e-10)
    np.testing.assert_allclose(sorted(p), [0.2, 0.8], atol=0.08)


# ---------------------------------------------------------------- labels


def test_labels_known_for_some_rows():
    """Semi-supervised: the likelihood of a labelled row is that of its component alone."""
    x = np.r_[np.random.default_rng(0).normal(0, 1, 40), np.random.default_rng(1).normal(2.5, 1, 40)]
    labels = [0] * 10 + [None] * 30 + [1] * 10 + [None] * 29 + [{0, 1}]
    fit = lt.fit(lt.Mixture(lt.Normal(), 2), x, labels=labels)
    w, m, v = (fit.params[n] for n in ("weights", "mean", "variance"))
    joint = np.log(w) + stats.norm(m, v**0.5).logpdf(x[:, None])
    logs = np.logaddexp(*joint.T)
    known = [(i, j) for i, j in enumerate(labels) if isinstance(j, int)]
    for i, j in known:
        logs[i] = joint[i, j]
        assert fit.posterior()[i, j] == 1.0
    assert fit.log_likelihood == pytest.approx(logs.sum(), rel=1e-11)
    assert m[0] < m[1]  # the labels say which is which
    assert fit.half_seen == {"labels": {"missing": 60.0}}
    all_known = lt.fit(lt.Mixture(lt.Normal(), 2), x, labels=[0] * 40 + [1] * 40)
    np.testing.assert_allclose(all_known.params["mean"], [x[:40].mean(), x[40:].mean()], rtol=1e-9)
    assert all_known.information().fraction_missing == pytest.approx(0.0, abs=1e-9)


# ---------------------------------------------------------------- missing is missing, in whatever it comes


def test_missing_values_of_every_kind_of_table():
    size, worms = [8.0, 6, 11, 22, 14, 4, 5], [59.0, 58, 56, 53, 50, None, None]
    frame = pl.DataFrame({"size": size, "worms": worms})
    tables = [
        frame,
        pd.DataFrame({"size": size, "worms": worms}),
        pd.DataFrame({"size": size, "worms": pd.array(worms, dtype="Float64")}),
        pa.table({"size": size, "worms": worms}),
        {"size": size, "worms": worms},
        [[s, w] for s, w in zip(size, worms, strict=True)],
        np.array([[s, NAN if w is None else w] for s, w in zip(size, worms, strict=True)]),
    ]
    fits = [lt.fit(lt.IID(lt.MultivariateNormal(2)), each) for each in tables]
    assert len({round(fit.log_likelihood, 9) for fit in fits}) == 1
    for each, fit in zip(tables[:4], fits, strict=False):
        filled = fit.impute(each, draws=1)
        assert type(filled.values) is type(each)
        assert type(filled.draws[0]) is type(each)
    filled = fits[0].impute(frame)
    slope = np.polyfit(size[:5], worms[:5], 1)
    np.testing.assert_allclose(filled.values["worms"].to_numpy()[5:], np.polyval(slope, size[5:]), rtol=1e-6)
    assert (filled.errors["worms"].to_numpy()[:5] == 0).all()
