"""The command line: what it prints, writes and returns, on real files."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import latens
import latens as lt
from latens.cli import main
from latens.modelfile import load

EXAMPLES = Path(latens.__file__).parent / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.toml"))
FAITHFUL = str(EXAMPLES / "faithful.csv")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    out = capsys.readouterr()
    assert "Traceback" not in out.err
    return ended.value.code, out.out, out.err


def test_the_examples_of_the_mission_are_there():
    wanted = {"exponential", "moths", "moths-unknown", "known-variance", "faithful", "coins", "linkage", "deaths"}
    assert wanted <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_demo_prints_what_was_published(name, capsys):
    code, out, _ = run(capsys, "demo", name)
    assert code == 0
    compared = 0
    for line in out.splitlines():
        cells = [c for c in line.split("  ") if c.strip()]
        if len(cells) >= 6 and cells[0].strip() != "parameter":
            ours, theirs = cells[1].strip(), cells[-1].strip().split(" (")
            assert float(ours) == pytest.approx(float(theirs[0]), abs=1.01 * 10.0 ** -_places(ours, theirs[0]))
            compared += 1
            if len(theirs) == 2:
                error = theirs[1].rstrip(")")
                assert float(cells[2]) == pytest.approx(float(error), abs=10.0 ** -_places(cells[2].strip(), error))
    assert compared >= 1
    assert "Published: " in out


def _places(*numbers):
    return min(len(n.partition(".")[2]) for n in numbers)


def test_demo_lists(capsys):
    code, out, _ = run(capsys, "demo")
    assert code == 0
    assert all(name in out for name in NAMES)


def test_every_command_has_help(capsys):
    for command in ([], ["demo"], ["fit"], ["compare"], ["choose"]):
        code, out, _ = run(capsys, *command, "--help")
        assert code == 0
        assert "Usage: latens" in out


def test_fit_csv_parquet_and_toml_agree(capsys, tmp_path):
    pl.read_csv(FAITHFUL).write_parquet(tmp_path / "f.parquet")
    flags = ["--components", "2", "--columns", "eruptions,waiting", "--json", "-"]
    _, csv, _ = run(capsys, "fit", FAITHFUL, *flags)
    code, parquet, _ = run(capsys, "fit", tmp_path / "f.parquet", *flags)
    assert code == 0
    a, b = json.loads(csv), json.loads(parquet)
    assert a == b
    assert a["log_likelihood"] == pytest.approx(-1130.2639601847418)
    _, toml, _ = run(capsys, "fit", EXAMPLES / "faithful.toml", tmp_path / "f.parquet", "--json", "-")
    assert json.loads(toml)["log_likelihood"] == pytest.approx(a["log_likelihood"])


def test_weights_column_quiet_and_json_file(capsys, tmp_path):
    table = {"deaths": np.arange(10), "days": [162, 267, 271, 185, 111, 61, 27, 8, 3, 1], "note": list("abcdefghij")}
    pl.DataFrame(table).write_csv(tmp_path / "d.csv")
    flags = ["--family", "poisson", "--components", "2", "--columns", "deaths", "--weights", "days"]
    code, out, _ = run(capsys, "fit", tmp_path / "d.csv", *flags, "--quiet", "--json", tmp_path / "out.json")
    assert (code, out) == (0, "")
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["n"] == 1096
    assert record["log_likelihood"] == pytest.approx(-1989.945859883)
    assert sorted(record["standard_errors"]["rate"]) == pytest.approx([0.250478, 0.350030], abs=1e-5)


def test_covariance_shared_and_seed(capsys):
    flags = ["--components", "2", "--covariance", "diagonal", "--shared", "variance", "--seed", "3", "--starts", "2"]
    code, out, _ = run(capsys, "fit", FAITHFUL, *flags)
    assert code == 0
    assert "diagonal covariance), variance shared" in out
    assert "2 tried" in out


def test_not_converged_is_status_1(capsys):
    code, out, _ = run(capsys, "fit", EXAMPLES / "deaths.toml", "--max-steps", "3")
    assert code == 1
    assert "Stopped at the largest number of steps" in out


POISSON = '[model]\nfamily = "poisson"\n[data]\n'
MOTHS = '[model]\nkind = "hardy-weinberg"\nalleles = "A > a"\n[data]\ncounts = {A = 3, a = 1}\n'
MIXED, ROWS = '[model]\nfamily = "poisson"\ncomponents = 2\n', "[data]\nvalues = {x = [1, 2, 5]}\n"
BAD_FILES = {
    "unknown-key": ('[model]\nkind = "iid"\nfamly = "normal"\n', r"\[model\]: unknown key 'famly'; known: family"),
    "unknown-section": ("[modle]\n", "the file: unknown key 'modle'"),
    "malformed": ("[model\n", "not valid TOML"),
    "no-model": ("[data]\nvalues = {x = [1]}\n", r"there is no \[model\] table"),
    "no-data": ('[model]\nkind = "iid"\n', "give one of file, values"),
    "kind": ('[model]\nkind = "hmm"\n[data]\nvalues = {x = [1]}\n', "unknown kind 'hmm'"),
    "family": ('[model]\nfamily = "norml"\n[data]\nvalues = {x = [1]}\n', "unknown family 'norml'"),
    "option": (
        '[model]\nfamily = {name = "normal", sd = 1}\n[data]\nvalues = {x = [1]}\n',
        "unknown key 'sd'; known: variance",
    ),
    "expression": (
        '[model]\nkind = "cells"\ncells = {a = "t(", b = "1-t"}\nseen = {A = ["a"]}\nparameters = ["t"]\n'
        "[data]\ncounts = {A = 1}\n",
        "cell 'a'.*does not parse",
    ),
    "accelerate": (
        '[model]\nfamily = "normal"\n[data]\nvalues = {x = [1, 2]}\n[fit]\naccelerate = "warp"\n',
        "unknown accelerator 'warp'",
    ),
    "start": (
        '[model]\nfamily = "normal"\n[data]\nvalues = {x = [1, 2]}\n[fit]\nstart = {mean = 0}\n',
        "'variance' is missing",
    ),
    "two-sources": ('[model]\nfamily = "normal"\n[data]\nfile = "x.csv"\nvalues = {x = [1, 2]}\n', "give one of file"),
    "columns-of-values": (POISSON + 'values = {x = [1, 2]}\ncolumns = ["y"]\n', "no column 'y'; there are x"),
    "columns-are-a-list": (
        POISSON + 'values = {x = [1, 2]}\ncolumns = "x"\n',
        "columns must be a list of texts",
    ),
    "columns-twice": (POISSON + 'values = {x = [1, 2]}\ncolumns = ["x", "x"]\n', "each of them once"),
    "weights-of-values": (POISSON + 'values = {x = [1, 2]}\nweights = "w"\n', "no column 'w'; it has x"),
    "observed-of-values": (POISSON + 'values = {x = [1, 2]}\nobserved = {x = "s"}\n', "no column 's'; it has x"),
    "observed-is-a-table": (POISSON + 'values = {x = [1], s = [1]}\nobserved = "s"\n', "observed must be a table"),
    "observed-is-0-or-1": (
        POISSON + 'values = {x = [1, 2], s = ["no", "yes"]}\nobserved = {x = "s"}\n',
        "column 's': .* is not a number",
    ),
    "values-are-a-table": (POISSON + "values = [1, 2]\n", "values must be a table of columns, name = "),
    "values-are-columns": (POISSON + "values = {x = 1}\n", "values must be a table of columns"),
    "labels-of-values": (
        POISSON + "values = {x = [1, 2]}\nlabels = 1\n",
        "labels must be a text or a list of",
    ),
    "shared": (MIXED + "shared = 3\n" + ROWS, "shared must be a text or a list of texts, got 3"),
    "known-weights": (MIXED + 'weights = "w"\n' + ROWS, "weights must be a list of numbers, got 'w'"),
    "components": (MIXED.replace("2", "2.5") + ROWS, "components must be a whole number, got 2.5"),
    "starts": (MIXED + ROWS + '[fit]\nstarts = "5"\n', "starts must be a whole number, got '5'"),
    "prior": (MIXED + ROWS + "[fit]\nprior = true\n", "prior must be a number, got True"),
    "tolerance": (MIXED + ROWS + '[fit]\ntolerance = "1e-3"\n', "tolerance must be a number"),
    "start-table": (
        MIXED + ROWS + "[fit]\nstart = 5\n",
        "start must be a table, parameter = value, or",
    ),
    "seed": (MIXED + ROWS + '[fit]\nseed = "x"\n', "seed must be a whole number"),
    "counts-of-rows": (POISSON + "counts = {x = [1, 2]}\n", "counts are of the groups of cells"),
    "columns-of-counts": (MOTHS + 'columns = ["A"]\n', "'columns' has no meaning beside counts"),
    "observed-of-counts": (MOTHS + 'observed = {A = "a"}\n', "'observed' has no meaning beside counts"),
    "weights-of-counts": (MOTHS + "weights = [1, 2]\n", "'weights' has no meaning beside counts"),
    "missing-file": ('[model]\nfamily = "normal"\n[data]\nfile = "no.csv"\n', "there is no file"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_model_files(name, capsys, tmp_path):
    text, words = BAD_FILES[name]
    (tmp_path / "bad.toml").write_text(text)
    code, out, err = run(capsys, "fit", tmp_path / "bad.toml")
    assert (code, out) == (2, "")
    assert re.search(words, err), err
    assert len(err.splitlines()) <= 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "nowhere.csv"], "nowhere.csv"),
        (["fit", FAITHFUL, "--columns", "wait"], "no column 'wait'; it has eruptions, waiting"),
        (["fit", FAITHFUL, "--weights", "w"], "no column 'w'"),
        (["fit", FAITHFUL, "--family", "norml"], "unknown family 'norml'"),
        (["fit", FAITHFUL, "--components", "0"], "k must be a whole number"),
        (["fit", FAITHFUL, "--accelerate", "warp"], "unknown accelerator"),
        (["fit", FAITHFUL, "--tolerance", "-1"], "tolerance"),
        (["fit", str(EXAMPLES / "coins.toml"), "--family", "normal"], "--family belongs in the"),
        (["fit", FAITHFUL, "--json", "/nowhere/out.json"], "cannot be written"),
        (["demo", "mothes"], "there is no example 'mothes'"),
        (["fti"], "No such command"),
    ],
)
def test_bad_arguments(arguments, words, capsys):
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert words in err


def test_bad_data_files(capsys, tmp_path):
    (tmp_path / "text.csv").write_text("x,y\n1,a\n2,b\n")
    (tmp_path / "ragged.csv").write_text("x,y\n1,2\n3,4,5\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "no.parquet").write_text("not parquet")
    (tmp_path / "x.xlsx").write_text("")
    for name, words in [
        ("text.csv", "column 'y' holds categories (a, b), not numbers"),
        ("ragged.csv", "line 3 has 3 cells, the header names 2 columns"),
        ("empty.csv", "has no lines"),
        ("no.parquet", "cannot be read"),
        ("x.xlsx", "expected a file of text"),
    ]:
        code, _, err = run(capsys, "fit", tmp_path / name)
        assert code == 2
        assert words in err, err


def test_missing_cells_in_a_file_are_missing(capsys, tmp_path):
    (tmp_path / "life.csv").write_text("lifetime\n5\n\n")
    pl.DataFrame({"lifetime": [5.0, None]}).write_csv(tmp_path / "life.csv")
    code, out, _ = run(capsys, "fit", tmp_path / "life.csv", "--family", "exponential", "--json", "-")
    assert code == 0
    assert json.loads(out)["params"]["rate"] == pytest.approx(0.2)


def test_ctrl_c_prints_the_best_so_far(tmp_path):
    rng = np.random.default_rng(0)
    pl.DataFrame(rng.normal(size=(200_000, 6))).write_parquet(tmp_path / "big.parquet")
    command = [shutil.which("latens", path=str(Path(sys.executable).parent)), "fit", str(tmp_path / "big.parquet")]
    command += [
        "--components",
        "12",
        "--starts",
        "1",
        "--accelerate",
        "plain",
        "--max-steps",
        "1000000",
        "--tolerance",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(12)  # compiled and iterating by then; if not, it was interrupted before a first step
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    assert process.returncode == 1
    assert "Interrupted" in out or "interrupted before" in err


def test_errors_by_method(capsys):
    code, out, _ = run(capsys, "fit", EXAMPLES / "linkage.toml", "--errors", "sem")
    assert code == 0
    assert "Standard errors by the method 'sem'; covariance symmetric to" in out
    assert "0.051467" in out
    code, out, _ = run(capsys, "fit", EXAMPLES / "linkage.toml", "--errors", "profile", "--json", "-")
    found = json.loads(out)
    assert code == 0
    assert found["method"] == "profile"
    assert found["standard_errors"] is None
    assert "gives intervals" in found["standard_errors_reason"]
    low, high = found["intervals"]["t"]
    assert 0.51 < low < 0.53 < 0.71 < high < 0.73
    code, out, err = run(capsys, "fit", EXAMPLES / "linkage.toml", "--errors", "jackknife")
    assert (code, out) == (2, "")
    assert err.startswith("latens: unknown method 'jackknife'; there are observed, louis")


def test_choose(capsys, tmp_path):
    to = tmp_path / "choice.json"
    arguments = ["--columns", "waiting", "--components", "1-3", "--criterion", "icl", "--json", to]
    code, out, _ = run(capsys, "choose", FAITHFUL, *arguments)
    assert code == 0
    assert "Chosen by ICL: 2" in out
    assert "Mixture: 2 × Normal" in out
    found = json.loads(to.read_text())
    assert found["chosen"] == 2
    assert found["best"]["bic"] == "2"
    assert found["fit"]["log_likelihood"] == pytest.approx(-1034.0017498316, abs=1e-6)
    assert found["table"]["2"]["bic"] == pytest.approx(2096.032509994696, abs=1e-5)
    for arguments, words in (
        ([FAITHFUL, "--components", "0-2"], "numbers of at least 1"),
        ([FAITHFUL, "--components", "two"], "such as 1-5 or 2,3,5; got 'two'"),
        ([FAITHFUL, "--criterion", "dic"], "unknown criterion 'dic'"),
        ([EXAMPLES / "linkage.toml"], "describes no mixture"),
        ([EXAMPLES / "coins.toml", "--components", "1,2"], "no known weights"),
    ):
        code, _, err = run(capsys, "choose", *arguments)
        assert code == 2
        assert words in err


def test_compare(capsys, tmp_path):
    for name, shared in (("free", "[]"), ("tied", '["variance"]')):
        model = f'[model]\ncomponents = 2\nshared = {shared}\n[data]\nfile = "{FAITHFUL}"\ncolumns = ["waiting"]\n'
        (tmp_path / f"{name}.toml").write_text(model)
    code, out, _ = run(capsys, "compare", tmp_path / "free.toml", tmp_path / "tied.toml")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "2090.427*" in lines["tied"]  # mclust: BIC 2090.427 for E2, 2096.033 for V2
    assert "2096.033 " in lines["free"]
    code, out, _ = run(capsys, "compare", tmp_path / "free.toml", tmp_path / "tied.toml", "--json", "-")
    assert json.loads(out)["best"]["bic"] == "tied"
    code, _, err = run(capsys, "compare", tmp_path / "free.toml", EXAMPLES / "linkage.toml")
    assert code == 2
    assert "other data" in err


SURVEY = """\
id,time,kind,n
a,5.1,x,3
b,>8,y,?
c,?,x|z,2
d,3..4,,5+
e,2.2,x,1
f,6.5,y,4
g,7,z,0
h,1.5,x,2
"""
SURVEY_MODEL = """\
[model]
kind = "iid"
[model.family]
name = "product"
columns = { time = "exponential", kind = { name = "categorical", k = 3 }, n = "geometric" }
[data]
file = "survey.csv"
columns = ["time", "kind", "n"]
"""


@pytest.fixture
def survey(tmp_path):
    (tmp_path / "survey.csv").write_text(SURVEY.replace(",0\n", ",1\n"))
    (tmp_path / "model.toml").write_text(SURVEY_MODEL)
    return tmp_path


def test_impute(survey, capsys):
    out, deviations = survey / "complete.csv", survey / "deviations.parquet"
    code, printed, _ = run(capsys, "impute", survey / "model.toml", "--out", out, "--deviations", deviations)
    assert (code, printed) == (0, "")
    table = pl.read_csv(out)
    assert table.columns == ["id", "time", "kind", "n"]
    assert table.null_count().sum_horizontal().item() == 0
    assert table["time"][1] > 8
    assert table["kind"][2] in ("x", "z")
    assert pl.read_parquet(deviations)["time"].to_list()[0] == 0
    code, printed, _ = run(capsys, "impute", survey / "model.toml", survey / "survey.csv", "--draws", 3, "--seed", 1)
    assert code == 0
    rows = printed.splitlines()
    assert rows[0] == "draw,id,time,kind,n"
    assert len(rows) == 1 + 3 * 8


def test_predict_and_simulate(tmp_path, capsys):
    out = tmp_path / "labels.csv"
    model = EXAMPLES / "faithful.toml"
    assert run(capsys, "predict", model, "--out", out)[0] == 0
    table = pl.read_csv(out)
    assert table.columns == ["eruptions", "waiting", "label", "probability[0]", "probability[1]"]
    assert ((table["label"] == 0) == (table["eruptions"] < 3)).mean() > 0.98
    new = tmp_path / "new.csv"
    new.write_text("eruptions,waiting\n2.0,\n4.5,80\n,52\n")
    code, printed, _ = run(capsys, "predict", model, "--rows", new)
    assert code == 0
    assert [line.split(",")[2] for line in printed.splitlines()[1:]] == ["0", "1", "0"]
    drawn = tmp_path / "drawn.parquet"
    assert run(capsys, "simulate", model, "--number", 500, "--seed", 2, "--out", drawn)[0] == 0
    simulated = pl.read_parquet(drawn)
    assert simulated.shape == (500, 2)
    assert simulated["waiting"].mean() == pytest.approx(70.9, abs=3)


def test_rows_refused(survey, capsys):
    for arguments, words in [
        (("impute", survey / "model.toml", "--out", "x.xls"), "expected a .csv or .parquet file to write"),
        (("impute", survey / "model.toml", "--out", survey / "no" / "x.csv"), "there is no folder"),
        (("impute", survey / "model.toml", "--rows", survey / "none.csv"), "there is no file"),
        (("predict", survey / "model.toml"), "no hidden label to predict"),
        (("impute", EXAMPLES / "moths.toml"), "nothing to impute"),
        (("simulate", EXAMPLES / "faithful.toml", "--number", 0), "n must be a whole number of at least 1"),
    ]:
        code, _, err = run(capsys, *arguments)
        assert code == 2
        assert words in " ".join(err.split())


BESIDE = """[model]
family = "exponential"
components = 2
[data]
{source}
columns = ["time"]
observed = {{ time = "seen" }}
weights = "often"
labels = "group"
"""


def test_keys_mean_beside_values_what_they_mean_beside_a_file(tmp_path):
    """Times of which some are censored, how often each, the group of some, and a column that is not asked for."""
    table = {
        "time": [1.0, 3.0, 2.0, 9.0, 30.0, 40.0],
        "other": [5.0, 1.0, 2.0, 3.0, 9.0, 7.0],
        "seen": [1, 1, 0, 1, 0, 1],
        "often": [3, 1, 2, 2, 1, 4],
        "group": ["0", "0", "?", "?", "1", "0|1"],
    }
    pl.DataFrame(table).write_csv(tmp_path / "t.csv")
    values = ", ".join(f"{name} = {json.dumps(column)}" for name, column in table.items())
    for name, source in (("file", 'file = "t.csv"'), ("values", f"values = {{ {values} }}")):
        (tmp_path / f"{name}.toml").write_text(BESIDE.format(source=source))
    plans = [load(tmp_path / f"{name}.toml") for name in ("file", "values")]
    fits = [lt.fit(plan.model, plan.data, weights=plan.weights, labels=plan.labels) for plan in plans]
    by_hand = lt.fit(
        lt.Mixture(lt.Exponential(), 2),
        {"time": lt.right_censored(table["time"], table["seen"])},
        weights=table["often"],
        labels=[0, 0, None, None, 1, {0, 1}],
    )
    for each in fits:
        assert each.columns == ("time",)
        assert each.half_seen == by_hand.half_seen
        assert np.array_equal(each.trace, by_hand.trace)


def test_indicators_and_labels_in_a_model_file(tmp_path, capsys):
    (tmp_path / "aml.csv").write_text("time,status,group\n9,1,\n13,1,a\n13,0,\n18,1,a\n23,1,b\n28,0,\n31,1,b\n")
    model = tmp_path / "aml.toml"
    model.write_text(
        '[model]\nfamily = "exponential"\n[data]\nfile = "aml.csv"\n'
        'columns = ["time"]\nobserved = { time = "status" }\n'
    )
    code, out, _ = run(capsys, "fit", model)
    assert code == 0
    assert "time: 2 right-censored (29%)" in out
    assert f"{5 / 135:.5f}"[:6] in out
    model.write_text(
        '[model]\nfamily = "exponential"\ncomponents = 2\n[data]\nfile = "aml.csv"\n'
        'columns = ["time"]\nlabels = "group"\n'
    )
    _, out, _ = run(capsys, "fit", model)
    assert "labels: 3 missing (43%)" in out
    model.write_text('[model]\nfamily = "exponential"\n[data]\nfile = "aml.csv"\nobserved = { time = "event" }\n')
    code, _, err = run(capsys, "fit", model)
    assert code == 2
    assert "there is no column 'event'" in err


def test_a_page_is_written_with_the_line_that_repeats_it(capsys, tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib").use("Agg")
    for line in (["demo", "moths"], ["fit", str(EXAMPLES / "coins.toml"), "--quiet"]):
        code, _, _ = run(capsys, *line, "--report", tmp_path / "page.html")
        assert code == 0
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert f"<pre>latens {' '.join(line)} --report {tmp_path / 'page.html'}</pre>" in page
    code, out, err = run(capsys, "fit", EXAMPLES / "coins.toml", "--report", tmp_path / "no" / "page.html")
    assert code == 2
    assert "Log-likelihood" in out  # what was found is told all the same
    assert "cannot be written" in err
