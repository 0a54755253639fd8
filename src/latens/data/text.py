"""Cells written as text: "5", "?", ">5", "5+", "3..7", "A|B"."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from latens.cells import OneOf, beyond, cells_of, interval, named_sets, one_of
from latens.cells.base import AbstractCells, absent, as_array, numbers
from latens.cells.repeated import Repeated
from latens.data.table import columns_of
from latens.errors import DataError

MISSING = frozenset({"", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "NaT", "null", "NULL", "None"})
BLANK = frozenset({".", "..", "...", "-", "--", "*", "na", "none", "NONE", "missing"})  # missing among numbers only
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
BOUND = re.compile(rf"(<=|>=|<|>)\s*({NUMBER})")
ABOVE = re.compile(rf"({NUMBER})\+")
BETWEEN = re.compile(rf"({NUMBER})\s*\.\.\s*({NUMBER})")
MANY = 10_000  # rows of a column from which texts that are the same are read once
FORMS = "? or empty (missing), >5, >=5, 5+, <2, <=2 (censored), 3..7 (between) or A|B (one of)"


class Table(dict[str, Any]):
    """Columns as they were read, with `notes` of what was decided in reading them."""

    def __init__(self, columns: Mapping[str, Any], notes: Sequence[str] = ()) -> None:
        super().__init__(columns)
        self.notes = tuple(notes)


def read_cells(frame: Any, columns: Sequence[str] | None = None) -> Table:
    """A table of which cells may be written as what is known of them, as columns for `lt.fit`.

    A cell is a number; `?`, `NA` or empty where nothing was seen (also `.`, `-` or `missing` among numbers); `>5`,
    `>=5` or `5+`, `<2` or `<=2` where only a bound is known; `3..7` between two ends, which belong to it; `A|B` one
    of several categories. A column of texts becomes codes 0, 1, ... in the sorted order of its categories (`.labels`
    of the column).

    **Arguments:** `frame`: a dict of columns or a pandas, polars or pyarrow table; `columns`: those wanted,
    in this order (default: all).
    **Returns:** a dict, column → array, `Interval` or `OneOf`; its `notes` say which texts were taken as missing.
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
    missing = [name for name in columns or () if name not in named]
    if missing:
        raise DataError(f"there is no column '{missing[0]}'; there are {', '.join(named)}")
    return table_of({name: named[name] for name in (columns or named)})


def table_of(columns: Mapping[str, Any], where: str = "", hint: str = "", notes: Sequence[str] = ()) -> Table:
    """Every column read by `column_of`, and what there is to note."""
    blanks = {name: Counter[str]() for name in columns}
    read = {name: column_of(column, name, where, hint, blanks[name]) for name, column in columns.items()}
    found = [f"column '{name}': {_counted(seen)} taken as missing" for name, seen in blanks.items() if seen]
    return Table(read, [*notes, *found])


def column_of(column: Any, name: str, where: str = "", hint: str = "", blanks: Counter[str] | None = None) -> Any:
    """One column: an array if it is of numbers, else what its texts say; counts the texts taken as missing."""
    values = as_array(column)
    if not (values.dtype.kind == "U" or (values.dtype.kind == "O" and any(isinstance(v, str) for v in values.flat))):
        return numbers(values, name)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(f"{where}column '{name}' has shape {values.shape}; texts are a column (n,), one for each row")
    texts = ["" if absent(v) else str(v).strip() for v in values]
    known = [(row, text) for row, text in enumerate(texts) if text not in MISSING]
    ends = {row: _ends(text) for row, text in known}
    if all(ends[row] is not None or text in BLANK for row, text in known):
        gone = Counter(text for row, text in enumerate(texts) if ends.get(row) is None and text)
        if blanks is not None:
            blanks.update(gone)
        pairs = np.array([ends.get(row) or (np.nan, np.nan) for row in range(len(texts))], dtype=float).reshape(-1, 2)
        _rising(pairs, texts, name, where)
        if ((pairs[:, 0] == pairs[:, 1]) | np.isnan(pairs[:, 0])).all():
            return pairs[:, 0]
        return interval(pairs[:, 0], pairs[:, 1])
    unread = [(row, text) for row, text in known if ends[row] is None]
    wrong = next(((row, text) for row, text in unread if "|" not in text and text not in BLANK), None)
    if len(unread) < len(known) and wrong is not None:
        row, text = wrong
        raise DataError(f"{where}row {row}, column '{name}': {text!r} is not a number, nor any of: {FORMS}{hint}")
    if blanks is not None:
        blanks.update(text for text in texts if text in MISSING and text)
    return _categories(texts, name, where)


