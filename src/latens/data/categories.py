"""Columns of categories: texts, codes, or sets of such."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from latens.cells import Interval, OneOf
from latens.data.column import absent, cells
from latens.data.half_seen import one_of
from latens.data.text import column_of
from latens.errors import DataError, listed

MOST = 100_000  # codes


def categories(column: Any, name: str) -> Any:
    """A column as `OneOf`, or as the numbers or `Interval` it is."""
    if isinstance(column, OneOf | Interval):
        return column
    entries = cells(column)
    if entries.dtype.kind == "O" and any(isinstance(entry, set | frozenset) for entry in entries.flat):
        return _sets(entries.ravel())
    return column_of(entries, name)


def _sets(column: Any) -> OneOf:
    """Sets of codes, or of texts."""
    parts = [None if absent(e) else set(e) if isinstance(e, set | frozenset) else {e} for e in column]
    labels = sorted({part for members in parts for part in members or ()}, key=str)
    if not any(isinstance(label, str) for label in labels):
        return one_of(parts)
    codes = {label: code for code, label in enumerate(labels)}
    return OneOf(tuple(None if m is None else frozenset(codes[e] for e in m) for m in parts), tuple(map(str, labels)))


def told(column: Any) -> tuple[Any, ...]:
    """The categories that a column holds, sorted: texts, or whole numbers.

    **Raises:** `DataError` for ends of intervals or codes that are too large to be codes.
    """
    if isinstance(column, OneOf):
        return column.labels or tuple(sorted({code for members in column.sets for code in members or ()}))
    if isinstance(column, Interval):
        ends = np.concatenate([column.lower.ravel(), column.upper.ravel()])
        most = ends[np.isfinite(ends)].max(initial=0)
        if most > MOST:
            raise DataError(f"an interval ends at {most:g}, which is no code of a category (at most {MOST:,})")
        return tuple(range(int(most) + 1))
    values = np.unique(np.asarray(column, dtype=float))
    return tuple(int(v) if v == int(v) else float(v) for v in values[np.isfinite(values)])


def coded(values: np.ndarray, names: Sequence[Any], name: str) -> np.ndarray:
    """Whole numbers that are names as their codes; others are codes already."""
    own_values = values_of(names)
    if own_values is None:
        return values
    found = np.full(values.shape, np.nan)
    for code, own in enumerate(own_values):
        found[values == own] = code
    lost = np.isnan(found) & ~np.isnan(values)
    if lost.any():
        row = int(np.argmax(lost))
        raise DataError(f"row {row}, column '{name}': {values[row]:g} is none of the categories {listed(names)}")
    return found


def values_of(names: Sequence[Any]) -> np.ndarray | None:
    """The numbers that all names are, written as texts or not; None if they are no numbers."""
    try:
        return np.asarray([float(name) for name in names]) if names else None
    except ValueError:
        return None


def as_codes(column: OneOf, names: Sequence[Any], what: str) -> OneOf:
    """Sets of codes of these names; raises `DataError` for one that is not among them."""
    if not names:
        return column
    own: Any = column.labels or range(max((max(m) for m in column.sets if m), default=0) + 1)  # takes no memory
    place = {name: code for code, name in enumerate(names)}
    place |= {str(name): code for code, name in enumerate(names)}

    def code(member: int, row: int) -> int:
        if own[member] in place:
            return place[own[member]]
        if not column.labels and isinstance(names[0], str) and member < len(names):
            return member
        raise DataError(f"row {row}, {what}: '{own[member]}' is none of the categories {listed(names)}")

    coded = (None if m is None else frozenset(code(each, row) for each in m) for row, m in enumerate(column.sets))
    return OneOf(tuple(coded), tuple(map(str, names)))


def allowed(sets: OneOf, k: int, what: str) -> np.ndarray:
    """(n, k) which of k codes each row may have; raises `DataError` for a code beyond them."""
    found = np.ones((len(sets), k), dtype=bool)
    for row, members in enumerate(sets.sets):
        if members is not None:
            if max(members) >= k:
                raise DataError(f"row {row}, {what}: {max(members)} is not a code from 0 to {k - 1}; correct the row")
            found[row] = [code in members for code in range(k)]
    return found
