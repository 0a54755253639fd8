"""Methods that rest on large samples or on simulation, derived quantities, and what they refuse."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latens as lt
from latens.errors import DataError, InferenceError, ModelError, ParameterError
from latens.inference.errors import Oakes

RNG = np.random.default_rng(3)
TWO = lt.Mixture(lt.Normal(), 2)
TRUTH = {"weights": [0.4, 0.6], "mean": [-2.0, 1.5], "variance": [1.0, 2.0]}
PAIR = np.r_[RNG.normal(-2, 1, 400), RNG.normal(1.5, 2**0.5, 600)]
FIT = lt.fit(TWO, PAIR, start=TRUTH)


def close(found, expected, tolerance):
    """Largest difference of two covariances, in units of the expected standard errors."""
    unit = np.sqrt(np.diag(expected))
    return np.abs((found - expected) / np.outer(unit, unit)).max() <= tolerance


@pytest.mark.parametrize(
    ("model", "params", "n"),
    [
        (TWO, TRUTH, 60_000),
        (lt.IID(lt.Gamma()), {"shape": 2.0, "rate": 0.5}, 60_000),
        (lt.Mixture(lt.Poisson(), 2), {"weights": [0.5, 0.5], "rate": [1.0, 6.0]}, 60_000),
        (lt.IID(lt.MultivariateNormal(2)), {"mean": [0, 1], "covariance": [[2, 0.6], [0.6, 1]]}, 60_000),
    ],
    ids=["normals", "gamma", "poissons", "plane"],
)
def test_scores_agree_with_the_information_where_the_model_is_right(model, params, n):
    small = RNG.normal(size=(200, 2)) if "Multivariate" in model.title else RNG.integers(1, 9, 200)
    drawn = lt.fit(model, small, start=params, stop=lt.Stop(max_steps=0)).sample(n, seed=5)
    fit = lt.fit(model, drawn, start=params)
    observed = fit.covariance()
    assert close(fit.covariance("opg"), observed, 0.06)
    assert close(fit.covariance("sandwich"), observed, 0.06)


def test_sandwich_is_right_where_the_model_is_not():
    """A mean of rows that go together in tens: their variance is that of the group means."""
    groups = np.repeat(np.arange(200), 10)
    rows = RNG.normal(size=200)[groups] + 0.3 * RNG.normal(size=2000)
    fit = lt.fit(lt.IID(lt.Normal()), rows)
    means = rows.reshape(200, 10).mean(1)
    clustered = fit.standard_errors(lt.Sandwich(clusters=groups))["mean"]
    assert float(clustered) == pytest.approx(means.std(ddof=1) / 200**0.5, rel=1e-6)
    assert float(fit.standard_errors()["mean"]) < 0.5 * float(clustered)
    plain = fit.standard_errors("sandwich")["mean"]
    assert float(plain) == pytest.approx(rows.std() / 2000**0.5, rel=1e-6)
    shuffled = RNG.permutation(2000)
    again = lt.fit(lt.IID(lt.Normal()), rows[shuffled]).standard_errors(lt.Sandwich(clusters=groups[shuffled]))
    assert float(again["mean"]) == pytest.approx(float(clustered), rel=1e-6)


@pytest.mark.parametrize("method", [lt.Bootstrap(400, seed=2), lt.ParametricBootstrap(400, seed=2)], ids=str)
def test_bootstrap_is_within_monte_carlo_error(method):
    observed = np.sqrt(np.diag(FIT.covariance()))
    found = np.sqrt(np.diag(FIT.covariance(method)))
    # sd of a standard deviation of 400 draws is 1/√800 of it; 4 of those, and 6 % for n = 1000
    np.testing.assert_allclose(found, observed, rtol=4 / 800**0.5 + 0.06)
    ends = FIT.intervals(0.95, method)
    assert (ends[:, 0] < FIT.estimates).all()
    assert (FIT.estimates < ends[:, 1]).all()
    errors = FIT.errors(method)
    assert errors.replicates.shape == (400, 6)
    assert errors.notes[0] == "400 replicates"


def test_bootstrap_is_reproducible_and_aligned():
    a, b = (FIT.errors(lt.Bootstrap(20, seed=1)).replicates for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, FIT.errors(lt.Bootstrap(20, seed=2)).replicates)


def test_switched_labels_are_put_back():
    from latens.inference.bootstrap import aligned
    from latens.inference.estimate import Estimate

    steady = FIT.estimates + 0.01 * RNG.normal(size=(9, 6))
    switched = steady.copy()
    switched[::3] = switched[::3][:, [1, 0, 3, 2, 5, 4]]
    np.testing.assert_array_equal(aligned(Estimate(FIT.last), switched), steady)


def test_failed_replicates_are_counted():
    """Seven rows, three of them a component: drawn as one row alone, the likelihood has no maximum."""
    few = lt.fit(TWO, [0.0, 0.1, 0.3, 0.2, 5.0, 5.1, 5.3], start=TRUTH | {"mean": [0.2, 5.0]})
    errors = few.errors(lt.Bootstrap(60))
    assert 30 <= len(errors.replicates) < 60
    assert errors.notes == (
        f"{len(errors.replicates)} replicates",
        f"{60 - len(errors.replicates)} left out that degenerated or did not converge",
    )
    with pytest.raises(InferenceError, match=r"of 60 replicates degenerated .* fit a smaller one"):
        lt.fit(TWO, [0.0, 0.1, 5.0, 5.3], start=TRUTH | {"mean": [0.2, 5.0]}).errors(lt.Bootstrap(60))


@pytest.mark.parametrize(("n", "tolerance"), [(30, 0.25), (3000, 0.02)])
def test_profile_becomes_wald(n, tolerance):
    data = RNG.gamma(2.0, 1.0, n)
    fit = lt.fit(lt.IID(lt.Gamma()), data)
    wald, profile = fit.intervals(), fit.intervals(method="profile")
    width = (wald[:, 1] - wald[:, 0])[:, None]
    assert (np.abs(wald - profile) / width).max() < tolerance


def test_profile_is_the_set_of_values_the_likelihood_ratio_keeps():
    """A binomial proportion: 2[ℓ(p̂) − ℓ(p)] = z² solved by SciPy, unlike the Wald interval."""
    from scipy.optimize import brentq
    from scipy.stats import chi2

    fit = lt.fit(lt.IID(lt.Binomial(20)), [2.0])

    def excess(p):
        def ell(q):
            return 2 * np.log(q) + 18 * np.log1p(-q)

        return 2 * (ell(0.1) - ell(p)) - chi2.ppf(0.95, 1)

    ends = [brentq(excess, 1e-6, 0.1), brentq(excess, 0.1, 0.9)]
    found = fit.confidence_intervals(method="profile")["probability"]
    np.testing.assert_allclose(found, ends, atol=1e-6)
    with pytest.raises(InferenceError, match="intervals, not standard errors"):
        fit.standard_errors("profile")


def test_profiles_reach_in_from_the_boundary():
    """No success in n trials: the upper end is where 2n·log(1 − p) = −z², the lower end is 0."""
    z2 = 3.8414588206941245
    none = lt.fit(lt.IID(lt.Bernoulli()), np.zeros(10))
    with pytest.raises(InferenceError, match="boundary"):
        none.standard_errors()
    expected = [0, 1 - np.exp(-z2 / 20)]
    np.testing.assert_allclose(none.confidence_intervals(method="profile")["probability"], expected, atol=1e-5)
    three = lt.fit(lt.IID(lt.Categorical(3)), [0, 1, 0, 1, 1]).confidence_intervals(method="profile")
    np.testing.assert_allclose(three["probabilities"][2], [0, 1 - np.exp(-z2 / 10)], atol=1e-5)
    report = none.summary("profile")
    assert "Intervals       by the method 'profile'." in report


def test_derive():
    gap = FIT.derive(lambda p: p["mean"][1] - p["mean"][0])
    v = FIT.covariance()
    i, j = FIT.names.index("mean[0]"), FIT.names.index("mean[1]")
    assert float(gap.standard_error) == pytest.approx((v[i, i] + v[j, j] - 2 * v[i, j]) ** 0.5, rel=1e-10)
    low, high = gap.interval(0.9)
    assert (high - low) / 2 == pytest.approx(1.6448536 * float(gap.standard_error), rel=1e-6)
    ratios = FIT.derive(lambda p: p["mean"] / jnp.sqrt(p["variance"]))
    assert ratios.standard_error.shape == (2,)
    whole = FIT.derive(lambda p: p["weights"][0] * p["mean"][0] + p["weights"][1] * p["mean"][1])
    assert float(whole.estimate) == pytest.approx(PAIR.mean(), abs=1e-4)
    assert float(whole.standard_error) == pytest.approx(PAIR.std() / 1000**0.5, rel=1e-2)


def test_wald_and_likelihood_ratio_agree_on_nested_models():
    smaller = lt.fit(lt.Mixture(lt.Normal(), 2, shared=("variance",)), PAIR, start=TRUTH | {"variance": 1.5})
    ratio = FIT.likelihood_ratio(smaller)
    wald = FIT.wald_test(lambda p: jnp.log(p["variance"][1] / p["variance"][0]))
    assert ratio.df == wald.df == 1
    assert ratio.statistic == pytest.approx(2 * (FIT.log_likelihood - smaller.log_likelihood))
    assert wald.statistic == pytest.approx(ratio.statistic, rel=0.25)
    assert ratio.p_value < 0.05
    assert smaller.likelihood_ratio(FIT).statistic == ratio.statistic
    both = FIT.wald_test({"mean": [-2.0, 1.5]})
    assert both.df == 2
    assert both.p_value > 0.001
    assert FIT.wald_test("mean[0]", FIT.params["mean"][0]).statistic == pytest.approx(0, abs=1e-12)
    assert "on 2 degrees of freedom" in str(both)


def test_number_of_components_needs_the_bootstrap():
    data = PAIR[::10]
    one, two = lt.fit(lt.Mixture(lt.Normal(), 1), data), lt.fit(TWO, data, start=TRUTH)
    with pytest.raises(InferenceError, match="replicates=99"):
        two.likelihood_ratio(one)
    test = two.likelihood_ratio(one, replicates=19, seed=1)
    assert test.df is None
    assert 15 <= len(test.replicates) <= 19
    assert test.p_value == (1 + (test.replicates >= test.statistic).sum()) / (1 + len(test.replicates))
    assert f"parametric bootstrap, {len(test.replicates)} replicates" in str(test)


def test_compare_and_choose():
    fits = {str(k): lt.fit(TWO.resized(k), PAIR) for k in (1, 2)}
    found = lt.compare(fits)
    assert found.best["bic"] == "2"
    row, fit = found.table["2"], fits["2"]
    p, n, ell = 5, 1000, fit.log_likelihood
    assert row["aic"] == pytest.approx(-2 * ell + 2 * p) == pytest.approx(fit.aic)
    assert row["aicc"] == pytest.approx(fit.aic + 2 * p * (p + 1) / (n - p - 1))
    assert row["bic"] == pytest.approx(-2 * ell + p * np.log(n)) == pytest.approx(fit.bic)
    assert row["caic"] == pytest.approx(fit.bic + p)
    assert row["sabic"] == pytest.approx(-2 * ell + p * np.log((n + 2) / 24))
    gamma = fit.posterior()
    entropy = -(gamma * np.log(np.maximum(gamma, 1e-300))).sum()
    assert row["icl"] == pytest.approx(fit.bic + 2 * entropy)
    assert "2" in str(found)
    assert "*" in str(found)
    choice = lt.choose(TWO.resized, PAIR, range(1, 4))
    assert choice.k == 2
    assert choice.fit.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-6)
    lls = [choice.fits[k].log_likelihood for k in (1, 2, 3)]
    assert lls == sorted(lls)
    assert choice.to_dict()["chosen"] == 2


def test_a_costly_method_says_what_it_costs_before_it_starts():
    told = r"needs about .* evaluations .* method='observed', or lt.Bootstrap\(operations"
    with pytest.raises(InferenceError, match=told):
        FIT.standard_errors(lt.Bootstrap(100_000, operations=1e9))


def test_what_a_method_costs_is_counted_not_timed():
    def cost(model, data):
        return lt.fit(model, data, stop=lt.Stop(max_steps=1)).last.problem.operations

    y = np.random.default_rng(0).gamma(3.0, size=40_000)
    small, large = (cost(lt.IID(lt.Gamma()), y[:n]) for n in (20_000, 40_000))
    assert small == cost(lt.IID(lt.Gamma()), y[::2])
    assert 1.5 < large / small < 2.0
    # an integral for every row is as many densities as it has nodes
    assert cost(lt.IID(lt.Gamma()), lt.right_censored(np.minimum(y, 4.0), y < 4.0)) > 50 * large


def test_two_methods_of_one_kind_are_two():
    one, other = lt.Sandwich(clusters=np.arange(1000) // 5), lt.Sandwich(clusters=np.arange(1000) // 100)
    assert not np.allclose(FIT.covariance(one), FIT.covariance(other))


def test_the_law_of_covariances_is_able_to_fail(monkeypatch):
    right = Oakes.errors

    def wrong(self, optimum):
        found = right(self, optimum)
        return replace(found, covariance=1.01 * found.covariance)

    monkeypatch.setattr(Oakes, "errors", wrong)
    start = {"weights": [0.5, 0.5], "rate": [1.0, 6.0]}
    with pytest.raises(ModelError, match="'oakes' is the inverse observed information"):
        lt.testing.check_model(lt.Mixture(lt.Poisson(), 2), [0, 1, 1, 2, 6, 7, 8, 9], start)


DIFFERENT = lt.fit(lt.IID(lt.Normal()), PAIR[:-1])
KNOWN = lt.Mixture(lt.Poisson(), 2, weights=(0.5, 0.5))
REFUSED = [
    (lambda: FIT.standard_errors("jackknife"), ParameterError, "unknown method 'jackknife'; there are observed"),
    (lambda: FIT.confidence_intervals(1.0), ParameterError, "level must be a number strictly between 0 and 1"),
    (lambda: FIT.confidence_intervals(95), ParameterError, "such as 0.95, got 95"),
    (lambda: FIT.derive(lambda p: p["mean"]).interval(0), ParameterError, "level"),
    (lambda: FIT.derive(lambda p: float(p["mean"][0])), InferenceError, "write it with jax.numpy"),
    (lambda: FIT.derive(lambda p: np.log(p["variance"])), InferenceError, "cannot be differentiated"),
    (lambda: FIT.derive(lambda p: jnp.round(p["mean"][0])), InferenceError, "no finite, non-zero derivative"),
    (lambda: FIT.derive(lambda p: jnp.log(p["mean"][0])), InferenceError, "not finite at the estimate"),
    (lambda: FIT.derive(lambda p: p["sd"]), ParameterError, "this model has weights, mean, variance"),
    (lambda: FIT.wald_test("sd"), ParameterError, "no parameter 'sd'"),
    (lambda: FIT.wald_test("mean", [0.0, 1.0, 2.0]), ParameterError, "has shape (2,), the value given (3,)"),
    (lambda: FIT.wald_test("weights", [0.5, 0.6]), ParameterError, "cannot hold together with the constraints"),
    (lambda: FIT.covariance(lt.Sandwich(clusters=[1, 2, 3])), DataError, "the data have 1000 rows"),
    (lambda: FIT.covariance(lt.Sandwich(clusters=np.ones(1000))), InferenceError, "only one cluster"),
    (lambda: lt.Bootstrap(1), ParameterError, "replicates must be at least 20, got 1"),
    (lambda: FIT.likelihood_ratio(FIT), ParameterError, "as many parameters"),
    (lambda: FIT.likelihood_ratio(DIFFERENT), DataError, "different data"),
    (lambda: FIT.likelihood_ratio(lt.fit(TWO.resized(1), PAIR), replicates=3), ParameterError, "at least 19"),
    (lambda: lt.compare([]), ParameterError, "no fits"),
    (lambda: lt.compare({"a": FIT, "b": DIFFERENT}), DataError, "'b' was fitted to other data"),
    (lambda: lt.choose(TWO.resized, PAIR, []), ParameterError, "no sizes"),
    (lambda: lt.choose(TWO.resized, PAIR, [1, 2], criterion="DIC"), ParameterError, "unknown criterion 'DIC'"),
    (lambda: KNOWN.resized(3), ModelError, "number of components can change only"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "kind", "words"), REFUSED, ids=lambda v: v if isinstance(v, str) else "")
def test_refused(ask, kind, words):
    with pytest.raises(kind) as told:
        ask()
    assert words in str(told.value)


def test_callers_precision_stays():
    assert not jax.config.jax_enable_x64
    FIT.errors("sem")
    FIT.derive(lambda p: p["mean"][0] ** 2)
    assert jnp.ones(2).dtype == jnp.float32
