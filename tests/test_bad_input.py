"""Bad input: a clear error that names the row, column or parameter and the remedy."""

import os
import re
import signal
import time

import numpy as np
import pandas as pd
import pytest

import latens as lt
from latens.engine.starts import Bursts

NORMALS = lt.Mixture(lt.Normal(), 2)
PLANE = lt.IID(lt.MultivariateNormal(2))
GROUPS = {"AB": ["a", "b"], "Ab": ["c"]}
NAN = float("nan")

DATA = [
    (lt.IID(lt.Normal()), [], "empty"),
    (lt.IID(lt.Normal()), [1.0, float("inf")], "row 1, column '0': inf"),
    (lt.IID(lt.Normal()), {"x": [1.0, "abc"]}, "row 1, column 'x': 'abc' is not a number"),
    (lt.IID(lt.Normal()), {"x": [1.0], "y": [2.0]}, "2 columns .x, y., the model takes 1 column"),
    (lt.IID(lt.Normal()), [NAN, NAN], "nothing was seen"),
    (lt.IID(lt.Normal()), [2.0, 2.0, 2.0], "all values equal 2"),
    (lt.IID(lt.Poisson()), [1, -2], "row 1, column '0': -2 is not a whole number of at least 0"),
    (lt.IID(lt.Poisson()), {"deaths": [1, 2.5]}, "row 1, column 'deaths': 2.5"),
    (lt.IID(lt.Poisson(exposure=None)), [[1, 1.0], [2, NAN]], "row 1, column 'exposure'"),
    (lt.IID(lt.Exponential()), [1.0, -1.0], "row 1.*number of at least 0"),
    (lt.IID(lt.Exponential()), [0.0, 0.0], "all values are 0, so the likelihood grows"),
    (lt.IID(lt.Gamma()), [1.0, 0.0], "row 1.*above 0"),
    (lt.IID(lt.Beta()), [0.5, 1.0], "row 1.*strictly between 0 and 1"),
    (lt.IID(lt.Bernoulli()), [0, 1, 2], "row 2.*0 or 1"),
    (lt.IID(lt.Binomial()), [[3, 2]], "row 0, columns successes, trials: 3, 2"),
    (lt.IID(lt.Geometric()), [1, 0], "row 1.*at least 1"),
    (lt.IID(lt.Categorical(3)), [0, 3], "row 1.*code from 0 to 2"),
    (lt.IID(lt.Multinomial(2)), [[1, NAN]], "row 0, column '1': NaN"),
    (PLANE, {"a": [1.0, 2.0, 4.0], "b": [NAN] * 3}, "column 'b': nothing was seen"),
    (PLANE, lt.interval([[1.0, 2.0]] * 3, [[1.0, 3.0]] * 3), "row 0, column '1': an interval; with a full covariance"),
    (lt.IID(lt.Exponential()), lt.interval([1.0, -3.0], [1.0, -2.0]), r"row 1.*\[-3, -2\] holds no value"),
    (lt.IID(lt.Beta()), {"p": lt.interval([0.5, 1.0], [0.5, 2.0])}, r"row 1, column 'p': the interval \[1, 2\]"),
    (lt.IID(lt.Poisson()), lt.interval([1.0, 2.2], [1.0, 2.8]), r"row 1.*\[2.2, 2.8\] holds no value.*whole number"),
    (lt.IID(lt.Normal()), lt.right_censored([1.0, 2.0], [0, 0]), "column '0': every value seen is right-censored"),
    (lt.IID(lt.Normal()), lt.left_censored([1.0, 2.0], [0, 0]), "every value seen is left-censored"),
    (lt.IID(lt.Normal()), {"x": [None, NAN]}, "column 'x': nothing was seen"),
    (lt.IID(lt.Categorical(3)), lt.one_of([0, {1, 3}]), "row 1, column '0': 3 is not a code from 0 to 2"),
    (lt.IID(lt.Categorical(3)), lt.one_of([None, None]), "nothing was seen"),
    (lt.IID(lt.Normal()), {"x": lt.one_of([0, 1])}, "column 'x' holds categories"),
    (lt.IID(lt.Truncated(lt.Normal(), lower=0)), [1.0, -1.0], "row 1, column '0': -1 is not a finite number from 0"),
    (
        lt.IID(lt.Product({"a": lt.Normal(), "b": lt.Poisson()})),
        {"a": [1.0, 2.0], "b": [NAN, NAN]},
        "column 'b': nothing was seen",
    ),
    (lt.Mixture(lt.MultivariateNormal(2), 2), np.full((5, 2), NAN), "column '0': nothing was seen"),
    (PLANE, [1.0, 2.0], r"shape \(2,\), the model takes \(n, 2\)"),
    (PLANE, {"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0]}, "column 'b' is a linear combination"),
    (PLANE, {"a": [1.0, 2.0, 3.0], "b": [5.0, 5.0, 5.0]}, "column 'b' is constant"),
    (PLANE, {"a": [1.0, 2.0], "b": [1.0]}, "different lengths: 'a' 2, 'b' 1"),
    (NORMALS, [1.0, 1.0, 1.0], "2 components for data with 1 distinct row"),
    (lt.Mixture(lt.Normal(), 3), [1.0, 2.0, 2.0], "choose k of at most 2"),
    (lt.Mixture([lt.Normal(), lt.Exponential()]), [1.0, -2.0], "every component.*row 1"),
    (lt.IID(lt.Product({"a": lt.Normal(), "b": lt.Poisson()})), {"a": [1.0, 2.0]}, "column 'b' is not in the data"),
    (lt.IID(lt.Product({"a": lt.Normal(), "b": lt.Poisson()})), {"a": [1.0, 2.0], "b": [1, -1]}, "row 1, column 'b'"),
    (lt.HardyWeinberg("A > a"), {"A": 3, "b": 4}, "group 'b' is not in the model, which has A, a"),
    (lt.HardyWeinberg("A > a"), {"A": 3, "a": -4}, "group 'a': -4 is not a count"),
    (lt.HardyWeinberg("A > a"), {"A": 3, "a": 1.5}, "group 'a': 1.5 is not a count"),
    (lt.HardyWeinberg("A > a"), {"A": 3, "a": NAN}, "^group 'a': the count is missing; give 0"),
    (lt.HardyWeinberg("A > a"), {"A": None, "a": 4}, "^group 'A': the count is missing; give 0"),
    (lt.HardyWeinberg("A > a"), {"A": [3, 1], "a": [4, None]}, "^row 1, group 'a': the count is missing"),
    (lt.HardyWeinberg("A > a"), [3, NAN], "^group 'a': the count is missing"),
    (lt.HardyWeinberg("A > a"), {"A": 0, "a": 0}, "all counts are zero"),
    (lt.HardyWeinberg("A > a"), [1, 2, 3], "give one for each group: A, a"),
    (
        lt.Cells({"a": "t", "b": "1-t", "c": "0"}, seen={"g": ["a", "b"], "z": ["c"]}, parameters=["t"]),
        {"g": 9, "z": 1},
        "group 'z' was seen, but its cells have probability 0",
    ),
]


@pytest.mark.parametrize(("model", "data", "words"), DATA)
def test_data(model, data, words):
    with pytest.raises(lt.DataError, match=words):
        lt.fit(model, data)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: lt.interval([1.0, 3.0], [2.0, 2.0]), r"row 1: \[3, 2\] is no interval"),
        (lambda: lt.interval([1.0, NAN], [2.0, 2.0]), "row 1"),
        (lambda: lt.interval([[1.0, 3.0]], [[2.0, 2.0]]), "row 0, column 1"),
        (lambda: lt.right_censored([1.0, 2.0], [1, 2]), "row 1: the indicator is 2; it must be 1"),
        (lambda: lt.left_censored([1.0, 2.0], [1, NAN]), "row 1: the indicator is nan"),
        (lambda: lt.right_censored([1.0, 2.0], [1]), r"shape \(2,\), the indicator of what was observed \(1,\)"),
        (lambda: lt.one_of([0, set()]), "row 1: the set is empty"),
        (lambda: lt.one_of([0, "a"]), "row 1: 'a' is not the code"),
        (lambda: lt.grouped([0, 1, 1], [2, 3]), "edges 1 and 1"),
        (lambda: lt.grouped([0, 1, 2], [2]), "3 edges make 2 bins, got 1 counts"),
        (lambda: lt.read_cells({"x": ["1", "2", "a lot"]}), "row 2, column 'x': 'a lot' is not a number, nor any of"),
        (lambda: lt.read_cells({"x": ["1", "5..3"]}), "row 1, column 'x': '5..3' has its lower end above"),
        (lambda: lt.read_cells({"x": ["a", "a|"]}), "row 1, column 'x': 'a|' names an empty category"),
        (lambda: lt.read_cells({"x": ["1"]}, ["y"]), "there is no column 'y'; there are x"),
        (lambda: lt.fit(NORMALS, [1.0, 2.0, 5.0], labels=[0, 2, None]), "row 1, labels: 2 is not a code from 0 to 1"),
        (lambda: lt.fit(NORMALS, [1.0, 2.0, 5.0], labels=[0, 1]), "2 labels for 3 rows"),
    ],
)
def test_sets(make, words):
    with pytest.raises(lt.DataError, match=words):
        make()


