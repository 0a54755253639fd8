"""Log-densities and fits against arithmetic of 50 digits, where spreads are small beside values, components far apart
and columns nearly collinear: the right digits are those of the params that are returned."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import latens as lt
from latens.numerics import special
from latens.numerics.special import log

M = mp.mpf
DIGITS = 1e-9  # of Σ |log f| over the rows


def normal(y, mean, variance):
    return -((M(y) - M(mean)) ** 2) / (2 * M(variance)) - mp.log(2 * mp.pi * M(variance)) / 2


def log_normal(y, mean, variance):
    return normal(mp.log(M(y)), mean, variance) - mp.log(M(y))


def gamma(y, shape, rate):
    y, a, b = M(y), M(shape), M(rate)
    return a * mp.log(b) + (a - 1) * mp.log(y) - b * y - mp.loggamma(a)


def beta(y, a, b):
    y, a, b = M(y), M(a), M(b)
    return (a - 1) * mp.log(y) + (b - 1) * mp.log(1 - y) - mp.loggamma(a) - mp.loggamma(b) + mp.loggamma(a + b)


def weibull(y, shape, scale):
    y, a, s = M(y), M(shape), M(scale)
    z = a * mp.log(y / s)
    return mp.log(a / s) + z - mp.log(y / s) - mp.exp(min(z, 1000))  # beyond, the density is 0 in any arithmetic


def exponential(y, rate):
    return mp.log(M(rate)) - M(rate) * M(y)


def poisson(y, rate):
    return M(y) * mp.log(M(rate)) - M(rate) - mp.loggamma(M(y) + 1)


def binomial(trials):
    def log_f(y, probability):
        n, y, p = M(trials), M(y), M(probability)
        ways = mp.loggamma(n + 1) - mp.loggamma(y + 1) - mp.loggamma(n - y + 1)
        return ways + y * mp.log(p) + (n - y) * mp.log(1 - p)

    return log_f


def negative_binomial(y, probability):
    y, r, p = M(y), M(2.5), M(probability)
    return mp.loggamma(y + r) - mp.loggamma(r) - mp.loggamma(y + 1) + r * mp.log(p) + y * mp.log(1 - p)


def multinormal(row, mean, covariance):
    """Of the cells seen."""
    seen = [j for j in range(len(row)) if not np.isnan(row[j])]
    if not seen:
        return M(0)
    within = mp.matrix([[M(float(covariance[i][j])) for j in seen] for i in seen])
    away = mp.matrix([M(float(row[j])) - M(float(mean[j])) for j in seen])
    square = (away.T * within**-1 * away)[0]
    return -(square + mp.log(mp.det(within)) + len(seen) * mp.log(2 * mp.pi)) / 2


@pytest.fixture(autouse=True)
def fifty_digits():
    with mp.workdps(50):
        yield


def off(found, right):
    """The error of a sum, or the largest of rows, beside Σ |right|."""
    right = list(right)
    found = np.ravel(found)
    whole = sum(map(abs, right))
    return float(max(abs(M(float(f)) - r) for f, r in zip(found, right, strict=True)) / whole)


RNG = np.random.default_rng(20)
Z = RNG.normal(size=40)
SPREADS = (1e-2, 1e-4, 1e-6, 1e-8)


def one_family(spread, value):
    """(family, its log-density, params, data) of that spread beside the value."""
    shape, about = 1 / spread**2, value * (1 + spread * Z)
    counts = min(shape, 4e15)
    trials = round(counts)
    few = 0.3 * (1 + spread * Z)
    total = 0.7 / 0.3 * shape
    return {
        "normal": (lt.Normal(), normal, {"mean": value, "variance": (value * spread) ** 2}, about),
        "log-normal": (lt.LogNormal(), log_normal, {"mean": np.log(value), "variance": spread**2}, about),
        "gamma": (lt.Gamma(), gamma, {"shape": shape, "rate": shape / value}, about),
        "weibull": (lt.Weibull(), weibull, {"shape": 1 / spread, "scale": value}, about),
        "beta": (lt.Beta(), beta, {"a": 0.3 * total, "b": 0.7 * total}, few),
        "poisson": (lt.Poisson(), poisson, {"rate": counts}, np.round(counts + counts**0.5 * Z)),
        "binomial": (
            lt.Binomial(trials=trials),
            binomial(trials),
            {"probability": 0.3},
            np.round(0.3 * trials + (0.21 * trials) ** 0.5 * Z),
        ),
        "negative-binomial": (
            lt.NegativeBinomial(2.5),
            negative_binomial,
            {"probability": spread},
            np.round(np.abs(Z) / spread),
        ),
    }


@pytest.mark.parametrize("name", one_family(0.1, 1.0))
def test_log_density_has_its_digits(name):
    for spread in SPREADS:
        for value in (0.3, 230.0, 1.7e9):
            family, log_f, params, data = one_family(spread, value)[name]
            found = family.log_density(params, data)
            assert off(found, [log_f(y, **params) for y in data]) < DIGITS, (spread, value)


@pytest.mark.parametrize("name", ["normal", "log-normal", "gamma", "weibull", "beta", "poisson"])
def test_a_fit_and_a_mixture_have_their_digits(name):
    for spread in SPREADS[1:]:
        weights = np.random.default_rng(5).integers(1, 4, 80).astype(float)
        family, log_f, _, low = one_family(spread, 230.0)[name]
        high = one_family(spread, 400.0)[name][3] * (2.0 if name == "beta" else 1.0)
        if name == "poisson":
            high = np.round(high + 50 * np.sqrt(high.mean()))
        data = np.concatenate([low, high])
        alone = lt.fit(lt.IID(family), low, weights=weights[:40])
        assert alone.converged, (spread, alone.message)
        params = {n: float(v) for n, v in alone.params.items()}
        right = sum(M(w) * log_f(y, **params) for w, y in zip(weights[:40], low, strict=True))
        assert off(alone.log_likelihood, [right]) < DIGITS, spread
        assert all(np.isfinite(v) for v in alone.standard_errors().values()), spread
        if name == "beta" and spread < 1e-7:
            continue  # about its limit: from some starts rounding makes a component of it collapse
        both = lt.fit(lt.Mixture(family, 2), data, weights=weights)
        assert both.converged, (spread, both.message)
        assert off(both.log_likelihood, [mixed(both.params, [log_f, log_f], data, weights)]) < DIGITS, spread
        assert all(np.isfinite(v).all() for v in both.standard_errors().values()), spread


def mixed(params, log_fs, data, weights=None):
    """Σ w log Σ_j w_j f_j; params "0.mean" of component 0, or those of all components stacked."""
    total = M(0)
    for i, y in enumerate(data):
        parts = []
        for j, log_f in enumerate(log_fs):
            own = {n.removeprefix(f"{j}."): v for n, v in params.items() if n.startswith(f"{j}.")}
            own = own or {n: v[j] for n, v in params.items() if n != "weights"}
            own = {n: float(v) if np.ndim(v) == 0 else v for n, v in own.items()}
            parts.append(M(float(params["weights"][j])) * mp.exp(max(log_f(y, **own), -10_000)))
        total += mp.log(sum(parts)) * (1 if weights is None else M(weights[i]))
    return total


def test_betas_next_to_0_and_1_have_their_digits():
    near_one = lt.Beta().log_density({"a": 1e9, "b": 2.0}, [1 - 1e-9])
    assert off(near_one, [beta(1 - 1e-9, 1e9, 2.0)]) < DIGITS
    tiny = 1e-9 * np.random.default_rng(0).gamma(2, 1, 100)
    fit = lt.fit(lt.IID(lt.Beta()), tiny)
    params = {n: float(v) for n, v in fit.params.items()}
    assert off(fit.log_likelihood, [sum(beta(y, **params) for y in tiny)]) < DIGITS


def test_a_negative_binomial_of_large_size_is_nearly_poisson():
    fit = lt.fit(lt.IID(lt.NegativeBinomial(1e12)), [3, 5, 4, 6])
    assert fit.log_likelihood == pytest.approx(float(sum(poisson(y, 4.5) for y in (3, 5, 4, 6))), rel=1e-9)


LOG_F = {lt.Normal: normal, lt.LogNormal: log_normal, lt.Gamma: gamma, lt.Weibull: weibull, lt.Exponential: exponential}


@pytest.mark.parametrize(
    "families",
    [
        [lt.Normal(), lt.Normal()],
        [lt.Gamma(), lt.LogNormal()],
        [lt.Weibull(), lt.LogNormal()],
        [lt.Weibull(), lt.Normal()],
        [lt.Normal(), lt.Exponential()],
    ],
    ids=lambda families: "-".join(type(f).__name__ for f in families),
)
def test_different_families_far_from_the_origin_have_their_digits(families):
    for spread in (1e-2, 1e-5):
        data = np.concatenate([500 * (1 + spread * Z), 900 * (1 + spread * Z[::-1])])
        if isinstance(families[1], lt.Exponential):
            data = np.concatenate([500 * (1 + spread * Z), RNG.exponential(300, 60)])
        fit = lt.fit(lt.Mixture(families), data)
        assert fit.converged, (spread, fit.message)
        right = mixed(fit.params, [LOG_F[type(f)] for f in families], data)
        assert off(fit.log_likelihood, [right]) < DIGITS, spread


READINGS = RNG.normal(70, 12, 60)


@pytest.mark.parametrize("holes", [False, True], ids=["complete", "holes"])
@pytest.mark.parametrize("noise", [1e-3, 1e-5])
def test_collinear_columns_have_their_digits(noise, holes):
    """One quantity read three times: correlations to 1 − 1e-10."""
    rows = READINGS[:, None] + noise * 12 * RNG.normal(size=(60, 3))
    more = 300 + READINGS[:, None] + noise * 12 * RNG.normal(size=(60, 3)) * [1, 2, 1]
    both = np.concatenate([rows, more])
    if holes:
        rows, both = (np.where(RNG.random(x.shape) < 0.2, np.nan, x) for x in (rows, both))
    alone = lt.fit(lt.IID(lt.MultivariateNormal(3)), rows)
    assert alone.converged, alone.message
    right = [multinormal(row, **alone.params) for row in rows]
    assert off(alone.log_likelihood, [sum(right)]) < DIGITS
    assert off(lt.MultivariateNormal(3).log_density(alone.params, rows), right) < DIGITS
    fit = lt.fit(lt.Mixture(lt.MultivariateNormal(3), 2), both)
    assert fit.converged, fit.message
    assert off(fit.log_likelihood, [mixed(fit.params, [multinormal] * 2, both)]) < DIGITS


@pytest.mark.parametrize("holes", [False, True], ids=["complete", "holes"])
@pytest.mark.parametrize("kind", ["full", "diagonal", "spherical"])
def test_components_a_million_spreads_apart_have_their_digits(kind, holes):
    rows = np.concatenate([1e-3 * RNG.normal(size=(40, 2)), [1e3, 3e3] + 1e-3 * RNG.normal(size=(50, 2))]) + 1e5
    if holes:
        rows = np.where(RNG.random(rows.shape) < 0.15, np.nan, rows)

    def log_f(row, mean, covariance=None, variance=None):
        return multinormal(row, mean, np.diag(np.broadcast_to(variance, 2)) if covariance is None else covariance)

    fit = lt.fit(lt.Mixture(lt.MultivariateNormal(2, kind), 2), rows)
    assert fit.converged, fit.message
    assert off(fit.log_likelihood, [mixed(fit.params, [log_f] * 2, rows)]) < DIGITS


def test_a_table_of_tight_columns_has_its_digits():
    spread = 1e-6
    table = {
        "a": 1e4 + np.concatenate([spread * Z, 1 + spread * Z]),
        "b": np.concatenate([50 * (1 + spread * Z[::-1]), 80 * (1 + spread * Z)]),
        "c": np.concatenate([RNG.poisson(3, 40), RNG.poisson(30, 40)]).astype(float),
    }
    model = lt.Mixture(lt.Product({"a": lt.Normal(), "b": lt.LogNormal(), "c": lt.Poisson()}), 2)
    fit = lt.fit(model, table)
    assert fit.converged, fit.message

    def log_f(i, **own):
        parts = {c: {n[2:]: v for n, v in own.items() if n[:2] == f"{c}."} for c in "abc"}
        return sum(f(table[c][i], **parts[c]) for c, f in (("a", normal), ("b", log_normal), ("c", poisson)))

    assert off(fit.log_likelihood, [mixed(fit.params, [log_f] * 2, range(80))]) < DIGITS


def test_a_collapse_is_still_told_from_a_tight_component():
    data = np.concatenate([RNG.normal(size=50), [3.0] * 20])
    start = {"weights": [0.7, 0.3], "mean": [0.0, 3.0], "variance": [1.0, 0.1]}
    fit = lt.fit(lt.Mixture(lt.Normal(), 2), data, start=start)
    assert fit.status is lt.Status.DEGENERATE
    assert "component 1 has collapsed" in fit.message
    pair = np.concatenate([RNG.normal(size=50), [3.0, 3.0 + 1e-9]])
    start["variance"] = [1.0, 1e-6]
    fit = lt.fit(lt.Mixture(lt.Normal(), 2), pair, start=start)
    assert fit.status is lt.Status.DEGENERATE


# -- functions with a rule of their own --------------------------------------------------------------

RULES = {
    "log": (log, jnp.log, (0.1, 3.0)),
    "logsumexp": (lambda x: special.logsumexp(jnp.stack([x, 2 * x])), lambda x: jnp.logaddexp(x, 2 * x), (-1.0, 2.0)),
    "log1pmx": (special.log1pmx, lambda x: jnp.log1p(x) - x, (-0.2, 0.2, 2.0)),
    "expm1mx": (special.expm1mx, lambda x: jnp.expm1(x) - x, (-0.4, 0.3, 2.0)),
    "stirling": (special.stirling, lambda a: jax.scipy.special.gammaln(a) - a * jnp.log(a) + a, (0.3, 5.0, 14.0)),
    "log_mixed": (
        lambda x: special.log_mixed(jnp.asarray(0.3, x.dtype), x),
        lambda x: jnp.log(1 - 0.3 + 0.3 * jnp.exp(x)) - 0.3 * x,
        (-0.4, 0.3, 2.0),
    ),
    "deviance": (
        lambda y: special.deviance(y, jnp.asarray(2.0, y.dtype)),
        lambda y: y * jnp.log(y / 2) - y + 2,
        (0.5, 1.9, 9.0),
    ),
}


ORDERS = (lambda h: h, jax.grad, jax.hessian, lambda h: jax.jacfwd(jax.jacfwd(h)), lambda h: jax.grad(jax.grad(h)))
FORWARD = (lambda h: h, jax.jacfwd, lambda h: jax.jacfwd(jax.jacfwd(h)))


def scanned(f):
    return lambda v: jax.lax.scan(lambda total, _: (total + f(v * (1 + total / 1e3)), None), v, None, length=3)[0]


def chosen(f):
    return lambda v: jax.lax.cond(v < 1e9, lambda u: f(u) * u, lambda u: u, v)


def looped(f):
    return lambda v: jax.lax.fori_loop(0, 3, lambda i, total: total + f(v * (1 + total / 1e3)), v)


@pytest.mark.parametrize("name", RULES)
def test_derivatives_wherever_a_function_is_used(name):
    ours, plain, points = RULES[name]
    ways = [(lambda f: f, ORDERS), (scanned, ORDERS), (chosen, ORDERS), (looped, FORWARD)]

    def all_orders(f, orders):
        return jax.jit(jax.vmap(lambda v: jnp.stack([order(f)(v) for order in orders])))(jnp.asarray(points))

    for double in (True, False):
        with jax.enable_x64(double):
            for put, orders in ways:
                tolerance = 1e-9 if double else 2e-3
                found, right = all_orders(put(ours), orders), all_orders(put(plain), orders)
                np.testing.assert_allclose(found, right, rtol=tolerance, atol=tolerance)
