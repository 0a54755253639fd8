"""Models of one's own: `lt.Latent` and `lt.AbstractModel` are as honest as what is shipped, and say what is wrong."""

import math
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

import latens as lt
from latens.engine.ascent import _raised, derivatives
from latens.engine.problem import Problem

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 10, 60)
Z = RNG.random(60) < 0.5
Y = np.where(Z, 1 + 2 * X, 15 - X) + RNG.normal(size=60)
LINES = {"x": X, "y": Y}
BEST = -117.12814106963  # by 100 starts


def line(p, row, z):
    return jnp.log(p["w"][z]) + norm.logpdf(row["y"], p["a"][z] + p["b"][z] * row["x"], p["sd"][z])


KINDS = {"w": lt.Simplex(2), "a": lt.Real(2), "b": lt.Real((2,)), "sd": lt.Positive(2)}
TWO = lt.Latent(line, [0, 1], KINDS, exchangeable=("w", "a", "b", "sd"))
TRUTH = {"w": [0.5, 0.5], "a": [1.0, 15.0], "b": [2.0, -1.0], "sd": [1.0, 1.0]}


# -- where there is no maximum -----------------------------------------------------------------------------


def test_a_collapse_is_never_the_best_of_many():
    fit = lt.fit(TWO, LINES, starts=20)
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(BEST, abs=1e-6)
    assert fit.starts.degenerate > 0
    assert all(found.places == 1 for found in fit.starts.optima)  # relabelled ones are one


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_collapse_is_named(unit):
    """A line through two points exactly."""
    slope = (Y[1] - Y[0]) / (X[1] - X[0])
    start = {"w": [0.1, 0.9], "a": [Y[0] - slope * X[0], 8.0], "b": [slope, 0.0], "sd": [1e-6, 5.0]}
    start |= {name: unit * np.array(start[name]) for name in ("a", "b", "sd")}
    fit = lt.fit(TWO, {"x": X, "y": unit * Y}, start=start)
    assert fit.status is lt.Status.DEGENERATE
    assert "sd[0]" in fit.message or "not finite" in fit.message
    sound = lt.fit(TWO, {"x": X, "y": unit * Y}, start=TRUTH | {n: unit * np.array(TRUTH[n]) for n in ("a", "b", "sd")})
    assert sound.converged
    assert sound.log_likelihood == pytest.approx(BEST - 60 * np.log(unit), abs=1e-5)


def test_a_step_turned_downhill_is_not_the_end():
    """Without curvature a logarithm is held back, and what moves with it may go the wrong way: that says nothing."""
    slope = (Y[1] - Y[0]) / (X[1] - X[0])
    start = {"w": [0.1, 0.9], "a": [Y[0] - slope * X[0], 8.0], "b": [slope, 0.0], "sd": [1e-6, 5.0]}
    problem = Problem(TWO, LINES)
    free = problem.free(start)
    with jax.enable_x64(True):
        at, every = jnp.asarray(free), jnp.eye(len(free))
        found = problem.rows.add(derivatives, problem.model, at, at, every, width=8, forward=False)
        _, q, gradient, hessian = map(np.asarray, found)
        flat = np.arange(len(free)) == 5  # the logarithm of sd[0], of which rounding leaves 1e-16 or nothing
        hessian = np.where(flat | flat[:, None], 0.0, hessian)
        end, _, gain, arrived = _raised(problem.rows, problem.model, free, at, float(q), gradient, hessian, problem.n)
    assert not arrived
    assert gain > 1
    assert end[5] < free[5]


def logit(p, row, z):
    side = p["a"] + p["b"] @ row["x"]
    return jax.nn.log_sigmoid(jnp.where(row["y"] == 1, side, -side))


