"""What of a source is read at one go, and whether it is still what it was."""

from pathlib import Path
from typing import NamedTuple

from latens.errors import DataError

NUMBERS = 1 << 19  # in what is read at once: 4 MB
FEWEST, MOST = 1 << 12, 1 << 18  # rows read at once


class Part(NamedTuple):
    """What of a source is read from its beginning to its end by one thread: a row group, lines of a file, a stream."""

    number: int
    file: str  # "" of a stream
    place: int  # the row group, or the first byte
    size: int  # bytes, about

    def __str__(self) -> str:
        return f"{self.file}, row group {self.place}" if self.file.lower().endswith(".parquet") else self.file


class Stamp(NamedTuple):
    """What tells that a file is the one that was looked at."""

    file: str
    size: int
    changed: int  # nanoseconds


def stamped(file: str) -> Stamp:
    """The stamp that a file has now; raises `DataError` if it is gone."""
    try:
        found = Path(file).stat()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    return Stamp(file, found.st_size, found.st_mtime_ns)
