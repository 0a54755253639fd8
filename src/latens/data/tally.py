"""How much of the data was half seen, by column and kind."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from latens.cells import Subset, are_cells, as_read, labels_of, without_labels

Tally = dict[str, dict[str, float]]
LABELS = "labels"


def tally(xs: Any, columns: Sequence[str], weights: np.ndarray) -> Tally:
    """Column → kind ("missing", "right-censored", "left-censored", "interval", "subset") → weight of its rows.

    Columns and kinds of which there are none are left out; labels count as a column called "labels".
    """
    labels, rows = labels_of(xs), without_labels(xs)
    told = {} if labels is None else _counted({LABELS: Subset(labels).kinds}, weights)
    if isinstance(rows, dict):
        return _counted({column: _by_row(as_read(leaf).kinds) for column, leaf in rows.items()}, weights) | told
    kinds = {kind: flags.reshape(len(weights), -1) for kind, flags in as_read(rows).kinds.items()}
    each = {c: {kind: f[:, j] for kind, f in kinds.items() if j < f.shape[1]} for j, c in enumerate(columns)}
    return _counted(each, weights) | told


def _by_row(kinds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """(n,) how many entries of each row are of a kind."""
    return {kind: flags.reshape(len(flags), -1).sum(1) for kind, flags in kinds.items()}


def _counted(columns: dict[str, dict[str, np.ndarray]], weights: np.ndarray) -> Tally:
    counts = {c: {kind: float(weights @ flags) for kind, flags in kinds.items()} for c, kinds in columns.items()}
    some = {c: {kind: number for kind, number in kinds.items() if number > 0} for c, kinds in counts.items()}
    return {c: kinds for c, kinds in some.items() if kinds}


def unseen(xs: Any, labels: np.ndarray | None) -> np.ndarray:
    """(n,) of which rows, as read, nothing was seen: no cell, and nothing of the hidden label."""
    gone = [as_read(leaf).unseen for leaf in jax.tree.leaves(xs, is_leaf=are_cells)]
    return np.asarray(np.stack(gone if labels is None else [*gone, labels.all(1)]).all(0))
