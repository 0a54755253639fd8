"""Growing samples: the same maximum in fewer passes over all rows, and nothing worse where a sample misleads."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln

import latens as lt
from latens.engine.problem import Problem

N = 40_000
RULE = lt.Growing(2_000, factor=4.0, most=0.25)
RNG = np.random.default_rng(11)
LABEL = RNG.integers(2, size=N)
CLOSE = RNG.normal(np.where(LABEL, 2.0, 0.0))
NORMALS = lt.Mixture(lt.Normal(), 2)
BEGIN = {"weights": [0.5, 0.5], "mean": [-1.0, 3.0], "variance": [1.0, 1.0]}
PLANES = RNG.multivariate_normal([0, 0], [[2.0, 0.6], [0.6, 1.0]], N) + np.where(LABEL, 1.8, 0.0)[:, None]
CUBE = RNG.multivariate_normal([0, 0, 0], 0.5 + 0.5 * np.eye(3), N)
CUBE[RNG.random(CUBE.shape) < 0.3] = np.nan
COVARIATE = RNG.normal(size=N)
COUNT = RNG.poisson(np.exp(np.where(LABEL, 1.0 + 0.3 * COVARIATE, 0.2 - 0.3 * COVARIATE)))


def log_joint(params, row, z):
    eta = params["a"][z] + params["b"][z] * row["x"]
    weights = jnp.stack([params["w"], 1 - params["w"]])
    return jnp.log(weights[z]) + row["y"] * eta - jnp.exp(eta) - gammaln(row["y"] + 1)


LINES = lt.Latent(log_joint, (0, 1), {"w": lt.Unit(), "a": lt.Real(2), "b": lt.Real(2)})
# name → model, data, where to begin, the most evaluations on all rows for each of Auto's
CASES = {
    "normals": (NORMALS, CLOSE, BEGIN, 0.5),
    "planes": (
        lt.Mixture(lt.MultivariateNormal(2), 2),
        PLANES,
        {"weights": [0.5, 0.5], "mean": [[0, 0], [2, 2]], "covariance": np.stack([np.eye(2)] * 2)},
        0.6,
    ),
    "exponentials": (
        lt.Mixture(lt.Exponential(), 2),
        RNG.exponential(np.where(LABEL, 3.0, 1.0)),
        {"weights": [0.5, 0.5], "rate": [0.2, 2.0]},
        0.8,
    ),
    "missing": (lt.IID(lt.MultivariateNormal(3)), CUBE, {"mean": [0.0] * 3, "covariance": 2 * np.eye(3)}, 1.0),
    "table": (
        lt.Mixture(lt.Product({"y": lt.Normal(), "t": lt.Bernoulli()}), 2),
        {"y": CLOSE, "t": (RNG.random(N) < np.where(LABEL, 0.7, 0.4)).astype(float)},
        {"weights": [0.5, 0.5], "y.mean": [0.0, 2.0], "y.variance": [1.0, 1.0], "t.probability": [0.4, 0.6]},
        0.6,
    ),
    "lines": (LINES, {"x": COVARIATE, "y": COUNT.astype(float)}, {"w": 0.5, "a": [0, 1.2], "b": [0.0, 0.0]}, 0.8),
}


def _apart(fit, other):
    """How far fits are from each other, in standard errors of the complete data."""
    problem = other.last.problem
    lost = other.log_posterior - problem.log_likelihood(fit.last.free) - problem.log_prior(fit.last.free)
    return np.sqrt(2 * max(lost, 0.0))


@pytest.mark.parametrize("name", CASES)
def test_the_same_maximum_in_fewer_passes(name):
    model, data, start, share = CASES[name]
    usual = lt.fit(model, data, start=start)
    fit = lt.fit(model, data, start=start, accelerate=RULE)
    assert usual.converged
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(usual.log_likelihood, abs=1e-7)
    errors = usual.standard_errors()
    for key, value in usual.params.items():
        assert np.abs(fit.params[key] - value).max() < 1e-4 * np.max(errors[key]), key
    assert fit.evaluations <= share * usual.evaluations, (fit.evaluations, usual.evaluations)
    assert [each.rows for each in fit.samples] == [2_000, 8_000]


def test_the_report_tells_of_samples():
    fit = lt.fit(NORMALS, CLOSE, start=BEGIN, accelerate=RULE)
    first, second = fit.samples
    text = " ".join(str(fit).split())
    assert f"{first.evaluations} evaluations of 2000 rows, {second.evaluations} evaluations of 8000 rows" in text
    plain = fit.to_dict()["samples"]
    assert json.loads(json.dumps(plain))[1] == {
        "rows": 8_000,
        "evaluations": second.evaluations,
        "status": "converged",
    }
    assert "8000 rows" in " ".join(fit._repr_html_().split())


def test_a_seed_tells_the_samples():
    first, again, other = (lt.fit(NORMALS, CLOSE, start=BEGIN, seed=s, accelerate=RULE) for s in (3, 3, 4))
    assert first.last.free.tobytes() == again.last.free.tobytes()
    assert first.samples == again.samples
    assert other.trace[1] != first.trace[1]  # where the samples lead
    steps = list(lt.iterate(NORMALS, CLOSE, start=BEGIN, seed=3, accelerate=RULE))
    assert steps[-1].free.tobytes() == first.last.free.tobytes()


def test_from_drawn_starts():
    usual = lt.fit(NORMALS, CLOSE, starts=3)
    fit = lt.fit(NORMALS, CLOSE, starts=3, accelerate=RULE)
    assert fit.log_likelihood == pytest.approx(usual.log_likelihood, abs=1e-7)
    assert fit.evaluations < 0.7 * usual.evaluations


def test_weights_are_repetitions():
    weights = np.where(np.arange(N) % 3 == 0, 3.0, 1.0)
    fit, usual = (lt.fit(NORMALS, CLOSE, weights=weights, start=BEGIN, accelerate=a) for a in (RULE, None))
    assert fit.samples
    assert fit.evaluations < 0.6 * usual.evaluations
    assert _apart(fit, usual) < 1e-4
    none = np.where(np.arange(N) % 2 == 0, 1.0, 0.0)  # half of the rows count for nothing
    fit, usual = (lt.fit(NORMALS, CLOSE, weights=none, start=BEGIN, accelerate=a) for a in (RULE, None))
    assert [each.rows for each in fit.samples] == [2_000]
    assert _apart(fit, usual) < 1e-4


def test_labels():
    known = [int(z) if i % 10 == 0 else None for i, z in enumerate(LABEL)]
    fit, usual = (lt.fit(NORMALS, CLOSE, labels=known, start=BEGIN, accelerate=a) for a in (RULE, None))
    assert fit.samples
    assert fit.evaluations < usual.evaluations
    assert _apart(fit, usual) < 1e-4


def test_a_prior_weighs_as_much_beside_a_sample():
    fit, usual = (lt.fit(NORMALS, CLOSE, prior=2_000.0, start=BEGIN, accelerate=a) for a in (RULE, None))
    assert fit.samples
    assert fit.evaluations < usual.evaluations
    assert fit.log_posterior == pytest.approx(usual.log_posterior, abs=1e-7)


def test_in_single_precision():
    fit, usual = (lt.fit(NORMALS, CLOSE, precision="single", start=BEGIN, accelerate=a) for a in (RULE, None))
    assert fit.converged
    assert fit.samples
    assert fit.evaluations < usual.evaluations
    assert fit.log_likelihood == pytest.approx(usual.log_likelihood, abs=1e-3)


def test_one_component():
    fit = lt.fit(lt.Mixture(lt.Normal(), 1), CLOSE, accelerate=RULE)
    assert fit.converged
    assert float(fit.params["mean"][0]) == pytest.approx(CLOSE.mean(), abs=1e-9)
    assert lt.fit(lt.IID(lt.Normal()), CLOSE, accelerate=RULE).converged


def test_few_rows_are_fitted_the_ordinary_way():
    for data in (CLOSE[:3_000], RNG.poisson(3.0, N).astype(float)):  # few of those are distinct
        model = lt.Mixture(lt.Normal() if data.shape[0] < N else lt.Poisson(), 2)
        fit, usual = (lt.fit(model, data, starts=2, accelerate=a) for a in (RULE, None))
        assert fit.samples == ()
        assert fit.last.free.tobytes() == usual.last.free.tobytes()
        assert fit.evaluations == usual.evaluations


def test_a_map_of_ones_own_has_no_rows():
    assert lt.accelerate(np.cos, 1.0, accelerate=RULE).value == lt.accelerate(np.cos, 1.0).value


def test_samples_that_lead_elsewhere_are_left():
    """A component of 12 rows, far away, which samples have nothing of, given as the start."""
    x = np.concatenate([CLOSE, RNG.normal(60.0, 0.5, 12)])
    start = {"weights": [1 - 12 / len(x), 12 / len(x)], "mean": [1.0, 60.0], "variance": [2.0, 0.25]}
    fit, usual = (lt.fit(NORMALS, x, start=start, accelerate=a) for a in (lt.Growing(500, factor=2.0), None))
    assert usual.params["mean"][1] == pytest.approx(60.0, abs=1.0)
    assert {each.status for each in fit.samples} == {"degenerate", "converged"}
    assert fit.rejected[-1] == 1  # where the others led
    assert fit.log_likelihood == pytest.approx(usual.log_likelihood, abs=1e-6)
    assert fit.evaluations <= usual.evaluations + 5


def test_a_guide_that_misleads_is_left():
    """Rows of another law than the sample's."""
    problem = Problem(NORMALS, CLOSE)
    free = problem.free(BEGIN)
    wrong = Problem(NORMALS, RNG.normal(np.where(LABEL, 9.0, 0.0)))
    misled = RULE.prepared(wrong.but(frame=problem.frame), free, 0)
    usual = lt.fit(NORMALS, CLOSE, start=BEGIN)
    fit = lt.fit(NORMALS, CLOSE, start=BEGIN, accelerate=_Given(misled))
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(usual.log_likelihood, abs=1e-7)
    assert np.all(np.diff(fit.trace) >= -1e-6)
    assert fit.evaluations < 2 * usual.evaluations + 20


