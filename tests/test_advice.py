"""Every remedy that a message names leads somewhere: it is tried on the input that gives the message."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln
from scipy import stats
from scipy.optimize import minimize
from scipy.special import expit, logit

import latens as lt

RNG = np.random.default_rng(0)
ITEMS = ("a", "b", "c", "d")


def patterns():
    """Two classes of four items; in the first nobody says yes to "a"."""
    z = RNG.integers(2, size=600)
    chances = np.array([[0.0, 0.8, 0.7, 0.9], [0.6, 0.2, 0.3, 0.1]])
    return dict(zip(ITEMS, (RNG.random((600, 4)) < chances[z]).astype(float).T, strict=True))


CLASSES = patterns()
TWO = lt.Mixture(lt.Product({name: lt.Bernoulli() for name in ITEMS}), 2)
NORMALS = lt.Mixture(lt.Normal(), 2)
PAIR = np.concatenate([RNG.normal(-3, 1, 30), RNG.normal(3, 1, 30)])
POINT = np.concatenate([[0.0, 0.0, 0.0], RNG.normal(5, 1, 50)])
COLLAPSED = {"weights": [0.1, 0.9], "mean": [0.0, 5.0], "variance": [0.001, 1.0]}


def test_on_the_boundary_the_profile_has_an_interval_for_all():
    fit = lt.fit(TWO, CLASSES)
    (name,) = fit.held
    assert "confidence_intervals(method='profile')" in fit.held[name]
    ends = fit.intervals(method="profile")
    assert np.isfinite(ends).all()
    assert not fit.unfollowed
    rows, order = np.stack(list(CLASSES.values()), 1), int(np.argmin(fit.params["a.probability"]))

    def deviance(fixed):
        """Least over all but the probability of "b" in that class, by a search that knows nothing of EM."""

        def minus(u):
            chances = expit(np.clip(u[1:], -35, 35))
            chances = np.insert(chances, 1, fixed).reshape(2, 4)
            logs = rows @ np.log(chances.T) + (1 - rows) @ np.log1p(-chances.T)
            return -np.logaddexp(logs[:, 0] - np.logaddexp(0, -u[0]), logs[:, 1] - np.logaddexp(0, u[0])).sum()

        at = np.stack([fit.params[f"{c}.probability"][[order, 1 - order]] for c in ITEMS], 1).ravel()
        begin = np.concatenate(
            [[logit(fit.params["weights"][order])], logit(np.clip(np.delete(at, 1), 1e-7, 1 - 1e-7))]
        )
        return 2 * (fit.log_likelihood + minimize(minus, begin, options={"gtol": 1e-7}).fun)

    low, high = ends[fit.names.index(f"b.probability[{order}]")]
    for end in (low, high):
        assert deviance(end) == pytest.approx(3.8415, abs=0.01)


def test_a_profile_leaves_the_boundary():
    """Counts with no more zeros than a Poisson law has: the share of others is 0, but not along the profile."""

    def inflated(p, x, z):
        count = x * jnp.log(p["rate"]) - p["rate"] - gammaln(x + 1)
        share = jnp.where(z == 1, p["share"], 1 - p["share"])
        return jnp.log(share) + jnp.where(z == 1, jnp.where(x == 0, 0.0, -jnp.inf), count)

    x = np.array([0, 1, 2, 3, 2, 1, 4, 2, 2, 1])
    fit = lt.fit(lt.Latent(inflated, [0, 1], {"rate": lt.Positive(), "share": lt.Unit()}), x)
    high = float(fit.confidence_intervals(method="profile")["rate"][1])
    shares, law = np.linspace(0, 0.6, 60_001), stats.poisson(high)
    logs = (x == 0).sum() * np.log(shares + (1 - shares) * law.pmf(0))
    logs += (x > 0).sum() * np.log1p(-shares) + law.logpmf(x[x > 0]).sum()
    assert 2 * (fit.log_likelihood - logs.max()) == pytest.approx(3.8415, abs=1e-3)


def test_a_rate_of_0_has_a_profile():
    fit = lt.fit(lt.IID(lt.Poisson()), [0, 0, 0])
    assert "profile" in fit.held["rate"]
    np.testing.assert_allclose(fit.intervals(method="profile")[0], [0, 3.8415 / 6], atol=1e-4)


@pytest.mark.parametrize(
    "remedy",
    [
        {"starts": 20},
        {"model": lt.Mixture(lt.Normal(), 1)},
        {"model": lt.Mixture(lt.Normal(), 2, shared=("variance",))},
        {"prior": 1},
    ],
    ids=["starts", "fewer", "shared", "prior"],
)
def test_remedies_of_a_collapse(remedy):
    fit = lt.fit(NORMALS, POINT, start=COLLAPSED)
    for word in ("starts=20", "fewer components", "shared=", "prior=1"):
        assert word in fit.message
    model = remedy.pop("model", NORMALS)
    again = lt.fit(model, POINT, **remedy)
    assert again.converged or again.starts.degenerate == again.starts.tried
    assert again.converged or "starts" in remedy  # where every maximum is one of a collapse, there is none


def test_remedies_of_a_dead_component():
    rows = RNG.poisson(4, 200)
    fit = lt.fit(lt.Mixture(lt.Poisson(), 2), rows, start={"weights": [0.999, 0.001], "rate": [4.0, 4000.0]})
    assert "fit fewer components or try other starts (starts=20)" in fit.message
    assert lt.fit(lt.Mixture(lt.Poisson(), 1), rows).converged
    assert lt.fit(lt.Mixture(lt.Poisson(), 2), rows, starts=20).converged


def test_remedies_of_a_saddle():
    start = {"weights": [0.5, 0.5], "mean": [0.0, 0.0], "variance": [9.0, 9.0]}
    fit = lt.fit(NORMALS, PAIR, start=start)
    with pytest.raises(
        lt.InferenceError, match=r"start off this point, or try other starts \(starts=20\)|fix or share"
    ):
        fit.standard_errors()
    off = lt.fit(NORMALS, PAIR, start=start | {"mean": [-0.1, 0.1]})
    again = lt.fit(NORMALS, PAIR, starts=20)
    for better in (off, again):
        assert better.log_likelihood > fit.log_likelihood
        assert np.isfinite(better.standard_errors()["mean"]).all()


def test_a_fit_that_stopped_early_goes_on():
    fit = lt.fit(
        NORMALS, PAIR, start={"weights": [0.9, 0.1], "mean": [0.0, 1.0], "variance": [9.0, 9.0]}, stop=lt.Stop(1.0)
    )
    with pytest.raises(lt.InferenceError, match=r"stop=lt.Stop\(tolerance=1e-6\), and start=fit.params"):
        fit.standard_errors()
    assert np.isfinite(
        lt.fit(NORMALS, PAIR, start=fit.params, stop=lt.Stop(tolerance=1e-6)).standard_errors()["mean"]
    ).all()


def test_a_shared_variance_where_all_values_are_one():
    with pytest.raises(lt.DataError, match="all values equal 2"):
        lt.fit(lt.IID(lt.Normal()), [2.0, 2.0])
    with pytest.raises(lt.DataError, match="choose k of at most 2"):
        lt.fit(lt.Mixture(lt.Normal(), 3), [1.0, 2.0, 2.0])


def test_collinear_columns():
    rows = RNG.normal(size=(20, 2)) @ [[1.0, 0.5, 2.0], [0.0, 1.0, 1.0]]
    with pytest.raises(
        lt.DataError, match="drop the column, give more rows, a prior with params, or use covariance='diagonal'"
    ):
        lt.fit(lt.IID(lt.MultivariateNormal(3)), rows)
    assert lt.fit(lt.IID(lt.MultivariateNormal(2)), rows[:, :2]).converged
    assert lt.fit(lt.IID(lt.MultivariateNormal(3, "diagonal")), rows).converged
    prior = lt.Prior(1, {"mean": np.zeros(3), "covariance": np.eye(3)})
    assert lt.fit(lt.IID(lt.MultivariateNormal(3)), rows, prior=prior).converged
    assert lt.fit(lt.IID(lt.MultivariateNormal(3)), np.concatenate([rows, RNG.normal(size=(5, 3))])).converged


def test_columns_that_are_too_many():
    table = {"x": [1.0, 2.0, 4.0], "y": [2.0, 1.0, 5.0]}
    with pytest.raises(lt.DataError, match=r"give only those \(data\[\[...\]\] of a data frame"):
        lt.fit(lt.IID(lt.Normal()), table)
    assert lt.fit(lt.IID(lt.Normal()), {"x": table["x"]}).converged


def test_texts_and_durations():
    column = {"x": ["1", "N/A", "3"]}
    with pytest.raises(lt.DataError, match="lt.read_cells"):
        lt.fit(lt.IID(lt.Normal()), column)
    assert lt.fit(lt.IID(lt.Normal()), lt.read_cells(column)).unseen == 1
    spans = np.array([1, 3], dtype="timedelta64[h]")
    with pytest.raises(lt.DataError, match=r"x / np.timedelta64\(1, 'D'\)"):
        lt.fit(lt.IID(lt.Normal()), spans)
    assert lt.fit(lt.IID(lt.Normal()), spans / np.timedelta64(1, "D")).converged


def test_supremum_at_an_edge():
    ends = lt.interval([4.4, 4.6, 4.5], [5.4, 5.6, 5.5])
    fit = lt.fit(lt.IID(lt.Normal()), ends)
    assert "fix that parameter or use a smaller model" in fit.message
    assert lt.fit(lt.IID(lt.Normal(variance=0.1)), ends).converged
    assert lt.fit(lt.IID(lt.Normal()), ends, prior=lt.Prior(1, {"mean": 5.0, "variance": 0.1})).converged
