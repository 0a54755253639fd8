"""Columns from CSV and Parquet files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latens.data.text import column_of
from latens.errors import DataError


def columns_in(path: Path, wanted: Sequence[str] = ()) -> dict[str, Any]:
    """The wanted columns (all if none are named) of a CSV or Parquet file, cells read as `lt.read_cells` does.

    **Raises:** `DataError` for a file that is absent, malformed or of another kind, for a column
    that is absent and a cell that does not parse.
    """
    import polars as pl

    if not path.is_file():
        raise DataError(f"there is no file {path}")
    readers = {".csv": lambda: pl.read_csv(path, infer_schema_length=None), ".parquet": lambda: pl.read_parquet(path)}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: expected a .csv or .parquet file")
    try:
        frame = readers[path.suffix.lower()]()
    except (pl.exceptions.PolarsError, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path} cannot be read: {first}") from None
    absent = [c for c in wanted if c not in frame.columns]
    if absent:
        raise DataError(f"{path}: there is no column '{absent[0]}'; it has {', '.join(frame.columns)}")
    chosen = frame.select(list(wanted)) if wanted else frame
    hint = "" if wanted else "; choose the columns to use with --columns"
    return {name: column_of(_plain(chosen[name]), name, f"{path}: ", hint) for name in chosen.columns}


def _plain(column: "pl.Series") -> np.ndarray:  # type: ignore[name-defined] # noqa: F821
    """Numbers with NaN for null, or texts with None."""
    import polars as pl

    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return np.asarray(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())
    return np.asarray(column.cast(pl.String).to_list(), dtype=object)
