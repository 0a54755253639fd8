"""Accelerators: never worse than plain EM, on models and on maps that users bring."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import latens as lt
from latens.engine.problem import Problem
from latens.engine.starts import draw

from registry import COUNTS, MODELS, PAIR

ALL = {
    "auto": lt.Auto(),
    "squarem": lt.Squarem(),
    "squarem-1": lt.Squarem(1),
    "squarem-2": lt.Squarem(2),
    "squarem-capped": lt.Squarem(cap=1.0),
    "squarem-order-2": lt.Squarem(order=2),
    "squarem-order-3-minimal": lt.Squarem(2, order=3),
    "anderson": lt.Anderson(),
    "daarem": lt.Anderson.daarem(),
    "quasi-newton": lt.QuasiNewton(),
}
each = pytest.mark.parametrize("accelerate", ALL.values(), ids=ALL)

DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1.0])
POISSONS = lt.Mixture(lt.Poisson(), 2)
DEATHS = {"weights": [0.3, 0.7], "rate": [1.0, 2.5]}  # the start of Varadhan & Roland (2008)
BEST = -1989.945859882964  # shared/reference: independently checked in 50 digits


def deaths(**options):
    return lt.fit(POISSONS, np.arange(10.0), weights=DAYS, **{"start": DEATHS} | options)


@each
def test_deaths(accelerate):
    """London Times deaths (Hasselblad 1969): plain EM takes 3,585 evaluations to the same place."""
    fit = deaths(accelerate=accelerate)
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(BEST, abs=1e-8)
    assert np.all(np.diff(fit.trace) >= -1e-10 * abs(BEST))
    assert fit.evaluations < 2000
    assert fit.accelerated.any()
    assert fit.accelerated.shape == fit.rejected.shape == fit.trace.shape
    assert np.all(np.diff(fit.rejected) >= 0)


def test_evaluations_are_what_they_were_measured_to_be():
    assert deaths(accelerate=lt.Plain()).evaluations == pytest.approx(3585, rel=0.02)
    assert deaths(accelerate=lt.Squarem()).evaluations <= 95  # 84 to 92 from starts that differ by rounding alone
    assert deaths().evaluations <= 25


def test_saddles_are_passed():
    """Three latent classes of four yes-no items have a saddle that Newton's step leads back to.

    Role conflict: Stouffer & Toby (1951), Am. J. Sociol. 56, 395; the table is in Goodman (1974), Biometrika 61, 215.
    """
    counts = [20, 2, 9, 2, 6, 1, 4, 1, 38, 7, 24, 6, 25, 6, 23, 42]  # of 0000, 0001, ..., 1111
    items = dict(zip("ABCD", np.indices((2, 2, 2, 2)).reshape(4, -1), strict=True))
    model = lt.Mixture(lt.Product(dict.fromkeys(items, lt.Categorical(2))), 3)
    problem = Problem(model, items, counts)
    for i in (0, 1, 3, 4, 5, 6):  # 2 leads to a lower maximum, by plain EM too
        fit = lt.fit(model, items, weights=counts, start=problem.params(draw(problem, 7, i)))
        assert fit.converged
        assert fit.log_likelihood == pytest.approx(-503.301137285, abs=1e-6)
        assert fit.evaluations < 500


def test_no_false_convergence():
    """turboEM's vignette stops after 447 steps, 2.3e-3 below the maximum, and calls that convergence."""
    start = {"weights": [0.5, 0.5], "rate": [1.0, 3.0]}
    early = deaths(start=start, accelerate=lt.Plain(), stop=lt.Stop(max_steps=447))
    assert early.log_likelihood == pytest.approx(-1989.948187, abs=2e-6)
    assert not early.converged
    assert early.last.distance > 0.01
    for accelerate in (lt.Plain(), *ALL.values()):
        fit = deaths(start=start, accelerate=accelerate)
        more = deaths(start=fit.params, accelerate=lt.Plain(), stop=lt.Stop(tolerance=0, max_steps=1000))
        assert fit.converged
        assert more.log_likelihood - fit.log_likelihood < 1e-8


