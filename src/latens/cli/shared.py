"""What commands share: their group, options, how a plan comes of them, and where results are written."""

from __future__ import annotations

import json
import os
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
    click.option("--accelerate", help="auto (default), growing, plain, squarem, anderson, daarem or quasi-newton."),
    click.option("--tolerance", type=float, help="Stop this many standard errors from the limit (default: 1e-6)."),
    click.option("--max-steps", type=int, help="Most steps of EM (default: 10000)."),
)
MANY = (
    click.option(
        "--engine", metavar="WHO", help="Who goes over the rows of files: threads:4, processes, dask://HOST:PORT, ray."
    ),
    click.option("--cache", metavar="FOLDER", help="Keep rows of files there as they are computed with."),
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


def plan_of(source: Path, data: Path | None, flags: dict[str, Any]) -> Plan:
    """A plan from a model file, or from a data file and the options that describe a model."""
    from latens.modelfile import load, plan

    describing = ("family", "components", "columns", "covariance", "shared", "weights")
    given = {name: flags[name] for name in describing if flags.get(name) is not None}
    asked = {"data": {"cache": flags.get("cache")}, "fit": {"engine": flags.get("engine")}}
    more = {table: {k: v for k, v in keys.items() if v is not None} for table, keys in asked.items()}
    if source.suffix == ".toml":
        if given:
            raise DataError(f"--{next(iter(given))} belongs in the [model] or [data] table of {source}")
        return load(source, data=data, more=more)
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
    return plan({"model": model or {"kind": "iid"}, "data": table | more["data"], "fit": more["fit"]}, Path())


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
