"""How the data of a model are read, looked at and handed back; sequences as data."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from latens.cells import Subset, are_cells, as_read, cells_of, labels_of, without_labels
from latens.cells.base import absent, numbers
from latens.cells.sequences import Sequences
from latens.data.table import columns_of, frame_of, ordered
from latens.errors import DataError, counted
from latens.numerics.modules import Module

Tally = dict[str, dict[str, float]]
LABELS = "labels"
Names = Mapping[str, tuple[Any, ...]]


class Rows(NamedTuple):
    """Data as read: `xs` has a leading axis of rows in every leaf; `weights` (n,) if the data themselves count rows."""

    xs: Any
    columns: tuple[str, ...] = ()
    weights: np.ndarray | None = None


class AbstractReader(Module):
    """What a model takes for data. To write your own: `read`; and what else differs."""

    @abstractmethod
    def read(self, data: Any) -> Rows:
        """Users' data → NumPy rows, NaN where a number was not seen, and the names of their columns; or `DataError`."""

    @property
    def whole(self) -> bool:
        """Whether data are whole numbers, so that the ends of an interval may have a probability."""
        return False

    def labels(self, columns: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        """Column → what its codes 0, 1, ... stand for, of those that hold categories with names."""
        return {}

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        """Raises `DataError` where too little was seen of the rows to estimate from."""

    def observe(self, xs: Any) -> Any:
        """Rows as read, perhaps in a frame → rows as they are computed with."""
        return xs

    def collect(self, draws: Any, columns: Sequence[str]) -> Any:
        """Many draws → data in the form users hand over."""
        return jax.tree.map(np.asarray, draws)


class Numbers(AbstractReader):
    """Arrays, tables or sequences of numbers, NaN where a cell is missing, which is left to the model."""

    def read(self, data: Any) -> Rows:
        given = cells_of(data)
        if given.observations is not None:
            return Rows(data, given.names)
        named = columns_of(data)
        columns = {"0": numbers(data, "0")} if named is None else {n: numbers(c, n) for n, c in named.items()}
        lengths = {len(leaf) if leaf.ndim else -1 for leaf in columns.values()}
        if lengths in ({0}, set()):
            raise DataError("the data are empty: there is nothing to fit")
        if len(lengths) > 1 or lengths == {-1}:
            raise DataError("the data need the same number of rows in every column")
        for name, leaf in columns.items():
            if np.isinf(leaf).any():
                row = int(np.argwhere(np.isinf(leaf))[0][0])
                raise DataError(f"row {row}, column '{name}': infinite; this model takes numbers only")
        if named is not None:
            return Rows(columns, tuple(columns))
        width = int(np.prod(columns["0"].shape[1:]))
        return Rows(columns["0"], tuple(str(j) for j in range(width)))


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


def alike(data: Any, rows: Any, columns: Sequence[str], names: Names | None = None) -> Any:
    """Rows as computed, as an array, dict of columns or data frame: whichever the data were.

    With the `names` of categories, codes become what they stand for, and a column of a data frame that was wholly
    seen stays itself, whole numbers and all.
    """
    named = columns_of(data)
    if named is None:
        if isinstance(rows, Mapping):
            return np.column_stack(list(with_names(as_columns(rows, columns), names or {}).values()))
        return with_names({columns[0]: np.asarray(rows)}, names or {})[columns[0]]
    arrays = with_names(as_columns(rows, list(ordered(named, columns))), names or {})
    if isinstance(data, Mapping):
        return {own: arrays.get(name, column) for own, (name, column) in zip(data, named.items(), strict=True)}
    import narwhals as nw

    if names is not None:
        arrays = {name: values for name, values in arrays.items() if not _equal(values, named[name])}
    frame = frame_of(data)
    own = dict(zip(named, frame.columns, strict=True))  # pandas has names that are no texts
    filled = [nw.new_series(own[name], values, backend=frame.implementation) for name, values in arrays.items()]
    return frame.with_columns(*filled).to_native()


def as_columns(rows: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Rows as computed as a dict of columns."""
    if isinstance(rows, Mapping):
        return {name: np.asarray(rows[name]) for name in names if name in rows}
    array = np.asarray(rows)
    return {names[0]: array} if array.ndim == 1 else {name: array[:, j] for j, name in enumerate(names)}


def with_names(arrays: Mapping[str, np.ndarray], names: Names) -> dict[str, np.ndarray]:
    """What the codes of categories stand for in their place, None where there is no code."""
    changed = dict(arrays)
    for name in names.keys() & arrays.keys():
        codes = np.asarray(arrays[name])
        own = np.asarray([*names[name], None], dtype=object)
        found = own[np.where(np.isnan(codes), -1, codes).astype(int)]
        whole = not any(isinstance(value, str) or value is None for value in found.flat)
        changed[name] = found.astype(float) if whole else found
    return changed


def _equal(values: np.ndarray, column: Any) -> bool:
    try:
        return bool(np.array_equal(values, np.asarray(column)))
    except TypeError:  # pandas' NA will not say
        return False


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
