"""Rows of which some entries are known only as an interval."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from latens.cells import Interval, OneOf
from latens.data.bins import Grouped
from latens.data.table import columns_of, matrix
from latens.errors import DataError, counted, listed

TRUTH = {"true": 1.0, "false": 0.0}
DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")


def rows_and_sets(data: Any, width: int, fields: Sequence[str] = ()) -> tuple[Any, tuple[str, ...]]:
    """(n, width) float64 rows, or an `Interval` of such where a column is one; and the names of the columns."""
    if isinstance(data, Interval):
        shape = np.shape(data.lower)
        if shape[1:] != (width,) and not (width == 1 and len(shape) == 1):
            want = "(n,)" if width == 1 else f"(n, {width})"
            raise DataError(f"the intervals have shape {shape}, the model takes {want}")
        ends = Interval(data.lower.reshape(-1, width), data.upper.reshape(-1, width))
        return matrix_if_seen(ends), tuple(fields) or tuple(str(i) for i in range(width))
    named = columns_of(data)
    if named is not None:
        named = {name: plain(column, name) for name, column in named.items()}
    if named is None or not any(isinstance(column, Interval) for column in named.values()):
        return matrix(data if named is None else named, width, fields)
    low, names = matrix(
        {n: c.lower if isinstance(c, Interval) else c for n, c in named.items()}, width, fields, open_ends=True
    )
    top, _ = matrix(
        {n: c.upper if isinstance(c, Interval) else c for n, c in named.items()}, width, fields, open_ends=True
    )
    gone = np.isnan(low)
    return Interval(np.where(gone, -np.inf, low), np.where(gone, np.inf, top)), names


def estimable(rows: Any, columns: Sequence[str]) -> None:
    """Raises `DataError` for a column of which nothing was seen, or that is unbounded on one side in every row."""
    ends = (rows.lower, rows.upper) if isinstance(rows, Interval) else (rows, rows)
    low, top = (~np.isfinite(end) for end in ends)
    for j, name in enumerate(columns):
        seen = ~(low[:, j] & top[:, j])
        if not seen.any():
            raise DataError(
                f"column '{name}': nothing was seen, so nothing can be estimated from it; leave the column out"
            )
        for open_end, word in ((top[seen, j], "right"), (low[seen, j], "left")):
            if open_end.all():
                raise DataError(
                    f"column '{name}': every value seen is {word}-censored, so the likelihood has no maximum; "
                    "at least one value must be bounded on that side"
                )


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


def plain(column: Any, name: str) -> Any:
    """A column of intervals that are all exact or missing as the plain column it is."""
    if isinstance(column, OneOf) and column.labels and {label.lower() for label in column.labels} <= TRUTH.keys():
        told = [TRUTH[label.lower()] for label in column.labels]
        return np.array([np.nan if m is None or len(m) > 1 else told[min(m)] for m in column.sets])
    if isinstance(column, OneOf):
        named = f" ({', '.join(column.labels[:3])}{', ...' if len(column.labels) > 3 else ''})" if column.labels else ""
        if column.labels and all(map(DATE.match, column.labels)):
            raise DataError(
                f"column '{name}' holds dates{named}; give numbers in a unit of your choice, such as days since the "
                "first one, or choose the columns to use (--columns)"
            )
        raise DataError(
            f"column '{name}' holds categories{named}, not numbers as the model takes; choose the columns to use "
            "(--columns), or give this one a Categorical family"
        )
    return matrix_if_seen(column) if isinstance(column, Interval) and np.ndim(column.lower) == 1 else column


def matrix_if_seen(ends: Interval) -> Any:
    """Intervals as the numbers they are, NaN where nothing was seen, if all are exact or missing."""
    missing = np.isneginf(ends.lower) & np.isposinf(ends.upper)
    if (missing | (ends.lower == ends.upper)).all():
        return np.where(missing, np.nan, ends.lower)
    return ends


def ungroup(data: Any, *, whole: bool) -> tuple[Any, np.ndarray | None]:
    """A histogram, perhaps of `whole` numbers, as its bins and their counts; other data as they are."""
    if isinstance(data, Grouped):
        return _apart(data.bins, whole=whole), data.counts
    if isinstance(data, Mapping) and any(isinstance(column, Grouped) for column in data.values()):
        if len(data) > 1:
            raise DataError("a histogram is data for a model of one column")
        name, column = next(iter(data.items()))
        return {name: _apart(column.bins, whole=whole)}, column.counts
    return data, None


def _apart(bins: Interval, *, whole: bool) -> Interval:
    """The bins, or a `DataError` where two hold the same whole number."""
    edges = bins.upper[:-1]
    twice = (edges == bins.lower[1:]) & (edges == np.floor(edges))
    if whole and twice.any():
        raise DataError(
            f"grouped: {edges[twice][0]:g} is a value that can occur, and both bins beside that edge hold it; say "
            "closed='left' if bins are [a, b), closed='right' if they are (a, b]"
        )
    return bins