@pytest.mark.parametrize(("unit", "origin"), [(1.0, 0.0), (1e-6, 3.0), (1e3, 3.0)])
def test_separated_data_have_no_maximum(unit, origin):
    """Albert & Anderson (1984), Biometrika 71, 1."""
    model = lt.Latent(logit, [0], {"a": lt.Real(), "b": lt.Real(2)})
    x = np.random.default_rng(0).normal(size=(60, 2))
    y = (x[:, 0] > 0).astype(float)
    start = {"a": 0.0, "b": np.zeros(2)}
    fit = lt.fit(model, {"x": unit * (x + origin), "y": y}, start=start)
    assert fit.status is lt.Status.DEGENERATE
    assert "separated" in fit.message
    one = lt.fit(model, {"x": unit * (x[:1] + origin), "y": y[:1]}, start=start)
    assert "separated" in one.message
    overlapping = np.where(np.arange(60) < 5, 1 - y, y)
    fit = lt.fit(model, {"x": unit * (x + origin), "y": overlapping}, start=start)
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(-21.6993615704, abs=1e-8)  # the same in every unit


def test_zeros_that_a_normal_collapses_on():
    def law(p, y, z):
        return jnp.log(p["w"][z]) + norm.logpdf(y, p["mean"][z], p["sd"][z])

    model = lt.Latent(law, [0, 1], {"w": lt.Simplex(2), "mean": lt.Real(2), "sd": lt.Positive(2)})
    y = np.concatenate([np.zeros(5), RNG.normal(4, 1, 40)])
    fit = lt.fit(model, y, start={"w": [0.1, 0.9], "mean": [0.0, 4.0], "sd": [0.01, 1.0]})
    assert fit.status is lt.Status.DEGENERATE
    assert "unbounded as sd[0]" in fit.message or "not finite" in fit.message


def test_a_precision_that_grows_is_named():
    def law(p, y, z):
        return jnp.log(0.5) + norm.logpdf(y, p["mean"][z], p["precision"][z] ** -0.5)

    model = lt.Latent(law, [0, 1], {"mean": lt.Real(2), "precision": lt.Positive(2)})
    y = np.append(np.random.default_rng(0).normal(size=12), 5.0)
    fit = lt.fit(model, y, start={"mean": [0.0, 5.0], "precision": [1.0, 100.0]})
    assert fit.status is lt.Status.DEGENERATE
    assert "unbounded as precision[1]" in fit.message
    assert "grows" in fit.message


@pytest.mark.parametrize("share", [1e-14, 1 - 1e-14])
def test_a_dead_component_is_named(share):
    def law(p, y, z):
        w = jnp.where(z == 0, p["w"], 1 - p["w"])
        return jnp.log(w) + norm.logpdf(y, p["mean"][z], p["sd"][z])

    model = lt.Latent(law, [0, 1], {"w": lt.Unit(), "mean": lt.Real(2), "sd": lt.Positive(2)})
    dead = 0 if share < 0.5 else 1
    mean = [2.0, 2.0]
    mean[dead] = 1e3
    fit = lt.fit(model, RNG.normal(2, 1, 50), start={"w": share, "mean": mean, "sd": [1.0, 1.0]})
    assert fit.status is lt.Status.DEGENERATE
    assert "a component has died: w = " in fit.message


@pytest.mark.parametrize(("scale", "origin"), [(1, 0), (1e12, 0), (1e-12, 0), (1, 1e10), (1e-3, 1e8), (1e3, 1.7e12)])
def test_units_and_origins(scale, origin):
    def law(p, y, z):
        return norm.logpdf(y, p["mean"], p["sd"])

    y = origin + scale * np.random.default_rng(0).normal(size=30)
    model = lt.Latent(law, [0], {"mean": lt.Real(), "sd": lt.Positive()})
    fit = lt.fit(model, y, start={"mean": origin or scale, "sd": scale})
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(-15 * (np.log(2 * np.pi * y.var()) + 1), abs=1e-6)


def test_a_parameter_that_enters_nowhere_is_no_dead_component():
    def law(p, x, z):
        return jnp.log(jnp.where(x == 1, p["q"], 1 - p["q"])) + 0 * p["idle"]

    assert lt.fit(lt.Latent(law, [0], {"q": lt.Unit(), "idle": lt.Real()}), [0, 0, 0]).converged


def test_a_share_of_none_is_an_estimate_where_all_else_is_told():
    def inflated(p, x, z):
        count = x * jnp.log(p["rate"]) - p["rate"]
        share = jnp.where(z == 1, p["share"], 1 - p["share"])
        return jnp.log(share) + jnp.where(z == 1, jnp.where(x == 0, 0.0, -jnp.inf), count)

    model = lt.Latent(inflated, [0, 1], {"rate": lt.Positive(), "share": lt.Unit()})
    fit = lt.fit(model, [3, 4, 2, 5, 3, 1, 2, 4], start={"rate": 1.0, "share": 0.5})
    assert fit.converged
    assert float(fit.params["rate"]) == pytest.approx(3)
    assert "boundary" in fit.held["share"]


