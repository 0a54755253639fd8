"""Functions of the parameters: their intervals keep to their range, by the delta method or the likelihood."""

import pickle

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

import latens as lt

TIMES = lt.right_censored([20, 37, 46, 63, 90, 90, 90], [1, 1, 1, 1, 0, 0, 0])
LIVES = lt.fit(lt.IID(lt.Weibull()), TIMES, weights=[1, 1, 1, 2, 600, 500, 400])
PAIR = lt.fit(
    lt.Mixture(lt.Normal(), 2),
    np.r_[np.random.default_rng(0).normal(-2, 1, 80), np.random.default_rng(1).normal(2, 1.5, 80)],
)
Z = norm.ppf(0.975)


def survival(time):
    return lambda params: jnp.exp(-((time / params["scale"]) ** params["shape"]))


def test_a_probability_stays_one():
    """log(p/(1 − p)) ± z · se/(p(1 − p)), mapped back."""
    found = LIVES.derive(survival(720.0))
    p, error = float(found.estimate), float(found.standard_error)
    assert found.scale == "logit"
    centre, half = np.log(p / (1 - p)), Z * error / (p * (1 - p))
    expected = 1 / (1 + np.exp(-np.array([centre - half, centre + half])))
    np.testing.assert_allclose(found.interval(), expected, rtol=1e-9)
    cloglog = LIVES.derive(survival(720.0), scale="cloglog")
    centre, half = np.log(-np.log(1 - p)), Z * error / ((1 - p) * -np.log(1 - p))
    np.testing.assert_allclose(cloglog.interval(), 1 - np.exp(-np.exp([centre - half, centre + half])), rtol=1e-9)


@pytest.mark.parametrize("time", [1e-12, 1e-6, 1.0, 1e4, 1e5])
def test_an_end_of_the_range_is_not_passed(time):
    found = LIVES.derive(survival(time))
    low, high = found.interval(0.99)
    assert 0 <= low <= float(found.estimate) <= high <= 1
    assert low < high


GUESSED = [
    (lambda p: p["mean"][0] - p["mean"][1], "identity"),
    (lambda p: p["mean"][0], "identity"),
    (lambda p: p["mean"] / jnp.sqrt(p["variance"]), "identity"),
    (lambda p: jnp.sqrt(p["variance"]), "log"),
    (lambda p: p["variance"][0] / p["variance"][1], "log"),
    (lambda p: p["variance"][0] - p["variance"][1], "identity"),
    (lambda p: jnp.log(p["variance"]), "identity"),
    (lambda p: p["weights"][0], "logit"),
    (lambda p: p["weights"][0] - p["weights"][1], "identity"),
    (lambda p: p["weights"][0] / p["weights"][1], "log"),
    (lambda p: p["variance"][0] / p["variance"].sum(), "logit"),
]


@pytest.mark.parametrize(("function", "scale"), GUESSED)
def test_the_scale_is_that_of_the_range(function, scale):
    assert (PAIR.derive(function).scale == scale).all()


@pytest.mark.parametrize(("shift", "unit"), [(0.0, 1e-6), (170.0, 0.01), (1e6, 1e3)])
def test_the_range_does_not_depend_on_units(shift, unit):
    fit = lt.fit(lt.IID(lt.Normal()), shift + unit * np.random.default_rng(0).normal(size=40))
    assert fit.derive(lambda p: p["mean"]).scale == "identity"
    assert fit.derive(lambda p: p["variance"]).scale == "log"


def test_each_entry_has_a_scale():
    found = LIVES.derive(lambda p: jnp.stack([jnp.log(p["scale"]), p["scale"], survival(720.0)(p)]))
    assert found.scale.tolist() == ["identity", "log", "logit"]
    apart = LIVES.derive(survival(720.0)).interval()
    np.testing.assert_allclose(found.interval()[2], apart)
    np.testing.assert_allclose(np.exp(found.interval()[0]), found.interval()[1], rtol=1e-9)


def test_the_profile_of_a_function_follows_that_of_its_parameter():
    by_name = LIVES.confidence_intervals(0.9, method="profile")["scale"]
    low, high = LIVES.derive(lambda p: 1 / p["scale"] ** 2).interval(0.9, method="profile")
    np.testing.assert_allclose([high**-0.5, low**-0.5], by_name, rtol=1e-4)


def test_the_profile_of_a_ratio_of_rates():
    """Of a and b events: given their sum, b is binomial with the share q = r/(1 + r)."""
    a, b = 7.0, 16.0
    fit = lt.fit(lt.IID(lt.Product({"a": lt.Poisson(), "b": lt.Poisson()})), {"a": [a], "b": [b]})
    best = a * np.log(a / (a + b)) + b * np.log(b / (a + b))

    def excess(q):
        return 2 * (best - a * np.log(1 - q) - b * np.log(q)) - Z**2

    share = b / (a + b)
    ends = np.array([brentq(excess, 1e-6, share), brentq(excess, share, 1 - 1e-6)])
    found = fit.derive(lambda p: jnp.stack([p["b.rate"] / p["a.rate"], p["b.rate"] / (p["a.rate"] + p["b.rate"])]))
    np.testing.assert_allclose(found.interval(method="profile"), [ends / (1 - ends), ends], rtol=1e-5)


def test_profiles_with_a_prior():
    """Four observations like a rate of 3 are the same as a row of 3 that weighs 4."""
    x = [0, 2, 5, 1]
    prior = lt.fit(lt.IID(lt.Poisson()), x, prior=lt.Prior(4, {"rate": 3.0}))
    rows = lt.fit(lt.IID(lt.Poisson()), [*x, 3], weights=[1, 1, 1, 1, 4])
    expected = rows.confidence_intervals(method="profile")["rate"]
    np.testing.assert_allclose(prior.confidence_intervals(method="profile")["rate"], expected, rtol=1e-6)
    mixture = lt.fit(lt.Mixture(lt.Poisson(), 2), [0, 1, 1, 2, 6, 7, 8, 9], prior=1)
    ends = mixture.confidence_intervals(method="profile")
    assert ((ends["rate"][:, 0] < mixture.params["rate"]) & (mixture.params["rate"] < ends["rate"][:, 1])).all()


def test_a_derived_quantity_can_be_written_to_a_file():
    found = LIVES.derive(survival(720.0))
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.interval(), found.interval())
    with pytest.raises(lt.InferenceError, match="derive it again"):
        again.interval(method="profile")


REFUSED = [
    (lambda: LIVES.derive(survival(1.0), scale="probit"), lt.ParameterError, "unknown scale 'probit'; there are iden"),
    (lambda: LIVES.derive(lambda p: p["scale"], scale="logit"), lt.ParameterError, "'logit' has no place for"),
    (lambda: PAIR.derive(lambda p: p["mean"].min(), scale="log"), lt.ParameterError, "'log' has no place for"),
    (lambda: LIVES.derive(survival(1.0)).interval(method="wald"), lt.ParameterError, "'delta' or 'profile'"),
    (
        lambda: LIVES.derive(survival(1.0)).interval(95),
        lt.ParameterError,
        "level must be a number strictly between 0 and 1",
    ),
    (
        lambda: LIVES.derive(lambda p: (p["shape"] / LIVES.params["shape"] - 1 - 1e-9) ** 2),
        lt.InferenceError,
        "all but no slope",
    ),
    (lambda: LIVES.derive(survival(1e-12)).interval(method="profile"), lt.InferenceError, "to the last digit"),
]


@pytest.mark.parametrize(("ask", "error", "words"), REFUSED)
def test_what_is_refused(ask, error, words):
    with pytest.raises(error, match=words):
        ask()
