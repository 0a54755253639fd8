"""Rows of frames and arrays as models take them: by columns, names and truth values as categories."""

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_feature_names, validate_data

from latens.cells.base import absent
from latens.cells.categories import named_sets
from latens.data.table import columns_of

Table = dict[str, np.ndarray]


def table_of(estimator: Any, X: Any, *, reset: bool, least: int = 1) -> Table:
    """Column → cells (n,), numbers as float64 with NaN, all else as objects; columns are known by their places.

    **Raises:** as scikit-learn's `validate_data`.
    """
    named = columns_of(X) if hasattr(X, "columns") else None
    if named is None:
        X = np.asarray(X, dtype=object) if isinstance(X, list) else X
        X = validate_data(
            estimator, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=least
        )
        columns = [X[:, j] for j in range(X.shape[1])]
    else:
        _check_feature_names(estimator, X, reset=reset)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        if not named or len(X) < least:
            raise ValueError(f"Found array with {len(X)} sample(s) while a minimum of {least} is required.")
        columns = list(named.values())
    if reset:
        own = [f"x{j}" for j in range(len(columns))]
        estimator._names = own if named is None else [str(name) for name in named]
    return dict(zip(estimator._names, map(_cells, columns), strict=True))


def like(table: Table, X: Any) -> Any:
    """Columns in the form of the rows: an array, or a frame of the same library and index."""
    if not hasattr(X, "columns"):
        return np.column_stack(list(table.values()))
    frame = type(X)(dict(zip(X.columns, table.values(), strict=True)))
    if hasattr(X, "index") and len(frame) == len(X):
        frame.index = X.index
    return frame


def is_text(column: np.ndarray) -> bool:
    """Whether cells are names or truth values, not numbers."""
    return column.dtype.kind == "O"


def as_categories(column: np.ndarray) -> tuple[Any, dict[str, Any]]:
    """Each text, truth value or number as a category of its own, and the name of each → what it is."""
    labels = [None if absent(cell) else _name(cell) for cell in column]
    known = {label: cell for label, cell in zip(labels, column, strict=True) if label is not None}
    return named_sets([None if label is None else [label] for label in labels]), known


def _name(cell: Any) -> str:
    whole = isinstance(cell, float | np.floating) and cell == int(cell)
    return str(int(cell)) if whole else str(cell)


def _cells(column: Any) -> np.ndarray:
    array = np.asarray(column)
    if array.dtype.kind in "fiu":
        return array.astype(np.float64)
    array = array.astype(object)
    if any(isinstance(cell, dict | list | set) for cell in array):
        raise TypeError("argument must be a string or a real number, or nothing (None, NaN)")
    kinds = {type(cell) for cell in array if not absent(cell)}
    if all(issubclass(kind, int | float | np.number) and not issubclass(kind, bool) for kind in kinds):
        return np.array([np.nan if absent(cell) else float(cell) for cell in array], dtype=np.float64)
    return array
