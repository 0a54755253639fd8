"""What users bring: tables of every library, every kind of missing cell, files as other programs write them."""

import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import latens as lt
from latens.data.files import columns_in
from latens.data.text import Table

RNG = np.random.default_rng(0)
NORMAL, KINDS = lt.IID(lt.Normal()), lt.IID(lt.Categorical())
ONES = [1, 0, None, 1]
TEXTS = ["b", "a", None, "b"]

NUMBERS = {
    "list": ONES,
    "masked": np.ma.array([1, 0, 99, 1], mask=[0, 0, 1, 0]),
    "masked column": {"x": np.ma.array([1, 0, 99, 1], mask=[0, 0, 1, 0])},
    "pandas Int64": pd.DataFrame({"x": pd.array(ONES, dtype="Int64")}),
    "pandas Float64": pd.Series(pd.array(ONES, dtype="Float64")),
    "pandas boolean": pd.DataFrame({"x": pd.array([True, False, None, True], dtype="boolean")}),
    "pandas array": {"x": pd.array([True, False, None, True], dtype="boolean")},
    "pandas category": pd.DataFrame({"x": pd.Categorical(ONES)}),
    "pandas object": pd.Series([1, 0, pd.NA, 1], dtype=object),
    "NaT": np.array([1.0, 0.0, pd.NaT, 1.0], dtype=object),
    "polars Int8": pl.DataFrame({"x": pl.Series(ONES, dtype=pl.Int8)}),
    "polars Boolean": pl.Series([True, False, None, True]),
    "polars Decimal": pl.DataFrame({"x": pl.Series(ONES).cast(pl.Decimal(10, 2))}),
    "polars lazy": pl.LazyFrame({"x": ONES}),
    "pyarrow": pa.table({"x": pa.array(ONES)}),
    "pyarrow boolean": pa.array([True, False, None, True]),
    "Decimal": [Decimal(1), Decimal(0), None, Decimal(1)],
    "Fraction": [Fraction(1), Fraction(0), None, Fraction(1)],
    "NumPy scalars": [np.float32(1), np.int8(0), np.float64("nan"), np.bool_(True)],
}
CATEGORIES = {
    "list": TEXTS,
    "column": [[text] for text in TEXTS],
    "masked": np.ma.array(["b", "a", "z", "b"], mask=[0, 0, 1, 0]),
    "pandas string": pd.DataFrame({"k": pd.array(TEXTS, dtype="string")}),
    "pandas category": pd.DataFrame({"k": pd.Categorical(TEXTS)}),
    "polars String": pl.DataFrame({"k": TEXTS}),
    "polars Categorical": pl.DataFrame({"k": pl.Series(TEXTS, dtype=pl.Categorical)}),
    "polars Enum": pl.DataFrame({"k": pl.Series(TEXTS, dtype=pl.Enum(["b", "a"]))}),
    "pyarrow dictionary": pa.table({"k": pa.array(TEXTS).dictionary_encode()}),
    "sets": ["b", "a", {"a", "b"}, "b"],
}


@pytest.mark.parametrize("data", NUMBERS.values(), ids=NUMBERS)
def test_missing_cells_of_every_kind(data):
    fit = lt.fit(NORMAL, data)
    assert float(fit.params["mean"]) == pytest.approx(2 / 3)
    assert (fit.n, fit.unseen) == (3, 1)


@pytest.mark.parametrize("data", CATEGORIES.values(), ids=CATEGORIES)
def test_categories_of_every_kind(data):
    fit = lt.fit(KINDS, data)
    assert fit.names == ["probabilities[a]", "probabilities[b]"]
    np.testing.assert_allclose(fit.params["probabilities"], [1 / 3, 2 / 3], atol=1e-6)


