"""Scalars on a boundary, not identified or not free cost their own standard errors, and no other's."""

import json
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

import latens as lt
from latens.numerics.constraints import AbstractConstraint

from registry import MODELS

EXACT = lt.Stop(tolerance=1e-10)
SAME = ["observed", "louis", "oakes", "sem", "sem-exact"]
RNG = np.random.default_rng(0)
ZEROS = np.r_[np.zeros(60), RNG.poisson(4, 60)]
LABELS = RNG.integers(2, size=600)
YES = np.array([[0.0, 0.8, 0.7, 0.9], [0.6, 0.2, 0.3, 1.0]])
ANSWERS = (RNG.random((600, 4)) < YES[LABELS]).astype(float)


def curvature_errors(ell, at):
    """√ diagonal of (−∇²ℓ)⁻¹, by central differences."""
    h, p = 1e-4, len(at)
    steps = h * np.eye(p)
    hessian = np.empty((p, p))
    for i in range(p):
        for j in range(p):
            corners = [s * t * ell(at + s * steps[i] + t * steps[j]) for s in (1, -1) for t in (1, -1)]
            hessian[i, j] = sum(corners) / (4 * h * h)
    return np.sqrt(np.diag(np.linalg.inv(-hessian)))


def both_ways(fit):
    """Every method gives the same errors and holds the same scalars."""
    observed = fit.covariance()
    for method in SAME:
        np.testing.assert_allclose(fit.covariance(method), observed, rtol=1e-5, atol=1e-12)
    for method in ("opg", "sandwich"):
        np.testing.assert_array_equal(np.isnan(fit.covariance(method)), np.isnan(observed))
    return np.sqrt(np.diag(observed))


def test_a_rate_of_zero():
    """The zero-inflated Poisson: ℓ = n₀ log(w + (1 − w)e^−λ) + Σ log (1 − w) Poisson(y; λ) over the others."""
    fit = lt.fit(lt.Mixture(lt.Poisson(), 2), ZEROS, stop=EXACT)
    low, high = np.argsort(fit.params["rate"])

    def ell(at):
        w, rate = at
        none, rest = (ZEROS == 0).sum(), ZEROS[ZEROS > 0]
        return none * np.log(w + (1 - w) * np.exp(-rate)) + (np.log(1 - w) - rate + rest * np.log(rate)).sum()

    expected = curvature_errors(ell, np.array([fit.params["weights"][low], fit.params["rate"][high]]))
    both_ways(fit)
    found = fit.standard_errors()
    np.testing.assert_allclose([found["weights"][low], found["rate"][high]], expected, rtol=1e-5)
    assert list(fit.held) == [f"rate[{low}]"]
    assert "boundary" in fit.held[f"rate[{low}]"]
    assert np.isnan(found["rate"][low])
    assert fit.information().labels == ["weights[0]", f"rate[{high}]"]
    assert "inf" not in str(fit)


@pytest.mark.parametrize("exposure", [1e-9, 1e9])
def test_a_boundary_does_not_depend_on_units(exposure):
    fit = lt.fit(lt.IID(lt.Product({"a": lt.Poisson(exposure=exposure), "b": lt.Poisson(exposure=exposure)})),
                 {"a": np.zeros(8), "b": [1.0, 0, 0, 0, 0, 0, 0, 0]})  # fmt: skip
    assert list(fit.held) == ["a.rate"]
    assert float(fit.standard_errors()["b.rate"]) == pytest.approx(1 / (8 * exposure), rel=1e-6)
    upper = fit.confidence_intervals(method="profile")["a.rate"][1]  # 2 · 8 · exposure · rate = z²
    assert upper == pytest.approx(3.8414588 / (16 * exposure), rel=1e-5)


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_a_scale_is_never_on_a_boundary(unit):
    y = unit * RNG.gamma(2.0, 1.0, 50)
    for family in (lt.Normal(), lt.Gamma(), lt.Weibull(), lt.Exponential()):
        assert lt.fit(lt.IID(family), y).held == {}


