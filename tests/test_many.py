"""Many small fits side by side are the fits of each group by itself."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

import latens as lt
from latens.cli import main

DRAWS = np.random.default_rng(5)
TIGHT = lt.Stop(tolerance=1e-10)


def _exponentials(groups, sizes=(200,)):
    parts = [DRAWS.exponential(np.where(DRAWS.random(sizes[g % len(sizes)]) < 0.5, 1.0, 9.0)) for g in range(groups)]
    return np.concatenate(parts), np.repeat(np.arange(groups), [len(part) for part in parts])


MODELS = {
    "exponentials": (lt.Mixture(lt.Exponential(), 2), "rate", lambda n: DRAWS.exponential(np.repeat([1, 9], n // 2))),
    "normals": (lt.Mixture(lt.Normal(), 2), "mean", lambda n: DRAWS.normal(np.repeat([1e3, 1e3 + 5], n // 2), 1)),
    "shared": (
        lt.Mixture(lt.Normal(), 2, shared=("variance",)),
        "mean",
        lambda n: DRAWS.normal(np.repeat([0, 4], n // 2), 1),
    ),
    "planes": (
        lt.Mixture(lt.MultivariateNormal(2), 2),
        "mean[0]",
        lambda n: DRAWS.normal(np.repeat([0, 6], n // 2)[:, None], [1.0, 1e-3], (n // 2 * 2, 2)),
    ),
    "poissons": (lt.Mixture(lt.Poisson(), 2), "rate", lambda n: DRAWS.poisson(np.repeat([2, 15], n // 2))),
    "gamma": (lt.IID(lt.Gamma()), None, lambda n: DRAWS.gamma(2.0, 3.0, n)),
    "normal": (lt.IID(lt.Normal()), None, lambda n: DRAWS.normal(5, 2, n)),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_group_is_as_by_itself(name):
    model, by, draw = MODELS[name]
    parts = [draw(n) for n in (60, 80, 130, 60)]
    keys = np.repeat(["a", "b", "c", "d"], [len(part) for part in parts])
    many = lt.fit_many(model, np.concatenate(parts), keys, sort=by)
    assert list(many) == ["a", "b", "c", "d"]
    for group, part in zip(many.found, parts, strict=True):
        one = lt.fit(model, part, stop=TIGHT)
        one = one.sorted(by) if by else one
        assert group.status == "converged"
        assert group.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-8)
        np.testing.assert_allclose(group.values, one.estimates, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(group.errors, np.sqrt(np.diag(one.covariance())), rtol=1e-6)
        assert group.distance < 1e-7


@pytest.mark.parametrize("model", [lt.Mixture(lt.Normal(), 2), lt.Mixture(lt.Product({"0": lt.LogNormal()}), 2)])
def test_groups_far_from_one_another(model):
    """Of other units, elsewhere, and of which not all was seen, among others: each is as by itself."""
    draws, parts = np.random.default_rng(8), {}
    for name, scale, shift in (("a", 1, 9), ("b", 1, 10), ("c", 1e-4, 1), ("d", 1, 10), ("e", 1e5, 1e6), ("f", 1, 9)):
        parts[name] = scale * draws.normal(np.repeat([0, 5], 40), 1) + shift
    parts["d"] = np.where(draws.random(80) < 0.2, np.nan, parts["d"])
    keys = np.repeat(list(parts), 80)
    by = next(name for name in lt.fit(model, parts["a"][:, None]).params if name.endswith("mean"))
    many = lt.fit_many(model, np.concatenate(list(parts.values()))[:, None], keys, sort=by)
    for group, part in zip(many.found, parts.values(), strict=True):
        one = lt.fit(model, part[:, None], stop=TIGHT).sorted(by)
        assert group.status == "converged"
        assert group.n == one.n
        assert group.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-7)
        np.testing.assert_allclose(group.values, one.estimates, rtol=1e-7)
        np.testing.assert_allclose(group.errors, np.sqrt(np.diag(one.covariance())), rtol=1e-5)


def test_tables_come_as_the_data_came():
    x, site = _exponentials(5, (40, 70))
    frame = pd.DataFrame({"wait": x, "site": np.array(list("vwxyz"))[site], "year": 2000 + site % 2})
    many = lt.fit_many(lt.Mixture(lt.Exponential(), 2), frame.drop(columns="year"), by="site", sort="rate")
    tidy, glance = many.tidy(), many.glance()
    assert isinstance(tidy, pd.DataFrame)
    assert list(tidy.columns) == ["site", "term", "component", "estimate", "std_error", "conf_low", "conf_high", "note"]
    assert len(tidy) == 5 * 4
    assert list(glance["site"]) == list("vwxyz")
    assert glance["converged"].all()
    np.testing.assert_allclose(glance["bic"], 3 * np.log(glance["n"]) - 2 * glance["log_likelihood"])
    one = many["x"]
    np.testing.assert_allclose(one.params["rate"], many.params["rate"][2], rtol=1e-6)
    own = tidy[tidy["site"] == "x"]
    alone = lt.fit(lt.Mixture(lt.Exponential(), 2), frame.loc[frame["site"] == "x", "wait"], stop=TIGHT).sorted("rate")
    np.testing.assert_allclose(own["conf_low"], alone.tidy()["conf_low"], rtol=1e-5)
    several = lt.fit_many(lt.IID(lt.Exponential()), pl.from_pandas(frame), by=["site", "year"])
    assert several.groups[0] == ("v", 2000)
    assert several.tidy().columns[:2] == ["site", "year"]
    assert "5 fits of IID, 5 converged" in repr(several)


def test_weights_are_repetitions_and_a_second_call_is_the_same():
    x, site = _exponentials(6, (60,))
    w = DRAWS.integers(0, 4, len(x)).astype(float)
    model = lt.Mixture(lt.Exponential(), 2)
    once, again = (lt.fit_many(model, x, site, weights=w, sort="rate") for _ in range(2))
    repeated = lt.fit_many(model, np.repeat(x, w.astype(int)), np.repeat(site, w.astype(int)), sort="rate")
    for a, b, c in zip(once.found, again.found, repeated.found, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_allclose(a.values, c.values, rtol=1e-7)
        np.testing.assert_allclose(a.errors, c.errors, rtol=1e-6)
        assert a.n == c.n


def test_groups_that_cannot_be_fitted_say_why_and_spoil_no_other():
    good = DRAWS.normal(0, 1, 50)
    parts = {"good": good, "one": [3.0], "alike": np.full(20, 7.0), "gone": np.full(5, np.nan), "last": good + 9}
    x, keys = np.concatenate(list(parts.values())), np.repeat(list(parts), [len(part) for part in parts.values()])
    many = lt.fit_many(lt.IID(lt.Normal()), x, keys)
    status = dict(zip(many.groups, (group.status for group in many.found), strict=True))
    assert status["good"] == status["last"] == "converged"
    for name in ("one", "alike", "gone"):
        group = many.found[many.groups.index(name)]
        assert group.status != "converged"
        assert group.note
        assert np.isnan(group.errors).all()
    np.testing.assert_allclose(many.params["mean"][0], good.mean())
    table = many.tidy().filter(pl.col("group") == "gone")
    assert table["conf_low"].is_nan().all()


def test_an_estimate_on_a_boundary_has_its_reason():
    many = lt.fit_many(lt.IID(lt.Bernoulli()), [0, 0, 0, 0, 1, 0, 1, 1], list("aaaabbbb"))
    first, second = many.found
    assert first.values[0] == pytest.approx(0.0, abs=1e-12)
    assert second.values[0] == pytest.approx(0.75)
    assert np.isnan(first.errors[0])
    assert "boundary" in first.note
    assert second.errors[0] == pytest.approx(np.sqrt(0.75 * 0.25 / 4))


def test_a_model_of_ones_own_and_half_seen_data():
    x = np.r_[DRAWS.exponential(2, 40), DRAWS.exponential(5, 40)]
    seen = (x < 6).astype(int)
    times, keys = lt.right_censored(np.minimum(x, 6), seen), np.repeat(["a", "b"], 40)
    many = lt.fit_many(lt.IID(lt.Exponential()), {"t": times}, keys)
    for rows, rate in zip((slice(0, 40), slice(40, 80)), many.params["rate"], strict=True):
        assert rate == pytest.approx(seen[rows].sum() / np.minimum(x, 6)[rows].sum(), rel=1e-6)


def test_rows_are_taken_by_place_whatever_they_come_in():
    """Categories that a group lacks, an index that is no order, masked entries, keys called as a result is."""
    table = {"g": list("aaaabbbb"), "c": ["x", "y", "z", "x", "x", "y", "x", "y"]}
    many = lt.fit_many(lt.IID(lt.Categorical()), table, "g")
    np.testing.assert_allclose(many.params["probabilities"], [[0.5, 0.25, 0.25], [0.5, 0.5, 0]], atol=1e-12)
    assert many["b"].params["probabilities"].shape == (3,)
    notes = many.tidy().filter(pl.col("g") == "b")
    assert ["boundary" in note for note in notes["note"]] == [False, False, True]

    values, keys, index = np.array([1.0, 2, 3, 10, 20, 30]), list("aaabbb"), [5, 4, 3, 2, 1, 0]
    expected = [lt.fit(lt.IID(lt.Weibull()), part).params["scale"] for part in (values[:3], values[3:])]
    masked = np.ma.array(np.r_[values, 999.0], mask=[0] * 6 + [1])
    for data, by in (
        (pd.Series(values, index=index), keys),
        ({"y": pd.Series(values, index=index)}, np.array(keys)),
        (masked, [*keys, "a"]),
    ):
        found = lt.fit_many(lt.IID(lt.Weibull()), data, by).params["scale"]
        np.testing.assert_allclose(found, expected, rtol=1e-5)

    clash = lt.fit_many(lt.IID(lt.Poisson()), {"n": ["a", "b"], "y": [1, 2]}, "n").glance()
    assert clash["n"].to_list() == ["a", "b"]
    assert clash["fitted_n"].to_list() == [1.0, 1.0]


def test_what_is_wrong_is_said():
    model = lt.IID(lt.Poisson())
    with pytest.raises(lt.DataError, match="no column 'sites' to group by; there are site, n"):
        lt.fit_many(model, {"site": ["a", "b"], "n": [1, 2]}, by="sites")
    with pytest.raises(lt.DataError, match="row 1 has no 'site'"):
        lt.fit_many(model, pl.DataFrame({"site": ["a", None], "n": [1, 2]}), by="site")
    with pytest.raises(lt.DataError, match="no columns but those"):
        lt.fit_many(model, {"site": ["a", "b"]}, by="site")
    with pytest.raises(lt.DataError, match="3 keys for 2 rows"):
        lt.fit_many(model, [1, 2], ["a", "b", "c"])
    with pytest.raises(lt.DataError, match=r"row 1.*1\.5"):
        lt.fit_many(model, [1, 1.5], ["a", "b"])
    with pytest.raises(lt.ParameterError, match="starts"):
        lt.fit_many(model, [1, 2], ["a", "b"], starts=0)
    with pytest.raises(lt.ParameterError, match="sort must be one of"):
        lt.fit_many(lt.Mixture(lt.Poisson(), 2), [1, 2, 9, 8, 1], list("aaaaa"), sort="mean")
    with pytest.raises(lt.ParameterError, match="no group 'z'"):
        lt.fit_many(model, [1, 2], ["a", "b"])["z"]


def test_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "calls.csv"
    pl.DataFrame({"site": ["a", "a", "b", "b", "b"], "calls": [1, 3, 8, 9, 13]}).write_csv(path)
    with pytest.raises(SystemExit) as ended:
        main(["fit", str(path), "--family", "poisson", "--by", "site"])
    assert ended.value.code == 0
    shown = capsys.readouterr()
    table = pl.read_csv(shown.out.encode())
    assert table["estimate"].to_list() == pytest.approx([2.0, 10.0])
    assert table["std_error"][0] == pytest.approx(1.0)
    assert "2 fits of IID, 2 converged" in shown.err
    with pytest.raises(SystemExit) as ended:
        main(["fit", str(path), "--family", "poisson", "--by", "site", "--json", "-"])
    assert json.loads(capsys.readouterr().out)["groups"][1]["n"] == 3.0
    for wrong, words in ((["--by", "x"], "no column 'x'"), (["--by", "site", "--tolerance", "1e-8"], "--tolerance")):
        with pytest.raises(SystemExit) as ended:
            main(["fit", str(path), "--family", "poisson", *wrong])
        assert ended.value.code == 2
        assert words in capsys.readouterr().err


def test_starts_of_groups_see_what_rows_there_are():
    """In any order, repeated or weighted."""
    draws = np.random.default_rng(3)
    rows = np.round(np.concatenate([draws.normal(0, 1, (40, 2)), draws.normal(2, 1, (40, 2))]), 1)
    keys, weights = np.repeat(["a", "b"], 40), draws.integers(1, 4, 80)
    model = lt.Mixture(lt.MultivariateNormal(2, "diagonal"), 2)
    want = lt.fit_many(model, rows, keys, weights=weights)
    again = draws.permutation(np.repeat(np.arange(80), weights))
    found = lt.fit_many(model, rows[again], keys[again])
    for key in "ab":
        here = next(each for each in found if each == key)
        np.testing.assert_allclose(found[here].params["mean"], want[key].params["mean"], atol=1e-6)
