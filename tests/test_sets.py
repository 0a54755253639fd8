"""The log integral of every family over a set: against 50-digit arithmetic, in the middle and far out in both tails."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

import latens as lt
from latens.cells import Interval

mp.mp.dps = 50
INF = float("inf")
MOST = 10  # sets that a case is asked about at once: always so many, that one program serves all


@dataclass(frozen=True)
class Case:
    name: str
    family: Any
    params: dict[str, Any]
    mass: Any  # (lower, upper) → the probability, by mpmath
    sets: list[tuple[float, float]]
    like: tuple[float, ...] = ()  # sizes after the first entry of a datum
    whole: bool = False

    @cached_property
    def compiled(self):
        """(sets) → log-probability, its gradient in the potentials, mean and variance given the set."""
        family = self.family

        @jax.jit
        def each(params, lower, upper):
            def one(a, b):
                ends = [jnp.concatenate([e[None], jnp.array(self.like)]) if self.like else e for e in (a, b)]
                x = Interval(*ends)
                value, slope = jax.value_and_grad(family.log_kernel)(family.potential(params), x)
                return value, slope, family.expected(params, x)

            return jax.vmap(one)(lower, upper)

        return each

    def found(self, sets):
        with jax.enable_x64(True):
            params = {n: jnp.asarray(v, dtype=float) for n, v in self.params.items()}
            lower, upper = jnp.array((sets * MOST)[:MOST], dtype=float).T
            logs, slopes, moments = self.compiled(params, lower, upper)
        n, first = len(sets), (slice(None), 0) if self.like else slice(None)
        found = logs, slopes, moments.mean[first], moments.variance[first]
        return tuple(np.array(each)[:n] for each in found)


def normal(mean, variance):
    def mass(a, b):
        low, top = ((end - mean) / mp.sqrt(2 * variance) for end in (a, b))
        low, top = (-top, -low) if low + top < 0 else (low, top)  # in the tail where nothing cancels
        return (mp.erfc(low) - mp.erfc(top)) / 2

    return mass


def gamma(shape, rate):
    return lambda a, b: mp.gammainc(shape, max(a, 0) * rate, max(b, 0) * rate, regularized=True)


def beta(p, q):
    def mass(a, b):
        low, top = min(max(a, mp.mpf(0)), mp.mpf(1)), min(max(b, mp.mpf(0)), mp.mpf(1))
        # from the side on which nothing cancels
        if low > mp.mpf(p) / (p + q):
            return mp.betainc(q, p, 1 - top, 1 - low, regularized=True)
        return mp.betainc(p, q, low, top, regularized=True)

    return mass


def counted(chance, most=4000):
    def mass(a, b):
        first, last = max(mp.ceil(a), 0), most if mp.isinf(b) else mp.floor(b)
        return mp.fsum(chance(int(y)) for y in range(int(first), int(min(last, most)) + 1))

    return mass


def poisson(rate):
    return lambda y: mp.exp(y * mp.log(rate) - rate - mp.loggamma(y + 1))


def binomial(n, p):
    return lambda y: mp.binomial(n, y) * mp.mpf(p) ** y * (1 - mp.mpf(p)) ** (n - y)


def negative_binomial(r, p):
    return lambda y: mp.gamma(y + r) / mp.gamma(r) / mp.factorial(y) * mp.mpf(p) ** r * (1 - mp.mpf(p)) ** y


def hazards(hazard):
    return lambda a, b: mp.exp(-hazard(max(a, 0))) - (0 if mp.isinf(b) else mp.exp(-hazard(max(b, 0))))


CASES = [
    Case(
        "normal",
        lt.Normal(),
        {"mean": 1.0, "variance": 4.0},
        normal(1, 4),
        [(0, 3), (-INF, 1), (81, INF), (-INF, -79), (61, 61.001), (-90, -89), (1, 1 + 1e-6), (-3, INF), (31, 70)],
    ),
    Case(
        "log-normal",
        lt.LogNormal(),
        {"mean": 0.5, "variance": 0.5},
        lambda a, b: normal(0.5, 0.5)(mp.log(a) if a > 0 else -mp.inf, mp.log(b)),
        [(1, 2), (0, 1e-6), (1e9, INF), (-INF, 2), (3, 3.0001), (1e4, 2e4)],
    ),
    Case(
        "exponential",
        lt.Exponential(),
        {"rate": 2.0},
        hazards(lambda y: 2 * mp.mpf(y)),
        [(1, 2), (0, 1e-9), (300, INF), (-INF, 3), (500, 500.5)],
    ),
    Case(
        "weibull",
        lt.Weibull(),
        {"shape": 1.5, "scale": 2.0},
        hazards(lambda y: (mp.mpf(y) / 2) ** mp.mpf(1.5)),
        [(1, 2), (0, 1e-6), (100, INF), (-INF, 3), (60, 60.5), (3, INF)],
    ),
    Case(
        "gamma",
        lt.Gamma(),
        {"shape": 2.5, "rate": 0.5},
        gamma(mp.mpf(2.5), mp.mpf(0.5)),
        [(1, 6), (0, 1e-8), (900, INF), (-INF, 4), (5, 5.0001), (700, 701), (1e-12, 1e-11), (3, INF)],
    ),
    Case(
        "gamma-small-shape",
        lt.Gamma(),
        {"shape": 0.05, "rate": 1.0},
        gamma(mp.mpf(0.05), mp.mpf(1)),
        [(1, 6), (0, 1e-30), (60, INF), (1e-40, 2e-40)],
    ),
    Case(
        "beta",
        lt.Beta(),
        {"a": 2.0, "b": 3.5},
        beta(mp.mpf(2), mp.mpf(3.5)),
        [(0.2, 0.6), (0, 1e-9), (1 - 1e-9, 1), (-INF, 0.4), (0.4, 0.40001), (0.99, INF)],
    ),
    Case(
        "poisson",
        lt.Poisson(),
        {"rate": 3.0},
        counted(poisson(mp.mpf(3)), 600),
        [(2, 5), (0, 0), (0, INF), (150, INF), (-INF, 2), (90, 95), (3.5, 6.2), (1, INF)],
        whole=True,
    ),
    Case(
        "poisson-large",
        lt.Poisson(exposure=None),
        {"rate": 100.0},
        counted(poisson(mp.mpf(200)), 1500),
        [(190, 205), (0, 50), (400, INF), (0, 3), (600, 601)],
        like=(2.0,),
        whole=True,
    ),
    Case(
        "binomial",
        lt.Binomial(),
        {"probability": 0.3},
        counted(binomial(200, 0.3), 200),
        [(50, 70), (0, 2), (190, 200), (-INF, 60), (150, INF), (0, INF)],
        like=(200.0,),
        whole=True,
    ),
    Case(
        "bernoulli",
        lt.Bernoulli(),
        {"probability": 0.3},
        counted(binomial(1, 0.3), 1),
        [(-INF, 0.5), (0.5, INF), (0, 1)],
        whole=True,
    ),
    Case(
        "negative-binomial",
        lt.NegativeBinomial(2.5),
        {"probability": 0.3},
        counted(negative_binomial(mp.mpf(2.5), 0.3), 3000),
        [(3, 9), (0, 0), (400, INF), (-INF, 6), (300, 310)],
        whole=True,
    ),
    Case(
        "geometric",
        lt.Geometric(),
        {"probability": 0.3},
        counted(lambda y: mp.mpf(0.3) * (1 - mp.mpf(0.3)) ** (y - 1) if y >= 1 else mp.mpf(0), 3000),
        [(2, 4), (1, 3), (500, INF), (-INF, 6), (300, 310)],
        whole=True,
    ),
]
each = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)


@each
def test_the_integral_has_all_its_digits(case):
    logs, slopes, _, _ = case.found(case.sets)
    exact = [float(mp.log(case.mass(mp.mpf(a), mp.mpf(b)))) for a, b in case.sets]
    np.testing.assert_allclose(logs, exact, rtol=2e-12, atol=2e-12)
    assert np.isfinite(slopes).all()


@each
def test_its_gradient_is_the_conditional_mean(case):
    """E[Y given the set], by sums of probabilities over small steps from one end (mpmath) or counts."""
    sets = [s for s in case.sets if s[0] < s[1]]
    _, _, means, variances = case.found(sets)
    for (a, b), mean, variance in zip(sets, means, variances, strict=True):
        m, v = conditional_moments(case, mp.mpf(a), mp.mpf(b))
        assert mean == pytest.approx(float(m), rel=1e-7, abs=1e-9), (a, b)
        # a variance is a difference of two moments: its digits are those of the square of the mean
        assert variance == pytest.approx(float(v), rel=1e-5, abs=1e-9 * (1 + abs(mean)) ** 2), (a, b)


def conditional_moments(case, a, b):
    """∫ of the survival function within the set: E[Y − a] = ∫ P(y, b) dy / P, and its square's twin."""
    if case.whole:
        first = max(int(mp.ceil(a)), 1 if case.name == "geometric" else 0) if not mp.isinf(a) else 0
        most = case.like[0] if case.name == "binomial" else 1 if case.name == "bernoulli" else first + 800
        last = int(min(mp.floor(b), most)) if not mp.isinf(b) else int(most)
        points = range(first, last + 1)
        chances = [case.mass(mp.mpf(y), mp.mpf(y)) for y in points]
        total = mp.fsum(chances)
        m = mp.fsum(y * c for y, c in zip(points, chances, strict=True)) / total
        return m, mp.fsum((y - m) ** 2 * c for y, c in zip(points, chances, strict=True)) / total
    with mp.workdps(25):
        mass = cache(case.mass)  # both integrals take it at the same points
        low, top = within(case, a, b)
        steps = [mp.mpf(2) ** -k for k in range(14, 0, -1)]
        cuts = [low, *(low + (top - low) * h for h in steps), *(top - (top - low) * h for h in steps[-2::-1]), top]
        total = mass(a, b)
        one = low + mp.quad(lambda y: mass(y, b), cuts) / total
        two = 2 * mp.quad(lambda y: (y - low) * mass(y, b), cuts) / total
        return one, two - (one - low) ** 2


