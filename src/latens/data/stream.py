"""Streams of rows that can be opened again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latens.data.arrow import extra
from latens.data.parts import Part
from latens.data.source import AbstractSource
from latens.errors import DataError, first_line

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Batches(AbstractSource):
    """A stream of rows that can be opened again and again: what `open()` gives is read from its beginning each time.

    **Arguments:** `open`: a function that opens the stream: an iterable of data frames, dicts of columns or Arrow
    batches, or one object that is such a stream (anything with `__arrow_c_stream__`, such as a DuckDB relation or a
    reader of pyarrow); the others as in `lt.Source`.
    **Raises:** `DataError` for a stream that cannot be opened twice.
    **Example:**
        >>> import latens as lt
        >>> stream = lt.Batches(lambda: ({"calls": [i, i + 1, 9]} for i in range(4)))
        >>> round(float(lt.fit(lt.IID(lt.Poisson()), stream).params["rate"]), 4)
        4.3333
    """

    open: Callable[[], Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.open):
            raise DataError(
                f"lt.Batches takes a function that opens the stream anew each time, lt.Batches(lambda: reader()); got "
                f"a {type(self.open).__name__}"
            )

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part(0, "", 0, 0),)

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def tables(self, part: Part, wanted: list[str]) -> Iterator[pa.Table]:
        opened = self._opened()
        for batch in _batches(opened):
            table = _table(batch)
            self._check(table.column_names, f"{self.title}")
            yield table.select(wanted) if wanted else table

    def _same(self, opened: Any) -> bool:
        """Whether opening it again gives the same iterator; asked once, as opening may cost."""
        if "asked" in vars(self):
            return False
        vars(self)["asked"] = True
        return opened is self.open()

    def _opened(self) -> Any:
        extra()
        opened = self.open()
        if isinstance(opened, Iterator) and self._same(opened):
            raise DataError(
                "lt.Batches: the function gives the same iterator again, which can be read once only: let it open the "
                "stream anew, as in lt.Batches(lambda: reader()); for rows that are seen once there is lt.online"
            )
        return opened


def _batches(opened: Any) -> Iterable[Any]:
    if hasattr(opened, "__arrow_c_stream__"):
        return extra().RecordBatchReader.from_stream(opened)
    if isinstance(opened, Mapping) or not isinstance(opened, Iterable):
        raise DataError(
            f"lt.Batches: the function gave a {type(opened).__name__}; let it give an iterable of data frames, dicts "
            "of columns or Arrow batches"
        )
    return opened


def _table(batch: Any) -> pa.Table:
    import pyarrow as pa

    if isinstance(batch, pa.RecordBatch):
        return pa.Table.from_batches([batch])
    if isinstance(batch, Mapping):
        try:
            return pa.table({str(name): column for name, column in batch.items()})
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(f"lt.Batches: a batch is no dict of columns alike ({first_line(error)})") from None
    if isinstance(batch, pa.Table):
        return batch
    if hasattr(batch, "__arrow_c_stream__") or hasattr(batch, "__arrow_c_array__"):
        return pa.table(batch)
    raise DataError(
        f"lt.Batches: a batch is a {type(batch).__name__}; give data frames, dicts of columns or Arrow batches"
    )
