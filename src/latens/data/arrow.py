"""Arrow tables as columns: numbers, and texts of which each is kept once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from latens.data.text import as_sets, column_of, once_each
from latens.errors import DataError, LatensError

if TYPE_CHECKING:
    import pyarrow as pa


class Texts(NamedTuple):
    """A column of texts: row i is `distinct[which[i]]`; the last of them is None, for nothing."""

    distinct: np.ndarray
    which: np.ndarray

    def all(self) -> np.ndarray:
        """(n,) the texts themselves."""
        return self.distinct[self.which]


Columns = dict[str, np.ndarray | Texts]


def extra() -> Any:
    """pyarrow, or what to install."""
    try:
        import pyarrow
    except ImportError:
        raise LatensError('files of many rows are read by pyarrow: pip install "latens[big]"') from None
    return pyarrow


def columns_from(table: pa.Table, where: str) -> Columns:
    """Numbers as float64 with NaN for null, times as they are, texts as `Texts`."""
    return {name: _column(table.column(name), f"{where}: column '{name}'") for name in table.column_names}


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of that type holds texts."""
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(test(inner) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _column(column: pa.ChunkedArray, where: str) -> np.ndarray | Texts:
    import pyarrow as pa

    kind = column.type
    if is_text(kind):
        array = column.combine_chunks()
        coded = array if pa.types.is_dictionary(kind) else array.dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.unify_dictionaries().combine_chunks()
        distinct = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
        which = coded.indices.fill_null(len(distinct) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
        # a dictionary may hold what no row does
        used = np.bincount(which, minlength=len(distinct)) > 0
        used[-1] = True
        return Texts(distinct[used], (np.cumsum(used) - 1)[which])
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.float64(), safe=False)
    elif pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    elif not (pa.types.is_floating(kind) or pa.types.is_temporal(kind)):
        raise DataError(f"{where} holds {kind}, no numbers or texts; name the columns to use (columns=)")
    array = column.to_numpy()
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def as_columns(columns: Mapping[str, Any], named: frozenset[str]) -> dict[str, Any]:
    """Columns as models take them: texts as `lt.read_cells` reads them, those of `named` as categories."""
    return {name: _read(column, name, name in named) for name, column in columns.items()}


def _read(column: np.ndarray | Texts, name: str, named: bool) -> Any:
    if not isinstance(column, Texts):
        return column
    how = as_sets if named else column_of
    return once_each(column.distinct, column.which, lambda distinct: how(distinct, name))
