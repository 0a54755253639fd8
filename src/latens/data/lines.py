"""Text files in parts that end with a line."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from latens.data.files import DECIMAL, TEXTS, Dialect, dialect_of
from latens.data.parts import Part
from latens.errors import DataError, first_line, listed

if TYPE_CHECKING:
    import pyarrow as pa

LENGTH = 1 << 24  # bytes of a part, about


class TextFiles:
    """Files of which the first lines name the same columns."""

    def __init__(self, paths: Sequence[str], wanted: Sequence[str]) -> None:
        """`wanted` columns, all if there are none."""
        odd = next((path for path in paths if Path(path).suffix.lower() not in TEXTS), None)
        if odd is not None:
            raise DataError(f"{odd}: expected files of text ({', '.join(TEXTS)}) or .parquet")
        self.paths = paths
        self.dialects = {path: dialect_of(Path(path)) for path in paths}
        first, *others = paths
        for path in paths:
            if self.dialects[path].separator == " ":
                raise DataError(f"{path}: columns are separated by blanks; save it with commas, or as Parquet")
        for path in others:
            if not wanted and self.names[path] != self.names[first]:
                own, others_own = (listed(self.names[each]) for each in (path, first))
                raise DataError(
                    f"{path} has the columns {own}, {first} has {others_own}: give files of one schema, or name the "
                    "columns to use (columns=)"
                )

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """File → its columns."""
        return {path: list(form.names) for path, form in self.dialects.items()}

    @cached_property
    def parts(self) -> list[Part]:
        return [part for path in self.paths for part in _cut(path, self.dialects[path])]

    def tables(self, part: Part, wanted: list[str]) -> Iterator[pa.Table]:
        """All lines of the part."""
        import polars as pl

        form = self.dialects[part.file]
        with Path(part.file).open("rb") as file:
            file.seek(part.place)
            lines = file.read(part.size)
        try:
            frame = pl.read_csv(
                io.BytesIO(lines),
                has_header=False,
                separator=form.separator,
                infer_schema_length=None,
                decimal_comma=form.decimal_comma,
            )
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{part} cannot be read: {first_line(error)}") from None
        if frame.width != len(form.names):
            raise DataError(
                f"{part}: rows from byte {part.place} on have {frame.width} cells, the header names {len(form.names)} "
                "columns"
            )
        frame.columns = list(form.names)
        unnamed = form.names[:1] == ("",) and len(form.names) > 1
        frame = frame.select(wanted or [name for name in form.names[unnamed:] if name])
        if form.decimal_comma:
            frame = frame.with_columns(pl.col(pl.String).str.replace(DECIMAL, "$1.$2"))
        yield frame.to_arrow()


def _cut(path: str, form: Dialect) -> Iterator[Part]:
    """Bytes of the file from the end of a line to that of another, after its header."""
    with Path(path).open("rb") as file:
        for _ in range(form.above):
            file.readline()
        place, rest = file.tell(), b""
        while lines := rest + file.read(LENGTH):
            end = _last_line(lines) if len(lines) > len(rest) and len(lines) >= LENGTH else len(lines)
            if not end:  # one line is longer, or within quotes
                rest = lines
                continue
            if lines[:end].strip():
                yield Part(0, path, place, end)
            place, rest = place + end, lines[end:]


def _last_line(lines: bytes) -> int:
    """Where the last line that is not within quotes ends; 0 if none does."""
    end = lines.rfind(b"\n") + 1
    odd = lines.count(b'"', 0, end) % 2
    while end and odd:
        before = lines.rfind(b"\n", 0, end - 1) + 1
        odd ^= lines.count(b'"', before, end) % 2
        end = before
    return end