TWO = np.array([[1.0, 5.0], [2.0, 3.0], [4.0, 4.0], [3.0, 1.0]])


@pytest.mark.parametrize(
    "data",
    [
        {1: TWO[:, 0], "1": TWO[:, 1]},
        pd.DataFrame({1: TWO[:, 0], "1": TWO[:, 1]}),
        pd.DataFrame(TWO, columns=["1", "1"]),
    ],
    ids=["dict", "texts", "pandas"],
)
def test_two_columns_of_one_name_are_not_one(data):
    for call in (lambda: lt.fit(PLANE, data), lambda: lt.read_cells(data)):
        with pytest.raises(lt.DataError, match="two columns are called '1'"):
            call()


@pytest.mark.parametrize(
    "names",
    [("", " "), ("a.mean", "b"), ("mean[0]", "a]b"), ("weights", "None")],
    ids=repr,
)
def test_columns_may_be_called_anything(names):
    data = dict(zip(names, TWO.T, strict=True))
    plane = lt.fit(PLANE, data)
    assert plane.columns == names
    table = lt.fit(lt.IID(lt.Product({name: lt.Normal() for name in names})), data)
    for fit in (plane, table):
        filled = fit.impute(data | {names[0]: [NAN, 1.0, 2.0, 3.0]})
        assert list(filled.values) == list(names)
        assert list(fit.conditional({names[0]: [2.0]}).mean) == [names[1]]
        assert list(fit.half_seen) == []
        fit.wald_test(fit.names[0])
    assert [float(table.params[f"{name}.mean"]) for name in names] == pytest.approx(TWO.mean(0))
    assert list(lt.read_cells({name: ["1", ">2"] for name in names})) == list(names)


