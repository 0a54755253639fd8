"""Results in the form the data were handed over in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from latens.cells import OneOf
from latens.data.table import columns_of


def alike(data: Any, rows: Any, columns: Sequence[str], *, texts: bool = True) -> Any:
    """Rows as computed, as an array, dict of columns or data frame: whichever the data were.

    A column of categories read from text gets its texts back, unless `texts` is False.
    """
    named = columns_of(data)
    if named is None:
        if isinstance(rows, Mapping):
            return np.column_stack([np.asarray(rows[c]) for c in columns])
        return np.asarray(rows)
    arrays = {c: np.asarray(v) for c, v in rows.items()} if isinstance(rows, Mapping) else _split(rows, list(named))
    for name, column in named.items():
        if texts and isinstance(column, OneOf) and column.labels and name in arrays:
            arrays[name] = np.asarray(column.labels, dtype=object)[arrays[name].astype(int)]
    if isinstance(data, Mapping):
        return {name: arrays.get(name, column) for name, column in named.items()}
    import narwhals as nw

    frame = nw.from_native(data, eager_only=True)
    filled = [nw.new_series(name, values, backend=frame.implementation) for name, values in arrays.items()]
    return frame.with_columns(*filled).to_native()


def _split(rows: Any, names: list[str]) -> dict[str, np.ndarray]:
    array = np.asarray(rows)
    return {names[0]: array} if array.ndim == 1 else {name: array[:, j] for j, name in enumerate(names)}