def test_probabilities_of_zero_and_one():
    """A latent class where nobody says yes to one item, another where all say yes to one."""
    items = {f"i{j}": lt.Bernoulli() for j in range(4)}
    data = {f"i{j}": ANSWERS[:, j] for j in range(4)}
    start = {"weights": [0.5, 0.5]} | {f"i{j}.probability": np.clip(YES[:, j], 0.1, 0.9) for j in range(4)}
    fit = lt.fit(lt.Mixture(lt.Product(items), 2), data, start=start, stop=EXACT)
    assert set(fit.held) == {"i0.probability[0]", "i3.probability[1]"}
    errors = both_ways(fit)
    inside = [i for i, name in enumerate(fit.names) if name not in fit.held and name != "weights[1]"]

    def ell(at):
        values = fit.estimates.copy()
        values[inside] = at
        values[1] = 1 - values[0]
        w, p = values[:2], np.clip(values[2:].reshape(4, 2), 0, 1)
        seen = np.prod(np.where(ANSWERS[:, :, None] == 1, p, 1 - p), 1)
        return np.log(seen @ w).sum()

    np.testing.assert_allclose(errors[inside], curvature_errors(ell, fit.estimates[inside]), rtol=1e-4)
    again = pickle.loads(pickle.dumps(fit))
    assert again.held == fit.held
    text = str(fit)
    assert text.count("held (1)") == 4
    assert "Held (1)        on the boundary" in text
    assert "Held (2)" not in text
    record = json.loads(json.dumps(fit.to_dict()))
    assert record["standard_errors"]["i0.probability"][0] is None
    assert record["standard_errors"]["i0.probability"][1] > 0
    assert record["intervals"]["i0.probability[0]"] == [None, None]
    assert set(record["held"]) == set(fit.held)


def test_categories_never_seen():
    """Those seen have the errors of a model without the others."""
    x = [0, 1, 1, 2, 1, 0, 2, 2, 1]
    few, many = lt.fit(lt.IID(lt.Categorical(3)), x), lt.fit(lt.IID(lt.Categorical(5)), x)
    assert list(many.held) == ["probabilities[3]", "probabilities[4]"]
    np.testing.assert_allclose(both_ways(many)[:3], both_ways(few), rtol=1e-9)
    assert many.information().labels == ["probabilities[0]", "probabilities[1]"]
    one = lt.fit(
        lt.IID(lt.Product({"kind": lt.Categorical(3), "size": lt.Normal()})), {"kind": [1, 1, 1], "size": [1.0, 2, 4]}
    )
    assert len(one.held) == 3  # one that is always seen has no other to change places with
    assert np.isfinite(one.standard_errors()["size.mean"])


def test_an_allele_never_seen():
    fit = lt.fit(lt.HardyWeinberg("C > I > T", {"c": "C", "i": "I", "t": "T"}), {"c": 85, "i": 0, "t": 341}, stop=EXACT)
    assert list(fit.held) == ["I"]
    share = 341 / 426  # T = √(t / n): a proportion under a square root
    expected = np.sqrt(share * (1 - share) / 426) / (2 * np.sqrt(share))
    assert float(fit.standard_errors()["T"]) == pytest.approx(expected, rel=1e-6)
    both_ways(fit)


def test_one_component_is_its_family():
    x = RNG.normal(size=50)
    one, alone = lt.fit(lt.Mixture(lt.Normal(), 1), x), lt.fit(lt.IID(lt.Normal()), x)
    np.testing.assert_allclose(both_ways(one)[1:], both_ways(alone))
    assert one.held == {"weights[0]": "not free: it can have no other value"}
    profile = one.intervals(method="profile")
    assert np.isnan(profile[0]).all()
    np.testing.assert_allclose(profile[1:], alone.intervals(method="profile"), rtol=1e-5)
    assert float(one.derive(lambda p: p["weights"] @ p["mean"]).standard_error) == pytest.approx(
        float(alone.standard_errors()["mean"])
    )
    with pytest.raises(lt.InferenceError, match=r"leans on weights\[0\].*not free"):
        one.derive(lambda p: p["weights"][0])
    fixed = lt.fit(lt.Mixture([lt.Poisson()]), [1.0, 2.0])
    assert np.isfinite(fixed.standard_errors()["0.rate"])


