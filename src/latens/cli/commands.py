"""`latens demo`, `fit`, `compare` and `choose`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import click

from latens import __version__
from latens.cli.caching import keep_programs
from latens.cli.planning import (
    CHECKPOINT,
    ERRORS,
    FITTING,
    MODEL,
    OUTPUT,
    SORTED,
    SOURCES,
    fit_options,
    options,
    plan_of,
    put,
    run,
)
from latens.errors import DataError

COMPONENTS = click.option("--components", type=int, help="Number of components of a mixture.")
EXAMPLES = Path(__file__).parent.parent / "examples"


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
def demo(name: str | None) -> int:
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
    return 0 if done.converged else 1


@latens.command()
@options(SOURCES, MODEL, COMPONENTS, FITTING, SORTED, CHECKPOINT, ERRORS, OUTPUT)
def fit(source: Path, data: Path | None, errors: str, json_to: str | None, quiet: bool, **flags: Any) -> int:
    """Fit the columns of a CSV or Parquet file, or what a MODEL.toml says (with DATA in its place).

    \b
    latens fit faithful.csv --components 2
    latens fit counts.csv --family poisson --columns deaths --weights days --components 2
    latens fit moths.toml --errors sem --json -
    """
    from latens.inference.methods import method_for

    method = method_for(errors)
    done = run(plan_of(source, data, flags), flags, progress=sys.stderr.isatty() and not quiet)
    put(lambda: done.summary(method), lambda: done.to_dict(method), json_to, quiet=quiet)
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
