"""What a first pass over a source tells: how many rows there are, and some that stand for all of them."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from latens.cells import OneOf
from latens.cells.repeated import Repeated
from latens.data.arrow import Columns, Texts, as_columns
from latens.data.parts import Part
from latens.data.source import AbstractSource
from latens.errors import DataError

SAMPLE = 20_000  # rows drawn
VALUES = 256  # different whole numbers of a column that are looked for
TEXTS = 20_000  # different texts


class Mark(NamedTuple):
    """A row that shows something: where it is, and its cells."""

    value: Any  # what is compared, where a later row may show more of it
    at: tuple[int, int]
    row: dict[str, Any]


def places(part: int, first: int, n: int, seed: int = 0) -> np.ndarray:
    """(n,) numbers in [0, 2⁶⁴) as if drawn, of rows by their places: the same whoever reads them, in any order."""
    # the finaliser of SplitMix64 (Steele, Lea & Flood 2014), of which each round is one-to-one
    origin = np.uint64(((part + (seed << 32)) * 0x9E3779B97F4A7C15) % 2**64)
    found = np.arange(first, first + n, dtype=np.uint64) + origin
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(found ^ (found >> np.uint64(31)))


class Survey:
    """Rows counted, and a few of them kept: a sample, drawn by their places, and those that show the most.

    Whatever a model asks of data before it is fitted (categories, units, whether a column varies, starts) it asks of
    these. Hence every column's lowest and highest row, its first hole, and the first row of every category are among
    them. Surveys of parts add up, in the order of the parts.
    """

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.sums = Counter[int]()  # imprints of the parts of a stream, which nothing else tells from other rows
        self.names: tuple[str, ...] = ()
        self.kept: list[tuple[np.ndarray, np.ndarray, Columns]] = []  # places, rows (m, 2), cells
        self.marks: dict[tuple[str, Any], Mark] = {}
        self.number = Counter[str]()  # marks of each column
        self.bar = np.uint64(2**64 - 1)  # places above it are not among the sample any more

    @property
    def n(self) -> int:
        """Rows read."""
        return sum(self.counts.values())

    def add(self, part: Part, columns: Columns, weights: str | None) -> None:
        """The next rows of a part; `weights`: the column of theirs."""
        first, n = self.counts.get(part.number, 0), len(codes(next(iter(columns.values()))))
        self.counts[part.number] = first + n
        if not part.file:
            self.sums[part.number] += imprint(columns, first)
        self._named(tuple(columns), part)
        drawn = places(part.number, first, n)
        counted = weights is None or _counted(columns[weights])
        few = np.flatnonzero((drawn <= self.bar) & counted)
        if len(few):
            rows = np.column_stack([np.full(len(few), part.number), first + few])
            self.kept.append((drawn[few], rows, {name: some_of(column, few) for name, column in columns.items()}))
            self._prune()
        for name, column in columns.items():
            for key, value, row in _shown(column):
                self._mark((name, key), value, (part.number, first + row), row, columns)
        nothing = np.all([_hole(column) for name, column in columns.items() if name != weights], 0)
        if nothing.any():
            row = int(np.argmax(nothing))
            self._mark(("", "nothing"), None, (part.number, first + row), row, columns)

    def _named(self, names: tuple[str, ...], part: Part) -> None:
        if self.names and set(names) != set(self.names):
            where = f"{part}: " if part.file else ""
            raise DataError(
                f"{where}the columns are {', '.join(names)}; before they were {', '.join(self.names)}: give rows with "
                "the same, or name those to use (columns=)"
            )
        self.names = self.names or names

    def _mark(self, key: tuple[str, Any], value: Any, at: tuple[int, int], row: int, columns: Columns) -> None:
        known = self.marks.get(key)
        if known is not None and (value is None or not value > known.value):
            return
        if known is None:
            self.number[key[0]] += 1
            if self.number[key[0]] > TEXTS:
                return
        self.marks[key] = Mark(value, at, {name: _cell(column, row) for name, column in columns.items()})

    def merge(self, other: "Survey") -> "Survey":
        """The survey of later parts added to this one."""
        if other.names:
            self._named(other.names, Part(0, "a later part", 0, 0))
        self.counts |= other.counts
        self.sums += other.sums
        self.kept += other.kept
        self._prune()
        for key, mark in other.marks.items():
            known = self.marks.get(key)
            if known is None or (mark.value is not None and mark.value > known.value):
                self.marks[key] = mark
        return self

    def _prune(self) -> None:
        """Keep no more than the sample takes."""
        if sum(len(drawn) for drawn, _, _ in self.kept) < 4 * SAMPLE:
            return
        drawn, rows, columns = self._all()
        few = np.sort(np.argpartition(drawn, SAMPLE)[:SAMPLE])
        self.bar = drawn[few].max()
        self.kept = [(drawn[few], rows[few], {name: some_of(column, few) for name, column in columns.items()})]

    def _all(self) -> tuple[np.ndarray, np.ndarray, Columns]:
        drawn, rows, columns = zip(*self.kept, strict=True)
        cells: Columns = {name: joined([each[name] for each in columns]) for name in self.names}
        return np.concatenate(drawn), np.concatenate(rows), cells

    def table(self, source: AbstractSource) -> "Some":
        """The rows kept, as models take them."""
        if not self.kept:
            if self.n:
                raise DataError(f"{source.title}: all weights are zero: there is nothing to fit")
            kept = " that passes the filter" if source.filter else ""
            raise DataError(f"{source.title}: there is no row{kept}, so nothing to fit")
        drawn, rows, columns = self._all()
        few = np.argpartition(drawn, SAMPLE)[:SAMPLE] if len(drawn) > SAMPLE else np.arange(len(drawn))
        known = {tuple(at) for at in rows[few].tolist()}
        more = {mark.at: mark.row for mark in self.marks.values() if mark.at not in known}
        shares = np.concatenate([np.ones(len(few)), np.full(len(more), len(few) / self.n)])
        at = np.concatenate([rows[few], np.array(list(more), dtype=int).reshape(-1, 2)])
        order = np.lexsort(at.T[::-1])
        cells = {name: _filled(some_of(column, few), name, list(more.values())) for name, column in columns.items()}
        cells = {name: some_of(column, order) for name, column in cells.items()}
        return Some(cells, at[order], shares[order], source)


class Some(NamedTuple):
    """Rows that stand for all of a source."""

    cells: Columns
    at: np.ndarray  # (m, 2) the part and the row in it
    shares: np.ndarray  # (m,) 1 of those drawn; of the others what one row is of all
    source: AbstractSource

    @property
    def named(self) -> frozenset[str]:
        """Columns of categories with names."""
        texts = {name: column for name, column in self.cells.items() if isinstance(column, Texts)}
        read = self.located(lambda: as_columns(texts, frozenset()))
        kinds = {name: column.distinct if isinstance(column, Repeated) else column for name, column in read.items()}
        return frozenset(name for name, column in kinds.items() if isinstance(column, OneOf) and column.labels)

    @property
    def holes(self) -> bool:
        """Whether a cell may be no number: of these rows the first of each column that is none is one."""
        return any(isinstance(c, Texts) or c.dtype.kind != "f" or np.isnan(c).any() for c in self.cells.values())

    def read(self) -> dict[str, Any]:
        """Columns as models take them, weights and labels among them."""
        named = self.named
        return self.located(lambda: as_columns(self.cells, named))

    def located(self, reading: Callable[[], Any]) -> Any:
        """What a function of these rows gives; its `DataError` says where in the source a row is."""
        try:
            return reading()
        except DataError as error:
            raise DataError(self._placed(str(error))) from None

    def _placed(self, message: str) -> str:
        found = ROW.search(message)
        if found is None or int(found[1]) >= len(self.at):
            return f"{self.source.title}: {message}"
        part, row = self.at[int(found[1])]
        return located(message, self.source.parts[part], row - int(found[1]))

    def where(self, row: int) -> str:
        """The place of one of these rows in the source."""
        return self._placed(f"row {row}")


ROW = re.compile(r"\brow (\d+)")


def located(message: str, part: Part, first: int) -> str:
    """A message about rows of a piece of a part that begins at row `first` of it, as one about the part."""
    told = ROW.sub(lambda found: f"row {int(found[1]) + first}", message)
    return f"{part}: {told}" if part.file else told


def imprint(columns: Columns, first: int) -> int:
    """A number that rows from a place on add to those before: other rows, or another order, give another."""
    total = 0
    for column in columns.values():
        words = codes(column)
        if isinstance(column, Texts):
            words = _hashed(column.distinct)[words]
        elif words.dtype == object:
            words = _hashed(words)
        place = np.arange(first, first + len(words), dtype=np.uint64)
        total += int(np.sum(words.view(np.uint64) * (place * np.uint64(2) + np.uint64(1)), dtype=np.uint64))
    return total % 2**64


def _hashed(cells: np.ndarray) -> np.ndarray:
    return np.array([crc32(repr(cell).encode()) for cell in cells], dtype=np.uint64)


def codes(column: np.ndarray | Texts) -> np.ndarray:
    """(n,) numbers, or which text each row has."""
    return column.which if isinstance(column, Texts) else column


def _hole(column: np.ndarray | Texts) -> np.ndarray:
    """(n,) which cells say nothing."""
    if isinstance(column, Texts):
        return column.which == len(column.distinct) - 1
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)


def _counted(weights: np.ndarray | Texts) -> Any:
    """(n,) which rows have a weight; what is none is found where weights are read."""
    return True if isinstance(weights, Texts) else ~(weights <= 0)


def _cell(column: np.ndarray | Texts, row: int) -> Any:
    return column.distinct[column.which[row]] if isinstance(column, Texts) else column[row]


def some_of(column: np.ndarray | Texts, rows: np.ndarray) -> np.ndarray | Texts:
    """Some rows of a column."""
    return Texts(column.distinct, column.which[rows]) if isinstance(column, Texts) else column[rows]


def joined(columns: list[np.ndarray | Texts]) -> np.ndarray | Texts:
    """Columns put end to end."""
    if not any(isinstance(column, Texts) for column in columns):
        return np.concatenate(columns)
    return _coded(np.concatenate([_objects(column) for column in columns]))


def _objects(column: np.ndarray | Texts) -> np.ndarray:
    """Texts and numbers of a column that a file holds as either: numbers as they are written."""
    if isinstance(column, Texts):
        return column.all()
    return np.array([None if value != value else f"{value:.17g}" for value in column.tolist()], dtype=object)


def _coded(texts: np.ndarray) -> Texts:
    distinct = list(dict.fromkeys(text for text in texts.tolist() if text is not None))
    code = {text: i for i, text in enumerate([*distinct, None])}
    which = np.array([code[text] for text in texts.tolist()], dtype=int)
    return Texts(np.array([*distinct, None], dtype=object), which)


def _filled(column: np.ndarray | Texts, name: str, rows: list[Mapping[str, Any]]) -> np.ndarray | Texts:
    """The column with more cells at its end."""
    cells = [row[name] for row in rows]
    if not cells:
        return column
    if isinstance(column, Texts) or any(isinstance(cell, str) for cell in cells):
        more = np.array([c if c is None or isinstance(c, str) else f"{c:.17g}" for c in cells], dtype=object)
        return _coded(np.concatenate([_objects(column), more]))
    return np.concatenate([column, np.array(cells, dtype=column.dtype)])


def _shown(column: np.ndarray | Texts) -> list[tuple[Any, Any, int]]:
    """What rows of a column show that a sample may miss: a key, what is compared (None: the first is kept), the row."""
    if isinstance(column, Texts):
        first = np.full(len(column.distinct), -1)
        first[column.which[::-1]] = np.arange(len(column.which))[::-1]
        pairs = zip(column.distinct.tolist(), first.tolist(), strict=True)
        return [(("text", text), None, row) for text, row in pairs if row >= 0][:TEXTS]
    if column.dtype.kind != "f" or not len(column):
        return []
    holes = np.isnan(column)
    if holes.all():
        return [("hole", None, 0)]
    least, most = (np.nanargmin, np.nanargmax) if holes.any() else (np.argmin, np.argmax)
    low, high = int(least(column)), int(most(column))
    found: list[tuple[Any, Any, int]] = [("low", -column[low], low), ("high", column[high], high)]
    if holes.any():
        found.append(("hole", None, int(np.argmax(holes))))
    if column[high] - column[low] < VALUES and not holes.all():
        whole = np.floor(column)
        some = column[:VALUES][~holes[:VALUES]]
        if (some == np.floor(some)).all() and (holes | (column == whole)).all():
            codes = np.where(holes, column[low], whole).astype(int) - int(column[low])
            first = np.full(VALUES, -1)
            first[codes[::-1]] = np.arange(len(codes))[::-1]
            found += [(code + int(column[low]), None, int(first[code])) for code in np.flatnonzero(first >= 0).tolist()]
    return found
