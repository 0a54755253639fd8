"""Every family and every model obeys its laws; and each law is able to fail."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latens as lt
from latens.cells import are_cells, taken
from latens.engine.problem import Problem
from latens.engine.starts import draw

from registry import COUNTS, FAMILIES, MODELS, PAIR, log_joint


def each(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


each_family = each(FAMILIES)
each_model = each(MODELS)
some_models = each(MODELS[::3])  # of what `check_model` asks of every one in other words


@each_family
def test_family_laws(case):
    lt.testing.check_family(case.family, case.params, like=case.like)


@each_family
def test_density_is_scipys(case):
    fit = lt.fit(lt.IID(case.family), _draws(case.name), start=case.params, stop=lt.Stop(max_steps=0))
    rows = fit.sample(50, seed=3)
    ours = case.family.log_density(case.params, rows)
    np.testing.assert_allclose(ours, case.scipy(np.asarray(rows)), rtol=1e-10, atol=1e-10)


@each_family
def test_fit_recovers_the_truth(case):
    fit = lt.fit(lt.IID(case.family), _draws(case.name))
    errors = fit.standard_errors()
    for name, truth in case.params.items():
        assert np.all(np.abs(fit.params[name] - truth) <= 5 * errors[name]), (name, fit.params[name], truth)


@cache
def _draws(name):
    case = next(case for case in FAMILIES if case.name == name)
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(11), 4000)
        params = {k: jnp.asarray(v, dtype=float) for k, v in case.params.items()}
        like = None if case.like is None else jnp.asarray(case.like, dtype=float)
        return np.asarray(jax.jit(jax.vmap(case.family.sample, (None, 0, None)))(params, keys, like))


def _rows_of(data, rows):
    if isinstance(data, dict):
        return {name: _rows_of(column, rows) for name, column in data.items()}
    return taken(data, rows) if are_cells(data) else np.asarray(data)[rows]


@each([case for case in MODELS if isinstance(case.model, lt.Mixture)])
def test_starts_see_what_rows_there_are_not_how_they_come(case):
    """Repeated or weighted, in any order, beside rows of weight 0."""
    problem = Problem(case.model, case.data)
    weights = np.random.default_rng(0).integers(0, 3, problem.rows_read)
    weighted = Problem(case.model, case.data, weights)
    want = weighted.params(draw(weighted, 0, 0))
    repeated = np.repeat(np.arange(len(weights)), weights)
    for rows in (repeated, repeated[::-1]):
        other = Problem(case.model, _rows_of(case.data, rows))
        for name, value in other.params(draw(other, 0, 0)).items():
            np.testing.assert_allclose(value, want[name], rtol=1e-9, atol=1e-12)


def test_so_do_starts_from_some_of_many_rows():
    rows = np.random.default_rng(0).normal(np.repeat([[0.0], [3.0]], 20_000, 0))
    weights = np.random.default_rng(1).integers(0, 4, len(rows))
    repeated = np.random.default_rng(2).permutation(np.repeat(rows, weights, 0))
    model = lt.Mixture(lt.MultivariateNormal(1), 2)
    found = [lt.fit(model, rows, weights=weights, starts=2), lt.fit(model, repeated, starts=2)]
    np.testing.assert_allclose(found[0].params["mean"], found[1].params["mean"], rtol=1e-9, atol=1e-9)
    assert found[0].starts.rows == found[1].starts.rows == 20_000


@each_model
def test_model_laws(case):
    lt.testing.check_model(case.model, case.data, case.start, weights=case.weights)


@some_models
def test_reported_log_likelihood_belongs_to_the_reported_params(case):
    fit = lt.fit(case.model, case.data, start=case.start, weights=case.weights)
    again = lt.fit(case.model, case.data, start=fit.params, weights=case.weights, stop=lt.Stop(max_steps=0))
    assert again.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-12, abs=1e-10)
    assert fit.log_density().shape == (fit.rows,)
    assert np.all(np.diff(fit.trace) >= -1e-9 * (1 + abs(fit.log_likelihood)))


@some_models
def test_squarem_reaches_what_plain_em_reaches(case):
    plain = lt.fit(case.model, case.data, start=case.start, accelerate=lt.Plain())
    fast = lt.fit(case.model, case.data, start=case.start, accelerate=lt.Squarem())
    assert plain.converged
    assert fast.converged
    assert fast.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-9)


@each([c for c in MODELS if c.brute])
def test_evidence_is_brute_force_summation(case):
    fit = lt.fit(case.model, case.data, start=case.start)
    assert fit.log_likelihood == pytest.approx(case.brute(fit.params), rel=1e-11)


@some_models
def test_q_h_and_bound(case):
    at = case.start
    other = lt.fit(case.model, case.data, start=at, accelerate=lt.Plain(), stop=lt.Stop(tolerance=0, max_steps=1))
    ell = other.log_likelihood
    assert lt.q_function(case.model, other.params, at, case.data) >= other.trace[0] - 1e-9
    q, h = (f(case.model, other.params, at, case.data) for f in (lt.q_function, lt.h_function))
    assert q - h == pytest.approx(ell, rel=1e-10)
    assert h <= 1e-9
    assert lt.lower_bound(case.model, other.params, at, case.data) <= ell + 1e-9
    assert lt.lower_bound(case.model, at, at, case.data) == pytest.approx(other.trace[0], rel=1e-12)


def test_relabelling_the_start_relabels_the_fit():
    model = lt.Mixture(lt.Normal(), 3)
    start = {"weights": [0.2, 0.3, 0.5], "mean": [-3.0, 0.0, 3.0], "variance": [1.0, 2.0, 1.0]}
    order = [2, 0, 1]
    a = lt.fit(model, PAIR, start=start)
    b = lt.fit(model, PAIR, start={n: np.asarray(v)[order] for n, v in start.items()})
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-10)
    for name in start:
        np.testing.assert_allclose(a.params[name][order], b.params[name], rtol=1e-4)


class Rate(lt.AbstractModel):
    """A user's own model, right or wrong in one of its three functions."""

    fault: str = eqx.field(static=True, default="")

    @property
    def constraints(self):
        return {"rate": lt.Positive()}

    def potentials(self, params):
        return jnp.stack([jnp.log(params["rate"]), -params["rate"]])

    def log_evidence(self, potentials, x):
        whole = jnp.stack([x, jnp.ones(())])
        value = potentials @ whole
        return value - 0.01 * value**2 if self.fault == "evidence" else value

    def log_evidences(self, potentials, xs):
        return super().log_evidences(potentials, xs) + (1e-3 if self.fault == "block" else 0.0)

    def estimate(self, stats):
        return {"rate": stats[0] / stats[1] * (1.1 if self.fault == "estimate" else 1.0)}