def test_columns_whose_names_are_numbers():
    given = pd.DataFrame(TWO)
    fit = lt.fit(PLANE, given)
    np.testing.assert_allclose(fit.params["mean"], TWO.mean(0))
    holes = given.copy()
    holes.loc[0, 1] = NAN
    filled = fit.impute(holes).values
    assert list(filled.columns) == [0, 1]
    assert (filled[0] == given[0]).all()
    assert not np.isnan(filled.to_numpy()).any()
    assert list(fit.impute({0: [1.0], 1: [NAN]}).values) == [0, 1]


def test_rows_asked_about_are_told_by_the_names_of_their_columns():
    data = {"a": TWO[:, 0], "b": TWO[:, 1]}
    fit = lt.fit(PLANE, data)
    for turned in ({"b": data["b"], "a": data["a"]}, pd.DataFrame(data)[["b", "a"]]):
        np.testing.assert_array_equal(fit.log_density(turned), fit.log_density(data))
    filled = fit.impute({"b": [NAN, 3.0], "a": [1.0, NAN]}).values
    assert list(filled) == ["b", "a"]
    assert (filled["a"][0], filled["b"][1]) == (1.0, 3.0)
    np.testing.assert_allclose(filled["b"][0], fit.conditional({"a": 1.0}).mean["b"])


