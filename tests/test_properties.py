"""Laws over random data, weights, params and starts."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import latens as lt
from latens.numerics.stacked import Probabilities, Stacked

few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
rates = st.floats(0.05, 20)
shares = st.floats(0.05, 0.95)
counts = st.lists(st.integers(0, 30), min_size=12, max_size=12).filter(lambda c: len(set(c)) > 2)
POISSONS = lt.Mixture(lt.Poisson(), 2)
MOTHS = lt.HardyWeinberg("C > I > T", {"c": "C", "i": "I", "t": "T", "u": ["I", "T"]})


def params(share, a, b):
    return {"weights": [share, 1 - share], "rate": [a, b]}


def simplex(raw):
    p = np.array(raw) / np.sum(raw)
    return dict(zip("CIT", p, strict=True))


@few
@given(data=counts, s=shares, a=rates, b=rates, t=shares, c=rates, d=rates)
def test_likelihood_is_q_less_h_and_above_the_bound(data, s, a, b, t, c, d):
    here, at = params(s, a, b), params(t, c, d)
    ell = float(POISSONS_LOG(here, data))
    q, h = lt.q_function(POISSONS, here, at, data), lt.h_function(POISSONS, here, at, data)
    assert q - h == pytest.approx(ell, rel=1e-9, abs=1e-7)
    assert h <= 1e-7
    assert lt.lower_bound(POISSONS, here, at, data) <= ell + 1e-7
    assert lt.lower_bound(POISSONS, at, at, data) == pytest.approx(float(POISSONS_LOG(at, data)), rel=1e-10)


def POISSONS_LOG(p, data):
    from scipy import stats

    y = np.asarray(data)
    logs = [np.log(w) + stats.poisson(r).logpmf(y) for w, r in zip(p["weights"], p["rate"], strict=True)]
    return np.logaddexp(*logs).sum()


@few
@given(data=counts, weights=st.lists(st.integers(0, 5), min_size=12, max_size=12), s=shares, a=rates, b=rates)
def test_weights_are_repetitions(data, weights, s, a, b):
    repeated = np.repeat(data, weights)
    if len(set(repeated)) < 2:
        return
    stop = lt.Stop(tolerance=0, max_steps=5)
    kept = weights
    one = lt.fit(POISSONS, data, weights=kept, start=params(s, a, b), accelerate=lt.Plain(), stop=stop)
    two = lt.fit(POISSONS, repeated, start=params(s, a, b), accelerate=lt.Plain(), stop=stop)
    assert one.log_likelihood == pytest.approx(two.log_likelihood, rel=1e-10)
    assert one.n == two.n


@few
@given(
    n=st.lists(st.integers(0, 500), min_size=4, max_size=4).filter(lambda n: min(n) >= 1),
    raw=st.tuples(rates, rates, rates),
)
@pytest.mark.parametrize("accelerate", [lt.Plain(), lt.Squarem()], ids=["plain", "squarem"])
def test_the_likelihood_never_falls_and_ends_at_one_place(accelerate, n, raw):
    data = dict(zip("citu", n, strict=True))
    states = list(lt.iterate(MOTHS, data, start=simplex(raw), accelerate=accelerate))
    values = [s.log_likelihood for s in states]
    assert all(b >= a - 1e-9 * (1 + abs(a)) for a, b in zip(values, values[1:], strict=False))
    assert states[-1].status is lt.Status.CONVERGED
    direct = lt.fit(MOTHS, data, start={"C": 1 / 3, "I": 1 / 3, "T": 1 / 3})
    assert values[-1] == pytest.approx(direct.log_likelihood, rel=1e-9)


@few
@given(
    value=st.lists(st.floats(-50, 50), min_size=3, max_size=3),
    spread=st.lists(st.floats(-3, 3), min_size=6, max_size=6),
    raw=st.lists(st.floats(0.01, 100), min_size=4, max_size=4),
)
def test_free_coordinates_are_a_bijection(value, spread, raw):
    import jax
    import jax.numpy as jnp

    factor = np.zeros((3, 3))
    factor[np.tril_indices(3)] = spread
    factor[np.diag_indices(3)] = np.exp(np.diag(factor))
    cases = [
        (lt.Real((3,)), np.array(value)),
        (lt.Positive((4,)), np.array(raw)),
        (lt.Unit((4,)), np.array(raw) / 101),
        (lt.Simplex(4), np.array(raw) / np.sum(raw)),
        (Probabilities(4), np.array(raw) / np.sum(raw)),
        (Probabilities(2), np.array(raw[:2]) / np.sum(raw[:2])),
        (lt.PositiveDefinite(3), factor @ factor.T),
    ]
    with jax.enable_x64(True):
        for constraint, v in cases:
            assert constraint.holds(v)
            free = constraint.free(jnp.asarray(v))
            assert free.shape == (constraint.size,)
            np.testing.assert_allclose(constraint.value(free), v, rtol=1e-7, atol=1e-9)
            stacked, both = Stacked(constraint, 2), np.concatenate([free, -free])
            for each, point in ((constraint, np.asarray(free)), (stacked, both)):
                charted = each.chart(point)
                assert charted.shape == (each.width,)
                np.testing.assert_allclose(each.unchart(charted), point, rtol=1e-7, atol=1e-7)


@few
@given(angles=st.lists(st.floats(-20, 20), min_size=3, max_size=3))
def test_beyond_the_boundary_of_a_chart_it_comes_back_inside(angles):
    import jax

    with jax.enable_x64(True):
        for constraint in (lt.Unit((3,)), Probabilities(3)):
            inside = constraint.value(constraint.unchart(np.array(angles)))
            assert constraint.holds(np.asarray(inside))
        for constraint in (lt.Unit((2,)), Probabilities(2)):  # below 0, and above 1
            beyond, inside = np.array([-0.6, 2 * np.pi - 0.6]), np.array([0.6, 0.6])
            np.testing.assert_allclose(constraint.unchart(beyond), constraint.unchart(inside))


@few
@given(heads=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=3, max_size=8), a=shares, b=shares)
def test_any_number_of_tosses(heads, a, b):
    tosses = [[min(h, n), n] for h, n in heads]
    if len({tuple(t) for t in tosses}) < 2:
        return
    coins = lt.Mixture(lt.Binomial(), 2, weights=(0.5, 0.5))
    fit = lt.fit(coins, tosses, start={"probability": [a, b]}, stop=lt.Stop(tolerance=0, max_steps=20))
    assert (np.diff(fit.trace) >= -1e-9 * (1 + abs(fit.log_likelihood))).all()
