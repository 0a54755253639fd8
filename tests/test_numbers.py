"""The same data, moved, scaled or nearly collinear, give the same fit, in every covariance kind; a logarithm."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import latens as lt
from latens.numerics.compiling import double
from latens.numerics.integrals import log_ndtr
from latens.numerics.special import log, log_mixed

RNG = np.random.default_rng(3)
N, D = 400, 3
X = np.concatenate([RNG.normal(size=(150, D)) @ np.diag([1, 2, 0.5]), RNG.normal(size=(250, D)) + [3, -4, 2]])
LABELS = np.repeat([0, 1], [150, 250])
KINDS = {
    "full": lt.Mixture(lt.MultivariateNormal(D), 2),
    "tied": lt.Mixture(lt.MultivariateNormal(D), 2, shared=("covariance",)),
    "diagonal": lt.Mixture(lt.MultivariateNormal(D, "diagonal"), 2),
    "spherical": lt.Mixture(lt.MultivariateNormal(D, "spherical"), 2),
}
STOP = lt.Stop(tolerance=1e-8)


def _start(kind, data):
    means = np.stack([data[j == LABELS].mean(0) for j in (0, 1)])
    spread = np.cov(data.T)
    start = {"weights": [0.5, 0.5], "mean": means}
    if kind in ("full", "tied"):
        return start | {"covariance": spread if kind == "tied" else np.stack([spread, spread])}
    variance = np.diag(spread)
    return start | {"variance": np.stack([variance] * 2) if kind == "diagonal" else np.full(2, variance.mean())}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("scale", "shift"),
    [(1e-9, 0.0), (1e9, 0.0), (1.0, 1e9), (np.array([1e-9, 1.0, 1e9]), 0.0)],
    ids=["tiny", "huge", "far", "mixed"],
)
def test_moved_data_give_the_moved_fit(kind, scale, shift):
    if kind == "spherical" and np.ndim(scale):
        pytest.skip("a spherical covariance is another model once columns are scaled apart")
    moved = X * scale + shift
    # what is left of the data after rounding is what should be fitted
    kept = (moved - shift) / scale
    here = lt.fit(KINDS[kind], kept, start=_start(kind, kept), stop=STOP)
    there = lt.fit(KINDS[kind], moved, start=_start(kind, moved), stop=STOP)
    jacobian = N * np.sum(np.log(np.broadcast_to(scale, D)))
    assert there.converged
    assert there.log_likelihood + jacobian == pytest.approx(here.log_likelihood, rel=1e-6)
    np.testing.assert_allclose((there.params["mean"] - shift) / scale, here.params["mean"], rtol=1e-5, atol=1e-5)
    errors = there.standard_errors()["mean"] / scale
    np.testing.assert_allclose(errors, here.standard_errors()["mean"], rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_nearly_collinear_columns(kind):
    """Correlation 1 − 5e-9 within each component; compared in coordinates where it is none."""
    mix = np.eye(D)
    mix[1] = [1.0, 1e-4, 0.0]
    raw = RNG.normal(size=(N, D)) + np.where(LABELS[:, None] == 0, -3.0, 3.0)
    close = raw @ mix.T
    assert 1 - np.corrcoef((close - close[LABELS == 0].mean(0))[LABELS == 0].T)[0, 1] < 1e-8
    fit = lt.fit(KINDS[kind], close, start=_start(kind, close), stop=STOP)
    assert fit.converged
    if kind in ("full", "tied"):
        back = np.linalg.solve(mix, close.T).T
        same = lt.fit(KINDS[kind], back, start=_start(kind, back), stop=STOP)
        assert fit.log_likelihood + N * np.log(1e-4) == pytest.approx(same.log_likelihood, rel=1e-6)
        np.testing.assert_allclose(np.linalg.solve(mix, fit.params["mean"].T).T, same.params["mean"], atol=1e-4)
    direct = sum(w * _density(close, fit.params, kind, j) for j, w in enumerate(fit.params["weights"]))
    assert fit.log_likelihood == pytest.approx(np.log(direct).sum(), rel=1e-5)


def _density(rows, params, kind, j):
    """In 80 bits, from the reported params."""
    d = rows.shape[1]
    if kind in ("full", "tied"):
        covariance = params["covariance"][j] if kind == "full" else params["covariance"]
    else:
        covariance = np.diag(np.broadcast_to(params["variance"][j], d))
    away = rows - params["mean"][j]
    factor = np.linalg.cholesky(covariance)
    z = np.linalg.solve(factor, away.T)
    return np.exp(-0.5 * (z**2).sum(0) - np.log(np.diag(factor)).sum() - 0.5 * d * np.log(2 * np.pi))


def test_one_dimension_far_away():
    waiting = np.concatenate([RNG.normal(0, 1, 200), RNG.normal(6, 2, 200)])
    start = {"weights": [0.5, 0.5], "mean": np.array([0.0, 5.0]), "variance": [1.0, 1.0]}
    here = lt.fit(lt.Mixture(lt.Normal(), 2), (waiting + 1e9) - 1e9, start=start)
    far = lt.fit(lt.Mixture(lt.Normal(), 2), waiting + 1e9, start=start | {"mean": start["mean"] + 1e9})
    assert far.log_likelihood == pytest.approx(here.log_likelihood, rel=1e-9)


def test_large_data_over_several_cores_is_the_same_sum():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(20_001, 2)), rng.normal(size=(20_002, 2)) + 4])
    model = lt.Mixture(lt.MultivariateNormal(2), 2)
    start = {"weights": [0.5, 0.5], "mean": [[0, 0], [4, 4]], "covariance": [np.eye(2)] * 2}
    whole = lt.fit(model, rows, start=start)
    weighted = lt.fit(model, rows[::-1], weights=np.full(len(rows), 2.0), start=start)
    assert weighted.log_likelihood == pytest.approx(2 * whole.log_likelihood, rel=1e-12)
    ratio = weighted.standard_errors()["mean"] / whole.standard_errors()["mean"]
    np.testing.assert_allclose(ratio, 0.5**0.5, rtol=1e-6)
    assert whole.log_density().sum() == pytest.approx(whole.log_likelihood, rel=1e-12)
    found = lt.fit(model, rows, starts=3)
    assert found.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-9)
    assert found.starts.rows == 20_000


@double
def test_own_logarithm_against_50_digits():
    """Over all sizes, and where it is near 0; what is no ordinary number stays what it was."""
    near = 10.0 ** RNG.uniform(-16, 0, 300)
    xs = np.concatenate([10.0 ** RNG.uniform(-307, 308, 300), 1 + near, 1 - near / 2, [1.0, np.sqrt(2), np.sqrt(0.5)]])
    with mpmath.workdps(50):
        exact = np.array([float(mpmath.log(mpmath.mpf(float(x)))) for x in xs])
    np.testing.assert_allclose(np.asarray(jax.jit(log)(xs)), exact, rtol=2 * np.finfo(float).eps, atol=0)
    np.testing.assert_array_equal(np.asarray(log(jnp.array([np.inf, np.nan]))), [np.inf, np.nan])
    assert jax.hessian(log)(4.0) == pytest.approx(-1 / 16, rel=1e-15)
    assert log(jnp.float32(2.0)).dtype == jnp.float32


def _derivatives(function, exact, points, orders):
    """Both at points (..., a), differentiated so many times in each argument."""
    for order in orders:
        found = function
        for argument, times in enumerate(order):
            for _ in range(times):
                found = jax.grad(found, argument)
        with mpmath.workdps(60):
            right = [float(mpmath.diff(exact, tuple(map(mpmath.mpf, at)), order)) for at in points]
        yield np.array([float(found(*at)) for at in points]), np.array(right)


@double
def test_second_derivatives_of_tails_are_those_of_closed_forms():
    xs = [(-1e4,), (-100.0,), (-20.1,), (-19.9,), (-3.0,), (-0.5,), (0.0,), (0.5,), (8.0,)]
    for found, right in _derivatives(log_ndtr, lambda x: mpmath.log(mpmath.ncdf(x)), xs, [(0,), (1,), (2,)]):
        np.testing.assert_allclose(found, right, rtol=1e-11)
    pairs = [(p, x) for p in (1e-4, 0.3, 0.999) for x in (-60.0, -3.0, -1e-6, 0.0, 1e-6, 0.2, 2.0, 50.0)]
    orders = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
    for found, right in _derivatives(log_mixed, lambda p, x: mpmath.log1p(p * mpmath.expm1(x)) - p * x, pairs, orders):
        np.testing.assert_allclose(found, right, rtol=1e-11, atol=1e-12)