def test_groups_of_one_name_are_not_one():
    with pytest.raises(lt.ModelError, match="two groups are called '1'"):
        lt.Cells({"a": "t", "b": "1-t"}, seen={1: ["a"], "1": ["b"]}, parameters=["t"])


def test_thousands_of_names_are_not_all_told():
    names = [f"h{i}" for i in range(90)]
    genes = lt.HardyWeinberg(names)
    for make, words in [
        (lambda: lt.HardyWeinberg(names, {"x": "y"}), r"\(h0, .*, \.\.\. \(4095 in all\)\) nor"),
        (lambda: lt.Cells(dict(genes.cells), seen={"x": "y"}, parameters=[names]), "names the cell 'y'; there are h0"),
        (
            lambda: lt.Cells(dict(genes.cells) | {"z": "y"}, seen={"x": "z"}, parameters=[names]),
            "'y', which is no para",
        ),
        (lambda: lt.Cells(dict(genes.cells) | {"z": "h0"}, seen={"x": "z"}, parameters=[names]), "sum to 1.0.*, at h0"),
        (lambda: lt.fit(genes, {"y": 1}), "'y' is not in the model, which has h0, "),
        (lambda: lt.fit(genes, [1, 2]), "one for each group: h0, "),
        (lambda: lt.fit(genes, np.ones(4095), start={"y": 1.0}), "'y'; this model has 'h0', "),
        (
            lambda: lt.fit(genes, np.ones(4095), start=dict.fromkeys(names, 1.0)),
            "'h0, .*' must be positive and summing",
        ),
    ]:
        with pytest.raises(lt.LatensError, match=words) as caught:
            make()
        assert len(str(caught.value)) < 400


def test_what_was_seen_of_rows_asked_about():
    fit = lt.fit(PLANE, [[1.0, 2.0], [2.0, 3.5], [3.0, NAN], [4.0, 9.0]])
    with pytest.raises(lt.DataError, match="there is no column 'z'"):
        fit.conditional({"z": [1.0]})
    with pytest.raises(lt.ParameterError, match="draws must be a whole number"):
        fit.impute([[1.0, NAN]], draws=-1)
    with pytest.raises(lt.ModelError, match="nothing to impute"):
        lt.fit(lt.HardyWeinberg("A > a"), {"A": 3, "a": 4}).impute({"A": 3, "a": 4})
    for estimates in ([1.0], np.zeros((2, 2, 2))):
        with pytest.raises(lt.ParameterError, match="pool: "):
            lt.pool(estimates, estimates)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1, -1, 1], "row 1: the weight -1.0"),
        ([1, 1], r"shape \(2,\), the data have 3 rows"),
        ([0, 0, 0], "all weights are zero"),
        ([1, float("nan"), 1], "row 1: the weight nan"),
    ],
)
def test_weights(weights, words):
    with pytest.raises(lt.DataError, match=words):
        lt.fit(lt.IID(lt.Normal()), [1.0, 2.0, 3.0], weights=weights)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({"weights": [0.5, 0.5], "mean": [0, 1], "variance": [1, -1]}, "'variance' must be positive"),
        ({"weights": [0.5, 0.6], "mean": [0, 1], "variance": [1, 1]}, "'weights' must be positive and summing to one"),
        ({"weights": [0.5, 0.5], "mean": [0, 1, 2], "variance": [1, 1]}, r"'mean' has shape \(3,\), expected \(2,\)"),
        ({"weights": [0.5, 0.5], "mean": [0, 1]}, "'variance' is missing"),
        ({"weights": [0.5, 0.5], "mean": [0, 1], "variance": [1, 1], "sd": 1}, "unknown parameter 'sd'"),
        ({"weights": [0.5, 0.5], "mean": [0, "x"], "variance": [1, 1]}, "'mean' is not numeric"),
        ({"weights": [0.5, 0.5], "mean": [1e200, 1e200], "variance": [1, 1]}, "row 0 has log-likelihood"),
    ],
)
def test_start(start, words):
    with pytest.raises(lt.ParameterError, match=words):
        lt.fit(NORMALS, [1.0, 2.0, 3.0, 7.0], start=start)