FEW = {c.name: c for c in MODELS if c.name in ("normals", "moths", "linkage", "geometrics", "coins")}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(FEW)), st.sampled_from(sorted(ALL)), st.integers(0, 10**6), st.floats(0.05, 1.0))
def test_never_below_plain_em(name, rule, seed, scale):
    """From any start, with any weights: as high as plain EM, or at another maximum."""
    case = FEW[name]
    problem = lt.fit(case.model, case.data, start=case.start, stop=lt.Stop(max_steps=0)).last.problem
    rng = np.random.default_rng(seed)
    free = problem.free(case.start)
    start = problem.params(free + scale * rng.normal(size=free.shape))
    weights = rng.exponential(size=problem.rows_read)
    run = {"start": start, "weights": weights, "stop": lt.Stop(max_steps=20_000)}
    plain = lt.fit(case.model, case.data, accelerate=lt.Plain(), **run)
    fast = lt.fit(case.model, case.data, accelerate=ALL[rule], **run)
    for fit in (plain, fast):
        assert np.all(np.diff(fit.trace) >= -1e-10 * (1 + np.abs(fit.trace[1:])))
    if plain.converged and fast.log_likelihood < plain.log_likelihood - 1e-6 * (1 + abs(plain.log_likelihood)):
        assert fast.converged
        assert np.abs(fast.last.free - plain.last.free).max() > 1e-2


def test_what_is_forgiven_is_not_kept():
    """A point below the best may be gone on from, but neither the trace nor the end shows it."""
    fit = deaths(accelerate=lt.Anderson(3, every=1, epsilon=50.0))
    assert np.all(np.diff(fit.trace) >= -1e-10 * abs(BEST))
    assert fit.log_likelihood == pytest.approx(BEST, abs=1e-8)


def test_a_point_where_a_component_collapsed_is_dropped():
    """Its log-likelihood has no bound; EM may come there, but is not to be thrown there."""
    model = lt.Mixture(lt.Normal(), 2)
    problem = Problem(model, PAIR)
    collapsed = problem.free({"weights": [0.5, 0.5], "mean": [PAIR[0], 0.0], "variance": [1e-40, 1.0]})

    class Throws(lt.AbstractAccelerator):
        def init(self):
            return 0

        def propose(self, memory, point, image):
            return memory + 1, problem.chart(collapsed) if memory == 3 else image

        def rejected(self, memory):
            return memory

    fit = lt.fit(model, PAIR, start=MODELS[4].start, accelerate=Throws())
    plain = lt.fit(model, PAIR, start=MODELS[4].start, accelerate=lt.Plain())
    assert fit.rejected[-1] == 1
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)


@pytest.mark.parametrize(("size", "outcome"), [(2e-9, "rounding hides"), (1e-6, "6 digits are left")])
def test_rounding_near_an_edge_is_no_error_of_the_model(size, outcome, monkeypatch):
    """Where a log-likelihood is good to 1e-9 of it only, plain steps wander by that, through no fault of a model."""
    exact, count = Problem.step, iter(range(10_000))

    def rounded(self, free):
        step = exact(self, free)
        return step._replace(log_likelihood=step.log_likelihood * (1 + size * (next(count) % 2)))

    monkeypatch.setattr(Problem, "step", rounded)
    fit = deaths(accelerate=lt.Plain())
    assert fit.status is lt.Status.DEGENERATE
    assert outcome in fit.message
    assert np.all(np.diff(fit.trace) >= -1e-10 * abs(BEST))


def test_a_rule_that_always_errs_is_plain_em():
    class Wild(lt.AbstractAccelerator):
        def init(self):
            return 0

        def propose(self, memory, point, image):
            return memory + 1, image + (100.0 if memory % 2 else np.nan)

        def rejected(self, memory):
            return memory

    fit = lt.fit(
        lt.Mixture(lt.Normal(), 2), PAIR, start=MODELS[4].start, accelerate=Wild(), stop=lt.Stop(max_steps=3000)
    )
    plain = lt.fit(lt.Mixture(lt.Normal(), 2), PAIR, start=MODELS[4].start, accelerate=lt.Plain())
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-9)


# -- maps that users bring --------------------------------------------------------------------------


def em(p):
    """The EM step of the deaths in NumPy, a dict of arrays to the same."""
    logs = np.log(p["weights"]) - p["rate"] + np.arange(10.0)[:, None] * np.log(p["rate"])
    z = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)) * DAYS[:, None]
    return {"weights": z.sum(0) / z.sum(), "rate": np.arange(10.0) @ z / z.sum(0)}


def log_likelihood(p):
    if (p["rate"] <= 0).any() or (p["weights"] <= 0).any():
        return -np.inf
    logs = np.log(p["weights"]) - p["rate"] + np.arange(10.0)[:, None] * np.log(p["rate"])
    factorials = np.cumsum(np.log(np.maximum(np.arange(10.0), 1)))
    return DAYS @ (np.logaddexp.reduce(logs, axis=1) - factorials)


def summing_to_one(p):
    return p | {"weights": p["weights"] / p["weights"].sum()}


@each
def test_a_users_map(accelerate):
    # extrapolation multiplies what rounding does to the sum of the weights, and the objective would gain by it
    found = lt.accelerate(em, DEATHS, log_likelihood, accelerate=accelerate, project=summing_to_one)
    assert found.converged
    assert found.objective == pytest.approx(BEST, abs=1e-6)
    assert found.objective == pytest.approx(log_likelihood(found.value), rel=1e-14)
    assert np.all(np.diff(found.trace) >= -1e-10 * abs(BEST))
    assert len(found.accelerated) == len(found.trace)


