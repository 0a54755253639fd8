"""Rows of frames and arrays as models take them: by columns, categories by their names."""

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_feature_names, validate_data

from latens.data.table import columns_of

Table = dict[str, Any]


def table_of(estimator: Any, X: Any, *, reset: bool, least: int = 1) -> Table:
    """Column → cells, of a frame as they are, of an array as numbers, or texts where it holds some.

    **Raises:** as scikit-learn's `validate_data`.
    """
    named = columns_of(X) if hasattr(X, "columns") else None
    if named is None:
        X = validate_data(
            estimator, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=least
        )
        names = getattr(estimator, "feature_names_in_", None)
        return {str(name): _numbers(X[:, j]) for j, name in enumerate(_names(names, X.shape[1]))}
    _check_feature_names(estimator, X, reset=reset)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if not named or len(X) < least:
        raise ValueError(f"Found array with {len(X)} sample(s) while a minimum of {least} is required.")
    return {str(name): column for name, column in named.items()}


def like(table: Table, X: Any) -> Any:
    """Columns in the form of the rows: an array, or a frame of the same library and index."""
    if not hasattr(X, "columns"):
        return np.column_stack(list(table.values()))
    frame = type(X)(table)
    if hasattr(X, "index") and len(frame) == len(X):
        frame.index = X.index
    return frame


def is_text(column: Any) -> bool:
    """Whether cells are names, not numbers."""
    array = np.asarray(column)
    return array.dtype.kind in "OUSb" and not _numeric(array)


def seen(column: Any) -> np.ndarray:
    """The numbers that were seen."""
    array = np.asarray(column, dtype=np.float64)
    return np.asarray(array[~np.isnan(array)])


def _numbers(column: np.ndarray) -> Any:
    if column.dtype.kind != "O":
        return column.astype(np.float64) if column.dtype.kind in "fiub" else column.astype(object)
    if not _numeric(column):
        if any(isinstance(cell, dict | list | set) for cell in column):
            raise TypeError("argument must be a string or a real number, or nothing (None, NaN)")
        return column
    return np.array([np.nan if cell is None else cell for cell in column], dtype=np.float64)


def _numeric(array: np.ndarray) -> bool:
    if array.dtype.kind == "b":
        return False
    return all(cell is None or isinstance(cell, float | int | np.number) for cell in array.ravel())


def _names(names: Any, width: int) -> list[str]:
    return [f"x{j}" for j in range(width)] if names is None else list(names)
