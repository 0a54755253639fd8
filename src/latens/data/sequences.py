"""Sequences of observations as users hand them over."""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from latens.cells.column import absent, numbers
from latens.cells.sequences import Sequences
from latens.data.table import columns_of
from latens.errors import DataError, counted


def sequences(data: Any, of: Any = None) -> Sequences:
    """Sequences of observations as rows of data, for models of one's own such as a hidden Markov model.

    **Arguments:** `data`: a list with one entry for each sequence, an array (T,) or (T, d) or a table of T rows; or
    with `of`, one table or array of all observations in their order, `of` (N,) saying which sequence each belongs to,
    or being the name of the column of the table that does. NaN where something was not seen.
    **Returns:** `Sequences`, for `lt.fit`: a model's `log_evidence` is given one of them, with `value` (T, ...), `seen`
    (T, ...) and `within` (T,), padded to the length of others like it.
    **Raises:** `DataError` naming the sequence that is no array like the others.
    **Example:**
        >>> import latens as lt
        >>> lt.sequences([[1, 0, 2], [4, 1]]).lengths.tolist()
        [3, 2]
        >>> lt.sequences([1, 4, 0, 1, 2], of=["a", "b", "a", "b", "a"]).steps.tolist()
        [1.0, 0.0, 2.0, 4.0, 1.0]
    """
    if of is not None:
        named = columns_of(data)
        if isinstance(of, str):
            if named is None or of not in named:
                raise DataError(f"sequences: of='{of}' is no column of the data")
            data = {name: column for name, column in named.items() if name != of}
            of = (named or {})[of]
        return _grouped(_read(data, "the data"), np.asarray(of))
    if columns_of(data) is not None:
        raise DataError("sequences: a table holds one sequence, or says with of= which each row belongs to: [table]")
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
    try:
        read = numbers(data, "0") if named is None else {name: numbers(column, name) for name, column in named.items()}
    except DataError as error:
        raise DataError(f"{what}: {error}") from None
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
    missing = [row for row, entry in enumerate(of.tolist()) if absent(entry)]
    if missing:
        raise DataError(f"sequences: row {missing[0]} belongs to no sequence (of= is missing there)")
    of = np.array(list(map(str, of.tolist())))  # names of one kind, which can be put in order
    _, first, which, lengths = np.unique(of, return_index=True, return_inverse=True, return_counts=True)
    place = np.argsort(np.argsort(first))
    order = np.argsort(place[which], kind="stable")
    return Sequences(jax.tree.map(lambda leaf: leaf[order], read), lengths[np.argsort(first)])
