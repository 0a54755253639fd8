"""Rows that are sequences of observations, each of a length of its own."""

from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from latens.cells import STAND_IN
from latens.data.column import numbers
from latens.data.table import columns_of
from latens.errors import DataError, counted


class Sequence(eqx.Module):
    """One sequence as `log_evidence` sees it, padded to T steps.

    `value`: an array (T, ...) or a dict of such; `seen` (T,): whether all of a step was; `within` (T,): whether the
    step belongs to the sequence, or is padding.
    """

    value: Any
    seen: Any
    within: Any


class Sequences(eqx.Module):
    """Sequences laid end to end: `value` leaves (Σ lengths, ...), NaN where nothing was seen; `lengths` (n,)."""

    value: Any
    lengths: Any

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, if they have any."""
        return tuple(self.value) if isinstance(self.value, dict) else ()

    @property
    def _ends(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def take(self, rows: Any) -> "Sequences":
        """Some of them, in that order."""
        lengths, begins = self.lengths[rows], self._ends[:-1][rows]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        at = np.repeat(begins, lengths) + within
        return Sequences(jax.tree.map(lambda leaf: leaf[at], self.value), lengths)

    def padded(self, rows: np.ndarray, steps: int) -> Sequence:
        """Some of them, each with so many steps: leaves (rows, steps, ...)."""
        within = np.arange(steps) < self.lengths[rows][:, None]
        at = np.where(within, self._ends[:-1][rows][:, None] + np.arange(steps), 0)
        laid = jax.tree.map(lambda leaf: leaf[at], self.value)
        holes = [np.isnan(leaf).reshape(*at.shape, -1).any(-1) for leaf in jax.tree.leaves(laid)]
        seen = within & ~np.any(holes, axis=0)

        def filled(leaf: np.ndarray) -> np.ndarray:
            shown = within.reshape(*within.shape, *[1] * (leaf.ndim - 2))
            return np.where(np.isnan(leaf) | ~shown, np.asarray(STAND_IN, leaf.dtype), leaf)

        return Sequence(jax.tree.map(filled, laid), seen, within)

    @property
    def unseen(self) -> np.ndarray:
        """(n,) of which nothing was seen."""
        gone = [np.isnan(leaf).reshape(len(leaf), -1).all(1) for leaf in jax.tree.leaves(self.value)]
        seen = np.concatenate([[0], np.cumsum(~np.all(gone, axis=0))])
        return np.asarray(np.diff(seen[self._ends]) == 0)

    def summaries(self) -> np.ndarray:
        """(n, m) numbers that tell sequences apart: their lengths, and sums of what was seen with weights that vary."""
        at = np.arange(self._ends[-1]) - np.repeat(self._ends[:-1], self.lengths)
        found = [self.lengths.astype(float)]
        for leaf in jax.tree.leaves(self.value):
            for column in np.nan_to_num(np.reshape(leaf, (len(leaf), -1)).astype(float), nan=-1.0).T:
                for pace in (0.7, 1.1):
                    sums = np.concatenate([[0.0], np.cumsum(column * np.cos(pace * at))])
                    found.append(np.diff(sums[self._ends]))
        return np.stack(found, 1)


def sequences(data: Any, of: Any = None) -> Sequences:
    """Sequences of observations as rows of data, for models of one's own such as a hidden Markov model.

    **Arguments:** `data`: a list with one entry for each sequence, an array (T,) or (T, d) or a table of T rows; or
    with `of` (N,), one table or array of all observations in their order, and the name or number of the sequence that
    each belongs to. NaN where something was not seen.
    **Returns:** `Sequences`, for `lt.fit`: a model's `log_evidence` is given one of them, with `value` (T, ...), `seen`
    (T,) and `within` (T,), padded to the length of others like it.
    **Raises:** `DataError` naming the sequence that is no array like the others.
    **Example:**
        >>> import latens as lt
        >>> lt.sequences([[1, 0, 2], [4, 1]]).lengths.tolist()
        [3, 2]
        >>> lt.sequences([1, 4, 0, 1, 2], of=["a", "b", "a", "b", "a"]).value.tolist()
        [1.0, 0.0, 2.0, 4.0, 1.0]
    """
    if of is not None:
        return _grouped(_read(data, "the data"), np.asarray(of))
    if isinstance(data, str) or not isinstance(data, Iterable):
        raise DataError(
            f"sequences takes a list of arrays or tables, or one of all observations with of=; got {data!r}"
        )
    parts = [_read(part, f"sequence {i}") for i, part in enumerate(data)]
    if not parts:
        raise DataError("sequences: there are none")
    like = jax.tree.map(lambda leaf: leaf.shape[1:], parts[0])
    for i, part in enumerate(parts):
        if jax.tree.map(lambda leaf: leaf.shape[1:], part) != like:
            raise DataError(f"sequence {i} does not have the columns of sequence 0")
    return Sequences(
        jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts), np.array([_length(p) for p in parts])
    )


def _read(data: Any, what: str) -> Any:
    """One table or array as numbers."""
    named = columns_of(data)
    read = numbers(data, "0") if named is None else {name: numbers(column, name) for name, column in named.items()}
    lengths = {leaf.shape[:1] for leaf in jax.tree.leaves(read)}
    if len(lengths) != 1 or lengths == {()}:
        raise DataError(f"{what} must be an array or a table with one row for each step; got {data!r}")
    for leaf in jax.tree.leaves(read):
        if np.isinf(leaf).any():
            raise DataError(f"{what}: step {int(np.argwhere(np.isinf(leaf))[0][0])} is infinite")
    return read


def _length(part: Any) -> int:
    return len(jax.tree.leaves(part)[0])


def _grouped(read: Any, of: np.ndarray) -> Sequences:
    """The observations of each sequence put together, sequences in the order in which they begin."""
    n = _length(read)
    if of.shape != (n,):
        raise DataError(f"sequences: of has shape {of.shape}, there are {counted(n, 'observation')}: give one for each")
    _, first, which, lengths = np.unique(of, return_index=True, return_inverse=True, return_counts=True)
    place = np.argsort(np.argsort(first))
    order = np.argsort(place[which], kind="stable")
    return Sequences(jax.tree.map(lambda leaf: leaf[order], read), lengths[np.argsort(first)])


def rows_in(xs: Any) -> int:
    """How many rows there are."""
    return len(jax.tree.leaves(xs, is_leaf=_is_uneven)[0])


def taken(xs: Any, rows: Any) -> Any:
    """Some of the rows."""
    return jax.tree.map(lambda leaf: leaf.take(rows) if _is_uneven(leaf) else leaf[rows], xs, is_leaf=_is_uneven)


def steps_in(xs: Any) -> np.ndarray | None:
    """(n,) how many observations each row stands for, if not one."""
    return next((leaf.lengths for leaf in jax.tree.leaves(xs, is_leaf=_is_uneven) if _is_uneven(leaf)), None)


def first_row(xs: Any) -> Any:
    """One row as `log_evidence` takes it."""

    def first(leaf: Any) -> Any:
        if not _is_uneven(leaf):
            return leaf[0]
        return jax.tree.map(lambda part: part[0], leaf.padded(np.zeros(1, int), int(leaf.lengths[0])))

    return jax.tree.map(first, xs, is_leaf=_is_uneven)


def _is_uneven(leaf: Any) -> bool:
    return isinstance(leaf, Sequences)