def sums(params, x, z):
    """a and b enter as a sum, c and d as c + d/2, e alone, f not at all."""
    means = jnp.stack([params["a"] + params["b"], params["c"] + 0.5 * params["d"], params["e"]])
    return jnp.log(0.5) - 0.5 * ((x - means) ** 2).sum() + 0.0 * z


def test_what_is_not_identified_costs_the_others_nothing():
    names = "abcdef"
    model = lt.Latent(sums, [0, 1], {n: lt.Real() for n in names[:-1]} | {"f": lt.Positive()})
    fit = lt.fit(model, RNG.normal(size=(40, 3)), start=dict.fromkeys(names, 1.0))
    both_ways(fit)
    assert list(fit.held) == ["a", "b", "c", "d", "f"]
    assert "flat along +1·a -1·b" in fit.held["a"]
    assert "flat along +1·d -0.5·c" in fit.held["c"]
    assert "flat along +1·f" in fit.held["f"]
    assert float(fit.standard_errors()["e"]) == pytest.approx(40**-0.5)
    assert fit.information().labels == ["e"]
    assert float(fit.derive(lambda p: p["a"] + p["b"]).standard_error) == pytest.approx(40**-0.5)
    with pytest.raises(lt.InferenceError, match="leans on c.*not identified"):
        fit.derive(lambda p: p["c"] + p["d"])
    with pytest.raises(lt.InferenceError, match="leans on a"):
        fit.wald_test("a", 0.0)
    assert fit.wald_test("e", fit.params["e"]).p_value == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(2))
def test_a_product_of_two_is_one(seed):
    """The ridge is a hyperbola; along it, what is left of the way to the limit shows as curvature."""

    def log_joint(params, x, z):
        mean = jnp.where(z == 0, params["a"], params["b"] * params["c"])
        return jnp.log(params["w"][z]) - 0.5 * (x - mean) ** 2

    x = np.random.default_rng(seed).normal(np.repeat([3.0, 9.0], 60), 1.0)
    model = lt.Latent(log_joint, [0, 1], {"w": lt.Simplex(2), "a": lt.Real(), "b": lt.Real(), "c": lt.Real()})
    fit = lt.fit(model, x, start={"w": [0.5, 0.5], "a": 2.0, "b": 3.0, "c": 4.0})
    assert list(fit.held) == ["b", "c"]
    both_ways(fit)
    known = lt.fit(lt.Mixture(lt.Normal(variance=1.0), 2), x, start={"weights": [0.5, 0.5], "mean": [2.0, 12.0]})
    expected = known.standard_errors()["mean"]
    assert float(fit.standard_errors()["a"]) == pytest.approx(expected[0], rel=1e-4)
    product = fit.derive(lambda p: p["b"] * p["c"])
    assert float(product.standard_error) == pytest.approx(expected[1], rel=1e-4)


def test_when_all_are_held_the_reason_stands_in_their_place():
    def log_joint(params, x, z):
        return -0.5 * (x - params["a"] - params["b"]) ** 2 + jnp.log(0.5) + 0.0 * z

    fit = lt.fit(
        lt.Latent(log_joint, [0, 1], {"a": lt.Real(), "b": lt.Real()}), [1.0, 2.0, 4.0], start={"a": 0.0, "b": 0.0}
    )
    for ask in (fit.covariance, fit.errors, fit.information, fit.intervals, fit.standard_errors):
        with pytest.raises(lt.InferenceError, match=r"a, b: not identified"):
            ask()
    assert float(fit.derive(lambda p: p["a"] + p["b"]).standard_error) == pytest.approx(3**-0.5)
    assert "Standard errors not given: a, b: not identified" in str(fit)
    assert fit.to_dict()["standard_errors"] is None