def within(case, a, b):
    """Finite ends outside which there is next to nothing of the set."""
    total = case.mass(a, b)
    low, top = a, b
    step = mp.mpf(1)
    if mp.isinf(low):
        low = min(top, mp.mpf(0)) if case.name != "normal" else min(top, mp.mpf(1)) - step
        while case.name == "normal" and case.mass(a, low) > total * mp.mpf(10) ** -22:
            low, step = low - step, step * 2
    step = mp.mpf(1)
    if case.name == "beta":
        return max(low, mp.mpf(0)), min(top, mp.mpf(1))
    if mp.isinf(top):
        top = max(low, mp.mpf(0)) + step
        while case.mass(top, b) > total * mp.mpf(10) ** -22:
            top, step = top + step, step * mp.mpf(1.3)
    return low, top


cuts = st.lists(st.floats(-3, 30), min_size=4, max_size=4, unique_by=np.floor).map(sorted)


@each
@settings(max_examples=20, deadline=None)
@example(ends=[-2.0, -2e-90, 0.0, 3.0])  # narrower than rounding, once in standard units
@given(ends=cuts)
def test_wider_sets_have_no_smaller_probability_and_parts_add_up(case, ends):
    a, b, c, d = (np.floor(e) if case.whole else e for e in ends)
    step = 1.0 if case.whole else 0.0
    sets = [(a, d), (b, c), (-INF, b - step), (b, c), (c + step, INF), (b, INF), (-INF, INF)]
    logs = case.found(sets)[0]
    logs = np.where(np.isnan(logs), -np.inf, logs)
    assert logs[0] >= logs[1] - 1e-12
    assert logs[5] >= logs[4] - 1e-12
    assert logs[6] == 0
    assert np.exp(logs[2:5]).sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("family", "params", "law"),
    [
        (lt.Weibull(), {"shape": 1.7, "scale": 3.0}, stats.weibull_min(1.7, scale=3.0)),
        (
            lt.Truncated(lt.Normal(), lower=0.5, upper=4.0),
            {"mean": 1.0, "variance": 4.0},
            stats.truncnorm(-0.25, 1.5, loc=1.0, scale=2.0),
        ),
        (lt.Truncated(lt.Exponential(), lower=2.0), {"rate": 0.5}, stats.expon(loc=2.0, scale=2.0)),
    ],
    ids=["weibull", "truncated-normal", "truncated-exponential"],
)
def test_densities_and_draws_are_scipys(family, params, law):
    y = law.ppf(np.linspace(0.001, 0.999, 40))
    np.testing.assert_allclose(family.log_density(params, y), law.logpdf(y), rtol=1e-10, atol=1e-10)
    rows = lt.fit(lt.IID(family), y, start=params, stop=lt.Stop(max_steps=0)).sample(2000, seed=1)
    assert stats.kstest(rows, law.cdf).pvalue > 1e-3
