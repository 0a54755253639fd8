"""Rows that are too many to hold: files, and streams that can be opened again, read in parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from glob import glob
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latens.data.arrow import Columns, columns_from, extra
from latens.data.lines import TextFiles
from latens.data.parquet import ParquetFiles
from latens.data.parts import FEWEST, MOST, NUMBERS, Part, Stamp, stamped
from latens.errors import DataError, first_line, listed

if TYPE_CHECKING:
    import pyarrow as pa

Path_ = str | PathLike[str]
RULES = ("==", "!=", "<", "<=", ">", ">=", "in", "not in")
Filter = Sequence[tuple[str, str, Any]]


@dataclass(frozen=True, kw_only=True)
class AbstractSource(ABC):
    """Rows in parts. To write another kind: `parts`, `tables`, `names`."""

    columns: Sequence[str] | None = None
    filter: Filter | None = None
    weights: str | None = None
    labels: str | None = None
    cache: Path_ | None = None
    clusters: str | None = field(default=None, init=False)  # of `grouped`

    def __post_init__(self) -> None:
        own = self.columns
        if own is not None and (isinstance(own, str) or not own or not all(isinstance(name, str) for name in own)):
            raise DataError(f"columns must be a list of names of columns, got {own!r}")
        twice = next((name for name in own or () if [*(own or ()), *self.beside].count(name) > 1), None)
        if twice is not None:
            raise DataError(f"columns: '{twice}' is there twice, or is that of weights or labels: name it once")
        if isinstance(self.filter, str) or not isinstance(self.filter, Sequence | None):
            raise DataError(f"filter must be a list of conditions, such as [('year', '>=', 2020)], got {self.filter!r}")
        for rule in self.filter or ():
            several = isinstance(rule, tuple | list) and len(rule) == 3 and str(rule[1]).endswith("in")
            if several and (isinstance(rule[2], str) or not isinstance(rule[2], Iterable)):
                raise DataError(f"filter: {rule!r}: '{rule[1]}' takes a list of values")
            if not (isinstance(rule, tuple | list) and len(rule) == 3 and rule[1] in RULES):
                raise DataError(
                    f"filter: {rule!r} is no condition such as ('year', '>=', 2020); the signs are {', '.join(RULES)}"
                )

    @property
    @abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """In the order of their rows."""

    @abstractmethod
    def tables(self, part: Part, wanted: list[str]) -> Iterator[pa.Table]:
        """The wanted columns of a part, a few rows at a time."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """All columns that there are; () if only reading tells."""

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        """Of its files, as they were when it was first looked at."""
        return ()

    @property
    def title(self) -> str:
        """What reports call it."""
        return "a stream"

    def read(self, part: Part) -> Iterator[Columns]:
        """The rows of a part that pass the filter, in pieces; columns of the model first, then weights and labels."""
        for table in self.pieces(part):
            yield columns_from(table, str(part) or self.title)

    def pieces(self, part: Part) -> Iterator[pa.Table]:
        """The same as they are in the files."""
        for table in self.tables(part, self.wanted):
            kept = self._filtered(table) if self.filter else table
            kept = kept.select(self._of(kept.column_names))
            most = min(max(NUMBERS // max(kept.num_columns, 1), FEWEST), MOST)
            for first in range(0, kept.num_rows, most):
                yield kept.slice(first, most)

    def _filtered(self, table: pa.Table) -> pa.Table:
        try:
            return table.filter(self._rule)
        except extra().ArrowException as error:
            raise DataError(f"filter: {first_line(error)}: compare numbers with numbers, texts with texts") from None

    @cached_property
    def wanted(self) -> list[str]:
        """Columns to read; none of them means all."""
        if self.columns is None:
            return []
        asked = [*self.columns, *(name for name, _, _ in self.filter or ())]
        return list(dict.fromkeys([*asked, *self.beside]))

    @property
    def beside(self) -> tuple[str, ...]:
        """Columns that are no data of the model."""
        return tuple(name for name in (self.weights, self.labels, self.clusters) if name is not None)

    def grouped(self, columns: Sequence[str], clusters: str) -> AbstractSource:
        """The same rows with one more column, which says which of them go together."""
        if clusters in columns:
            raise DataError(
                f"column '{clusters}' is one of the model's, so it cannot tell clusters: name the model's own in "
                "lt.Source(..., columns=[...])"
            )
        other = copy(self)
        for name in ("wanted", "_format", "parts"):  # as they were for other columns
            vars(other).pop(name, None)
        object.__setattr__(other, "columns", tuple(columns))
        object.__setattr__(other, "clusters", clusters)
        return other

    def _of(self, names: Sequence[str]) -> list[str]:
        own = [name for name in names if name not in self.beside] if self.columns is None else list(self.columns)
        return [*own, *self.beside]

    @property
    def _rule(self) -> Any:
        import pyarrow.parquet as pq

        return pq.filters_to_expression(list(self.filter or ()))

    def _check(self, names: Sequence[str], where: str) -> None:
        """Raises `DataError` for a column asked for that is not there."""
        twice = next((name for name in names if list(names).count(name) > 1), None)
        if twice is not None:
            raise DataError(f"{where}: two columns are called '{twice}': rename one of them")
        own = [*(self.columns or ()), *self.beside, *(name for name, _, _ in self.filter or ())]
        absent = next((name for name in own if name not in names), None)
        if absent is not None:
            raise DataError(f"{where}: there is no column '{absent}'; it has {listed(names)}")


@dataclass(frozen=True)
class Source(AbstractSource):
    """Files of rows, read again in every pass instead of held: Parquet or CSV, more than memory takes.

    **Arguments:** `files`: a path, a pattern ("rides/*.parquet"), a folder (all its Parquet files), or a list of
    such; `columns`: those of the model, in this order (default: all others); `filter`: conditions on columns that all
    rows must meet, as [("year", ">=", 2020), ("kind", "in", ["a", "b"])]; `weights`: the column of frequency weights;
    `labels`: the column of hidden labels where they are known; `cache`: a folder in which rows are kept as they are
    computed with, so that no later pass decodes them (as large as the numbers, 8 bytes each; its files are run like
    programs when they are read, so share it with nobody whom you would not let run any). Texts are read as
    `lt.read_cells` reads them.
    **Raises:** `DataError` for a pattern that matches no file, a file of another kind or with other columns.
    **Example:**
        >>> import latens as lt
        >>> source = lt.Source("rides/*.parquet", columns=["miles", "minutes"], weights="n")
        >>> fit = lt.fit(lt.Mixture(lt.MultivariateNormal(2), 3), source)  # doctest: +SKIP
    """

    files: Path_ | Sequence[Path_]

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The files there are, in order."""
        given = [self.files] if isinstance(self.files, str | PathLike) else self.files
        paths = isinstance(given, list | tuple) and all(isinstance(file, str | PathLike) for file in given)
        if not paths or "" in map(str, given):
            raise DataError(f"lt.Source takes a path, a pattern, a folder, or a list of such, got {self.files!r:.60}")
        if not given:
            raise DataError("there is no file in an empty list of files")
        # workers, and this process later, may be in another folder
        found = [str(Path(path).absolute()) for pattern in given for path in _matching(str(pattern))]
        kinds = {Path(path).suffix.lower() for path in found}
        if kinds - {".parquet"} and kinds & {".parquet"}:
            raise DataError(f"{listed(given)}: Parquet files and others together; give files of one kind")
        return tuple({Path(path).resolve(): path for path in found[::-1]}.values())[::-1]

    @cached_property
    def stamps(self) -> tuple[Stamp, ...]:
        return tuple(map(stamped, self.paths))

    @cached_property
    def _stamp(self) -> dict[str, Stamp]:
        return {stamp.file: stamp for stamp in self.stamps}

    def _check_unchanged(self, part: Part) -> None:
        if stamped(part.file) != self._stamp[part.file]:
            raise DataError(
                f"{part.file} has changed since it was first read: what was summed of it no longer holds; begin anew "
                "when nobody writes to it any more"
            )

    @cached_property
    def _format(self) -> Any:
        _ = extra(), self.stamps
        kind = ParquetFiles if Path(self.paths[0]).suffix.lower() == ".parquet" else TextFiles
        found = kind(self.paths, self.wanted)
        for file, names in found.names.items():
            self._check(names, file)
        return found

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return tuple(part._replace(number=i) for i, part in enumerate(self._format.parts))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._format.names[self.paths[0]])

    @property
    def title(self) -> str:
        return self.paths[0] if len(self.paths) == 1 else f"{len(self.paths)} files, {self.paths[0]} the first"

    def tables(self, part: Part, wanted: list[str]) -> Iterator[pa.Table]:
        self._check_unchanged(part)
        broken = (OSError, extra().ArrowException)
        try:
            yield from self._format.tables(part, wanted)
        except broken as error:
            raise DataError(
                f"{part} cannot be read ({first_line(error) or type(error).__name__}): it is damaged or cut off; write "
                "it anew, or leave it out"
            ) from None


def _matching(pattern: str) -> list[str]:
    if Path(pattern).is_dir():
        found = sorted(map(str, Path(pattern).rglob("*.parquet")))
        if not found:
            raise DataError(f"there is no Parquet file in the folder {pattern}")
        return found
    if Path(pattern).is_file():
        return [pattern]
    found = sorted(path for path in glob(pattern, recursive=True) if Path(path).is_file())
    if not found:
        what = "no file matches" if any(sign in pattern for sign in "*?[") else "there is no file"
        raise DataError(f"{what} {pattern} (looked for from {Path.cwd()})")
    return found


def are_many(path: Path_) -> bool:
    """Whether a path is a pattern or a folder, so that it names more than one file."""
    text = str(path)
    return Path(text).is_dir() or (any(sign in text for sign in "*?[") and not Path(text).exists())


def source_of(data: Any) -> AbstractSource | None:
    """A source, or a path or pattern as one; None for data of any other kind."""
    if isinstance(data, AbstractSource):
        return data
    return Source(data) if isinstance(data, str | PathLike) else None
