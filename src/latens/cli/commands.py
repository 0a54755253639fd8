"""`latens demo`, `explain`, `fit`, `compare` and `choose`."""

from __future__ import annotations

import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import click

from latens.cli.shared import (
    CHECKPOINT,
    COMPONENTS,
    ERRORS,
    FITTING,
    GROUPED,
    MANY,
    MODEL,
    OUTPUT,
    REPORT,
    SORTED,
    SOURCES,
    fit_options,
    latens,
    listed,
    options,
    plan_of,
    put,
    run,
)
from latens.errors import DataError

EXAMPLES = Path(__file__).parent.parent / "examples"


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
    click.echo(render(Estimate(done.last), done.starts, samples=done.samples, published=plan.published))
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
@options(SOURCES, MODEL, COMPONENTS, GROUPED, FITTING, MANY, SORTED, CHECKPOINT, ERRORS, REPORT, OUTPUT)
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
    latens fit 'rides/*.parquet' --components 3 --cache rows --engine processes:8
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
@options(FITTING, MANY, ERRORS, OUTPUT)
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


def fit_groups(
    source: Path, data: Path | None, by: str, flags: dict[str, Any], json_to: str | None, *, quiet: bool
) -> int:
    """`latens fit --by`: estimates of every group, as CSV to standard output; how they ended to standard error."""
    from latens.data.files import frame_in
    from latens.many import fit_many

    for name in ("accelerate", "tolerance", "max_steps", "prior", "checkpoint", "engine", "cache"):
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