DAYS, SPANS = pd.to_datetime(["2024-01-01", "2024-02-01", None]), pd.to_timedelta([1, None, 3], unit="D")
REFUSED = [
    (pd.DataFrame({"t": DAYS}), "column 't' holds dates or times; give numbers in a unit of your choice"),
    (pd.DataFrame({"t": SPANS}), r"column 't' holds durations; .* x / np.timedelta64\(1, 'D'\)"),
    (pl.DataFrame({"t": [datetime.date(2024, 1, 1)]}), "column 't' holds dates"),
    (pl.DataFrame({"t": [datetime.time(1, 2)]}), "row 0, column 't'.*holds dates or times"),
    (pa.table({"t": pa.array([1, None], pa.duration("s"))}), "column 't' holds durations"),
    ([datetime.timedelta(1), 2.0], "row 0, column '0'.*durations"),
    (np.array([1 + 2j]), "column '0' holds complex numbers"),
    ([1.0, 2j], "complex"),
    ({"x": [1.0, "N/A"]}, r"row 1, column 'x': 'N/A' is not a number.*lt.read_cells"),
    ([10**400], "row 0, column '0'.*is not a number"),
    ({"x": 3.0}, r"column 'x' has shape \(\); a column is \(n,\)"),
    (pl.DataFrame({"x": [[1, 2]]}), "lengths|not a number"),
    (pd.DataFrame([[1, 2]], columns=["x", "x"]), "two columns are called 'x'"),
    ((i for i in range(3)), "not a number"),
]


@pytest.mark.parametrize(("data", "words"), REFUSED)
def test_what_is_no_number_is_refused_by_name(data, words):
    with pytest.raises(lt.DataError, match=words):
        lt.fit(NORMAL, data)


def test_durations_in_a_unit():
    assert float(lt.fit(NORMAL, SPANS / np.timedelta64(1, "D")).params["mean"]) == pytest.approx(2)


def test_weights_labels_and_bounds_take_missing_cells_too():
    gone = pd.array([1, None, 2], dtype="Int64")
    assert lt.fit(NORMAL, lt.interval(gone, [1, None, 3])).unseen == 1
    with pytest.raises(lt.DataError, match="row 1: the weight nan"):
        lt.fit(NORMAL, [1.0, 2.0, 3.0], weights=gone)
    with pytest.raises(lt.DataError, match="row 0, column 'upper'.*dates"):
        lt.interval([0.0], [datetime.date(2024, 1, 1)])
    told = pd.array([0, None, None, 1, None, None], dtype="Int64")
    assert lt.fit(lt.Mixture(lt.Normal(), 2), [1.0, 2, 3, 8, 9, 10], labels=told).params["mean"][0] < 3


ROWS = {"x": [0.1, 1.2, 5.0, 6.1, 5.5], "y": [1.0, 0.2, 4.0, 4.4, 5.0], "n": [1, 2, 0, 1, 2]}
ROWS |= {"kind": [0, None, None, 1, None]}
TABLES = (dict, pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.table, Table)


@pytest.mark.parametrize("form", TABLES, ids=["dict", "pandas", "polars", "lazy", "arrow", "cells"])
def test_weights_and_labels_may_be_columns_of_the_data(form):
    model, stop = lt.Mixture(lt.MultivariateNormal(2), 2), lt.Stop(max_steps=2)
    want = lt.fit(model, np.column_stack([ROWS["x"], ROWS["y"]]), weights=ROWS["n"], labels=ROWS["kind"], stop=stop)
    data = form(ROWS)
    fit = lt.fit(model, data, weights="n", labels="kind", stop=stop)
    assert fit.log_likelihood == want.log_likelihood
    np.testing.assert_array_equal(fit.predict(data), want.predict(np.column_stack([ROWS["x"], ROWS["y"]])))
    if isinstance(data, dict):
        assert list(data) == list(ROWS)  # nothing was taken out of the caller's