class _Given(lt.Growing):
    """As prepared already."""

    def __init__(self, rule):
        super().__init__(rule.first, learnt=rule.learnt)

    def prepared(self, problem, free, seed):
        return self


def test_what_a_sample_has_none_of_is_not_kept_at_0():
    """A category of some ten rows: a sample's share of 0 is no place to begin, as EM would hardly come away."""
    codes = np.where(RNG.random(N) < 3e-4, 2, RNG.integers(2, size=N))
    data = {"y": CLOSE, "c": codes}
    model = lt.Mixture(lt.Product({"y": lt.Normal(), "c": lt.Categorical(3)}), 2)
    start = {
        "weights": [0.5, 0.5],
        "y.mean": [0.0, 2.0],
        "y.variance": [1.0, 1.0],
        "c.probabilities": np.full((2, 3), 1 / 3),
    }
    rule = lt.Growing(500, most=0.03)
    problem = Problem(model, data)
    edge = start | {"c.probabilities": np.tile([0.5, 0.5, 1e-300], (2, 1))}  # where a sample of them ends
    goal = rule.prepared(problem, problem.free(edge), 0).learnt.goal
    led = problem.params(problem.unchart(goal))["c.probabilities"][:, 2]
    assert ((led > 1e-4) & (led < 1e-2)).all()
    fit, usual = (lt.fit(model, data, start=start, accelerate=a) for a in (rule, None))
    assert fit.samples
    assert fit.log_likelihood == pytest.approx(usual.log_likelihood, abs=1e-6)


@pytest.mark.parametrize("after", [1, 2, 4, 6])
def test_goes_on_from_a_checkpoint_to_the_identical_result(tmp_path, after):
    whole = lt.fit(NORMALS, CLOSE, start=BEGIN, accelerate=RULE)
    path = tmp_path / "fit.npz"
    part = lt.fit(NORMALS, CLOSE, start=BEGIN, accelerate=RULE, checkpoint=path, stop=lt.Stop(max_steps=after))
    assert part.evaluations < whole.evaluations
    rest = lt.fit(NORMALS, CLOSE, start=BEGIN, accelerate=RULE, checkpoint=path)
    assert rest.last.free.tobytes() == whole.last.free.tobytes()
    assert rest.samples == whole.samples
    assert np.array_equal(rest.trace, whole.trace)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"first": 0}, "first"), ({"factor": 1.0}, "factor"), ({"most": 1.5}, "most"), ({"first": 2.5}, "first")],
)
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(lt.ParameterError, match=words):
        lt.Growing(**settings)
