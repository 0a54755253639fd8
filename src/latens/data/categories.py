"""Columns of categories: texts, codes, or sets of such."""

from typing import Any

from latens.cells import OneOf, cells_of, one_of
from latens.cells.column import absent, as_array
from latens.data.text import column_of


def categories(column: Any, name: str) -> Any:
    """A column of texts, codes or sets as one that says which categories it holds."""
    if cells_of(column) is column:
        return column
    entries = as_array(column)
    if entries.dtype.kind == "O" and any(isinstance(entry, set | frozenset) for entry in entries.flat):
        return _sets(entries.ravel())
    return cells_of(column_of(entries, name))


def _sets(column: Any) -> OneOf:
    """Sets of codes, or of texts."""
    parts = [None if absent(e) else set(e) if isinstance(e, set | frozenset) else {e} for e in column]
    labels = sorted({part for members in parts for part in members or ()}, key=str)
    if not any(isinstance(label, str) for label in labels):
        return one_of(parts)
    codes = {label: code for code, label in enumerate(labels)}
    return OneOf(tuple(None if m is None else frozenset(codes[e] for e in m) for m in parts), tuple(map(str, labels)))
