"""Parquet files in row groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from latens.data.arrow import is_text
from latens.data.parts import FEWEST, MOST, NUMBERS, Part
from latens.errors import DataError, first_line

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BUFFER = 1 << 20  # bytes read at a time: no row group need fit in memory


class ParquetFiles:
    """Files with the same columns."""

    def __init__(self, paths: Sequence[str], wanted: Sequence[str]) -> None:
        """`wanted` columns, all if there are none."""
        self.paths = paths
        self.schemas = {path: _opened(path).schema_arrow for path in paths}
        self._agree(wanted)

    @property
    def names(self) -> dict[str, list[str]]:
        """File → its columns."""
        return {path: schema.names for path, schema in self.schemas.items()}

    @cached_property
    def parts(self) -> list[Part]:
        found = []
        for path in self.paths:
            about = _opened(path).metadata
            groups = [about.row_group(i) for i in range(about.num_row_groups)]
            found += [Part(0, path, i, g.total_byte_size) for i, g in enumerate(groups) if g.num_rows]
        return found

    def tables(self, part: Part, wanted: list[str]) -> Iterator[pa.Table]:
        """Of one row group."""
        import pyarrow as pa

        with _opened(part.file) as file:
            width = len(wanted) or len(file.schema_arrow.names)
            most = min(max(NUMBERS // width, FEWEST), MOST)
            # the threads are ours, one for each part
            settings: dict[str, Any] = {"columns": wanted or None, "use_threads": False}
            for batch in file.iter_batches(most, row_groups=[part.place], **settings):
                yield pa.Table.from_batches([batch])

    def _agree(self, wanted: Sequence[str]) -> None:
        first, *others = self.paths
        own = self.schemas[first]
        for path in others:
            schema = self.schemas[path]
            missing = [n for n in wanted or own.names if n in own.names and n not in schema.names]
            if missing:
                raise DataError(f"{path} has no column '{missing[0]}', which {first} has: give files of one schema")
            more = [] if wanted else [name for name in schema.names if name not in own.names]
            if more:
                raise DataError(
                    f"{path} has a column '{more[0]}', which {first} has not: give files of one schema, or name the "
                    "columns to use (columns=)"
                )
            for name in wanted or own.names:
                if name not in own.names:
                    continue
                here, there = own.field(name).type, schema.field(name).type
                if "nothing" not in (_kind(here), _kind(there)) and _kind(here) != _kind(there):
                    raise DataError(
                        f"column '{name}' is {here} in {first} and {there} in {path}: give files of one schema"
                    )


def _kind(found: pa.DataType) -> str:
    """What a column holds, as far as it matters."""
    import pyarrow as pa

    if is_text(found):
        return "texts"
    if pa.types.is_null(found):
        return "nothing"
    inner = found.value_type if pa.types.is_dictionary(found) else found
    some = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return "numbers" if any(test(inner) for test in some) else str(inner)


def _opened(path: str) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=BUFFER)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} cannot be read ({first_line(error) or type(error).__name__}): it is no Parquet file, or is cut "
            "off; write it anew, or leave it out"
        ) from None
