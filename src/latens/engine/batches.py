"""Batches of a stream: read as the first rows were, in their frame, in shapes that few programs serve."""

from typing import Any, NamedTuple

import numpy as np

from latens.cells import lengths_of, taken
from latens.data.reader import unseen
from latens.data.table import columns_of, ordered, ungroup
from latens.engine.binding import read_weighed, told
from latens.engine.problem import Problem
from latens.engine.rows import RowsInMemory
from latens.errors import DataError, listed
from latens.numerics.compiling import double
from latens.numerics.room import room


class Batch(NamedTuple):
    """Some rows of a stream: `problem` has them, in the frame of the first ones; `n`: the weight of those seen."""

    problem: Problem
    n: float
    squares: float  # Σ w²
    unseen: float


@double
def batch_of(known: Problem, data: Any, weights: Any, labels: Any) -> Batch:
    """Rows as the model of a problem reads them, in its frame; raises `DataError` for other columns."""
    model = known.given
    data, counts = ungroup(data, whole=model.reader.whole)
    rows, given = read_weighed(model, ordered(data, known.columns), weights, counts)
    if rows.weights is None:  # counts may leave out what was not seen
        _check_columns(data, known.columns)
    allowed = None if labels is None else told(model, labels, len(given))
    gone = unseen(rows.xs, allowed)
    known.check_form(rows.xs)
    # a row of which nothing was seen tells nothing; were it weighed, it would hold the estimates where they are
    own = np.where(gone, 0.0, given)
    xs = rows.xs
    if lengths_of(xs) is None:
        filled = np.arange(room(len(own)))
        filled[filled >= len(own)] = 0
        padded = np.zeros(len(filled))
        padded[: len(own)] = own
        xs, own, allowed = taken(xs, filled), padded, None if allowed is None else allowed[filled]
    moved = known.base.labelled(known.base.reader.observe(known.frame.apply(xs)), allowed)
    held = RowsInMemory.even(moved, own, known.load(moved))
    return Batch(known.stored(held), float(own.sum()), float(own @ own), float(given[gone].sum()))


def _check_columns(data: Any, columns: tuple[str, ...]) -> None:
    """Names, where there are any, must be those of the first rows; a model of a table may leave some aside."""
    named = columns_of(data)
    if named is None or set(named) >= set(columns):
        return
    absent = next(name for name in columns if name not in named)
    raise DataError(f"column '{absent}' is not in this batch, which has {listed(list(named))}")
