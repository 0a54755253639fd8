"""Columns from CSV and Parquet files, and tables to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latens.data.text import column_of
from latens.errors import DataError

if TYPE_CHECKING:
    import polars as pl


def columns_in(path: Path, wanted: Sequence[str] = ()) -> dict[str, Any]:
    """The wanted columns (all if none are named) of a CSV or Parquet file, cells read as `lt.read_cells` does.

    **Raises:** `DataError` for a file that is absent, malformed or of another kind, for a column
    that is absent and a cell that does not parse.
    """
    frame = frame_in(path)
    absent = [c for c in wanted if c not in frame.columns]
    if absent:
        raise DataError(f"{path}: there is no column '{absent[0]}'; it has {', '.join(frame.columns)}")
    chosen = frame.select(list(wanted)) if wanted else frame
    hint = "" if wanted else "; choose the columns to use with --columns"
    return {name: column_of(_plain(chosen[name]), name, f"{path}: ", hint) for name in chosen.columns}


def frame_in(path: Path) -> pl.DataFrame:
    """A CSV or Parquet file as it is; raises `DataError` if it is absent, malformed or of another kind."""
    import polars as pl

    if not path.is_file():
        raise DataError(f"there is no file {path}")
    readers = {".csv": lambda: pl.read_csv(path, infer_schema_length=None), ".parquet": lambda: pl.read_parquet(path)}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: expected a .csv or .parquet file")
    try:
        return readers[path.suffix.lower()]()
    except (pl.exceptions.PolarsError, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path} cannot be read: {first}") from None


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


def _plain(column: pl.Series) -> np.ndarray:
    """Numbers with NaN for null, or texts with None."""
    import polars as pl

    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return np.asarray(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())
    return np.asarray(column.cast(pl.String).to_list(), dtype=object)
