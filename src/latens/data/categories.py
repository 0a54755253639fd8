"""Columns of categories: texts, codes, or sets of such."""

from typing import Any

from latens.cells import cells_of, named_sets, one_of
from latens.cells.column import absent, as_array
from latens.data.text import column_of


def categories(column: Any, name: str) -> Any:
    """A column of texts, codes or sets as one that says which categories it holds."""
    if cells_of(column) is column:
        return column
    entries = as_array(column)
    if entries.dtype.kind == "O" and any(isinstance(entry, set | frozenset) for entry in entries.flat):
        parts = [None if absent(e) else e if isinstance(e, set | frozenset) else {e} for e in entries.ravel()]
        texts = any(isinstance(part, str) for members in parts for part in members or ())
        return named_sets(parts) if texts else one_of(parts)
    return cells_of(column_of(entries, name))