def test_so_may_those_of_streams_and_groups():
    calls = {"site": ["a", "a", "b"], 7: [1, 3, 8], "n": [1, 2, 1]}
    many = lt.fit_many(lt.IID(lt.Poisson()), calls, by="site", weights="n")
    assert many.tidy()["estimate"].to_list() == pytest.approx([7 / 3, 8.0])
    stream = lt.online(lt.IID(lt.Poisson()))
    stream.update({"calls": [1, 3], "n": [1, 2]}, weights="n")
    assert stream.n == 3
    sized = lt.fit(lt.IID(lt.Poisson()), pd.DataFrame({7: [1, 3, 8], 9: [1, 2, 1]}), weights="9")
    assert float(sized.params["rate"]) == pytest.approx(15 / 4)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([1.0, 2.0], "weights='n' names a column, but the columns of these data have no names"),
        ({"x": [1.0, 2.0]}, "weights: there is no column 'n'; there are x"),
        ({"n": [1.0, 2.0]}, "no columns but those of weights"),
        ({"x": [1.0, 2.0], "n": [1.0, None]}, "row 1: the weight nan"),
    ],
)
def test_columns_of_weights_that_cannot_be(data, words):
    with pytest.raises(lt.DataError, match=words):
        lt.fit(lt.IID(lt.Normal()), data, weights="n")


def test_categories_keep_their_names():
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"kind": ["a", "b", "a", "b", "c"] * 8, "x": rng.normal(size=40) + 9 * (np.arange(40) > 19)})
    fit = lt.fit(lt.Mixture(lt.Product({"kind": lt.Categorical(), "x": lt.Normal()}), 2), data)
    assert "kind.probabilities[0, a]" in fit.names
    rows = {"kind": ["c", "b", None], "x": [0.0, np.nan, 9.0]}  # in the order of the fit, not of these rows
    np.testing.assert_allclose(fit.posterior(rows), fit.posterior({"kind": [2, 1, np.nan], "x": rows["x"]}))
    assert set(fit.sample(50)["kind"]) <= {"a", "b", "c"}
    assert fit.impute(rows).values["kind"][2] in ("a", "b")
    assert fit.impute(data.assign(x=np.nan)).values["kind"].equals(data["kind"])
    with pytest.raises(lt.DataError, match="row 0, column 'kind': 'z' is none of the categories a, b, c"):
        fit.posterior({"kind": ["z"], "x": [0.0]})


def test_whole_numbers_that_do_not_begin_at_0_are_categories():
    fit = lt.fit(KINDS, [1, 2, 4, 4, None])
    assert fit.names == ["probabilities[1]", "probabilities[2]", "probabilities[4]"]
    assert set(fit.sample(20)) <= {1.0, 2.0, 4.0}
    assert lt.fit(KINDS, [0, 1, 1]).names == ["probabilities[0]", "probabilities[1]"]


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        (KINDS, ["a", "a"], "holds only 'a'"),
        (KINDS, [None, None], "holds nothing"),
        (lt.IID(lt.Categorical(2)), ["a", "b", "c"], r"3 categories \(a, b, c\), more than k = 2"),
        (KINDS, [1.5, 1, 2], "1.5 is not a code"),
    ],
)
def test_categories_that_cannot_be(model, data, words):
    with pytest.raises(lt.DataError, match=words):
        lt.fit(model, data)
    with pytest.raises(lt.ModelError, match="number of categories is not known"):
        _ = KINDS.constraints


def test_names_that_are_numbers():
    assert lt.fit(lt.IID(lt.Categorical(2, names=("1", "0"))), ["1", "1", "0"]).params["probabilities"][0] > 0.6
    fit = lt.fit(KINDS, [1, 2, 2, 3, 3, 3])
    told = fit.model.family.log_density(fit.params, lt.interval([1], [2]))
    np.testing.assert_allclose(np.exp(told), [0.5], rtol=1e-6)


def test_multinomial_takes_k_from_the_columns():
    fit = lt.fit(lt.IID(lt.Multinomial()), {"red": [1, 2], "blue": [3, 4]})
    assert fit.names == ["probabilities[red]", "probabilities[blue]"]


# -- files ------------------------------------------------------------------------------------------------