def _counted(texts: Counter[str]) -> str:
    return ", ".join(
        f"'{text}' ({number} times)" if number > 1 else f"'{text}' (once)" for text, number in texts.items()
    )


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


def as_sets(column: Any, name: str) -> OneOf:
    """A column of texts as categories that have names, whatever the texts are."""
    return named_sets(_members(["" if absent(v) else str(v).strip() for v in column], name, ""))


def _members(texts: Sequence[str], name: str, where: str) -> list[list[str] | None]:
    """The categories that each text names, None if it says nothing."""
    parts = [None if text in MISSING else [part.strip() for part in text.split("|")] for text in texts]
    for row, members in enumerate(parts):
        if members is not None and "" in members:
            raise DataError(f"{where}row {row}, column '{name}': {texts[row]!r} names an empty category")
    return parts


def _categories(texts: Sequence[str], name: str, where: str) -> OneOf:
    parts = _members(texts, name, where)
    if all(re.fullmatch(r"\d+", part) for members in parts for part in members or ()):
        return one_of([members and [int(part) for part in members] for members in parts])
    return named_sets(parts)


def categories(column: Any, name: str) -> Any:
    """A column of texts, codes or sets as one that says which categories it holds."""
    if cells_of(column) is column:
        return column
    entries = as_array(column)
    if entries.dtype.kind == "O" and any(isinstance(entry, set | frozenset) for entry in entries.flat):
        parts = [None if absent(e) else e if isinstance(e, set | frozenset) else {e} for e in entries.ravel()]
        texts = any(isinstance(part, str) for members in parts for part in members or ())
        return named_sets(parts) if texts else one_of(parts)
    if entries.dtype.kind not in "OU" or entries.ndim > 1 or len(entries) < MANY:
        return cells_of(column_of(entries, name))
    code: dict[Any, int] = {}
    which = np.array([code.setdefault(entry, len(code)) for entry in _hashable(entries)], dtype=np.int64)
    read = once_each(np.array(list(code), dtype=object), which, lambda distinct: column_of(distinct, name))
    return cells_of(read)


def _hashable(entries: np.ndarray) -> list[Any]:
    """Cells of a column of texts, of which those that say nothing, NaN among them, are one."""
    return [entry if isinstance(entry, str) else None if absent(entry) else entry for entry in entries.tolist()]


def once_each(distinct: np.ndarray, which: np.ndarray, read: Callable[[np.ndarray], Any]) -> Any:
    """What is read of a column whose row i is `distinct[which[i]]`, each text once; an error names the first row."""
    try:
        found = read(distinct)
    except DataError as error:
        raise DataError(_at_first(str(error), which)) from None
    if isinstance(found, np.ndarray):
        return found[which]
    return cells_of(found).take(which) if isinstance(found, AbstractCells) else Repeated(found, which)


def _at_first(message: str, which: np.ndarray) -> str:
    """The message with the number of a distinct text made that of the first row which has it."""
    begin, _, rest = message.partition("row ")
    number, comma, what = rest.partition(",")
    if begin or not number.isdigit():
        return message
    return f"row {int(np.argmax(which == int(number)))}{comma}{what}"
