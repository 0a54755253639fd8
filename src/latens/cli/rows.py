"""`latens impute`, `predict` and `simulate`: what a fit says of rows, written as a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latens.cli.shared import COMPONENTS, FITTING, MANY, MODEL, SORTED, SOURCES, latens, listed, options, plan_of, run

if TYPE_CHECKING:
    from latens.modelfile import Plan
    from latens.result import Fit


def _writable(_: click.Context, __: click.Parameter, target: str | None) -> str | None:
    """Refuse before the fit what could not be written after it."""
    path = Path(target or "-")
    if path != Path("-") and path.suffix.lower() not in (".csv", ".parquet", ""):
        raise click.BadParameter(f"{path}: expected a .csv or .parquet file to write, or a folder for those of many")
    if not path.parent.is_dir():
        raise click.BadParameter(f"{path}: there is no folder {path.parent}")
    return target


OUT = click.option(
    "--out",
    default="-",
    metavar="FILE",
    callback=_writable,
    help="A .csv or .parquet file (default: standard output); a folder for the rows of many files.",
)
KEEP = click.option("--keep", metavar="NAMES", help="Of many files: columns to copy beside, such as a key.")
ROWS = click.option("--rows", type=click.Path(path_type=Path), help="Other rows than those of the fit: a data file.")


@latens.command()
@options(SOURCES, MODEL, COMPONENTS, ROWS)
@click.option("--draws", type=int, default=0, help="Write this many completed data sets, numbered in a column 'draw'.")
@click.option(
    "--deviations", metavar="FILE", callback=_writable, help="Write the conditional standard deviations to FILE."
)
@options(FITTING, MANY, KEEP, OUT)
def impute(
    source: Path, data: Path | None, rows: Path | None, draws: int, deviations: str | None, out: str, **flags: Any
) -> int:
    """Complete a table: every unseen cell by its conditional expectation, or by draws.

    \b
    latens impute model.toml survey.csv --out complete.csv
    latens impute survey.csv --components 3 --draws 5 --out draws.parquet
    """
    import polars as pl

    plan, done = _fitted(source, data, flags)
    kept = listed(flags.get("keep") or "")
    if (many := _many(plan, rows, out)) is not None:
        if deviations is not None:
            raise click.UsageError("--deviations are written of one file only")
        drawn = {"draws": draws, "seed": flags.get("seed") or 0}
        done.impute_to(out, many, **drawn, keep=kept, progress=sys.stderr.isatty())
        return _ended(done)
    given, frame = _asked(plan, done, rows)
    found = done.impute(given, draws=draws, seed=flags.get("seed") or 0)
    if draws:
        each = [_beside(frame, drawn).with_columns(draw=pl.lit(b)) for b, drawn in enumerate(found.draws, 1)]
        _write(None, pl.concat([part.select("draw", pl.exclude("draw")) for part in each]), out)
    else:
        _write(frame, found.values, out)
    if deviations is not None:
        _write(None, found.errors, deviations)
    return _ended(done)


@latens.command()
@options(SOURCES, MODEL, COMPONENTS, ROWS, FITTING, MANY, SORTED, KEEP, OUT)
def predict(source: Path, data: Path | None, rows: Path | None, out: str, **flags: Any) -> int:
    """The hidden label of every row: the most probable one, and the probability of each.

    \b
    latens predict faithful.csv --components 2 --out labels.csv
    latens predict model.toml --rows new.csv
    latens predict 'rides/*.parquet' --components 3 --out told
    """
    plan, done = _fitted(source, data, flags)
    if (many := _many(plan, rows, out)) is not None:
        kept = listed(flags.get("keep") or "")
        done.predict_to(out, many, keep=kept, progress=sys.stderr.isatty())
        return _ended(done)
    given, frame = _asked(plan, done, rows)
    asked = None if plan.file is None and rows is None else given
    label, chances = done.predict(asked), done.posterior(asked)
    names = done.model.hidden
    assert names is not None
    found = {"label": [names[j] for j in label], **{f"probability[{n}]": chances[:, j] for j, n in enumerate(names)}}
    _write(frame if asked is not None else None, found, out)
    return _ended(done)


@latens.command()
@options(SOURCES, MODEL, COMPONENTS)
@click.option("--number", "-n", type=int, default=100, show_default=True, help="How many rows to draw.")
@options(FITTING, OUT)
def simulate(source: Path, data: Path | None, number: int, out: str, **flags: Any) -> int:
    """Draw new rows from the fitted model.

    \b
    latens simulate faithful.csv --components 2 --number 1000 --seed 1 --out new.csv
    """
    from latens.data.reader import as_columns

    _, done = _fitted(source, data, flags)
    _write(None, as_columns(done.sample(number, seed=flags.get("seed") or 0), done.columns), out)
    return _ended(done)


def _fitted(source: Path, data: Path | None, flags: dict[str, Any]) -> tuple[Plan, Fit]:
    plan = plan_of(source, data, flags)
    return plan, run(plan, flags, progress=False)


def _many(plan: Plan, rows: Path | None, out: str) -> Any:
    """The files whose rows are asked about, if they are many; None for rows that are held."""
    from latens.data.source import AbstractSource, Source, are_many

    found = Source(rows) if rows is not None and are_many(rows) else None
    if rows is None and isinstance(plan.data, AbstractSource):
        found = plan.data  # type: ignore[assignment]
    folder = out != "-" and not Path(out).suffix
    if found is not None and not folder:
        raise click.UsageError("what is said of the rows of many files goes to files, too: give a folder, --out FOLDER")
    if found is None and folder:
        raise click.UsageError(f"--out {out}: give a .csv or .parquet file for the rows of one file")
    return found


def _asked(plan: Plan, done: Fit, rows: Path | None) -> tuple[Any, Any]:
    """The rows asked about as the model takes them, and as they stand in their file."""
    from latens.data.files import columns_in, frame_in
    from latens.data.source import AbstractSource

    path = rows or plan.file
    if path is None:
        return plan.data, None
    held = done.columns if isinstance(plan.data, AbstractSource) else plan.data
    used = [name for name in held if name in done.columns] or list(held)
    return columns_in(path, used) if rows else plan.data, frame_in(path)


def _beside(frame: Any, columns: Any) -> Any:
    """The columns in the place of those of the same name, after the others."""
    import polars as pl

    found = pl.DataFrame(columns)
    return found if frame is None else frame.with_columns(found)


def _write(frame: Any, columns: Any, out: str) -> None:
    from latens.data.files import write_frame

    write_frame(_beside(frame, columns), out)


def _ended(done: Fit) -> int:
    """The exit status; a fit that is not a maximum says so where it does not mix with the table."""
    if not done.converged:
        click.echo(f"latens: {done.message}", err=True)
    return 0 if done.converged else 1