def test_start_covariance():
    start = {"mean": [0, 0], "covariance": [[1, 2], [2, 1]]}
    with pytest.raises(lt.ParameterError, match="'covariance' must be symmetric and positive definite"):
        lt.fit(PLANE, [[1.0, 2.0], [0.0, 3.0], [4.0, 1.0]], start=start)


@pytest.mark.parametrize(
    ("cells", "seen", "parameters", "words"),
    [
        ({"a": "t +", "b": "1-t"}, {"A": "a", "B": "b"}, ["t"], "cell 'a': the expression 't \\+' does not parse"),
        ({"a": "__import__('os')", "b": "1-t"}, {"A": "a"}, ["t"], "cell 'a'.*found"),
        ({"a": "t.real", "b": "1-t"}, {"A": "a"}, ["t"], "found 't.real'"),
        ({"a": "[t for t in (1,)]", "b": "1-t"}, {"A": "a"}, ["t"], "numbers, parameter names"),
        ({"a": "t if t else 1", "b": "1-t"}, {"A": "a"}, ["t"], "found"),
        ({"a": "True", "b": "1-t"}, {"A": "a"}, ["t"], "numbers only"),
        ({"a": "s", "b": "1-t"}, {"A": "a"}, ["t"], "uses 's', which is no parameter; there are t"),
        ({"a": "t", "b": "1-t/2"}, {"A": "a"}, ["t"], "sum to .*, not to one"),
        ({"a": "2*t", "b": "1-2*t"}, {"A": "a"}, ["t"], "cell 'b' is negative"),
        ({"a": "t", "b": "1-t"}, {"A": ["a", "c"]}, ["t"], "group 'A' names the cell 'c'; there are a, b"),
        ({"a": "t", "b": "1-t"}, {"A": []}, ["t"], "group 'A' has no cells"),
        ({"a": "t", "b": "1-t"}, {"A": "a"}, ["t", "t"], "'t' is listed twice"),
        ({"a": "t", "b": "1-t"}, {"A": "a"}, [], "no parameters"),
        ({"a": "t", "b": "1-t"}, {}, ["t"], "no groups"),
        ({}, {}, ["t"], "no cells"),
        ({"a": "(-1)**0.5*t", "b": "1-t"}, {"A": "a"}, ["t"], "the cells sum to nan"),
        ({"a": "t/0", "b": "1-t"}, {"A": "a"}, ["t"], "the cells sum to inf"),
        ({"a": "t*1e400", "b": "1-t"}, {"A": "a"}, ["t"], "cell 'a': .* holds a number that is too large"),
        ({"a": "t" + "+t" * 600, "b": "1-t"}, {"A": "a"}, ["t"], r"cell 'a': .*\.\.\.' is nested more than 500"),
    ],
)
def test_cells(cells, seen, parameters, words):
    with pytest.raises(lt.ModelError, match=words):
        lt.Cells(cells, seen=seen, parameters=parameters)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: lt.Mixture(lt.Normal(), 0), "k must be a whole number of at least 1"),
        (lambda: lt.Mixture("normal", 2), "takes a family"),
        (lambda: lt.Mixture(lt.Normal(), 2, weights=(0.5, 0.6)), "known weights must be 2 positive"),
        (lambda: lt.Mixture(lt.Normal(), 2, shared=("sd",)), "no such parameter; it has mean, variance"),
        (lambda: lt.Mixture([lt.Normal()], 2), "1 families for k = 2"),
        (lambda: lt.Mixture([lt.Normal(), lt.Gamma()], shared=("mean",)), "one family only"),
        (lambda: lt.Normal(variance=-1), "known variance must be positive"),
        (lambda: lt.MultivariateNormal(2, "round"), "full, diagonal, spherical"),
        (lambda: lt.MultivariateNormal(0), "at least 1"),
        (lambda: lt.Binomial(trials=0), "trials must be positive"),
        (lambda: lt.NegativeBinomial(-1), "size must be positive"),
        (lambda: lt.Categorical(1), "at least 2"),
        (lambda: lt.Product({}), "at least one column"),
        (lambda: lt.Product({"a": lt.MultivariateNormal(2)}), "column 'a' needs a family of one number"),
        (lambda: lt.HardyWeinberg("A"), "at least two alleles"),
        (lambda: lt.HardyWeinberg("A > B", {"x": "C"}), "phenotype 'x': 'C' is neither"),
        (lambda: lt.Latent(lambda p, x, z: 0.0, [], {}), "at least one value"),
        (lambda: lt.Latent(lambda p, x, z: 0.0, [0], {"a": 1}), "'a' needs a constraint"),
        (lambda: lt.IID("normal"), "takes a family"),
        (lambda: lt.Truncated(lt.Normal(), 2, 1), r"lower \(2\) must be below upper \(1\)"),
        (lambda: lt.Truncated(lt.MultivariateNormal(2), 0), "a family of one number"),
        (lambda: lt.fit(lt.IID(lt.Normal()), [1.0, 2.0], labels=[0, 0]), "hides no label"),
        (lambda: lt.fit(lt.Normal(), [1.0]), "expected a model"),
    ],
)
def test_models(make, words):
    with pytest.raises(lt.ModelError, match=words):
        make()


