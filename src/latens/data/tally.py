"""How much of the data was half seen, by column and kind."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from latens.cells import Interval, Labelled, Partial, Patterned, Subset
from latens.sequences import Sequences

Tally = dict[str, dict[str, float]]
LABELS = "labels"


def tally(xs: Any, columns: Sequence[str], weights: np.ndarray) -> Tally:
    """Column → kind ("missing", "right-censored", "left-censored", "interval", "subset") → weight of its rows.

    Columns and kinds of which there are none are left out; labels count as a column called "labels".
    """
    if isinstance(xs, Labelled):
        told = _counted({LABELS: _kinds(Subset(xs.allowed))}, weights)
        return tally(xs.x, columns, weights) | told
    if isinstance(xs, Sequences):
        return {}
    if isinstance(xs, dict):
        return _counted({column: _kinds(leaf) for column, leaf in xs.items()}, weights)
    kinds = {kind: np.asarray(flags).reshape(len(weights), -1) for kind, flags in _kinds(xs).items()}
    each = {c: {kind: f[:, j] for kind, f in kinds.items() if j < f.shape[1]} for j, c in enumerate(columns)}
    return _counted(each, weights)


def _kinds(leaf: Any) -> dict[str, np.ndarray]:
    """Kind → which entries are of it: (n,) or (n, d)."""
    if isinstance(leaf, Partial | Patterned):
        return {"missing": ~np.asarray(leaf.seen)}
    if isinstance(leaf, Subset):
        number = np.asarray(leaf.allowed).sum(-1)
        k = leaf.allowed.shape[-1]
        return {"missing": number == k, "subset": (number > 1) & (number < k)}
    if not isinstance(leaf, Interval):
        return {"missing": np.isnan(leaf)} if np.issubdtype(np.asarray(leaf).dtype, np.floating) else {}
    low, top = np.isneginf(leaf.lower), np.isposinf(leaf.upper)
    return {
        "missing": low & top,
        "right-censored": ~low & top,
        "left-censored": low & ~top,
        "interval": ~low & ~top & (np.asarray(leaf.lower) < np.asarray(leaf.upper)),
    }


def _counted(columns: dict[str, dict[str, np.ndarray]], weights: np.ndarray) -> Tally:
    counts = {c: {kind: float(weights @ flags) for kind, flags in kinds.items()} for c, kinds in columns.items()}
    some = {c: {kind: number for kind, number in kinds.items() if number > 0} for c, kinds in counts.items()}
    return {c: kinds for c, kinds in some.items() if kinds}


def unseen(xs: Any, labels: np.ndarray | None) -> np.ndarray:
    """(n,) of which rows, as read, nothing was seen: no cell, and nothing of the hidden label."""
    leaves = jax.tree.leaves(xs, is_leaf=lambda leaf: isinstance(leaf, Interval | Subset | Sequences))
    gone = [_nothing(leaf) for leaf in leaves] + ([] if labels is None else [labels.all(1)])
    return np.asarray(np.stack(gone).all(0))


def _nothing(leaf: Any) -> np.ndarray:
    """(n,) of which entries of one kind nothing was seen."""
    if isinstance(leaf, Sequences):
        return leaf.unseen
    if isinstance(leaf, Subset):
        return np.asarray(leaf.allowed.all(-1))
    if isinstance(leaf, Interval):
        gone = np.isneginf(leaf.lower) & np.isposinf(leaf.upper)
    else:
        gone = np.isnan(leaf) if np.issubdtype(leaf.dtype, np.floating) else np.zeros(leaf.shape, bool)
    return np.asarray(gone.reshape(len(gone), -1).all(1))
