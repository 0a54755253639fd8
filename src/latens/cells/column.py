"""One column of whatever kind as numbers: NaN where nothing was seen."""

import datetime
from typing import Any

import numpy as np

from latens.errors import DataError

AT_ONCE = {int, float, bool, type(None), np.float64}  # objects that need no look at each
PER_UNIT = "/ np.timedelta64(1, 'D')"


def absent(value: Any) -> bool:
    """Whether a cell says that nothing was seen: None, NaN, NaT, pandas' NA or a masked one."""
    if value is None or value is np.ma.masked:
        return True
    try:
        return bool(value != value)
    except ArithmeticError:  # of decimals, a NaN that signals
        return True
    except (TypeError, ValueError):  # an array is no cell, and NA will not say whether it differs from itself
        return type(value).__name__ == "NAType"


def as_array(column: Any) -> np.ndarray:
    """A column as an array: of its own type, or of objects, None where it has a mask."""
    if isinstance(column, np.ma.MaskedArray):
        found = column.data.astype(object)
        found[np.ma.getmaskarray(column)] = None
        return found
    try:
        return np.asarray(column)
    except ValueError:  # rows of different lengths
        return np.asarray(column, dtype=object)


def numbers(column: Any, name: str) -> np.ndarray:
    """A column as float64, NaN for every kind of missing cell, or a `DataError` naming what is no number."""
    array = as_array(column)
    if array.dtype.kind in "Mm":
        raise DataError(f"column '{name}' holds {_time(array.dtype.kind == 'M')}")
    if array.dtype.kind == "c":
        raise DataError(f"column '{name}' holds complex numbers; give their real parts, or two columns of numbers")
    if array.dtype.kind != "O" or set(map(type, array.flat)) <= AT_ONCE:
        try:
            return np.asarray(array, dtype=np.float64)
        except (ValueError, OverflowError):
            array = array.astype(object)  # looked at cell by cell, to say which one is no number
    found = np.full(array.shape, np.nan)
    for index in np.ndindex(array.shape):
        if not absent(array[index]):
            found[index] = _number(array[index], name, index)
    return found


def _number(value: Any, name: str, index: tuple[int, ...]) -> float:
    where = f"row {index[0]}, column '{name}'" if index else f"the data, column '{name}'"
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta | np.datetime64 | np.timedelta64):
        moment = not isinstance(value, datetime.timedelta | np.timedelta64)
        raise DataError(f"{where}: {shown(value)}: the column holds {_time(moment)}")
    if isinstance(value, list | tuple | np.ndarray):
        raise DataError(f"column '{name}': the rows have different lengths")
    if isinstance(value, complex | np.complexfloating):
        raise DataError(f"{where}: {shown(value)} is a complex number; give real numbers")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        remedy = "remove it, or use NaN where nothing was seen"
        remedy += " (lt.read_cells reads texts such as '>5' or 'NA')" if isinstance(value, str) else ""
        raise DataError(f"{where}: {shown(value)} is not a number; {remedy}") from None


def _time(moment: bool) -> str:
    """What a column of times holds, and the remedy."""
    if moment:
        return (
            f"dates or times; give numbers in a unit of your choice, such as (x - x.min()) {PER_UNIT}, or leave it out"
        )
    return f"durations; give numbers in a unit of your choice, such as x {PER_UNIT}, or leave it out"


def shown(value: Any) -> str:
    """A cell in an error message."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