def test_options():
    for make, words in [
        (lambda: lt.Stop(tolerance=-1), "tolerance"),
        (lambda: lt.Stop(max_steps=-1), "max_steps"),
        (lambda: lt.fit(NORMALS, [1.0, 2.0, 3.0], starts=0), "starts must be a whole number of at least 1"),
        (lambda: lt.fit(NORMALS, [1.0, 2.0, 3.0], starts=2, start={}), "not both"),
    ]:
        with pytest.raises(lt.ParameterError, match=words):
            make()


def test_a_field_that_is_no_array_is_named():
    class Named(lt.AbstractModel):
        word: object = "x"

        @property
        def constraints(self):
            return {"rate": lt.Positive()}

        def potentials(self, params):
            return params["rate"]

        def log_evidence(self, potentials, x):
            return potentials * x

    with pytest.raises(lt.ModelError, match=re.escape("Named.word is 'x': declare")):
        lt.fit(Named(), [1.0])


def test_a_wrong_estimate_is_an_error_not_a_fit():
    class Wrong(lt.Poisson):
        def estimate(self, mean):
            return {"rate": 0.5 * mean[0] + 0.01}

    with pytest.raises(lt.ModelError, match="fell from .* in a plain EM step"):
        lt.fit(lt.Mixture(Wrong(), 2), [1, 2, 8, 9], start={"weights": [0.5, 0.5], "rate": [1.0, 9.0]})


