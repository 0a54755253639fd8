"""`latens demo`, `fit`, `compare` and `choose`."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latens import __version__
from latens.errors import DataError
from latens.keeping import SETTING, prepared

if TYPE_CHECKING:
    from latens.modelfile import Plan
    from latens.result import Fit

Command = Callable[..., Any]

SOURCES = (
    click.argument("source", type=click.Path(path_type=Path), metavar="DATA | MODEL.toml"),
    click.argument("data", type=click.Path(path_type=Path), required=False),
)
MODEL = (
    click.option("--family", help="Distribution of a row: normal, poisson, ... (default: normal)."),
    click.option("--columns", help="Columns to use, separated by commas (default: all)."),
    click.option("--covariance", help="full, diagonal or spherical, for the multivariate normal."),
    click.option("--shared", help="Parameters that are one for all components, separated by commas."),
    click.option("--weights", help="Column of frequency weights."),
)
FITTING = (
    click.option("--starts", type=int, help="How many starts to try (default: 10 to 30 for a mixture)."),
    click.option("--seed", type=int, help="Seed of the starts (default: 0)."),
    click.option("--prior", type=float, help="Weight of a prior, in observations like all rows taken together."),
    click.option("--accelerate", help="auto (default), plain, squarem, anderson, daarem or quasi-newton."),
    click.option("--tolerance", type=float, help="Stop this many standard errors from the limit (default: 1e-6)."),
    click.option("--max-steps", type=int, help="Most steps of EM (default: 10000)."),
)
SORTED = click.option("--sorted", "by", metavar="NAME", help="Put components in the order of a parameter: mean.")
CHECKPOINT = click.option(
    "--checkpoint", type=click.Path(path_type=Path), help="Keep the iteration in this file, and go on from it."
)
ERRORS = click.option(
    "--errors",
    default="observed",
    show_default=True,
    metavar="METHOD",
    help="Standard errors by: observed, louis, oakes, sem, sem-exact, opg, sandwich, bootstrap, "
    "parametric-bootstrap; or intervals by profile.",
)
OUTPUT = (
    click.option("--json", "json_to", metavar="FILE", help="Write all as JSON to FILE, or - for standard output."),
    click.option("--quiet", is_flag=True, help="Print no report."),
)
REPORT = click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page to send (HTML).",
)
GROUPED = click.option(
    "--by", "grouped", metavar="COLUMN", help="Fit each group of rows by itself; the estimates of all as CSV."
)
COMPONENTS = click.option("--components", type=int, help="Number of components of a mixture.")
EXAMPLES = Path(__file__).parent.parent / "examples"


def options(*groups: Command | tuple[Command, ...]) -> Callable[[Command], Command]:
    """One decorator of several, in the order they are read."""
    flat = [each for group in groups for each in (group if isinstance(group, tuple) else (group,))]
    return lambda command: reduce(lambda made, option: option(made), reversed(flat), command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="latens")
def latens() -> None:
    """Maximum likelihood from half-seen data by Expectation-Maximization.

    Exit status: 0 converged, 1 fitted but not converged or degenerate, 2 bad input. What is compiled for a model is
    kept for the next run in the user's cache folder (LATENS_CACHE: another folder, or off).
    """
    keep_programs()


@latens.command()
@click.argument("name", required=False)
@REPORT
@click.pass_obj
def demo(line: list[str], /, name: str | None, page: Path | None) -> int:
    """List the shipped examples, or run the one called NAME beside its published numbers."""
    files = {path.stem: path for path in sorted(EXAMPLES.glob("*.toml"))}
    if name is None:
        for stem, path in files.items():
            click.echo(f"{stem:<16}{tomllib.loads(path.read_text(encoding='utf-8'))['title']}")
        click.echo("\nRun one with: latens demo NAME")
        return 0
    if name not in files:
        raise click.UsageError(f"there is no example {name!r}; there are {', '.join(files)}")
    from latens.inference.estimate import Estimate
    from latens.modelfile import load
    from latens.report.text import render, wrapped

    plan = load(files[name])
    click.echo(f"{plan.title}\n{wrapped(plan.about)}\n")
    done = run(plan, {}, progress=False)
    click.echo(render(Estimate(done.last), done.starts, published=plan.published))
    click.echo(wrapped(f"Published: {plan.source}"))
    if page is not None:
        done.report(page, command=shlex.join(line))
    return 0 if done.converged else 1


@latens.command()
@click.argument("source", metavar="NAME | MODEL.toml | DATA")
@click.argument("data", type=click.Path(path_type=Path), required=False)
@options(MODEL, COMPONENTS)
@click.option("--steps", default=3, show_default=True, help="Steps of EM to tell, up to 20.")
@click.option("--seed", default=0, show_default=True, help="Of the start, where the model file names none.")
@click.option("--format", "form", default="text", type=click.Choice(["text", "markdown", "latex"]), show_default=True)
def explain(source: str, data: Path | None, steps: int, seed: int, form: str, **flags: Any) -> int:
    """Explain EM by the numbers of an example called NAME, of a MODEL.toml, or of a data file.

    \b
    latens explain coins
    latens explain moths --steps 1 --format latex
    latens explain faithful.csv --columns waiting --components 2
    """
    from latens.explaining import explain as explained

    files = {path.stem: path for path in sorted(EXAMPLES.glob("*.toml"))}
    if source not in files and not Path(source).exists():
        raise click.UsageError(f"there is no file and no example {source!r}; there are {', '.join(files)}")
    plan = plan_of(files.get(source, Path(source)), data, flags)
    start = plan.options.get("start")
    found = explained(
        plan.model, plan.data, steps=steps, weights=plan.weights, labels=plan.labels, start=start, seed=seed
    )
    click.echo(found.written(form), nl=False)
    return 0


@latens.command()
@options(SOURCES, MODEL, COMPONENTS, GROUPED, FITTING, SORTED, CHECKPOINT, ERRORS, REPORT, OUTPUT)
@click.pass_obj
def fit(
    line: list[str],
    /,
    source: Path,
    data: Path | None,
    errors: str,
    page: Path | None,
    json_to: str | None,
    quiet: bool,
    grouped: str | None,
    **flags: Any,
) -> int:
    """Fit the columns of a CSV or Parquet file, or what a MODEL.toml says (with DATA in its place).

    \b
    latens fit faithful.csv --components 2
    latens fit counts.csv --family poisson --columns deaths --weights days --components 2
    latens fit moths.toml --errors sem --json -
    latens fit calls.csv --family exponential --components 2 --by site
    """
    from latens.inference.methods import method_for

    if grouped is not None:
        if page is not None or errors != "observed":
            raise click.UsageError("--by goes with neither --report nor --errors: fit one group for those")
        return fit_groups(source, data, grouped, flags, json_to, quiet=quiet)

    method = method_for(errors)
    done = run(plan_of(source, data, flags), flags, progress=sys.stderr.isatty() and not quiet)
    put(lambda: done.summary(method), lambda: done.to_dict(method), json_to, quiet=quiet)
    if page is not None:
        done.report(page, method, command=shlex.join(line))
    return 0 if done.converged else 1


@latens.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL.toml...")
@click.option("--data", type=click.Path(path_type=Path), help="Data file in the place of those the models name.")
@options(FITTING, OUTPUT)
def compare(models: tuple[Path, ...], data: Path | None, json_to: str | None, quiet: bool, **flags: Any) -> int:
    """Fit several models to the same data and put their criteria side by side, the best marked.

    \b
    latens compare one.toml two.toml --data faithful.csv
    """
    from latens.comparison import compare as compared

    names = [path.stem if sum(p.stem == path.stem for p in models) == 1 else str(path) for path in models]
    if len(set(names)) < len(names):
        raise DataError("compare: a model file is given twice")
    plans = [plan_of(path, data, {}) for path in models]
    found = compared({n: run(plan, flags, progress=False) for n, plan in zip(names, plans, strict=True)})
    put(lambda: str(found), found.to_dict, json_to, quiet=quiet)
    return 0 if all(done.converged for done in found.fits.values()) else 1


@latens.command()
@options(SOURCES, MODEL)
@click.option("--components", default="1-5", show_default=True, help="Numbers to try, such as 1-5 or 2,3,5.")
@click.option("--criterion", default="bic", show_default=True, help="Chosen by: aic, aicc, bic, caic, sabic or icl.")
@options(FITTING, ERRORS, OUTPUT)
def choose(
    source: Path,
    data: Path | None,
    components: str,
    criterion: str,
    errors: str,
    json_to: str | None,
    quiet: bool,
    **flags: Any,
) -> int:
    """Choose the number of components of a mixture: a table of all, and the report of the chosen.

    \b
    latens choose faithful.csv --components 1-4
    latens choose counts.csv --family poisson --columns deaths --weights days --criterion icl
    """
    from latens.comparison import choose as chosen
    from latens.inference.methods import method_for
    from latens.models.mixture import Mixture

    method, sizes = method_for(errors), _sizes(components)
    mixed = flags | ({} if source.suffix == ".toml" else {"components": sizes[0]})
    plan = plan_of(source, data, mixed)
    if not isinstance(plan.model, Mixture):
        raise DataError(f"choose: {source} describes no mixture, so there are no components to count")
    rest = fit_options(plan, flags)
    rest.pop("start", None)
    found = chosen(plan.model.resized, plan.data, sizes, criterion=criterion, weights=plan.weights, **rest)
    put(
        lambda: f"{found}\n\n{found.fit.summary(method)}",
        lambda: found.to_dict() | {"fit": found.fit.to_dict(method)},
        json_to,
        quiet=quiet,
    )
    return 0 if found.fit.converged else 1


def _sizes(text: str) -> list[int]:
    try:
        found: list[int] = []
        for part in text.split(","):
            low, dash, high = part.partition("-")
            found += range(int(low), int(high) + 1) if dash else [int(low)]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise DataError(f"--components: give numbers of at least 1, such as 1-5 or 2,3,5; got {text!r}")
    return found


def keep_programs() -> None:
    """Tell JAX, before it is loaded, where to keep what it compiles; a warning if it cannot be kept there."""
    if os.environ.get(SETTING) == "off" or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        folder = prepared()
    except DataError as error:
        click.echo(f"latens: {error}", err=True)
        return
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    # XLA remarks on every program it reads back, as if it were of another processor if this one knows AVX-512
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# -- what the commands share ------------------------------------------------------------------------


def plan_of(source: Path, data: Path | None, flags: dict[str, Any]) -> Plan:
    """A plan from a model file, or from a data file and the options that describe a model."""
    from latens.modelfile import load, plan

    describing = ("family", "components", "columns", "covariance", "shared", "weights")
    given = {name: flags[name] for name in describing if flags.get(name) is not None}
    if source.suffix == ".toml":
        if given:
            raise DataError(f"--{next(iter(given))} belongs in the [model] or [data] table of {source}")
        return load(source, data=data)
    if data is not None:
        raise DataError(f"{source} is no .toml file, so {data} cannot be its data")
    model: dict[str, Any] = {}
    if "covariance" in given:
        model["family"] = {"name": given.get("family", "multivariate-normal"), "covariance": given["covariance"]}
    elif "family" in given:
        model["family"] = given["family"]
    if "components" in given:
        model |= {"kind": "mixture", "components": given["components"]}
    if "shared" in given:
        model["shared"] = listed(given["shared"])
    table: dict[str, Any] = {"file": str(source.absolute())}
    table |= {"columns": listed(given["columns"])} if "columns" in given else {}
    table |= {"weights": given["weights"]} if "weights" in given else {}
    return plan({"model": model or {"kind": "iid"}, "data": table}, Path())


def fit_groups(
    source: Path, data: Path | None, by: str, flags: dict[str, Any], json_to: str | None, *, quiet: bool
) -> int:
    """`latens fit --by`: estimates of every group, as CSV to standard output; how they ended to standard error."""
    from latens.data.files import frame_in
    from latens.many import fit_many

    for name in ("accelerate", "tolerance", "max_steps", "prior", "checkpoint"):
        if flags.get(name) is not None:
            raise click.UsageError(f"--by does not go with --{name.replace('_', '-')}")
    if source.suffix == ".toml":
        raise click.UsageError("--by takes a data file, and the model by options: --family, --components, ...")
    frame, names = frame_in(source), listed(by)
    for name in names:
        if name not in frame.columns:
            raise DataError(f"{source}: there is no column '{name}'; it has {', '.join(frame.columns)}")
    aside = {*names, flags.get("weights")}
    columns = flags.get("columns") or ",".join(name for name in frame.columns if name not in aside)
    plan = plan_of(source, data, flags | {"columns": columns})
    keys = {name: frame[name].to_list() for name in names}
    given = {name: flags[name] for name in ("starts", "seed") if flags.get(name) is not None}
    found = fit_many(plan.model, plan.data | keys, names, weights=plan.weights, sort=flags.get("by"), **given)
    ends, estimates = found.glance(), found.tidy()

    def record() -> dict[str, Any]:
        return {"groups": ends.fill_nan(None).to_dicts(), "estimates": estimates.fill_nan(None).to_dicts()}

    put(lambda: estimates.write_csv().rstrip("\n"), record, json_to, quiet=quiet)
    click.echo(str(found), err=True)
    return 0 if ends["converged"].all() else 1


def run(plan: Plan, flags: dict[str, Any], *, progress: bool) -> Fit:
    """Fit as the plan says, but for what the command line says otherwise."""
    from latens.fitting import fit

    options = fit_options(plan, flags)
    done = fit(plan.model, plan.data, weights=plan.weights, labels=plan.labels, progress=progress, **options)
    by = flags.get("by") or plan.sorted
    return done if by is None else done.sorted(by)


def fit_options(plan: Plan, flags: dict[str, Any]) -> dict[str, Any]:
    """Options of `lt.fit`."""
    from latens.engine.stop import Stop
    from latens.modelfile import accelerator

    found = plan.options | {name: flags[name] for name in ("starts", "seed", "prior") if flags.get(name) is not None}
    if flags.get("starts") is not None:
        found.pop("start", None)
    if flags.get("checkpoint") is not None:
        found["checkpoint"] = flags["checkpoint"]
    if flags.get("accelerate") is not None:
        found["accelerate"] = accelerator(flags["accelerate"])
    rule = {name: flags[name] for name in ("tolerance", "max_steps") if flags.get(name) is not None}
    return found | ({"stop": replace(found.get("stop", Stop()), **rule)} if rule else {})


def listed(text: str) -> list[str]:
    """The parts between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def put(report: Callable[[], str], record: Callable[[], dict[str, Any]], json_to: str | None, *, quiet: bool) -> None:
    """Write the record where it was asked for, and print the report unless asked not to."""
    if json_to == "-":
        click.echo(json.dumps(record(), indent=2, allow_nan=False))
        return
    if json_to is not None:
        _write(Path(json_to), json.dumps(record(), indent=2, allow_nan=False) + "\n")
    if not quiet:
        click.echo(report())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from None
