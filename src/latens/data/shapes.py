"""Results in the form the data were handed over in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from latens.cells import OneOf
from latens.data.table import columns_of, frame_of, ordered


def alike(data: Any, rows: Any, columns: Sequence[str], *, texts: bool = True) -> Any:
    """Rows as computed, as an array, dict of columns or data frame: whichever the data were.

    A column of categories read from text gets its texts back, and one of a data frame that was wholly seen stays
    itself, whole numbers and all, unless `texts` is False.
    """
    named = columns_of(data)
    if named is None:
        if isinstance(rows, Mapping):
            return np.column_stack([np.asarray(rows[c]) for c in columns])
        return np.asarray(rows)
    arrays = as_columns(rows, list(ordered(named, columns)))
    if texts:
        arrays = with_texts(arrays, named)
    if isinstance(data, Mapping):
        return {own: arrays.get(name, column) for own, (name, column) in zip(data, named.items(), strict=True)}
    import narwhals as nw

    if texts:
        arrays = {name: values for name, values in arrays.items() if not np.array_equal(values, named[name])}
    frame = frame_of(data)
    own = dict(zip(named, frame.columns, strict=True))  # pandas has names that are no texts
    filled = [nw.new_series(own[name], values, backend=frame.implementation) for name, values in arrays.items()]
    return frame.with_columns(*filled).to_native()


def as_columns(rows: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Rows as computed as a dict of columns."""
    if isinstance(rows, Mapping):
        return {name: np.asarray(rows[name]) for name in names if name in rows}
    array = np.asarray(rows)
    return {names[0]: array} if array.ndim == 1 else {name: array[:, j] for j, name in enumerate(names)}


def with_texts(arrays: dict[str, np.ndarray], named: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The texts of categories in place of their codes, where the columns were read from text."""
    changed = dict(arrays)
    for name, column in named.items():
        if isinstance(column, OneOf) and column.labels and name in arrays:
            changed[name] = np.asarray(column.labels, dtype=object)[arrays[name].astype(int)]
    return changed