@pytest.mark.parametrize(
    ("name", "kind", "deviation"),
    [
        ("variance", lt.Positive(), jnp.sqrt),
        ("sd", lt.Positive(), lambda sd: sd),
        ("log_variance", lt.Real(), lambda log_variance: jnp.exp(0.5 * log_variance)),
    ],
)
@pytest.mark.parametrize("accelerate", [lt.Auto(), lt.Plain()], ids=lambda rule: type(rule).__name__)
def test_a_variance_that_goes_to_0_is_told_soon(name, kind, deviation, accelerate):
    """A random effect of which the data show nothing: groups that differ less than they would by chance."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)

    def joint(p, row, z):
        inside = norm.logpdf(row, p["mean"] + deviation(p[name]) * jnp.asarray(nodes)[z], 1.0).sum()
        return jnp.log(jnp.asarray(weights / weights.sum()))[z] + inside

    model = lt.Latent(joint, np.arange(7), {"mean": lt.Real(), name: kind})
    groups = np.tile([-1.0, 1.0], (12, 1)) + 1e-3 * np.random.default_rng(1).normal(size=(12, 2))
    fit = lt.fit(model, groups, start={"mean": 0.0, name: 1.0}, accelerate=accelerate)
    assert fit.evaluations < 400
    assert name in fit.held or fit.standard_errors()[name] > 1e3  # a logarithm has no boundary
    assert float(fit.standard_errors()["mean"]) == pytest.approx(24**-0.5, rel=1e-3)


# -- what users may say of it ------------------------------------------------------------------------------


def test_names_of_entries():
    named = lt.Latent(line, [0, 1], KINDS, names={"a": ["low", "high"], "b": (["low", "high"],)})
    fit = lt.fit(named, LINES, start=TRUTH)
    assert fit.names == ["w[0]", "w[1]", "a[low]", "a[high]", "b[low]", "b[high]", "sd[0]", "sd[1]"]


def test_labels():
    known = [int(not each) if i < 30 else None for i, each in enumerate(Z)]
    fit = lt.fit(TWO, LINES, labels=known, start=TRUTH)
    np.testing.assert_allclose(fit.posterior()[:30, 1], np.array(known[:30], dtype=float), atol=1e-12)
    params = fit.params

    def by_hand(z):
        return np.log(params["w"][z]) + norm.logpdf(Y, params["a"][z] + params["b"][z] * X, params["sd"][z])

    both = np.stack([by_hand(0), by_hand(1)])
    told = both[np.array(known[:30]), np.arange(30)].sum()
    assert fit.log_likelihood == pytest.approx(told + np.logaddexp(*both[:, 30:]).sum())


def draw(params, key, like):
    first, second = jax.random.split(key)
    z = jax.random.categorical(first, jnp.log(params["w"]))
    noise = params["sd"][z] * jax.random.normal(second)
    return {"x": like["x"], "y": params["a"][z] + params["b"][z] * like["x"] + noise}


def test_draws_and_bootstraps():
    fit = lt.fit(lt.Latent(line, [0, 1], KINDS, exchangeable="w a b sd".split(), sample=draw), LINES, start=TRUTH)
    drawn = fit.sample(500, seed=1)
    assert set(drawn) == {"x", "y"}
    assert set(drawn["x"]) <= set(X)
    for method in (lt.ParametricBootstrap(40), lt.Bootstrap(40)):
        ratio = fit.standard_errors(method)["b"] / fit.standard_errors()["b"]
        assert ((ratio > 0.5) & (ratio < 2)).all()
    with pytest.raises(lt.ModelError, match="sample"):
        lt.fit(TWO, LINES, start=TRUTH).sample(3)


def test_draws_that_are_no_rows_are_told():
    def numpy(params, key, like):
        return {"x": like["x"], "y": np.asarray(params["a"][0]).item()}

    def short(params, key, like):
        return {"y": like["y"]}

    for sample, words in ((numpy, "sample fails.*jax.random"), (short, r"like the data's, {'x': \(\), 'y': \(\)}")):
        fit = lt.fit(lt.Latent(line, [0, 1], KINDS, sample=sample), LINES, start=TRUTH)
        with pytest.raises(lt.ModelError, match=words):
            fit.sample(3)


def test_rows_asked_about_need_their_columns():
    fit = lt.fit(TWO, LINES, start=TRUTH)
    with pytest.raises(lt.DataError, match="column 'y' is not in these rows, which have x"):
        fit.posterior({"x": [1.0]})


def test_missing_cells_are_the_model_s_to_leave_out():
    y = np.where(np.arange(60) % 7 == 0, np.nan, Y)

    def seen_only(p, row, z):
        gone = jnp.isnan(row["y"])
        return jnp.where(gone, jnp.log(p["w"][z]), line(p, row | {"y": jnp.where(gone, 0.0, row["y"])}, z))

    fit = lt.fit(lt.Latent(seen_only, [0, 1], KINDS), {"x": X, "y": y}, start=TRUTH)
    rest = lt.fit(TWO, {"x": X[~np.isnan(y)], "y": y[~np.isnan(y)]}, start=TRUTH)
    np.testing.assert_allclose(fit.params["b"], rest.params["b"], atol=1e-7)
    assert fit.half_seen == {"y": {"missing": 9.0}}
    with pytest.raises(lt.DataError, match="row 0 has a missing cell in column 'y'.*jnp.isnan"):
        lt.fit(TWO, {"x": X, "y": y}, start=TRUTH)
    with pytest.raises(lt.DataError, match="row 1, column 'y': infinite"):
        lt.fit(TWO, {"x": [1.0, 2.0], "y": [1.0, np.inf]}, start=TRUTH)


class Repeated(lt.AbstractModel):
    """Sizes, choices and functions as fields of their own kind."""

    times: int
    link: str = "log"
    base: float = 0.0

    @property
    def constraints(self):
        return {"rate": lt.Positive()}

    def potentials(self, params):
        return jnp.stack([jnp.log(params["rate"]) if self.link == "log" else 0.0, -params["rate"]])

    def log_evidence(self, potentials, x):
        return self.base + sum(x * potentials[0] + potentials[1] for _ in range(self.times))


def test_sizes_are_fields():
    fit = lt.fit(Repeated(2), [1.0, 2.0, 3.0], start={"rate": 1.0})
    assert float(fit.params["rate"]) == pytest.approx(2)
    again = pickle.loads(pickle.dumps(fit.model))
    assert (again.times, again.link) == (2, "log")
    assert eqx.tree_equal(again, fit.model)


def test_a_matrix_of_transitions():
    chain = lt.Simplex((2, 3))
    assert (chain.shape, chain.size) == ((2, 3), 4)

    def joint(p, row, z):
        return (
            jnp.log(p["start"])[row["from"].astype(int)]
            + jnp.log(p["move"])[row["from"].astype(int), row["to"].astype(int)]
        )

    moves = {"from": [0, 0, 0, 1, 1, 1, 1], "to": [0, 1, 1, 2, 2, 0, 1]}
    fit = lt.fit(lt.Latent(joint, [0], {"start": lt.Simplex(2), "move": chain}), moves)
    np.testing.assert_allclose(fit.params["move"], [[1 / 3, 2 / 3, 0], [1 / 4, 1 / 4, 1 / 2]], atol=1e-6)


# -- what is wrong is said ---------------------------------------------------------------------------------


def with_math(p, y, z):
    return math.log(p["rate"]) - p["rate"] * y


def with_numpy(p, y, z):
    return np.log(p["rate"]) - p["rate"] * y


def with_if(p, y, z):
    if z == 0:
        return jnp.log(p["rate"]) - p["rate"] * y
    return -y


def with_index(p, y, z):
    return [0.0, 1.0][z] - p["rate"] * y


FAILING = [
    (lambda p, y, z: p["rat"] * y, "log_joint asks for 'rat', .* the parameters are rate"),
    (lambda p, y, z: p["rate"] * jnp.ones(3) * y, r"an array of shape \(3,\).*must be a scalar"),
    (lambda p, y, z: None, "log_joint"),
    (lambda p, y, z: {"a": 1.0}, "log_joint"),
    (lambda p, y, z: 1 / 0, "log_joint fails: ZeroDivisionError"),
    (lambda p, y: 0.0, "log_joint fails: TypeError"),
    (with_math, "jnp.log"),
    (with_numpy, "jnp.log"),
    (with_if, r"jnp.where\(z == 0, a, b\)"),
    (with_index, "index arrays of jax.numpy"),
]


@pytest.mark.parametrize(("joint", "words"), FAILING)
def test_a_joint_that_fails_is_told_what_is_wrong(joint, words):
    with pytest.raises(lt.ModelError, match=words):
        lt.fit(lt.Latent(joint, [0, 1], {"rate": lt.Positive()}), [1.0, 2.0])


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(lt.ModelError, match="asks for 'y', .* the columns Y, x"):
        lt.fit(TWO, {"x": X, "Y": Y})


class Wrong(Repeated):
    def log_evidence(self, potentials, x):
        return x * potentials


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: lt.Real("a"), "shape of a parameter"),
        (lambda: lt.Positive(0), "shape of a parameter"),
        (lambda: lt.Unit((2, -1)), "shape of a parameter"),
        (lambda: lt.Simplex(2.5), "shape of a parameter"),
        (lambda: lt.PositiveDefinite(0), "shape of a parameter"),
        (lambda: lt.NegativeBinomial(), "NegativeBinomial: give the size"),
        (lambda: lt.fit(Wrong(1), [1.0]), r"Wrong.log_evidence must return a scalar.*shape \(2,\)"),
        (lambda: lt.Latent(line, [0, 1], KINDS, exchangeable="c"), "no parameter 'c'"),
        (lambda: lt.Latent(line, ["a", "b"], KINDS), "the support must be numbers"),
        (lambda: lt.Latent(line, [0, 1], ["a"]), "parameters must be a dict"),
        (
            lambda: lt.Latent(line, [0, 1], KINDS | {"c": lt.Real()}, exchangeable=["a", "c"]),
            "first axis of one length",
        ),
        (lambda: lt.Latent(line, [0, 1], KINDS, names={"a": ["x"]}), r"names of \(1,\) entries for 'a' \(2,\)"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(lt.ModelError, match=words):
        make()


def test_shapes_may_be_numbers():
    assert lt.Real(4).shape == (4,) == lt.Real((4,)).shape
    assert lt.Real().shape == ()


@pytest.mark.parametrize("axes", [3, {"a": None}, {"a": "x"}, {"a": (1.5,)}])
def test_axes_of_labels_that_are_none(axes):
    with pytest.raises(lt.ModelError, match="exchangeable is a tuple of names"):
        lt.Latent(line, [0, 1], KINDS, exchangeable=axes)


def test_an_axis_may_be_a_number():
    assert lt.Latent(line, [0, 1], KINDS, exchangeable={"w": 0, "a": 0}).exchangeable == {"w": (0,), "a": (0,)}


class Rate(lt.AbstractModel):
    wrong: object = eqx.field(static=True, default=None)

    @property
    def constraints(self):
        return {"rate": lt.Positive()}

    def potentials(self, params):
        return {"n": jnp.log(params["rate"]), "time": -params["rate"]}

    def log_evidence(self, potentials, x):
        return potentials["n"] + potentials["time"] * x

    def estimate(self, stats):
        rate = stats["n"] / stats["time"]
        return self.wrong(rate) if self.wrong else {"rate": rate}


WRONG = [
    lambda rate: {},
    lambda rate: {"rat": rate},
    lambda rate: {"rate": rate, "z": rate},
    lambda rate: {"rate": jnp.stack([rate, rate])},
    lambda rate: rate,
]


def test_an_estimate_that_is_not_of_the_parameters():
    assert lt.fit(Rate(), [1.0, 2.0, 3.0]).params["rate"] == pytest.approx(0.5)
    for wrong in WRONG:
        with pytest.raises(lt.ModelError, match=r"Rate.estimate must return a dict of the parameters.*it returned"):
            lt.fit(Rate(wrong), [1.0, 2.0, 3.0])
