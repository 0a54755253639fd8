"""Results in the form the data were handed over in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from latens.data.table import columns_of, frame_of, ordered

Names = Mapping[str, tuple[Any, ...]]


def alike(data: Any, rows: Any, columns: Sequence[str], names: Names | None = None) -> Any:
    """Rows as computed, as an array, dict of columns or data frame: whichever the data were.

    With the `names` of categories, codes become what they stand for, and a column of a data frame that was wholly
    seen stays itself, whole numbers and all.
    """
    named = columns_of(data)
    if named is None:
        if isinstance(rows, Mapping):
            return np.column_stack(list(with_names(as_columns(rows, columns), names or {}).values()))
        return with_names({columns[0]: np.asarray(rows)}, names or {})[columns[0]]
    arrays = with_names(as_columns(rows, list(ordered(named, columns))), names or {})
    if isinstance(data, Mapping):
        return {own: arrays.get(name, column) for own, (name, column) in zip(data, named.items(), strict=True)}
    import narwhals as nw

    if names is not None:
        arrays = {name: values for name, values in arrays.items() if not _equal(values, named[name])}
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


def with_names(arrays: Mapping[str, np.ndarray], names: Names) -> dict[str, np.ndarray]:
    """What the codes of categories stand for in their place, None where there is no code."""
    changed = dict(arrays)
    for name in names.keys() & arrays.keys():
        codes = np.asarray(arrays[name])
        own = np.asarray([*names[name], None], dtype=object)
        found = own[np.where(np.isnan(codes), -1, codes).astype(int)]
        whole = not any(isinstance(value, str) or value is None for value in found.flat)
        changed[name] = found.astype(float) if whole else found
    return changed


def _equal(values: np.ndarray, column: Any) -> bool:
    try:
        return bool(np.array_equal(values, np.asarray(column)))
    except TypeError:  # pandas' NA will not say
        return False
