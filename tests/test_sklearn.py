"""scikit-learn's interface: its own checks, its own mixtures beside ours, and what only ours do."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import sklearn.mixture as theirs
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import latens as lt
import latens.sklearn as ls
from latens.sklearn import GaussianMixture

KINDS = ("full", "tied", "diag", "spherical")
RNG = np.random.default_rng(4)
THREE = np.concatenate(
    [RNG.normal(size=(120, 2)), RNG.normal([4, 3], [1, 0.5], (120, 2)), RNG.normal(-4, 0.7, (80, 2))]
)
HOLES = np.where(RNG.random(THREE.shape) < 0.15, np.nan, THREE)
FOLDS = KFold(2, shuffle=True, random_state=0)
BEGIN = {"weights_init": [0.3, 0.3, 0.4], "means_init": [[0.5, 0.5], [3.0, 3.0], [-3.0, -3.5]]}
EVERY = (
    ls.GaussianMixture(),
    ls.MixtureModel(n_init=1),
    ls.LatentClassAnalysis(n_init=1),
    ls.GaussianImputer(),
    ls.MixtureImputer(),
    ls.MixtureClassifier(),
    ls.MixtureDensity(),
)


def precisions(kind, k=3, d=2):
    return {"full": np.tile(np.eye(d), (k, 1, 1)), "tied": np.eye(d), "diag": np.ones((k, d)), "spherical": np.ones(k)}[
        kind
    ]


def order(mixture):
    return np.argsort(mixture.means_[:, 0])


def partition(labels):
    """Labels named by the first row of each."""
    return np.unique(labels, return_index=True, return_inverse=True)[1][np.unique(labels, return_inverse=True)[1]]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", EVERY, ids=lambda each: type(each).__name__)
def test_scikit_learns_own_checks(estimator):
    """All of them; what is skipped asks for an array library that is not there."""
    found = check_estimator(estimator, on_fail=None)
    assert len(found) > 40
    assert {each["check_name"] for each in found if each["status"] != "passed"} <= {"check_array_api_input"}
    assert not [each["exception"] for each in found if each["status"] == "failed"]


# -- beside theirs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_and_the_end_are_theirs(kind):
    begin = BEGIN | {"precisions_init": precisions(kind), "covariance_type": kind, "reg_covar": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for steps in (0, 1):
            if steps:  # theirs has no covariances_ without a step
                old = theirs.GaussianMixture(3, max_iter=1, **begin).fit(THREE)
                new = GaussianMixture(3, max_iter=1, **begin).fit(THREE)
                for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
                    np.testing.assert_allclose(getattr(new, name), getattr(old, name), rtol=1e-9, atol=1e-10)
                assert new.n_iter_ == len(new.lower_bounds_) == 1
            else:
                new = GaussianMixture(3, max_iter=0, **begin).fit(THREE)
                np.testing.assert_allclose(new.means_, BEGIN["means_init"])
    old = theirs.GaussianMixture(3, max_iter=5000, tol=1e-13, **begin).fit(THREE)
    new = GaussianMixture(3, tol=1e-6, **begin).fit(THREE)
    assert new.converged_
    assert new.score(THREE) == pytest.approx(old.score(THREE), abs=1e-7)
    assert new.lower_bound_ == pytest.approx(new.score(THREE), abs=1e-12) == new.lower_bounds_[-1]
    assert (np.diff(new.lower_bounds_) >= -1e-12).all()
    np.testing.assert_array_equal(new.predict(THREE), old.predict(THREE))
    np.testing.assert_allclose(new.predict_proba(THREE), old.predict_proba(THREE), atol=1e-5)
    np.testing.assert_allclose(new.score_samples(THREE), old.score_samples(THREE), atol=1e-5)
    assert new.bic(THREE) == pytest.approx(old.bic(THREE), abs=1e-4)
    assert new.aic(THREE) == pytest.approx(old.aic(THREE), abs=1e-4)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(new, name).shape == getattr(old, name).shape
        np.testing.assert_allclose(getattr(new, name), getattr(old, name), rtol=1e-3, atol=1e-4)
    again = GaussianMixture.from_parameters(new.weights_, new.means_, new.covariances_, covariance_type=kind)
    np.testing.assert_allclose(again.score_samples(THREE), new.score_samples(THREE), atol=1e-9)
    with pytest.raises(lt.LatensError, match="no standard errors of params that were given"):
        again.standard_errors_()


@pytest.mark.parametrize("how", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_finds_what_is_plain(how):
    old = theirs.GaussianMixture(3, random_state=0, tol=1e-9, max_iter=999).fit(THREE)
    new = GaussianMixture(3, init_params=how, random_state=0, n_init=4, max_iter=1000).fit(THREE)
    assert new.score(THREE) == pytest.approx(old.score(THREE), abs=1e-5)
    np.testing.assert_array_equal(partition(new.predict(THREE)), partition(old.predict(THREE)))
    iris = load_iris().data
    old = theirs.GaussianMixture(3, random_state=0, tol=1e-9, max_iter=9999, reg_covar=0).fit(iris)
    new = GaussianMixture(3, init_params=how, random_state=0, n_init=4, max_iter=5000, reg_covar=0).fit(iris)
    assert how == "random" or new.score(iris) > old.score(iris) - 1e-6


def _selection():
    """Two components of its page on choosing a model, one of them narrow and long."""
    draws = np.random.default_rng(0)
    long = draws.normal(size=(500, 2)) @ [[0.0, -0.1], [1.7, 0.4]]
    return np.concatenate([long, 0.7 * draws.normal(size=(500, 2)) + [-4, 1]])


def _density():
    """Its page on densities: a round group far off, and a stretched one."""
    draws = np.random.default_rng(0)
    return np.concatenate([draws.normal(size=(300, 2)) + 20, draws.normal(size=(300, 2)) @ [[0.0, -0.7], [3.5, 0.7]]])


EXAMPLES = {
    "covariances": (load_iris().data[:, :2], 3),
    "selection": (_selection(), 2),
    "density": (_density(), 2),
    "initialisation": (make_blobs(n_samples=4000, centers=4, cluster_std=0.60, random_state=0)[0][:, ::-1], 4),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_its_documentation(name, kind):
    """From the same start plain EM comes to the same maximum; accelerated, to another of several in one case."""
    rows, k = EXAMPLES[name]
    first = theirs.GaussianMixture(k, covariance_type=kind, random_state=0, max_iter=3, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        first.fit(rows)
    begin = {"weights_init": first.weights_, "means_init": first.means_, "precisions_init": first.precisions_}
    options = begin | {"n_components": k, "covariance_type": kind, "reg_covar": 0}
    old = theirs.GaussianMixture(tol=1e-13, max_iter=20_000, **options).fit(rows)
    new = GaussianMixture(tol=1e-6, max_iter=20_000, accelerate=lt.Plain(), **options).fit(rows)
    assert new.score(rows) == pytest.approx(old.score(rows), abs=1e-6)
    np.testing.assert_array_equal(new.predict(rows), old.predict(rows))


def test_the_model_is_chosen_as_in_its_documentation():
    rows = _selection()
    found = GridSearchCV(
        GaussianMixture(random_state=0, n_init=2, max_iter=500),
        {"n_components": [1, 2, 3], "covariance_type": ["full", "spherical"]},
        scoring=lambda estimator, X: -estimator.bic(X),
        cv=FOLDS,
    )
    assert found.fit(rows).best_params_ == {"n_components": 2, "covariance_type": "full"}


def test_units_do_not_matter():
    """Theirs merges components four standard deviations apart where data are a thousandth as large."""
    x = np.concatenate([RNG.normal(0, 1, (150, 1)), RNG.normal(4, 1, (150, 1))])
    want = GaussianMixture(2, random_state=0).fit(x)
    for scale, origin in ((1e-3, 0), (1e6, 0), (1, 1e8), (1e-9, 0)):
        found = GaussianMixture(2, random_state=0).fit(x * scale + origin)
        np.testing.assert_allclose((found.means_ - origin) / scale, want.means_, atol=1e-4)
        np.testing.assert_array_equal(found.predict(x * scale + origin), want.predict(x))
    old = theirs.GaussianMixture(2, random_state=0).fit(x * 1e-3)
    assert abs(np.ptp(old.means_) - 4e-3) > 1e-3
    single = GaussianMixture(2, random_state=0).fit(x.astype(np.float32))
    np.testing.assert_allclose(single.means_, want.means_, rtol=1e-5)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(single, name).dtype == np.float32
    assert single.predict_proba(x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("how", ["kmeans", "k-means++", "random", "random_from_data"])
def test_weights_are_repetitions_and_order_does_not_matter(how):
    rows = np.round(HOLES, 1)
    weights = RNG.integers(0, 4, len(rows))
    options = {"n_components": 3, "init_params": how, "random_state": 3, "max_iter": 2000, "tol": 1e-8}
    want = GaussianMixture(**options).fit(rows, sample_weight=weights)
    repeated = np.repeat(rows, weights, 0)
    for other in (repeated, repeated[::-1], RNG.permutation(repeated)):
        found = GaussianMixture(**options).fit(other)
        np.testing.assert_allclose(found.means_, want.means_, atol=1e-6)
        assert found.score(other) == pytest.approx(want.score(rows, sample_weight=weights), abs=1e-9)
    assert want.bic(rows, sample_weight=weights) == pytest.approx(found.bic(repeated), abs=1e-6)


def test_a_warm_start_goes_on():
    with pytest.warns(ConvergenceWarning, match="did not converge.*standard errors from the limit"):
        steps = GaussianMixture(3, warm_start=True, max_iter=2, random_state=0, init_params="random").fit(THREE)
    first = steps.lower_bound_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert steps.fit(THREE).lower_bound_ > first
    steps.set_params(max_iter=500).fit(THREE)
    assert steps.converged_
    assert steps.fit(THREE).n_iter_ <= 3


def test_what_was_given_is_not_changed():
    given = {"weights_init": [0.3, 0.3, 0.4], "means_init": [[1, 1], [3, 3], [-3, -3]], "tol": 1, "random_state": 0}
    mixture = GaussianMixture(3, **given)
    before = mixture.get_params()
    mixture.fit(THREE)
    assert all(mixture.get_params()[name] is value for name, value in before.items())


def test_draws_do_not_repeat_themselves():
    mixture = GaussianMixture(3, random_state=0).fit(THREE)
    first, labels = mixture.sample(400)
    second, _ = mixture.sample(400)
    assert not np.isclose(first, second).any()
    np.testing.assert_array_equal(GaussianMixture(3, random_state=0).fit(THREE).sample(400)[0], first)
    assert (np.diff(labels) >= 0).all()
    for j in range(3):
        np.testing.assert_allclose(first[labels == j].mean(0), mixture.means_[j], atol=0.3)
    with pytest.raises(ValueError, match="Invalid value for 'n_samples': 0"):
        mixture.sample(0)


def test_verbose_says_where_it_is(capsys):
    GaussianMixture(3, verbose=2, verbose_interval=1, random_state=0).fit(THREE)
    out = capsys.readouterr().out
    assert "Initialization 0\n" in out
    assert "  Iteration 1\t ll change" in out
    assert "Initialization converged." in out


# -- what only ours do ---------------------------------------------------------------------------------------


def test_missing_cells_and_standard_errors():
    frame = pd.DataFrame(HOLES, columns=["a", "b"])
    mixture = GaussianMixture(3, random_state=0, reg_covar=0, tol=1e-6, max_iter=500).fit(frame)
    fit = lt.fit(lt.Mixture(lt.MultivariateNormal(2), 3), HOLES)
    assert mixture.score(frame) == pytest.approx(fit.log_density(HOLES).mean(), abs=1e-9)
    errors = mixture.standard_errors_()
    assert {name: each.shape for name, each in errors.items()} == {
        "weights": (3,),
        "means": (3, 2),
        "covariances": (3, 2, 2),
    }
    own = fit.standard_errors()["mean"][np.argsort(fit.params["mean"][:, 0])]
    np.testing.assert_allclose(errors["means"][order(mixture)], own, rtol=1e-3)
    completed = mixture.impute(frame)
    assert not np.isnan(completed).any()
    np.testing.assert_array_equal(completed[~np.isnan(HOLES)], HOLES[~np.isnan(HOLES)])
    given = mixture.conditional({"a": [0.0, 4.0]})
    assert list(given.mean) == ["b"]
    np.testing.assert_allclose(given.mean["b"], mixture.conditional({0: [0.0, 4.0]}).mean["b"])
    with pytest.raises(ValueError, match="no column 'c'; there are a, b"):
        mixture.conditional({"c": [1.0]})


def test_a_prior_holds_components_up():
    spike = np.append(RNG.normal(size=(60, 1)), [[50.0]], 0)
    begin = {"weights_init": [0.9, 0.1], "means_init": [[0.0], [50.0]], "precisions_init": [[[1.0]], [[1e6]]]}
    with pytest.warns(ConvergenceWarning, match="Component 1 has collapsed"):
        lost = GaussianMixture(2, reg_covar=0, **begin).fit(spike)
    assert np.isfinite(lost.means_).all()
    assert not lost.converged_
    kept = GaussianMixture(2, prior=1.0, **begin).fit(spike)
    assert kept.converged_
    assert kept.covariances_.min() > 0.01


def test_columns_that_say_little():
    plain = RNG.normal(size=(60, 3))
    for rows in (
        np.c_[plain, np.full(60, 7.0)],
        np.c_[plain, plain.sum(1)],
        plain[:3].repeat(5, 0),
        plain[:8] @ plain[:3],
    ):
        found = GaussianMixture(2, random_state=0).fit(rows)
        assert np.isfinite(found.means_).all()
        assert np.isfinite(found.score(rows))
    with pytest.warns(ConvergenceWarning, match="Component . has died"):
        GaussianMixture(2, random_state=0).fit(np.ones((10, 2)))


def test_mixed_columns_of_a_frame():
    kind = np.where(THREE[:, 0] > 2, "u", "v").astype(object)
    kind[:5] = None
    frame = pd.DataFrame({"x": HOLES[:, 1], "kind": kind, "flag": THREE[:, 0] < -2}, index=np.arange(len(THREE)) + 7)
    model = ls.MixtureModel(n_components=3, random_state=0).fit(frame)
    want = lt.fit(
        lt.Mixture(lt.Product({"x": lt.Normal(), "kind": lt.Categorical(), "flag": lt.Categorical()}), 3), frame
    )
    assert model.score(frame) == pytest.approx(want.log_density(frame).mean(), abs=1e-7)
    np.testing.assert_allclose(model.predict_proba(pl.from_pandas(frame)), model.predict_proba(frame))
    done = model.impute(frame)
    assert isinstance(done, pd.DataFrame)
    assert list(done.index) == list(frame.index)
    assert done.isna().sum().sum() == 0
    with pytest.raises(lt.DataError, match="row 0, column 'kind': 'w' is none of the categories u, v"):
        model.predict(frame.assign(kind="w"))
    with pytest.raises(ValueError, match="column 'kind' has none"):
        ls.MixtureModel({"x": lt.Normal(), "flag": lt.Bernoulli()}, 2).fit(frame)
    counts = RNG.poisson(np.where(THREE[:, :1] > 2, 2.0, 20.0), (len(THREE), 2))
    poisson = ls.MixtureModel(lt.Poisson(), 2, random_state=0).fit(counts)
    assert sorted(poisson.params_) == ["weights", "x0.rate", "x1.rate"]
    assert poisson.sample(3)[0].shape == (3, 2)


def test_latent_classes_of_the_values_data():
    """Goodman (1974) by way of McCutcheon (1987): two classes of four items, G² = 2.72."""
    table = np.array([[a, b, c, d] for a in (0, 1) for b in (0, 1) for c in (0, 1) for d in (0, 1)])
    counts = VALUES
    classes = ls.LatentClassAnalysis(2, random_state=0).fit(table, sample_weight=counts)
    seen = counts > 0
    full = float(counts[seen] @ np.log(counts[seen] / counts.sum()))
    ours = classes.score(table, sample_weight=counts) * counts.sum()
    assert 2 * (full - ours) == pytest.approx(2.720, abs=1e-3)
    names = np.array(["no", "yes"], dtype=object)[table]
    named = ls.LatentClassAnalysis(2, random_state=0).fit(names, sample_weight=counts)
    assert named.score(names, sample_weight=counts) == pytest.approx(classes.lower_bound_, abs=1e-9)
    names[3, 2] = None
    assert named.predict_proba(names).shape == (16, 2)
    mixed = ls.LatentClassAnalysis(2, items={"size": lt.Poisson()}, random_state=0)
    mixed.fit(pd.DataFrame({"size": RNG.poisson(3, 50), "red": RNG.random(50) < 0.5}))
    assert set(mixed.params_) == {"weights", "size.rate", "red.probabilities"}
    with pytest.raises(ValueError, match="there is no column 'width'; there are size, red"):
        ls.LatentClassAnalysis(2, items={"width": lt.Poisson()}).fit(pd.DataFrame({"size": [1, 2], "red": [0, 1]}))


@pytest.mark.parametrize(
    "answers",
    [
        ["Drama|Comedy", "Drama", "Comedy"],
        ["NA", "None", ""],
        ["01", "1", "a "],
        ["18-24", "25-64", "65+"],
        ["<10", "1.5", "?"],
        [True, False, "yes"],
        [-1.0, 1.0, 30.0],
    ],
    ids=str,
)
def test_an_answer_is_what_it_is(answers):
    """Nothing is read into it: no set, no interval, no number; only None and NaN are missing."""
    frame = pd.DataFrame({"q": pd.Series([*answers * 9, None], dtype=object)})
    model = ls.LatentClassAnalysis(1, random_state=0).fit(frame)
    np.testing.assert_allclose(model.params_["q.probabilities"], [[1 / 3] * 3])
    assert model.impute(frame)["q"].tolist()[:27] == answers * 9
    assert set(model.sample(60)[0][:, 0]) == set(answers)


def test_far_and_few():
    """What one column spans does not blur what is within a group of rows."""
    for away in (1e2, 1e5):
        rows = np.append(RNG.normal(0, 1, (200, 1)), RNG.normal(away, 1, (200, 1)), 0)
        spread = GaussianMixture(2, random_state=0).fit(rows).covariances_.ravel()
        np.testing.assert_allclose(spread, 1, atol=0.4)
    rows = np.concatenate([RNG.normal(0, 1, (500, 1)), RNG.normal(6, 1, (500, 1)), [[1e4]]])
    np.testing.assert_allclose(
        np.sort(GaussianMixture(3, random_state=0).fit(rows).means_.ravel()), [0, 6, 1e4], atol=0.3
    )
    crowd = np.concatenate([RNG.normal(size=(5000, 2)), RNG.normal(100, 1, (20, 2))])
    rare = ls.MixtureClassifier().fit(crowd, np.repeat([0, 1], [5000, 20])).mixtures_[1]
    np.testing.assert_allclose(rare.covariances_[0], np.cov(crowd[5000:].T, bias=True), rtol=1e-4)
    x, h = RNG.normal(size=(2, 300))
    near = np.column_stack([x, x + 1e-3 * h, h + 0.1 * RNG.normal(size=300)])
    holes = near.copy()
    holes[::3, 2] = np.nan
    assert (ls.GaussianImputer().fit_transform(holes) - near)[::3, 2].std() < 0.2


def test_columns_are_known_by_their_places():
    frame = pd.DataFrame(THREE)
    model = ls.MixtureModel(n_components=2, random_state=0)
    np.testing.assert_array_equal(model.fit(frame).predict(THREE), model.fit(THREE).predict(frame))
    flags = THREE[:, :1] > 0
    assert sorted(ls.MixtureModel().fit(flags).params_) == ["weights", "x0.probabilities"]
    both = ls.MixtureModel().fit([[1.0, "a"], [None, "b"], [2.0, "a"], [3.0, "b"]] * 5)
    assert sorted(both.params_) == ["weights", "x0.mean", "x0.variance", "x1.probabilities"]


def test_starts_and_steps_are_counted():
    with pytest.warns(ConvergenceWarning):
        few = GaussianMixture(3, n_init=3, max_iter=2, random_state=0, init_params="random").fit(THREE)
    assert few.n_iter_ == 2
    assert not few.converged_
    few.set_params(covariance_type="diag")
    assert few.precisions_.shape == (3, 2, 2)
    with pytest.raises(ValueError, match="column 1 has no cell that was seen"):
        few.fit(np.c_[THREE[:, 0], np.full(len(THREE), np.nan)])
    with pytest.raises(lt.DataError, match="a reg_covar above 0, or use covariance_type='diag'"):
        GaussianMixture(reg_covar=0).fit(np.c_[THREE, THREE.sum(1)])
    with pytest.raises(lt.DataError, match="choose n_components of at most 2"):
        ls.MixtureModel(n_components=3).fit(THREE[:2].repeat(5, 0))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        ls.MixtureDensity().fit(HOLES)


def test_latent_classes_of_the_carcinoma_data():
    """poLCA's manual: −317.2568 and −293.705 of two and three classes, of seven pathologists' ratings of 118 slides."""
    path = Path(__file__).parents[2] / "shared" / "reference" / "data" / "carcinoma.csv"
    if not path.exists():
        pytest.skip("the carcinoma data may not be committed, and the folder that holds them is absent")
    ratings = pd.read_csv(path)
    for k, best in ((2, -317.256837299494), (3, -293.70497878076026)):
        classes = ls.LatentClassAnalysis(k, n_init=20, random_state=0).fit(ratings)
        assert classes.score(ratings) * len(ratings) == pytest.approx(best, abs=1e-5)


# Stouffer & Toby (1951), Am. J. Sociol. 56, 395: 216 respondents, four items, 1 for particularistic
VALUES = np.array([42, 23, 6, 25, 6, 24, 7, 38, 1, 4, 1, 6, 2, 9, 2, 20], dtype=float)


def test_imputers():
    frame = pd.DataFrame(HOLES, columns=["a", "b"])
    fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), HOLES)
    one = ls.GaussianImputer(reg_covar=0, tol=1e-8).fit(frame)
    np.testing.assert_allclose(one.transform(frame), fit.impute(HOLES).values, atol=1e-6)
    out = ls.GaussianImputer(add_indicator=True).set_output(transform="pandas").fit_transform(frame)
    assert list(out.columns) == ["a", "b", "missingindicator_a", "missingindicator_b"]
    assert list(out.index) == list(frame.index)
    assert isinstance(ls.MixtureImputer(3).set_output(transform="polars").fit_transform(frame), pl.DataFrame)
    empty = np.c_[HOLES, np.full(len(HOLES), np.nan)]
    assert ls.GaussianImputer().fit_transform(empty).shape == (len(HOLES), 2)
    assert (ls.GaussianImputer(keep_empty_features=True).fit_transform(empty)[:, 2] == 0).all()
    draws = [ls.GaussianImputer(sample_posterior=True, random_state=s).fit_transform(HOLES) for s in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.isclose(draws[0], draws[2])[np.isnan(HOLES)].any()


def test_classifier_and_density():
    labels = np.repeat(["p", "q", "p"], [120, 120, 80])
    rows = pd.DataFrame(HOLES, columns=["a", "b"])
    classes = ls.MixtureClassifier(2, random_state=0).fit(rows, labels)
    assert classes.score(rows, labels) > 0.97
    np.testing.assert_allclose(classes.predict_proba(rows).sum(1), 1)
    density = ls.MixtureDensity(3, contamination=0.05, random_state=0).fit(THREE)
    assert (density.predict(THREE) == -1).mean() == pytest.approx(0.05, abs=0.01)
    assert density.predict([[40.0, -40.0]]) == -1
    np.testing.assert_allclose(density.decision_function(THREE), density.score_samples(THREE) - density.offset_)


# -- at home -------------------------------------------------------------------------------------------------


def test_a_users_pipeline():
    frame = pd.DataFrame(HOLES, columns=["a", "b"])
    steps = make_pipeline(ls.GaussianImputer(), StandardScaler(), GaussianMixture(random_state=0))
    search = GridSearchCV(steps, {"gaussianmixture__n_components": [1, 3]}, cv=FOLDS).fit(frame)
    assert search.best_params_ == {"gaussianmixture__n_components": 3}
    assert clone(search.best_estimator_).get_params()["gaussianmixture__n_components"] == 3
    with sklearn.config_context(enable_metadata_routing=True):
        routed = (
            GaussianMixture(random_state=0).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        )
        weighted = GridSearchCV(routed, {"n_components": [1, 3]}, cv=FOLDS).fit(
            HOLES, sample_weight=np.ones(len(HOLES))
        )
    assert weighted.best_params_ == {"n_components": 3}


def test_pickles_are_read_by_the_version_that_wrote_them(monkeypatch):
    mixture = GaussianMixture(2, random_state=0).fit(THREE)
    kept = pickle.dumps(mixture)
    np.testing.assert_array_equal(pickle.loads(kept).predict_proba(THREE), mixture.predict_proba(THREE))
    monkeypatch.setattr("latens.sklearn.base.__version__", "9.9")
    with pytest.raises(lt.LatensError, match=r"pickled by latens .*, and this is 9.9: fit it anew"):
        pickle.loads(kept)


@pytest.mark.parametrize(
    ("options", "rows", "message"),
    [
        ({"covariance_type": "bad"}, THREE, "The 'covariance_type' parameter of GaussianMixture must be a str among"),
        ({"n_components": 0}, THREE, "The 'n_components' parameter of GaussianMixture must be an int in the range"),
        ({"n_components": 9}, THREE[:5], "Expected n_samples >= n_components but got n_components = 9, n_samples = 5"),
        (
            {"weights_init": [0.5, 0.6]},
            THREE,
            r"The parameter 'weights' should be normalized, but got sum\(weights\) = 1.1",
        ),
        ({"weights_init": [1.5, -0.5]}, THREE, r"should be in the range \[0, 1\], but got max value 1.5"),
        ({"weights_init": [1.0]}, THREE, r"The parameter 'weights' should have the shape of \(2,\), but got \(1,\)"),
        ({"means_init": [[0, 0]]}, THREE, r"The parameter 'means' should have the shape of \(2, 2\), but got \(1, 2\)"),
        ({"precisions_init": [[[1, 2], [2, 1]]] * 2}, THREE, "'full precision' should be symmetric, positive-definite"),
        (
            {"precisions_init": [1, -1], "covariance_type": "spherical"},
            THREE,
            "'spherical precision' should be positive",
        ),
        ({}, THREE[:, 0], "Expected 2D array, got 1D array instead"),
        ({}, np.where(THREE > 5, np.inf, THREE), "Input X contains infinity"),
    ],
)
def test_bad_input_is_told_in_their_words(options, rows, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**{"n_components": 2} | options).fit(rows)


def test_what_cannot_be_asked():
    mixture = GaussianMixture(2)
    for ask in (mixture.predict, mixture.score, mixture.impute, mixture.bic, mixture.sample, mixture.score_samples):
        with pytest.raises(NotFittedError):
            ask(*([] if ask == mixture.sample else [THREE]))
    with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2"):
        mixture.fit(THREE).predict(THREE[:, :1])
    mixture.fit(pd.DataFrame(THREE, columns=["a", "b"]))
    with pytest.raises(ValueError, match="feature names should match"):
        mixture.predict(pd.DataFrame(THREE, columns=["b", "a"]))
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        mixture.fit(THREE, sample_weight=-np.ones(len(THREE)))
    with pytest.raises(ImportError, match="no variational inference"):
        _ = ls.BayesianGaussianMixture


@pytest.mark.parametrize(("kind", "height"), [("full", -180.1855), ("tied", -256.354), ("spherical", -384.3141)])
def test_groups_of_kmeans_in_several_coordinates(kind, height):
    """Whichever of them the draws favour, the irises come to the maximum that mclust 6.0.0 finds (VVV, EEE, VII)."""
    X = load_iris().data
    found = [GaussianMixture(3, covariance_type=kind, random_state=state).fit(X).score(X) for state in range(4)]
    np.testing.assert_allclose(np.array(found) * len(X), height, atol=1e-2)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("means", [([1] * 4, [2] * 4), ([-50] * 4, [50] * 4)])
def test_rough_means_lead_to_the_maximum(kind, means):
    """The spread of all rows is reckoned about the mean that is nearest, so that no component begins far from them."""
    draws = np.random.default_rng(0)
    X = np.concatenate([draws.normal(0, 1, (150, 4)), draws.normal(4, 1, (150, 4))])
    X = X @ (np.eye(4) + 0.3 * draws.normal(size=(4, 4)))
    want = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X).score(X)
    found = GaussianMixture(2, covariance_type=kind, means_init=means, random_state=0).fit(X)
    assert found.score(X) == pytest.approx(want, abs=1e-5)
