"""Reading arrays, lists, dicts of columns and data frames, with errors that name row and column."""

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from latens.cells import Interval, cells_of
from latens.cells.base import numbers
from latens.errors import DataError, counted, listed


def columns_of(data: Any) -> dict[str, Any] | None:
    """A dict, data frame (pandas, polars, pyarrow, ...) or record array as a dict of columns; None for anything else.

    **Raises:** `DataError` for two columns of one name, which is a text: 1 and "1" are the same.
    """
    if isinstance(data, Mapping):
        named = list(data.items())
    elif is_frame(data):
        named = [(column.name, _array(column)) for column in frame_of(data).iter_columns()]
    elif getattr(getattr(data, "dtype", None), "names", None):
        named = [(name, data[name]) for name in data.dtype.names]
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


def aside(data: Any, **named: Any) -> tuple[Any, ...]:
    """The data without the columns that arguments name, and in their place what these hold; other data as they are.

    **Raises:** `DataError` for a column that is not there, or for a name where columns have none.
    """
    names = {argument: name for argument, name in named.items() if isinstance(name, str)}
    columns = columns_of(data) if names else None
    for argument, name in names.items():
        if columns is None:
            raise DataError(f"{argument}='{name}' names a column, but the columns of these data have no names")
        if name not in columns:
            raise DataError(f"{argument}: there is no column '{name}'; there are {listed(list(columns))}")
    if columns is None:
        return data, *named.values()
    if set(names.values()) == columns.keys():
        raise DataError(f"there are no columns but those of {' and '.join(names)}")
    taken = {argument: columns[value] if argument in names else value for argument, value in named.items()}
    return without(data, names.values()), *taken.values()


def without(data: Any, names: Collection[str]) -> Any:
    """Data of columns without these, of the same kind; other data as they are."""
    if is_frame(data):
        frame = frame_of(data)  # pandas has names that are no texts
        return frame.drop([own for own in frame.columns if str(own) in names]).to_native()
    columns = columns_of(data)
    if columns is None:
        return data
    rest = copy(data) if isinstance(data, dict) else columns  # a table keeps its notes
    for own in [own for own in rest if str(own) in names]:
        del rest[own]
    return rest


def is_frame(data: Any) -> bool:
    """Whether it is a data frame, by its type: a lazy one warns if it is asked for its columns."""
    return hasattr(type(data), "columns") or hasattr(type(data), "column_names")


def frame_of(data: Any) -> Any:
    """A data frame of any library as one of narwhals; a lazy one is collected."""
    import narwhals as nw

    try:
        frame = nw.from_native(data)
        return frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    except TypeError:
        raise DataError(
            f"a {type(data).__name__} is no data frame that can be read; give one of pandas, polars or pyarrow, or a "
            "dict of columns"
        ) from None
    except nw.exceptions.DuplicateError:
        names = list(getattr(data, "column_names", data.columns))
        raise _same_name(next(name for name in names if names.count(name) > 1)) from None


def library_of(data: Any) -> str | None:
    """The library whose data frame (or series) it is, for new frames of the kind; None if it is none."""
    name = type(data).__module__.partition(".")[0]
    return name if name in ("pandas", "polars", "pyarrow") else None


def _array(column: Any) -> np.ndarray:
    """A column of a data frame of any library."""
    import narwhals as nw

    if isinstance(column.dtype, nw.Categorical | nw.Enum):  # by to_numpy, pyarrow's nulls become the last category
        return np.asarray(column.to_list(), dtype=object)
    return np.asarray(column.to_numpy())


def _same_name(name: Any) -> DataError:
    return DataError(f"two columns are called '{name}', as texts: rename one of them")


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
                f"the data have {counted(len(named), 'column')} ({', '.join(named)}), the model takes "
                f"{counted(width, 'column')}: give only those (data[[...]] of a data frame, --columns on the "
                "command line)"
            )
        read = {n: numbers(c, n) for n, c in named.items()}
        flat = next((n for n, c in read.items() if c.ndim != 1), None)
        if flat is not None:
            raise DataError(f"column '{flat}' has shape {read[flat].shape}; a column is (n,), one value for each row")
        lengths = {n: len(c) for n, c in read.items()}
        if len(set(lengths.values())) > 1:
            raise DataError("the columns have different lengths: " + _pairs(lengths))
        return _finite(np.column_stack(list(read.values())), tuple(read), open_ends=open_ends)
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


def rows_and_sets(data: Any, width: int, fields: Sequence[str] = ()) -> tuple[Any, tuple[str, ...]]:
    """(n, width) float64 rows, or an `Interval` of such where a column is one; and the names of the columns."""
    named = columns_of(data)
    if named is None:
        lower, upper = cells_of(data).ends_called("0")
    else:
        ends = {name: cells_of(column).ends_called(name) for name, column in named.items()}
        lower, upper = ({name: both[side] for name, both in ends.items()} for side in (0, 1))
        if all(low is top for low, top in ends.values()):
            upper = lower
    if lower is upper:
        return matrix(lower, width, fields)
    (low, names), (top, _) = (matrix(end, width, fields, open_ends=True) for end in (lower, upper))
    gone = np.isnan(low)
    return Interval(np.where(gone, -np.inf, low), np.where(gone, np.inf, top)), names


def only_column(data: Any, what: str) -> tuple[str, Any]:
    """The name and the content of data that are one column, however they are handed over; else a `DataError`."""
    named = columns_of(data)
    if named is None:
        return "0", data
    if len(named) != 1:
        raise DataError(
            f"{what} takes 1 column, the data have {counted(len(named), 'column')} ({listed(list(named))}): give one, "
            "or each its own family, lt.Product({column: family, ...})"
        )
    return next(iter(named.items()))


def ungroup(data: Any, *, whole: bool) -> tuple[Any, np.ndarray | None]:
    """A histogram, perhaps of `whole` numbers, as its bins and their counts; other data as they are."""
    if not isinstance(data, Mapping):
        column, counts = cells_of(data).ungrouped(whole=whole)
        return column, counts
    each = {name: cells_of(column).ungrouped(whole=whole) for name, column in data.items()}
    grouped = [counts for _, counts in each.values() if counts is not None]
    if grouped and len(data) > 1:
        raise DataError("a histogram is data for a model of one column")
    return ({name: column for name, (column, _) in each.items()}, grouped[0]) if grouped else (data, None)


def frequencies(weights: Any, n: int) -> np.ndarray:
    """(n,) frequency weights, or a `DataError`."""
    if weights is None:
        return np.broadcast_to(1.0, n)  # takes no memory
    array = numbers(weights, "weights").copy()  # the caller may change the original
    if array.shape != (n,):
        raise DataError(
            f"weights have shape {array.shape}, the data have {counted(n, 'row')}: give one weight for each"
        )
    bad = ~np.isfinite(array) | (array < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"row {row}: the weight {array[row]} is not a finite number of at least 0")
    if not array.sum() > 0:
        raise DataError("all weights are zero: there is nothing to fit")
    return array


def _pairs(values: Mapping[str, int]) -> str:
    return ", ".join(f"'{k}' {v}" for k, v in values.items())