LONG, WAIT = [3.6, 1.8, 3.3, 2.0], [79.0, 54.0, 74.0, 60.0]
WRITTEN = {
    "comma.csv": "long,wait\n3.6,79\n1.8,54\n3.3,74\n2,60\n",
    "blanks.csv": "long, wait \n3.6, 79\n1.8, 54\n3.3, 74\n2, 60\n",
    "semicolon.csv": "long;wait\n3,6;79\n1,8;54\n3,3;74\n2;60\n",
    "tab.tsv": "long\twait\n3.6\t79\n1.8\t54\n3.3\t74\n2\t60\n",
    "bar.csv": "long|wait\n3.6|79\n1.8|54\n3.3|74\n2|60\n",
    "aligned.txt": "  long  wait\n   3.6    79\n   1.8    54\n 3.3 74\n 2 60\n",
    "crlf.csv": "long,wait\r\n3.6,79\r\n1.8,54\r\n3.3,74\r\n2,60\r\n",
    "mark.csv": "\ufefflong,wait\n3.6,79\n1.8,54\n3.3,74\n2,60\n",
    "R.csv": '"","long","wait"\n"1",3.6,79\n"2",1.8,54\n"3",3.3,74\n"4",2,60\n',
    "names.csv": '"","long","wait"\n"Mazda RX4",3.6,79\n"b",1.8,54\n"c",3.3,74\n"d",2,60\n',
    "table.csv": '"long","wait"\n"1",3.6,79\n"2",1.8,54\n"3",3.3,74\n"4",2,60\n',
    "table.txt": '"long" "wait"\n"a b" 3.6 79\n"2" 1.8 54\n"3" 3.3 74\n"4" 2 60\n',
    "ends.csv": "long,wait,\n3.6,79,\n1.8,54,\n3.3,74,\n2,60,\n",
    "above.csv": "\n\nlong,wait\n3.6,79\n1.8,54\n3.3,74\n2,60\n",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_files_as_other_programs_write_them(name, tmp_path):
    (tmp_path / name).write_text(WRITTEN[name], encoding="utf-8", newline="")
    read = columns_in(tmp_path / name)
    assert list(read) == ["long", "wait"]
    np.testing.assert_array_equal(read["long"], LONG)
    np.testing.assert_array_equal(read["wait"], WAIT)
    np.testing.assert_array_equal(columns_in(tmp_path / name, ("wait",))["wait"], WAIT)


def test_texts_with_blanks_are_one_column(tmp_path):
    (tmp_path / "city.csv").write_text("city\nNew York\nLos Angeles\nNew York\n")
    assert columns_in(tmp_path / "city.csv")["city"].labels == ("Los Angeles", "New York")
    for name, text in (("decimal", "a\n1,5\n2,5\n3,5\n"), ("ends", "a,b\n1,2,\n2,4,\n3,9,\n")):
        (tmp_path / f"{name}.csv").write_text(text)
        with pytest.raises(lt.DataError, match="line 2 has"):
            columns_in(tmp_path / f"{name}.csv")
    (tmp_path / "list.csv").write_text("city\nYork, UK\nBath, UK\n")
    with pytest.raises(lt.DataError, match="line 2 has 2 cells, the header names 1 column"):
        columns_in(tmp_path / "list.csv")


def test_true_and_false_are_numbers_where_numbers_are_wanted():
    told = lt.read_cells({"ok": [" TRUE", "FALSE", "", "TRUE"]})
    assert float(lt.fit(lt.IID(lt.Bernoulli()), told).params["probability"]) == pytest.approx(2 / 3)
    assert lt.fit(KINDS, told).names == ["probabilities[FALSE]", "probabilities[TRUE]"]


def test_rows_of_which_nothing_was_seen_are_no_distinct_rows():
    with pytest.raises(lt.DataError, match="3 components for data with 2 distinct rows: choose k of at most 2"):
        lt.fit(lt.Mixture(lt.Normal(), 3), [1.0, 1.0, 2.0, None, None, None])


def test_categories_are_one_column():
    with pytest.raises(lt.DataError, match=r"Categorical takes 1 column, the data have 2 columns \(a, b\).*lt.Product"):
        lt.fit(KINDS, {"a": ["x", "y"], "b": ["x", "y"]})


def test_shared_parameters_beside_categories_that_the_data_tell():
    table = {"kind": ["a", "b"] * 10, "x": np.r_[RNG.normal(0, 1, 10), RNG.normal(9, 1, 10)]}
    items = lt.Product({"kind": lt.Categorical(), "x": lt.Normal()})
    fit = lt.fit(lt.Mixture(items, 2, shared=["x.variance"]), table, starts=2)
    assert fit.params["x.variance"].shape == ()
    with pytest.raises(lt.ModelError, match="no such parameter"):
        lt.fit(lt.Mixture(items, 2, shared=["y.variance"]), table)


BROKEN = {
    "empty.csv": ("", "has no lines"),
    "header.csv": ("a,b\n", "a header only"),
    "twice.csv": ("x,x\n1,2\n", "two columns are called 'x'"),
    "headless.csv": ("3.6,79\n1.8,54\n", "the first line, '3.6,79', holds numbers; put one of names"),
    "ragged.csv": ("a,b\n1,2\n5,7,8\n", "line 3 has 3 cells, the header names 2 columns"),
    "short.csv": ("a,b\n1,2\n5\n", "line 3 has 1 cell, the header names 2 columns"),
    "kind.xlsx": ("", "expected a file of text"),
    "text.csv": ("x\n1\n2x\n", "row 1, column 'x': '2x' is not a number"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_cannot_be_read(name, tmp_path):
    content, words = BROKEN[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(lt.DataError, match=words):
        columns_in(tmp_path / name)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_told(encoding, tmp_path):
    (tmp_path / "x.csv").write_text("länge\n1\n2\n", encoding=encoding)
    with pytest.raises(lt.DataError, match="no text in UTF-8"):
        columns_in(tmp_path / "x.csv")


def test_parquet_of_every_type(tmp_path):
    frame = pl.DataFrame({"day": DAYS, "span": SPANS, "list": [[1], [2], None], "x": [1, None, 3]})
    frame.write_parquet(tmp_path / "t.parquet")
    for name, words in (("day", "dates"), ("span", "durations"), ("list", "column 'list' holds List")):
        with pytest.raises(lt.DataError, match=words):
            columns_in(tmp_path / "t.parquet", (name,))
    np.testing.assert_array_equal(columns_in(tmp_path / "t.parquet", ("x",))["x"], [1, np.nan, 3])


def test_texts_taken_as_missing_are_told():
    read = lt.read_cells({"x": ["1", "N/A", ".", ".", "5", ""], "kind": ["a", ".", "NA", "b", "a", "-"]})
    np.testing.assert_array_equal(read["x"], [1, np.nan, np.nan, np.nan, 5, np.nan])
    assert read["kind"].labels == ("-", ".", "a", "b")
    assert read.notes == (
        "column 'x': 'N/A' (once), '.' (2 times) taken as missing",
        "column 'kind': 'NA' (once) taken as missing",
    )
    fit = lt.fit(NORMAL, Table({"x": read["x"]}, read.notes))
    assert fit.notes == read.notes
    assert "Note            column 'x': 'N/A' (once), '.' (2 times) taken as missing" in str(fit)
    assert fit.to_dict()["notes"] == list(read.notes)
    assert lt.fit(NORMAL, [1.0, 2.0]).notes == ()


CELL = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.text(max_size=4),
    st.sampled_from(["NA", ".", ">3", "2..5", "a|b", "1,5", "2024-01-01", "1e400", "-", "٣", "½"]),
    st.dates(),
    st.timedeltas(),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.binary(max_size=2),
    st.lists(st.integers(), max_size=2),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(CELL, max_size=5))
@example([0.0, ".", "|"])
def test_any_cells_are_read_or_refused(column):
    for read in (lambda: NORMAL.reader.read({"x": column}), lambda: KINDS.suited(column).reader.read(column)):
        try:
            read()
        except lt.LatensError as error:
            assert str(error)  # noqa: PT017


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.sampled_from([",", ";", "\t", " ", "|"]), st.lists(st.text(max_size=5), max_size=8))
def test_any_file_is_read_or_refused(tmp_path_factory, text, separator, cells):
    path = tmp_path_factory.mktemp("any") / "x.csv"
    path.write_bytes((text + "\n" + separator.join(cells)).encode("utf-8", "surrogatepass"))
    try:
        columns_in(path)
    except lt.LatensError as error:
        assert str(error)  # noqa: PT017


def test_a_column_called_notes_is_a_column():
    fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), pd.DataFrame({"x": [1.0, 2, 3], "notes": [5.0, 6, 9]}))
    assert fit.notes == ()
