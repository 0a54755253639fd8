"""What users are told: digits, labels, order, notes; and that nothing but our own errors reaches them."""

import datetime
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import latens as lt
from latens.cli import main
from latens.modelfile import plan
from latens.report.text import alone, between, with_error

RNG = np.random.default_rng(1)
FAR = np.concatenate([1.7e9 + RNG.normal(0, 30, 80), 1.7e9 + 900 + RNG.normal(0, 30, 80)])
NORMALS = lt.Mixture(lt.Normal(), 2)


# -- numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (0.188737, 0.012205, ("0.188737", "0.012205")),
        (1.7e9, 3.3, ("1700000000.0000", "3.3000")),
        (2.5e6, 3e4, ("2500000", "30000")),
        (-1e-5, 0.2, ("-0.00001", "0.20000")),
        (1e20, 1e18, ("1.000000e+20", "1.0000e+18")),
        (1e-12, 1e-13, ("1.00000e-12", "1.0000e-13")),
        (0.0, 1e-5, ("0.000000000", "0.000010000")),
        (5.0, 0.0, ("5", "0")),
    ],
)
def test_digits_follow_the_error(value, error, shown):
    assert with_error(value, error) == shown
    low, high = map(float, between(value - 2 * error, value + 2 * error).split(" .. "))
    assert low <= value <= high


@settings(max_examples=300, deadline=None)
@given(st.floats(-1e300, 1e300), st.floats(1e-300, 1e300))
def test_numbers_as_shown_are_those_numbers(value, error):
    shown, beside = map(float, with_error(value, error))
    assert abs(shown - value) <= 1e-4 * error + 1e-13 * abs(value)
    assert abs(beside - error) <= 1e-3 * error + 1e-13 * abs(value)
    assert float(alone(value)) == pytest.approx(value, rel=1e-6, abs=1e-15)


def test_means_far_from_0_are_told_apart():
    report = str(lt.fit(NORMALS, FAR))
    means = {line.split()[1] for line in report.splitlines() if line.strip().startswith("mean")}
    assert len(means) == 2


# -- order, deviations, notes ------------------------------------------------------------------------------


def test_components_in_order():
    fit = lt.fit(NORMALS, FAR).sorted(by="mean", descending=True)
    assert (np.diff(fit.params["mean"]) < 0).all()
    again = fit.sorted(by="mean")
    assert (np.diff(again.params["mean"]) > 0).all()
    for name, value in fit.params.items():
        np.testing.assert_allclose(again.params[name], value[::-1], rtol=1e-12)
        np.testing.assert_allclose(again.standard_errors()[name], fit.standard_errors()[name][::-1], rtol=1e-5)
    assert again.log_likelihood == fit.log_likelihood
    np.testing.assert_array_equal(again.predict(), 1 - fit.predict())
    planes = lt.fit(lt.Mixture(lt.MultivariateNormal(2), 2), {"x": FAR - 1.7e9, "y": RNG.normal(size=160)})
    assert (np.diff(planes.sorted(by="mean[x]").params["mean"][:, 0]) > 0).all()
    odd = lt.fit(lt.Mixture(lt.MultivariateNormal(2), 2), {"a[b": FAR - 1.7e9, "c, d": RNG.normal(size=160)})
    assert (np.diff(odd.sorted(by="mean[a[b]").params["mean"][:, 0]) > 0).all()
    assert all(f" sd[{j}, {name}] " in str(odd) for j in range(2) for name in ("a[b", "c, d"))
    with pytest.raises(lt.ParameterError, match=r"by must be one of weights, mean\[x\], mean\[y\], .*got 'mean'"):
        planes.sorted(by="mean")
    apart = lt.Prior(20, {"weights": [0.5, 0.5], "mean": [0.0, 900.0], "variance": [900.0, 900.0]})
    with pytest.raises(lt.ModelError, match="a prior or known weights tell them apart"):
        lt.fit(NORMALS, FAR - 1.7e9, prior=apart).sorted(by="mean")
    with pytest.raises(lt.ModelError, match="no components that could change places"):
        lt.fit(lt.IID(lt.Normal()), [1.0, 2.0]).sorted(by="mean")


def test_standard_deviations_stand_beside_variances():
    fit = lt.fit(NORMALS, FAR)
    rows = {line.split()[0]: line.split() for line in str(fit).splitlines() if line.startswith(" ") and "[" in line}
    for j in range(2):
        root = fit.derive(lambda p, j=j: p["variance"][j] ** 0.5)
        assert float(rows[f"sd[{j}]"][1]) == pytest.approx(float(root.estimate), rel=1e-4)
        assert float(rows[f"sd[{j}]"][2]) == pytest.approx(float(root.standard_error), rel=1e-3)
        np.testing.assert_allclose([float(rows[f"sd[{j}]"][i]) for i in (3, 5)], root.interval(), rtol=1e-2)
    table = {"x": RNG.normal(size=30), "y": RNG.normal(size=30)}
    assert " sd[x] " in str(lt.fit(lt.IID(lt.MultivariateNormal(2)), table))
    assert " x.sd " in str(lt.fit(lt.IID(lt.Product({"x": lt.Normal(), "y": lt.Normal()})), table))
    assert "sd" not in str(lt.fit(lt.IID(lt.Normal(variance=1.0)), table["x"]))


