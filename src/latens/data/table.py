"""Reading arrays, lists, dicts of columns and data frames, with errors that name row and column."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from latens.errors import DataError


def columns_of(data: Any) -> dict[str, Any] | None:
    """A dict or data frame (pandas, polars, pyarrow, ...) as a dict of columns; None for anything else.

    **Raises:** `DataError` for two columns of one name, which is a text: 1 and "1" are the same.
    """
    if isinstance(data, Mapping):
        named = list(data.items())
    elif hasattr(data, "columns") or hasattr(data, "column_names"):
        named = [(column.name, column.to_numpy()) for column in frame_of(data).iter_columns()]
    else:
        return None
    found = {str(name): column for name, column in named}
    if len(found) < len(named):
        texts = [str(name) for name, _ in named]
        raise _same_name(next(text for text in texts if texts.count(text) > 1))
    return found


def ordered(data: Any, columns: Sequence[str]) -> Any:
    """Data of columns with just these names as a dict in their order; other data as they are."""
    named = columns_of(data)
    if named is None or named.keys() != set(columns):
        return data
    return {name: named[name] for name in columns}


def frame_of(data: Any) -> Any:
    """A data frame of any library as one of narwhals."""
    import narwhals as nw

    try:
        return nw.from_native(data, eager_only=True)
    except nw.exceptions.DuplicateError:
        names = list(getattr(data, "column_names", data.columns))
        raise _same_name(next(name for name in names if names.count(name) > 1)) from None


def _same_name(name: Any) -> DataError:
    return DataError(f"two columns are called '{name}', as texts: rename one of them")


def numbers(column: Any, name: str) -> np.ndarray:
    """A column as float64 (None is NaN), or a `DataError` naming the first cell that is no number."""
    try:
        array = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        array = None  # looked at cell by cell below, to say which one it is
    if array is None:
        values = np.asarray(column, dtype=object)
        for index in np.ndindex(values.shape):
            if values[index] is None:
                continue
            try:
                float(values[index])
            except (TypeError, ValueError):
                where = f"row {index[0]}" if index else "the data"
                raise DataError(
                    f"{where}, column '{name}': {_shown(values[index])} is not a number; "
                    "remove it, or use NaN where nothing was seen"
                ) from None
        raise DataError(f"column '{name}': the rows have different lengths")
    return array


def matrix(
    data: Any, width: int, fields: Sequence[str] = (), *, open_ends: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(n, width) float64 rows and their column names, from anything users hand over.

    `fields` names the entries of a datum ("successes", "trials"): a dict or frame having them is read
    by name, else by order. With `open_ends` an entry may be infinite.
    """
    named = columns_of(data)
    if named is not None:
        if fields and set(fields) <= set(named):
            named = {f: named[f] for f in fields}
        if len(named) != width:
            raise DataError(
                f"the data have {_columns(len(named))} ({', '.join(named)}), the model takes "
                f"{_columns(width)}; choose them with columns=, or give only those"
            )
        lengths = {n: np.shape(np.asarray(c, dtype=object))[0] for n, c in named.items()}
        if len(set(lengths.values())) > 1:
            raise DataError("the columns have different lengths: " + _pairs(lengths))
        rows = np.column_stack([numbers(c, n) for n, c in named.items()])
        return _finite(rows, tuple(named), open_ends=open_ends)
    rows = numbers(data, "0")
    if rows.ndim == 1 and width == 1:
        rows = rows[:, None]
    if rows.ndim != 2 or rows.shape[1] != width:
        want = "(n,) or (n, 1)" if width == 1 else f"(n, {width})"
        raise DataError(f"the data have shape {rows.shape}, the model takes {want}")
    return _finite(rows, tuple(fields) or tuple(str(i) for i in range(width)), open_ends=open_ends)


def _finite(rows: np.ndarray, names: tuple[str, ...], *, open_ends: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    if len(rows) == 0:
        raise DataError("the data are empty: there is nothing to fit")
    if not open_ends and np.isinf(rows).any():
        row, column = np.argwhere(np.isinf(rows))[0]
        raise DataError(
            f"row {row}, column '{names[column]}': {rows[row, column]} is not a finite number; "
            "remove the row, or use NaN where nothing was seen"
        )
    return rows, names


def frequencies(weights: Any, n: int) -> np.ndarray:
    """(n,) frequency weights, or a `DataError`."""
    if weights is None:
        return np.broadcast_to(1.0, n)  # takes no memory
    array = numbers(weights, "weights").copy()  # the caller may change the original
    if array.shape != (n,):
        raise DataError(f"weights have shape {array.shape}, the data have {n} rows: give one weight for each")
    bad = ~np.isfinite(array) | (array < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"row {row}: the weight {array[row]} is not a finite number of at least 0")
    if not array.sum() > 0:
        raise DataError("all weights are zero: there is nothing to fit")
    return array


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _columns(count: int) -> str:
    return f"{count} column" + ("" if count == 1 else "s")


def _pairs(values: Mapping[str, int]) -> str:
    return ", ".join(f"'{k}' {v}" for k, v in values.items())