def test_own_model_obeys():
    lt.testing.check_model(Rate(), COUNTS, {"rate": 1.0})
    assert float(lt.fit(Rate(), COUNTS).params["rate"]) == pytest.approx(COUNTS.mean())


@pytest.mark.parametrize("fault", ["estimate", "evidence", "block"])
def test_a_wrong_model_fails(fault):
    with pytest.raises(lt.ModelError):
        lt.testing.check_model(Rate(fault), COUNTS, {"rate": 1.0})


class WrongExponential(lt.Exponential):
    fault: str = eqx.field(static=True, default="")

    def log_partition(self, natural):
        return -jnp.log(-natural[0]) * (1.2 if self.fault == "partition" else 1.0)

    def estimate(self, mean):
        return {"rate": (1.3 if self.fault == "estimate" else 1.0) / mean[0]}

    @property
    def support(self):
        return lt.Support("a number", lambda y: y > (1 if self.fault == "support" else 0))


@pytest.mark.parametrize("fault", ["partition", "estimate", "support"])
def test_a_wrong_family_fails(fault):
    with pytest.raises(lt.ModelError):
        lt.testing.check_family(WrongExponential(fault), {"rate": 2.0})


@pytest.mark.parametrize("name", ["linkage", "coins", "normals-known-variance", "latent"])
def test_sem_from_the_map_alone(name):
    """The rate matrix by differences of the map, column by column, as published: costly, so of a few models."""
    case = next(case for case in MODELS if case.name == name)
    fit = lt.fit(case.model, case.data, start=case.start, weights=case.weights)
    exact, found = fit.covariance(), fit.covariance("sem")
    units = np.sqrt(np.diag(exact))
    np.testing.assert_allclose(found / np.outer(units, units), exact / np.outer(units, units), atol=1e-3)


def test_a_density_that_does_not_sum_to_one_fails():
    class Heavy(lt.Poisson):
        def log_base(self, y):
            return super().log_base(y) + 0.05 * y

    with pytest.raises(lt.ModelError, match="integrates to one"):
        lt.testing.check_family(Heavy(), {"rate": 2.0})


def test_a_family_that_is_another_about_its_own_distribution_fails():
    class Askew(lt.Poisson):
        def about(self, params):
            return lt.Poisson(exposure=1.01).about(params)

    with pytest.raises(lt.ModelError, match="about the distribution itself"):
        lt.testing.check_family(Askew(), {"rate": 2.0})


def test_a_model_that_recompiles_fails():
    calls = []

    class Restless(Rate):
        size: int = 0  # a program is made for each

        def log_evidence(self, potentials, x):
            calls.append(1)
            return super().log_evidence(potentials, x)

    lt.fit(Restless(), COUNTS, start={"rate": 1.0})
    traced = len(calls)
    lt.fit(Restless(), COUNTS, start={"rate": 2.0})
    lt.fit(Restless(), COUNTS + 1, start={"rate": 2.0})
    assert len(calls) == traced
    lt.fit(Restless(1), COUNTS, start={"rate": 1.0})
    assert len(calls) > traced  # it would show


def test_numeric_and_closed_m_steps_agree():
    parameters = {"low": lt.Positive(), "gap": lt.Positive(), "share": lt.Unit()}
    own = lt.fit(lt.Latent(log_joint, [0, 1], parameters), COUNTS, start={"low": 1.0, "gap": 5.0, "share": 0.5})
    closed = lt.fit(lt.Mixture(lt.Poisson(), 2), COUNTS, start={"weights": [0.5, 0.5], "rate": [1.0, 6.0]})
    assert float(own.params["low"]) == pytest.approx(float(closed.params["rate"][0]), rel=1e-6)
    assert float(own.standard_errors()["low"]) == pytest.approx(float(closed.standard_errors()["rate"][0]), rel=1e-5)
