"""Columns from CSV and Parquet files, and tables to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latens.data.delimited import dialect_of, without_blanks
from latens.data.text import Table, table_of
from latens.errors import DataError

if TYPE_CHECKING:
    import polars as pl


TEXTS = (".csv", ".tsv", ".tab", ".txt", ".dat")
DECIMAL = r"^([<>=]*\s*[+-]?\d*),(\d+(?:[eE][+-]?\d+)?\+?)$"
ROW_NAMES = ("", "__index_level_0__")  # what R and pandas call the column of row names, if it comes first


def columns_in(path: Path, wanted: Sequence[str] = ()) -> Table:
    """The wanted columns (all if none are named) of a text or Parquet file, cells read as `lt.read_cells` does.

    A first column that has no name holds those of the rows: it is left out unless it is wanted.

    **Raises:** `DataError` for a file that is absent, malformed or of another kind, for a column
    that is absent and a cell that does not parse.
    """
    frame = frame_in(path)
    names = list(wanted) or frame.columns
    absent = [c for c in names if c not in frame.columns]
    if absent:
        raise DataError(f"{path}: there is no column '{absent[0]}'; it has {', '.join(frame.columns)}")
    notes = []
    if not wanted:
        names = [name for name in names if name or frame[name].null_count() < frame.height]  # a separator at each end
    if not wanted and len(names) > 1 and names[0] in ROW_NAMES:
        names = names[1:]
        notes.append("the first column, which has no name, was taken for the names of the rows and left out")
    if all(name.isdigit() for name in frame.columns):
        notes.append(f"the first line, {', '.join(frame.columns)}, was taken for names of columns")
    hint = "" if wanted else "; choose the columns to use with --columns"
    return table_of({name: _plain(frame[name], path, hint) for name in names}, f"{path}: ", hint, notes)


def is_there(path: Path) -> bool:
    """Whether it is a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (ValueError, OSError):
        return False


def frame_in(path: Path) -> pl.DataFrame:
    """A text or Parquet file as it is; raises `DataError` if it is absent, malformed or of another kind."""
    import polars as pl

    if not is_there(path):
        raise DataError(f"there is no file {path}")
    kind = path.suffix.lower()
    if kind not in (*TEXTS, ".parquet"):
        raise DataError(f"{path}: expected a file of text ({', '.join(TEXTS)}) or .parquet")
    try:
        return pl.read_parquet(path) if kind == ".parquet" else _delimited(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path} cannot be read: {first}") from None


def _delimited(path: Path) -> pl.DataFrame:
    import polars as pl

    form = dialect_of(path)
    blanks = form.separator == " "
    frame = pl.read_csv(
        without_blanks(path) if blanks else path,
        has_header=False,
        skip_lines=0 if blanks else form.above,
        separator="," if blanks else form.separator,
        infer_schema_length=None,
        decimal_comma=form.decimal_comma,
    )
    if frame.width != len(form.names):
        raise DataError(f"{path}: the rows have {frame.width} cells, the header names {len(form.names)} columns")
    frame.columns = list(form.names)
    if not form.decimal_comma:
        return frame
    return frame.with_columns(
        pl.col(pl.String).str.replace(DECIMAL, "$1.$2")
    )  # what is more than a number, such as >3,5


def write_frame(frame: pl.DataFrame, target: str) -> None:
    """To a .csv or .parquet file, or as CSV to standard output for "-"; raises `DataError` if it cannot be."""
    path = Path(target)
    writers: dict[str, Callable[[Path], object]] = {".csv": frame.write_csv, ".parquet": frame.write_parquet}
    if target == "-":
        print(frame.write_csv(), end="")
        return
    if path.suffix.lower() not in writers:
        raise DataError(f"{path}: expected a .csv or .parquet file to write")
    try:
        writers[path.suffix.lower()](path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None


def _plain(column: pl.Series, path: Path, hint: str) -> np.ndarray:
    """Numbers with NaN for null, texts with None, or times as they are."""
    import polars as pl

    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        raise DataError(f"{path}: column '{column.name}' holds {column.dtype}, no numbers or texts{hint}")
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return np.asarray(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())
    if column.dtype.is_temporal():
        return np.asarray(column.to_numpy())
    return np.asarray(column.cast(pl.String).to_list(), dtype=object)
