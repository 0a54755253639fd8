"""Columns from text and Parquet files, and tables to them."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from latens.data.text import Table, table_of
from latens.errors import DataError, counted, first_line

if TYPE_CHECKING:
    import polars as pl

SEPARATORS = ",;\t|"
NO_NAME = r"[+-]\d+|[+-]?\d*[.,]\d+(?:[eE][+-]?\d+)?"  # a whole number may be one, such as a year
LOOK = 65_536  # bytes that are looked at
DECIMAL_COMMA = re.compile(r"[<>=+-]*\d*,\d+(?:[eE][+-]?\d+)?\+?")
DECIMAL_POINT = re.compile(r"[<>=+-]*\d*\.\d+(?:[eE][+-]?\d+)?\+?")
TEXTS = (".csv", ".tsv", ".tab", ".txt", ".dat")
DECIMAL = r"^([<>=]*\s*[+-]?\d*),(\d+(?:[eE][+-]?\d+)?\+?)$"
ROW_NAMES = ("", "__index_level_0__")  # what R and pandas call the column of row names, if it comes first


def columns_in(path: Path, wanted: Sequence[str] = ()) -> Table:
    """The wanted columns (all if none are named) of a text or Parquet file, cells read as `lt.read_cells` does.

    A first column that has no name holds those of the rows: it is left out unless it is wanted.

    **Raises:** `DataError` for a file that is absent, malformed or of another kind, for a column
    that is absent and a cell that does not parse.
    """
    frame = frame_in(path)
    names = list(wanted) or frame.columns
    absent = [c for c in names if c not in frame.columns]
    if absent:
        raise DataError(f"{path}: there is no column '{absent[0]}'; it has {', '.join(frame.columns)}")
    notes = []
    if not wanted:
        names = [name for name in names if name or frame[name].null_count() < frame.height]  # a separator at each end
    if not wanted and len(names) > 1 and names[0] in ROW_NAMES:
        names = names[1:]
        notes.append("the first column, which has no name, was taken for the names of the rows and left out")
    if all(name.isdigit() for name in frame.columns):
        notes.append(f"the first line, {', '.join(frame.columns)}, was taken for names of columns")
    hint = "" if wanted else "; choose the columns to use with --columns"
    return table_of({name: _plain(frame[name], path, hint) for name in names}, f"{path}: ", hint, notes)


def is_there(path: Path) -> bool:
    """Whether it is a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (ValueError, OSError):
        return False


def frame_in(path: Path) -> pl.DataFrame:
    """A text or Parquet file as it is; raises `DataError` if it is absent, malformed or of another kind."""
    import polars as pl

    if not is_there(path):
        raise DataError(f"there is no file {path}")
    kind = path.suffix.lower()
    if kind not in (*TEXTS, ".parquet"):
        raise DataError(f"{path}: expected a file of text ({', '.join(TEXTS)}) or .parquet")
    try:
        return pl.read_parquet(path) if kind == ".parquet" else _delimited(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path} cannot be read: {first_line(error) or type(error).__name__}") from None


def _delimited(path: Path) -> pl.DataFrame:
    import polars as pl

    form = dialect_of(path)
    blanks = form.separator == " "
    frame = pl.read_csv(
        without_blanks(path) if blanks else path,
        has_header=False,
        skip_lines=0 if blanks else form.above,
        separator="," if blanks else form.separator,
        infer_schema_length=None,
        decimal_comma=form.decimal_comma,
    )
    if frame.width != len(form.names):
        raise DataError(f"{path}: the rows have {frame.width} cells, the header names {len(form.names)} columns")
    frame.columns = list(form.names)
    if not form.decimal_comma:
        return frame
    return frame.with_columns(
        pl.col(pl.String).str.replace(DECIMAL, "$1.$2")
    )  # what is more than a number, such as >3,5