def test_densities_beside_probabilities_are_pointed_out():
    rows = np.concatenate([RNG.poisson(3, 40), RNG.poisson(30, 40)])
    fit = lt.fit(lt.Mixture([lt.Poisson(), lt.Normal()]), rows)
    assert "component 0 gives whole numbers probabilities, 1 densities" in fit.notes[0]
    assert "Note" in str(fit)
    assert lt.fit(lt.Mixture([lt.Gamma(), lt.Normal()]), rows + 0.5).notes == ()


def test_one_is_one():
    report = str(lt.fit(lt.IID(lt.Exponential()), [2.0]))
    assert "1 observation\n" in report
    assert "1 observations" not in report
    assert "1 free parameter " in report
    table = str(lt.choose(lambda k: lt.Mixture(lt.Poisson(), k), [1, 2, 2, 9, 8, 9], [1, 2]))
    assert all(head in table for head in (" AIC ", " BIC ", " ICL "))


# -- nothing but our own errors ----------------------------------------------------------------------------

WORDS = (
    "normal",
    "poisson",
    "x",
    "y",
    "t",
    "1-t",
    "A",
    "a",
    "mean",
    "full",
    "C > I",
    "mixture",
    "cells",
    "auto",
    "1/0",
)
KEYS = ("name", "k", "x", "y", "a", "A", "t", "mean", "weights", "variance", "family", "lower", "columns", "size")
ANY = st.recursive(
    st.one_of(
        st.just(datetime.date(2024, 1, 1)),
        st.booleans(),
        st.integers(-3, 5),
        st.integers(),
        st.floats(),
        st.sampled_from(WORDS),
        st.text(max_size=3),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)),
    max_leaves=6,
)
MODEL = ("kind", "family", "families", "components", "weights", "shared", "cells", "seen", "parameters", "alleles")
DATA = ("values", "counts", "columns", "weights", "observed", "labels")
FIT = ("start", "starts", "prior", "seed", "accelerate", "tolerance", "max_steps", "sorted")


def table(*keys):
    return st.one_of(ANY, st.dictionaries(st.sampled_from((*keys, "odd")), ANY, max_size=4))


SOUND = [
    ({"family": "normal"}, {"values": {"x": [1, 2, 3]}}),
    ({"family": "poisson", "components": 2}, {"values": {"x": [1, 2, 3]}}),
    ({"kind": "hardy-weinberg", "alleles": "A > a"}, {"counts": {"A": 1, "a": 2}}),
    (
        {"family": {"name": "product", "columns": {"x": "normal", "y": "poisson"}}},
        {"values": {"x": [1, 2], "y": [1, 2]}},
    ),
]


@st.composite
def nearly_sound(draw):
    model, data = (dict(part) for part in draw(st.sampled_from(SOUND)))
    model[draw(st.sampled_from(MODEL))] = draw(ANY)
    data[draw(st.sampled_from(DATA))] = draw(ANY)
    return {"model": model, "data": data, "fit": draw(table(*FIT))}


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        nearly_sound(),
        st.fixed_dictionaries(
            {}, optional={"model": table(*MODEL), "data": table(*DATA), "fit": table(*FIT), "title": ANY}
        ),
    )
)
def test_any_model_file_is_a_plan_or_our_own_error(text):
    try:
        plan(text, Path())
    except lt.LatensError as error:
        assert "Traceback" not in str(error)  # noqa: PT017


OPTIONS = """
--components --family --columns --covariance --shared --weights --starts --seed --prior --accelerate --tolerance
--max-steps --sorted --errors --json --odd --quiet
""".split()
GIVEN = [*OPTIONS, *WORDS, "x.csv", "no.csv", "x.toml", "-1", "0", "2", "nan", "1e9", ""]
ARGUMENT = st.one_of(st.sampled_from(GIVEN), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3))
COMMANDS = "fit compare choose impute predict simulate demo odd".split()


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(COMMANDS), st.lists(ARGUMENT, max_size=5))
def test_any_command_line_ends_as_documented(tmp_path_factory, command, arguments):
    folder = tmp_path_factory.mktemp("any")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("x.csv").write_text("x,y\n1,2\n2,3.5\n4,3\n")
        Path("x.toml").write_text('[model]\nfamily = "normal"\n[data]\nfile = "x.csv"\ncolumns = ["x"]\n')
        with pytest.raises(SystemExit) as ended:
            main([command, *arguments])
    assert ended.value.code in (0, 1, 2)


def test_sorted_on_the_command_line_and_in_a_file(capsys, tmp_path):
    rows = "x\n" + "\n".join(f"{value:.6f}" for value in FAR - 1.7e9)
    (tmp_path / "x.csv").write_text(rows)
    (tmp_path / "x.toml").write_text(
        '[model]\nfamily = "normal"\ncomponents = 2\n[data]\nfile = "x.csv"\n[fit]\nsorted = "mean"\nseed = 3\n'
    )
    for arguments in (["x.csv", "--components", "2", "--sorted", "mean"], ["x.toml"]):
        with pytest.raises(SystemExit):
            main(["fit", str(tmp_path / arguments[0]), *arguments[1:], "--json", "-"])
        found = json.loads(capsys.readouterr().out)["params"]["mean"]
        assert found == sorted(found)
    with pytest.raises(SystemExit) as ended:
        main(["fit", str(tmp_path / "x.csv"), "--sorted", "mean"])
    assert ended.value.code == 2
    assert "no components that could change places" in capsys.readouterr().err