class Idle(lt.AbstractModel):
    """A model beside a parameter that enters nowhere."""

    model: lt.AbstractModel

    @property
    def constraints(self):
        return {"idle": lt.Positive(), **self.model.constraints}

    @property
    def finite(self):
        return self.model.finite

    def potentials(self, params):
        return self.model.potentials(params)

    def log_evidence(self, potentials, x):
        return self.model.log_evidence(potentials, x)

    def row_potentials(self, params, x, at):
        return self.model.row_potentials(params, x, at)

    def evidence(self, params, x):
        return self.model.evidence(params, x)

    def estimate(self, stats):
        found = self.model.estimate(stats)
        return found and found | {"idle": jnp.asarray(3.0)}

    @property
    def reader(self):
        return self.model.reader


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in MODELS[::8]])
def test_a_parameter_that_enters_nowhere_is_held_alone(case):
    start = lt.fit(case.model, case.data, start=case.start, weights=case.weights, stop=EXACT).params
    fit = lt.fit(Idle(case.model), case.data, start=start | {"idle": 3.0}, weights=case.weights)
    alone = lt.fit(case.model, case.data, start=start, weights=case.weights, stop=EXACT)
    assert list(fit.held) == ["idle"]
    assert "not identified" in fit.held["idle"]
    for method in ("observed", "louis", "oakes", "sandwich"):
        errors, expected = fit.standard_errors(method), alone.standard_errors(method)
        for name, value in expected.items():
            np.testing.assert_allclose(errors[name], value, rtol=1e-4)


class Above2(AbstractConstraint):
    """A number above 2, as 2 + its distance."""

    shape = ()
    size = 1
    words = "above 2"

    def free(self, value):
        return jnp.log(jnp.maximum(value - 2.0, 1e-30)).reshape(1)

    def value(self, free):
        return 2.0 + jnp.exp(free[0])

    def holds(self, value):
        return bool(value > 2)

    @property
    def link(self):
        return np.asarray("log")


class Bounded(lt.AbstractModel):
    """Normals of known variance, their means at least 2."""

    @property
    def constraints(self):
        return {"low": Above2(), "high": Above2()}

    def potentials(self, params):
        mean = jnp.stack([params["low"], params["high"]])
        return jnp.stack([mean, -0.5 * mean**2])

    def log_evidence(self, potentials, x):
        return (potentials[0] * x + potentials[1]).sum()

    def estimate(self, stats):
        low, high = jnp.maximum(stats[0] / stats[1], 2.0)
        return {"low": low, "high": high}


def test_a_constraint_of_ones_own():
    rows = np.column_stack([np.full(25, 1.0), np.linspace(4, 6, 25)])
    fit = lt.fit(Bounded(), rows, start={"low": 3.0, "high": 3.0})
    assert list(fit.held) == ["low"]
    assert float(fit.standard_errors()["high"]) == pytest.approx(0.2)


def test_bootstrap_holds_the_same():
    fit = lt.fit(lt.Mixture(lt.Poisson(), 2), ZEROS)
    low = int(np.argmin(fit.params["rate"]))
    for method in (lt.Bootstrap(25), lt.ParametricBootstrap(25)):
        errors, ends = fit.standard_errors(method), fit.confidence_intervals(method=method)
        assert np.isnan(errors["rate"]).tolist() == [i == low for i in range(2)]
        assert np.isnan(ends["rate"][low]).all()
        assert np.isfinite(errors["weights"]).all()


def test_draws_say_what_they_do_not_vary():
    table = {"a": np.r_[np.zeros(20), np.nan], "b": np.r_[RNG.normal(size=20), np.nan]}
    model = lt.IID(lt.Product({"a": lt.Bernoulli(), "b": lt.Normal()}))
    found = lt.fit(model, table).impute(table, draws=3)
    assert len(found.draws) == 3
    assert found.notes[0].startswith("a.probability not drawn but held at the estimate: on the boundary")
    assert lt.fit(model, table).impute(table).notes == ()


def test_profiles_reach_around_a_boundary():
    """Of other scalars too: EM keeps to the boundary while it is pulled."""
    data = {"a": np.zeros(40), "b": np.r_[RNG.poisson(3, 20), RNG.poisson(30, 20)]}
    fit = lt.fit(lt.Mixture(lt.Product({"a": lt.Poisson(), "b": lt.Poisson()}), 2), data)
    ends = fit.confidence_intervals(method="profile")
    np.testing.assert_allclose(ends["a.rate"], [[0, 3.8414588 / 40]] * 2, atol=1e-4)
    assert (ends["b.rate"][:, 0] > 1).all()
    assert np.isfinite(ends["b.rate"]).all()
    assert "inf" not in fit.summary("profile")