def test_collapse_is_a_status_that_names_the_component():
    rows = np.concatenate([[0.0, 0.0, 0.0], np.random.default_rng(0).normal(5, 1, 50)])
    start = {"weights": [0.1, 0.9], "mean": [0.0, 5.0], "variance": [0.001, 1.0]}
    fit = lt.fit(NORMALS, rows, start=start)
    assert fit.status is lt.Status.DEGENERATE
    assert not fit.converged
    assert "component 0 has collapsed" in fit.message
    assert np.isfinite(fit.log_likelihood)
    assert all(np.isfinite(v).all() for v in fit.params.values())
    with pytest.raises(lt.InferenceError, match="not converged"):
        fit.standard_errors()
    assert "Standard errors not given" in str(fit)
    assert fit.to_dict()["standard_errors"] is None


def test_a_dying_component_is_named():
    rows = np.random.default_rng(0).poisson(4, 200)
    fit = lt.fit(lt.Mixture(lt.Poisson(), 2), rows, start={"weights": [0.999, 0.001], "rate": [4.0, 4000.0]})
    assert fit.status is lt.Status.DEGENERATE
    assert "component 1 has died" in fit.message


def test_a_saddle_is_not_reported_as_a_maximum():
    """Two equal components are a fixed point of EM, and no maximum."""
    rows = np.concatenate([np.random.default_rng(0).normal(m, 1, 200) for m in (-3, 3)])
    fit = lt.fit(NORMALS, rows, start={"weights": [0.5, 0.5], "mean": [0.0, 0.0], "variance": [9.0, 9.0]})
    with pytest.raises(lt.InferenceError, match="saddle|not identified"):
        fit.standard_errors()


@pytest.mark.parametrize("calls", [2, 5])
def test_ctrl_c_among_the_starts_returns_the_best_so_far(calls, monkeypatch, tmp_path):
    seen, steps = [], Bursts.steps

    def counted(self, points):
        seen.append(1)
        if len(seen) == calls:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)  # until it has come to the thread that waits
        return steps(self, points)

    model, rows = lt.Mixture(lt.Normal(), 5), np.random.default_rng(0).normal(size=400)
    path = tmp_path / "fit.npz"
    monkeypatch.setattr(Bursts, "steps", counted)
    begun = lt.fit(model, rows, checkpoint=path)
    made = len(seen)
    assert begun.status is lt.Status.INTERRUPTED
    assert begun.log_likelihood == pytest.approx(float(begun.log_density().sum()), rel=1e-12)
    assert "best found so far" in str(begun)
    with pytest.raises(lt.InferenceError, match="interrupted"):
        begun.standard_errors()
    fit = lt.fit(model, rows, checkpoint=path)  # the starts are tried again
    assert len(seen) - made > made
    assert fit.converged
    assert fit.log_likelihood > begun.log_likelihood


def test_interrupted_returns_the_best_so_far():
    class Impatient(lt.Plain):
        def propose(self, memory, point, image):
            seen.append(1)
            if len(seen) == 5:
                raise KeyboardInterrupt
            return super().propose(memory, point, image)

    seen = []
    fit = lt.fit(
        NORMALS,
        [0.0, 1.0, 5.0, 6.5],
        start={"weights": [0.5, 0.5], "mean": [1, 2], "variance": [9, 9]},
        accelerate=Impatient(),
    )
    assert fit.status is lt.Status.INTERRUPTED
    assert len(fit.trace) == 5
    assert "best found so far" in fit.message


def test_predicting_without_labels_and_sampling_overlaps():
    fit = lt.fit(lt.IID(lt.Normal()), [1.0, 2.0, 4.0])
    with pytest.raises(lt.ModelError, match="no hidden label"):
        fit.predict()
    with pytest.raises(lt.ParameterError, match="n must be a whole number of at least 1"):
        fit.sample(0)
    overlapping = lt.HardyWeinberg("A > a", {"A": "A", "a": "a", "any": ["A", "a"]})
    with pytest.raises(lt.ModelError, match="groups overlap"):
        lt.fit(overlapping, [5, 4, 3]).sample(2)
