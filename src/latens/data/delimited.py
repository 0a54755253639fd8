"""How a text file of columns is written: what separates them, decimal commas, names of rows."""

import codecs
import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

from latens.errors import DataError, counted

SEPARATORS = ",;\t|"
NO_NAME = r"[+-]\d+|[+-]?\d*[.,]\d+(?:[eE][+-]?\d+)?"  # a whole number may be one, such as a year
LOOK = 65_536  # bytes that are looked at
DECIMAL_COMMA = re.compile(r"[<>=+-]*\d*,\d+(?:[eE][+-]?\d+)?\+?")
DECIMAL_POINT = re.compile(r"[<>=+-]*\d*\.\d+(?:[eE][+-]?\d+)?\+?")


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