def write_frame(frame: pl.DataFrame, target: str) -> None:
    """To a .csv or .parquet file, or as CSV to standard output for "-"; raises `DataError` if it cannot be."""
    path = Path(target)
    writers: dict[str, Callable[[Path], object]] = {".csv": frame.write_csv, ".parquet": frame.write_parquet}
    if target == "-":
        print(frame.write_csv(), end="")
        return
    if path.suffix.lower() not in writers:
        raise DataError(f"{path}: expected a .csv or .parquet file to write")
    try:
        writers[path.suffix.lower()](path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None


def _plain(column: pl.Series, path: Path, hint: str) -> np.ndarray:
    """Numbers with NaN for null, texts with None, or times as they are."""
    import polars as pl

    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        raise DataError(f"{path}: column '{column.name}' holds {column.dtype}, no numbers or texts{hint}")
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return np.asarray(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())
    if column.dtype.is_temporal():
        return np.asarray(column.to_numpy())
    return np.asarray(column.cast(pl.String).to_list(), dtype=object)


# -- how a text file is written ---------------------------------------------------------------------


class Dialect(NamedTuple):
    """What separates columns (blanks: " "), whether 3,6 is a number, and the names, one for each column."""

    separator: str
    decimal_comma: bool
    names: tuple[str, ...]
    above: int  # lines up to the header, it included


def dialect_of(path: Path) -> Dialect:
    """The dialect that the first lines agree on.

    **Raises:** `DataError` for a file that is no text in UTF-8, that is empty, or in which two columns have one name.
    """
    with path.open("rb") as file:
        begun = file.read(LOOK)
        whole = not file.read(1)
    lines = _text(begun, path).splitlines()
    above = next((i for i, line in enumerate(lines, 1) if line.strip()), 0)
    lines = [line for line in (lines if whole or len(lines) < 2 else lines[:-1]) if line.strip()]
    if len(lines) < 2:
        raise DataError(f"{path} has {'a header only' if lines else 'no lines'}: there is nothing to fit")
    # a blank is common within texts: it separates columns only where names are quoted, or in a file that is no .csv
    blank = [" "] if path.suffix.lower() != ".csv" or lines[0].lstrip().startswith('"') else []
    cut = None if whole else -1  # within quotes, the last row may be one of which the rest was not looked at
    ways = [(s, _split(lines, s)[:cut]) for s in (*SEPARATORS, *blank)]
    agreed = next(((s, r) for more in (0, 1) for s, r in ways if _agree(r, lines, more)), None)
    separator, rows = agreed or max(ways, key=lambda way: len(way[1][0]))
    odd = [] if agreed else [(i, row) for i, row in enumerate(rows, above) if row and len(row) != len(rows[0])]
    for number, row in odd:
        cells, columns = counted(len(row), "cell"), counted(len(rows[0]), "column")
        raise DataError(f"{path}: line {number} has {cells}, the header names {columns}")
    if len(rows) < 2:  # the rest is within quotes
        raise DataError(f"{path} has a header only: there is nothing to fit")
    names = [name.strip() for name in rows[0]]
    if len(rows[1]) == len(names) + 1:  # a header without the column of row names, as R writes it
        names = ["", *names]
    if any(re.fullmatch(NO_NAME, name) for name in names):
        raise DataError(
            f"{path}: the first line, {lines[0]!r}, holds numbers; put one of names of the columns above it"
        )
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise DataError(f"{path}: two columns are called '{twice[0]}': rename one of them")
    texts = [cell.strip() for row in rows[1:] for cell in row]
    comma = separator != "," and any(map(DECIMAL_COMMA.fullmatch, texts))
    return Dialect(separator, comma and not any(map(DECIMAL_POINT.fullmatch, texts)), tuple(names), above)


def without_blanks(path: Path) -> bytes:
    """A file of columns separated by blanks, with commas instead; its header is left out."""
    target = io.StringIO(newline="")
    rows = _split(_text(path.read_bytes(), path).splitlines(), " ")
    csv.writer(target).writerows([row for row in rows if row][1:])
    return target.getvalue().encode()


def _text(content: bytes, path: Path) -> str:
    try:
        # what was cut off may end within a character
        return codecs.getincrementaldecoder("utf-8-sig")().decode(content, final=len(content) != LOOK)
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text in UTF-8: save it as 'CSV UTF-8', or as Parquet") from None


def _split(lines: list[str], separator: str) -> list[list[str]]:
    try:
        return list(
            csv.reader((line.strip(" ") for line in lines), delimiter=separator, skipinitialspace=separator == " ")
        )
    except csv.Error:
        return [[line] for line in lines]


def _agree(rows: list[list[str]], lines: list[str], more: int) -> bool:
    """Whether all rows have as many cells as the header, or each a name more: in quotes, or a number counted up."""
    wide = len(rows[0])
    if not all(len(row) == wide + more for row in rows[1:]):
        return False
    quoted = all(line.lstrip().startswith('"') for line in lines[1:])
    numbers = [row[0].strip() for row in rows[1:]] == [str(i) for i in range(1, len(rows))]
    ended = all(not row[-1].strip() for row in rows[1:])  # by a separator
    return (quoted or (numbers and wide > 1)) and not ended if more else wide > 1
