"""Columns from CSV and Parquet files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latens.errors import DataError


def columns_in(path: Path, wanted: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The wanted columns (all if none are named) of a CSV or Parquet file, nulls as NaN.

    **Raises:** `DataError` for a file that is absent, malformed or of another kind, and for a column
    that is absent or not numeric.
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
    return {name: _numeric(chosen[name], name, path, bool(wanted)) for name in chosen.columns}


def _numeric(column: "pl.Series", name: str, path: Path, asked: bool) -> np.ndarray:  # type: ignore[name-defined] # noqa: F821
    import polars as pl

    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return np.asarray(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())
    numbers = column.cast(pl.Float64, strict=False)
    bad = numbers.is_null() & column.is_not_null()
    row = int(bad.arg_true()[0]) if bad.any() else 0
    hint = "" if asked else "; choose the columns to use with --columns"
    raise DataError(f"{path}: row {row}, column '{name}': {column[row]!r} is not a number{hint}")
