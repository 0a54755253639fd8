"""What was seen of data, apart from any law of it: one class for each kind of cells.

Everything that a place in the library asks of data is a method of `AbstractCells` (what is computed with) or of
`AbstractColumn` (what users hand over); `cells_of` lets plain arrays answer, too.
"""

from typing import Any

import jax
import numpy as np

from latens.cells.base import STAND_IN as STAND_IN
from latens.cells.base import AbstractCells as AbstractCells
from latens.cells.categories import OneOf as OneOf
from latens.cells.categories import Subset as Subset
from latens.cells.categories import labelled as labelled
from latens.cells.categories import labels_of as labels_of
from latens.cells.categories import named_sets as named_sets
from latens.cells.categories import one_of as one_of
from latens.cells.categories import ruled_out as ruled_out
from latens.cells.categories import without_labels as without_labels
from latens.cells.intervals import Interval as Interval
from latens.cells.intervals import between as between
from latens.cells.intervals import beyond as beyond
from latens.cells.intervals import grouped as grouped
from latens.cells.intervals import interval as interval
from latens.cells.intervals import left_censored as left_censored
from latens.cells.intervals import right_censored as right_censored
from latens.cells.missing import Partial as Partial
from latens.cells.missing import Patterned as Patterned
from latens.cells.missing import Turned as Turned
from latens.cells.missing import as_read as as_read
from latens.cells.missing import cells_of as cells_of
from latens.cells.sequences import Sequences as Sequences


def are_cells(leaf: Any) -> bool:
    """Whether a node of a tree of rows is of one kind, so that what is below it belongs together."""
    return cells_of(leaf) is leaf


def complete_like(xs: Any) -> Any:
    """Rows with a stand-in wherever something was not seen."""
    return jax.tree.map(lambda leaf: cells_of(leaf).value, xs, is_leaf=are_cells)


def complete_cells(xs: Any) -> Any:
    """Rows good enough to start from, all of which one array of potentials serves."""
    return jax.tree.map(lambda leaf: cells_of(leaf).to_start, xs, is_leaf=are_cells)


def rows_in(xs: Any) -> int:
    """How many rows there are."""
    return len(jax.tree.leaves(xs, is_leaf=are_cells)[0])


def taken(xs: Any, rows: Any) -> Any:
    """Some of the rows."""
    return jax.tree.map(lambda leaf: leaf.take(rows) if are_cells(leaf) else leaf[rows], xs, is_leaf=are_cells)


def lengths_of(xs: Any) -> np.ndarray | None:
    """(n,) how many observations each row stands for; None if one."""
    found = (cells_of(leaf).observations for leaf in jax.tree.leaves(xs, is_leaf=are_cells))
    return next((lengths for lengths in found if lengths is not None), None)


def padded(xs: Any, rows: np.ndarray, steps: int) -> Any:
    """Some of the rows in one shape: those of lengths of their own with so many steps."""
    return jax.tree.map(lambda leaf: leaf.padded(rows, steps) if are_cells(leaf) else leaf[rows], xs, is_leaf=are_cells)