@each
def test_without_an_objective(accelerate):
    found = lt.accelerate(np.cos, np.full((2, 2), 1.0), accelerate=accelerate)
    assert found.converged
    assert found.objective is None
    np.testing.assert_allclose(found.value, 0.7390851332151607, atol=1e-5)


def test_constraints_by_projection():
    seen = []

    def step(p):
        seen.append(p.copy())
        return 0.98 * p + 0.02 * np.array([0.0, 1.0])

    found = lt.accelerate(step, np.array([0.9, 0.1]), project=lambda p: np.clip(p, 0.0, 1.0))
    assert np.all(np.array(seen) >= 0)
    np.testing.assert_allclose(found.value, [0.0, 1.0], atol=1e-5)


def test_bad_starts_and_shapes():
    with pytest.raises(lt.ParameterError, match="not finite"):
        lt.accelerate(np.cos, np.nan)
    with pytest.raises(lt.ParameterError, match="the map returned nan at evaluation 1"):
        lt.accelerate(np.log, -1.0)
    with pytest.raises(lt.ParameterError, match="objective is -inf"):
        lt.accelerate(np.cos, 1.0, lambda p: -np.inf)
    with pytest.raises(lt.ModelError, match="shapes"):
        lt.accelerate(lambda p: p[:1], np.ones(2))
    for make, words in (
        (lambda: lt.Squarem(4), "no scheme 4"),
        (lambda: lt.Squarem(3, order=2), "no scheme 3 of order 2"),
        (lambda: lt.Squarem(order=0), "order must be at least 1"),
        (lambda: lt.Anderson(0), "order must be at least 1"),
        (lambda: lt.Anderson(epsilon=-1), "epsilon must be at least 0"),
        (lambda: lt.QuasiNewton(0), "at least 1"),
        (lambda: lt.Auto(0), "at least 1"),
    ):
        with pytest.raises(lt.ParameterError, match=words):
            make()


@pytest.mark.parametrize("trouble", ["nan", "raises", "leaves", "falls"])
def test_a_map_that_fails_later_loses_nothing(trouble):
    calls = []

    def step(p):
        calls.append(p)
        if len(calls) < 5:
            return 0.9 * p
        if trouble == "raises":
            raise ZeroDivisionError("no way")
        return {"nan": np.nan, "leaves": -1.0, "falls": 2.0}[trouble] + 0 * p

    words = {"nan": "returned nan", "raises": "no way", "leaves": "left its constraints", "falls": "objective fell"}
    objective = (lambda p: -float(p[0])) if trouble == "falls" else None
    inside = (lambda p: np.clip(p, 0, 1)) if trouble == "leaves" else None
    with pytest.warns(RuntimeWarning, match=words[trouble]):
        found = lt.accelerate(step, np.array([1.0]), objective, accelerate=lt.Plain(), project=inside)
    assert found.status is lt.Status.DEGENERATE
    assert words[trouble] in found.message
    assert 0 < found.value[0] <= 0.9**3 + 1e-12


def test_failures_at_accelerated_points_only_cost_an_evaluation():
    failed = []

    def step(p):
        if p[0] < 0:
            failed.append(p)
            raise ValueError("outside")
        return p * (0.9 + 0.05 * p)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = lt.accelerate(step, np.array([1.5]), lambda p: -float(p[0] ** 2))
    assert failed
    assert found.converged
    assert found.value[0] == pytest.approx(0, abs=1e-5)


def test_interrupted_maps_return_the_best():
    def step(p):
        if p < 0.5:
            raise KeyboardInterrupt
        return 0.9 * p

    found = lt.accelerate(step, 1.0, accelerate=lt.Plain())
    assert found.status is lt.Status.INTERRUPTED
    assert 0.5 <= found.value < 0.6


def test_default_is_auto():
    assert deaths().evaluations == deaths(accelerate=lt.Auto()).evaluations
    assert float(lt.fit(lt.IID(lt.Poisson()), COUNTS).params["rate"]) == pytest.approx(COUNTS.mean())


def test_a_point_dropped_by_its_objective_costs_no_evaluation_of_the_map():
    """Secants of a map that bends overshoot its fixed point, which is the last where the objective is defined."""
    points = []

    def bends(x):
        points.append(float(x))
        return x + 0.05 * (1 - x**2)

    found = lt.accelerate(bends, 0.1, lambda x: float(x) if x <= 1 else -np.inf)
    assert found.converged
    assert found.rejected > 0
    assert max(points) <= 1
    assert len(points) == found.evaluations
