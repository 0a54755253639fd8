"""What a fit says of the rows of files, written to files beside them: a piece at a time, so memory stays small."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latens.data.arrow import as_columns, columns_from, extra
from latens.data.parts import Part
from latens.data.source import AbstractSource, source_of
from latens.data.survey import located
from latens.errors import DataError, ParameterError, counted
from latens.inference.estimate import Estimate
from latens.inference.imputation import impute
from latens.numerics.asked import whole
from latens.report.tidy import ASIDE, of_rows

if TYPE_CHECKING:
    import pyarrow as pa

Written = Callable[[Part, int, "pa.Table", dict[str, Any]], "pa.Table"]
"""A part, the number of a piece of it, the piece as it is in the file, and as models read it → what to write."""


def predict_to(
    estimate: Estimate, folder: str | PathLike[str], data: Any, keep: Sequence[str], *, progress: bool
) -> tuple[Path, ...]:
    """See `Fit.predict_to`."""

    def told(_: Part, __: int, table: pa.Table, columns: dict[str, Any]) -> pa.Table:
        found = of_rows(estimate, columns)
        aside = ASIDE if found.keys() & set(keep) else ""
        return _appended(table.select(list(keep)), {aside + name: column for name, column in found.items()})

    return _write(estimate, folder, data, keep, told, whole_rows=False, progress=progress)


def impute_to(
    estimate: Estimate,
    folder: str | PathLike[str],
    data: Any,
    keep: Sequence[str],
    draws: int,
    seed: int,
    *,
    progress: bool,
) -> tuple[Path, ...]:
    """See `Fit.impute_to`."""
    whole(draws, "impute_to: draws", 0)

    def filled(part: Part, number: int, table: pa.Table, columns: dict[str, Any]) -> pa.Table:
        found = impute(estimate, columns, draws, seed, (part.number, number))
        own = table.select(list(keep))
        if not draws:
            return _appended(own, found.values)
        import pyarrow as pa

        parts = [
            _appended(own, {"draw": np.full(table.num_rows, b), **drawn}) for b, drawn in enumerate(found.draws, 1)
        ]
        return pa.concat_tables(parts)

    return _write(estimate, folder, data, keep, filled, whole_rows=True, progress=progress)


def _write(
    estimate: Estimate, folder: Any, data: Any, keep: Sequence[str], told: Written, *, whole_rows: bool, progress: bool
) -> tuple[Path, ...]:
    extra()
    if isinstance(keep, str):
        raise ParameterError(f"keep must be a list of columns, such as [{keep!r}]")
    source, columns = _asked(estimate, data, keep, whole_rows=whole_rows)
    named = frozenset(estimate.model.reader.labels(estimate.problem.columns))
    target = Path(folder)
    names = _names([part.file for part in source.parts])
    done: list[Path] = []
    with _Line(progress, len(source.parts)) as step:
        for file, path in names.items():
            parts = [part for part in source.parts if part.file == file]
            if file and (target / path).exists() and (target / path).samefile(file):
                raise ParameterError(f"{target / path} is the file that is read: give another folder")
            try:
                _one(target / path, _pieces(source, parts, columns, named, told, step))
            except OSError as error:
                raise DataError(
                    f"{target / path} cannot be written ({error.strerror or error}): {counted(len(done), 'file')} of "
                    f"{len(names)} are whole; see to the folder, and ask for those that are left (data=)"
                ) from None
            done.append(target / path)
    return tuple(done)


def _asked(estimate: Estimate, data: Any, keep: Sequence[str], *, whole_rows: bool) -> tuple[AbstractSource, list[str]]:
    """The source to read, and its columns that are the model's."""
    origin = estimate.problem.origin
    source = source_of(data)
    if data is not None and source is None:
        raise DataError("data must be files or a stream here (a path, lt.Source, lt.Batches); else use fit.augment")
    if source is None:
        if origin is None:
            raise DataError("the rows of the fit are in memory: use fit.augment or fit.impute, or give files, data=")
        source = origin[0]
    assert source is not None
    columns = list(source.columns or estimate.problem.columns)
    if source.names and not set(columns) <= set(source.names):
        columns = [name for name in source.names if name not in (*source.beside, *keep)]
    twice = next((name for name in keep if list(keep).count(name) > 1 or (whole_rows and name in columns)), None)
    if twice is not None:
        raise ParameterError(f"keep: column '{twice}' would be written twice: leave it out")
    if not source.parts:
        raise DataError(f"{source.title}: there is no row to say anything of")
    own = replace(source, columns=list(dict.fromkeys([*columns, *keep])), weights=None, labels=None, cache=None)
    return own, columns


def _pieces(
    source: AbstractSource,
    parts: Sequence[Part],
    columns: list[str],
    named: frozenset[str],
    told: Written,
    step: Callable[[], None],
) -> Iterator[pa.Table]:
    for part in parts:
        first = 0
        for number, table in enumerate(source.pieces(part)):
            try:
                read = as_columns(columns_from(table.select(columns), str(part)), named)
                yield told(part, number, table, read)
            except DataError as error:
                raise DataError(located(str(error), part, first)) from None
            first += table.num_rows
        step()


def _one(path: Path, tables: Iterator[pa.Table]) -> None:
    """Written at once or not at all."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    writer = None
    try:
        for table in tables:
            writer = writer or pq.ParquetWriter(beside, table.schema)
            writer.write_table(table.cast(writer.schema))
        if writer is not None:
            writer.close()
            beside.replace(path)
    finally:
        if writer is not None and writer.is_open:
            writer.close()
        beside.unlink(missing_ok=True)


def _names(files: Sequence[str]) -> dict[str, Path]:
    """File → where what is said of its rows goes, below the folder: as they lie below what they have in common."""
    distinct = list(dict.fromkeys(files))
    if distinct == [""]:
        return {"": Path("rows.parquet")}
    common = os.path.commonpath([str(Path(file).absolute().parent) for file in distinct])
    return {file: Path(file).absolute().relative_to(common).with_suffix(".parquet") for file in distinct}


def _appended(table: pa.Table, columns: dict[str, Any]) -> pa.Table:
    import pyarrow as pa

    for name, column in columns.items():
        array = np.asarray(column)
        table = table.append_column(name, pa.array(array.tolist() if array.dtype.kind == "O" else array))
    return table


class _Line:
    """A progress line on standard error, if it is asked for."""

    def __init__(self, wanted: bool, parts: int) -> None:
        self.wanted, self.parts = wanted, parts
        self.line: Any = None

    def __enter__(self) -> Callable[[], None]:
        if not self.wanted:
            return lambda: None
        from rich.console import Console
        from rich.progress import Progress

        self.line = Progress(console=Console(stderr=True), transient=True)
        self.line.start()
        task = self.line.add_task("writing", total=self.parts)
        return lambda: self.line.advance(task)

    def __exit__(self, *_: object) -> None:
        if self.line is not None:
            self.line.stop()
