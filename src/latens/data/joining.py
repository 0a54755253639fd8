"""Batches of rows, as users hand them over, put end to end."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from latens.cells import OneOf, Sequences, cells_of, interval, named_sets
from latens.cells.base import as_array
from latens.data.table import columns_of
from latens.errors import DataError, listed


def joined(parts: Sequence[Any]) -> Any:
    """Batches of the same columns as one: a dict of columns, or a column where they have no names.

    **Raises:** `DataError` for columns that differ, by name or in what they hold.
    """
    named = [columns_of(part) for part in parts]
    first = named[0]
    if first is None:
        if any(each is not None for each in named):
            raise DataError("some batches are arrays, others tables: give all of them in one form")
        return _column(parts, "0")
    columns: dict[str, list[Any]] = {name: [] for name in first}
    for each in named:
        if each is None or each.keys() != first.keys():
            there = "no names" if each is None else listed(list(each))
            raise DataError(f"the first batch has the columns {listed(list(first))}, a later one {there}")
        for name, column in each.items():
            columns[name].append(column)
    return {name: _column(column, name) for name, column in columns.items()}


def _column(parts: Sequence[Any], name: str) -> Any:
    plain = [cells_of(part) is not part for part in parts]
    if all(plain):
        arrays = [as_array(part) for part in parts]
        if len({array.shape[1:] for array in arrays}) > 1:
            raise DataError(f"column '{name}' has another shape in a later batch: {arrays[0].shape[1:]} in the first")
        # texts beside numbers, put into one array of texts, would make texts of the numbers
        alike = len({array.dtype.kind for array in arrays}) == 1
        return np.concatenate(arrays if alike else [array.astype(object) for array in arrays])
    sets = [part for part in parts if isinstance(part, OneOf)]
    if len(sets) == len(parts):
        return _sets(sets)
    rows = [part for part in parts if isinstance(part, Sequences)]
    if len(rows) == len(parts) and len({jax.tree.structure(each.steps) for each in rows}) == 1:
        steps = jax.tree.map(lambda *leaves: np.concatenate(leaves), *(each.steps for each in rows))
        return Sequences(steps, np.concatenate([each.lengths for each in rows]))
    if rows or sets:
        kinds = {type(part).__name__ for part in parts}
        raise DataError(f"column '{name}' is of another kind in a later batch ({listed(sorted(kinds))}): give one kind")
    ends = [cells_of(part).ends_called(name) for part in parts]
    lower, upper = (np.concatenate([as_array(pair[side]).astype(float) for pair in ends]) for side in (0, 1))
    return interval(lower, upper)


def _sets(parts: Sequence[OneOf]) -> OneOf:
    """Sets of codes, or of labels, which each batch may have coded in its own way."""
    if not any(part.labels for part in parts):
        return OneOf(tuple(members for part in parts for members in part.sets))
    spelled: list[list[str] | None] = []
    for part in parts:
        own = part.labels
        spelled += [None if m is None else [own[code] if own else str(code) for code in m] for m in part.sets]
    return named_sets(spelled)
