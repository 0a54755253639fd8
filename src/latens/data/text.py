"""Cells written as text: "5", "?", ">5", "5+", "3..7", "A|B"."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from latens.cells import OneOf, beyond, interval
from latens.data.table import columns_of
from latens.errors import DataError

MISSING = frozenset({"", "?", "NA", "NaN", "nan", "null", "None"})
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
BOUND = re.compile(rf"(<=|>=|<|>)\s*({NUMBER})")
ABOVE = re.compile(rf"({NUMBER})\+")
BETWEEN = re.compile(rf"({NUMBER})\s*\.\.\s*({NUMBER})")
FORMS = "? or empty (missing), >5, >=5, 5+, <2, <=2 (censored), 3..7 (between) or A|B (one of)"


def read_cells(frame: Any, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """A table of which cells may be written as what is known of them, as columns for `lt.fit`.

    A cell is a number; `?` or empty where nothing was seen; `>5`, `>=5` or `5+`, `<2` or `<=2` where only a
    bound is known; `3..7` between two ends, which belong to it; `A|B` one of several categories. A column
    of texts becomes codes 0, 1, ... in the sorted order of its categories (`.labels` of the column).

    **Arguments:** `frame`: a dict of columns or a pandas, polars or pyarrow table; `columns`: those wanted,
    in this order (default: all).
    **Returns:** column → array, `Interval` or `OneOf`.
    **Raises:** `DataError` naming row, column and text that do not parse, or a column that is not there.
    **Example:**
        >>> import latens as lt
        >>> cells = lt.read_cells({"time": ["5", "8+", "?"], "kind": ["a", "a|b", "b"]})
        >>> cells["time"].upper.tolist(), cells["kind"].labels
        ([5.0, inf, inf], ('a', 'b'))
    """
    named = columns_of(frame)
    if named is None:
        raise DataError("read_cells takes a dict of columns or a data frame")
    absent = [name for name in columns or () if name not in named]
    if absent:
        raise DataError(f"there is no column '{absent[0]}'; there are {', '.join(named)}")
    return {name: column_of(named[name], name) for name in (columns or named)}


def column_of(column: Any, name: str, where: str = "", hint: str = "") -> Any:
    """One column: an array if it is of numbers, else what its texts say."""
    values = np.asarray(column)
    if values.dtype.kind in "fiub":
        return values.astype(np.float64)
    texts = ["" if v is None or v is np.nan or v != v else str(v).strip() for v in values]
    known = [(row, text) for row, text in enumerate(texts) if text not in MISSING]
    ends = {row: _ends(text) for row, text in known}
    unread = [(row, text) for row, text in known if ends[row] is None]
    if not unread:
        pairs = np.array([ends.get(row, (np.nan, np.nan)) for row in range(len(texts))], dtype=float).reshape(-1, 2)
        _rising(pairs, texts, name, where)
        if ((pairs[:, 0] == pairs[:, 1]) | np.isnan(pairs[:, 0])).all():
            return pairs[:, 0]
        return interval(pairs[:, 0], pairs[:, 1])
    plain = [row for row, text in known if ends[row] is not None]
    if plain and not all("|" in text for _, text in unread):
        row, text = next((row, text) for row, text in unread if "|" not in text)
        raise DataError(f"{where}row {row}, column '{name}': {text!r} is not a number, nor any of: {FORMS}{hint}")
    return _categories(texts, name, where)


def _ends(text: str) -> tuple[float, float] | None:
    """The interval a text stands for, None if it stands for none."""
    if re.fullmatch(NUMBER, text):
        return float(text), float(text)
    if found := BOUND.fullmatch(text):
        sign, value = found[1], float(found[2])
        # an open end excludes its number, which matters for counts
        low = value if sign == ">=" else float(beyond(value, 1.0))
        top = value if sign == "<=" else float(beyond(value, -1.0))
        return (low, np.inf) if sign[0] == ">" else (-np.inf, top)
    if found := ABOVE.fullmatch(text):
        return float(found[1]), np.inf
    if found := BETWEEN.fullmatch(text):
        return float(found[1]), float(found[2])
    return None


def _rising(pairs: np.ndarray, texts: Sequence[str], name: str, where: str) -> None:
    wrong = pairs[:, 0] > pairs[:, 1]
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"{where}row {row}, column '{name}': {texts[row]!r} has its lower end above its upper one")


def _categories(texts: Sequence[str], name: str, where: str) -> OneOf:
    parts = [None if text in MISSING else [part.strip() for part in text.split("|")] for text in texts]
    for row, members in enumerate(parts):
        if members is not None and "" in members:
            raise DataError(f"{where}row {row}, column '{name}': {texts[row]!r} names an empty category")
    labels = sorted({part for members in parts if members for part in members})
    if all(re.fullmatch(r"\d+", label) for label in labels):
        codes = {label: int(label) for label in labels}
        labels = []
    else:
        codes = {label: code for code, label in enumerate(labels)}
    sets = tuple(None if members is None else frozenset(codes[part] for part in members) for members in parts)
    return OneOf(sets, tuple(labels))
