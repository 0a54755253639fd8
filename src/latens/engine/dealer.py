"""Rows of a source as they are computed with: read, checked, put in the frame, cut into blocks, a piece at a time."""

import hashlib
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np

from latens.cells import OneOf, taken
from latens.cells.base import numbers
from latens.cells.repeated import Repeated
from latens.data.arrow import Columns, Texts, as_columns
from latens.data.parts import Part
from latens.data.reader import Tally, tally, unseen
from latens.data.source import AbstractSource
from latens.data.survey import imprint, located
from latens.engine.binding import told as allowed
from latens.engine.blocks import Load, Shard, piece_of
from latens.errors import DataError
from latens.families.frame import AbstractFrame
from latens.models.base import AbstractModel


class Read(NamedTuple):
    """Rows of positive weight of a piece, as the model reads them."""

    xs: Any
    weights: np.ndarray  # (m,)
    told: np.ndarray | None  # (m, k)
    clusters: np.ndarray | None = None  # (m,) what says which go together


class Facts(NamedTuple):
    """What rows add up to, whatever the params are."""

    rows: int = 0  # of positive weight
    weight: float = 0.0
    observations: float = 0.0  # the weight of those of which something was seen
    offset: float = 0.0  # Σ w log |∂ frame / ∂ data|
    half_seen: Tally | None = None

    def plus(self, other: "Facts") -> "Facts":
        """Of both."""
        return Facts(
            self.rows + other.rows,
            self.weight + other.weight,
            self.observations + other.observations,
            self.offset + other.offset,
            _both(self.half_seen or {}, other.half_seen or {}),
        )


class Piece(NamedTuple):
    """Rows of positive weight in blocks: the i-th stands at `slots[i]`."""

    shard: Shard
    slots: np.ndarray | slice
    jacobian: np.ndarray | float  # log |∂ frame / ∂ data| of each


class Item(NamedTuple):
    """A piece of a part on its way: as it was read, or as it was kept."""

    part: Part
    number: int  # of the piece in the part
    first: int  # its first row in the part
    content: "Columns | Piece"


@dataclass(frozen=True)
class Dealer:
    """All that makes rows of a source ready for a program, so small that it can be sent to where the rows are."""

    source: AbstractSource
    named: frozenset[str]  # columns of categories
    columns: tuple[str, ...]  # those of the model, in the order of the source
    names: tuple[str, ...]  # as the model calls them
    model: AbstractModel  # with what the data say of it filled in
    frame: AbstractFrame
    load: Load
    together: int | None  # rows in a group of one pattern
    single: bool = False
    counts: tuple[int, ...] = ()  # rows of each part, when they were first gone over
    imprint: int = 0  # of a stream, then

    @cached_property
    def key(self) -> str:
        """A digest of everything that the pieces depend on."""
        leaves, tree = jax.tree.flatten((self.model, self.frame))
        given = self.source
        source = replace(given, cache=None), given.clusters, given.stamps or uuid.uuid4()
        own = (source, sorted(self.named), self.columns, self.load.size)
        text = re.sub(r" at 0x[0-9a-f]+", "", f"{tree} {own} {self.together} {self.single}")
        digest = hashlib.sha256(text.encode())
        for leaf in leaves:
            digest.update(np.ascontiguousarray(leaf).tobytes())
        return digest.hexdigest()[:32]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"key": self.key}  # of a stream it would be another one elsewhere

    def items(self, part: Part) -> Iterator[Item]:
        """The pieces of a part as they are read."""
        first = told = 0
        for number, columns in enumerate(self.source.read(part)):
            yield Item(part, number, first, columns)
            told += 0 if part.file else imprint(columns, first)
            first += _height(columns)
        if self.counts and first == self.counts[part.number] and told % 2**64 != self.imprint:
            raise DataError(
                f"{self.source.title} gave other rows this time, or in another order: let it give the same rows each "
                "time; for rows that are seen once there is lt.online"
            )
        if self.counts and first != self.counts[part.number]:
            raise DataError(
                f"{part if part.file else self.source.title} gave {first} rows this time, {self.counts[part.number]} "
                "before: let it give the same rows each time; for rows that are seen once there is lt.online"
            )

    def read(self, item: Item) -> Read:
        """The rows of a piece, checked; an error says where they are."""
        assert isinstance(item.content, dict)
        try:
            return self.read_columns(item.content)
        except DataError as error:
            raise DataError(located(str(error), item.part, item.first)) from None

    def read_columns(self, columns: Columns) -> Read:
        """Columns as they are read, as the model takes them."""
        n, named = _height(columns), self.source.clusters
        clusters = None if named is None else clusters_in(columns[named], named)
        cells = as_columns({name: column for name, column in columns.items() if name != named}, self.named)
        weights, labels = (cells.pop(name) if name else None for name in (self.source.weights, self.source.labels))
        if set(cells) != set(self.columns):
            raise DataError(f"the columns are {', '.join(cells)}; the fit is of {', '.join(self.columns)}")
        xs = self.model.reader.read({name: cells[name] for name in self.columns}).xs
        given = np.ones(n) if weights is None else frequencies_of(weights)
        told = None if labels is None else allowed(self.model, labels_in(labels, self.source.labels or ""), n)
        if not (given > 0).all():
            # if of none, the first, which counts for nothing
            used = np.flatnonzero(given > 0) if given.any() else np.arange(1)
            xs, given, told = taken(xs, used), given[used], None if told is None else told[used]
            clusters = None if clusters is None else clusters[used]
        return Read(xs, given, told, clusters)

    def piece(self, item: Item) -> Piece:
        """The same in the frame and in blocks."""
        return item.content if isinstance(item.content, Piece) else self.blocks(self.read(item))

    def blocks(self, read: Read) -> Piece:
        """Rows that were read in the frame and in blocks."""
        seen = self.model.labelled(self.model.reader.observe(self.frame.apply(read.xs)), read.told)
        if self.single:
            seen = jax.tree.map(lambda leaf: leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf, seen)
        dealt = piece_of(seen, read.weights, self.load, self.together)
        return Piece(dealt.shards[0], dealt.slots, self.frame.log_jacobian(read.xs))

    def facts(self, read: Read) -> Facts:
        """What these rows add up to."""
        informative = ~unseen(read.xs, read.told)
        jacobian = np.broadcast_to(self.frame.log_jacobian(read.xs), read.weights.shape)
        seen = self.model.labelled(self.model.reader.observe(read.xs), read.told)
        return Facts(
            int((read.weights > 0).sum()),
            float(read.weights.sum()),
            float(read.weights @ informative),
            float(read.weights @ jacobian),
            tally(seen, self.names, read.weights),
        )


def frequencies_of(weights: Any) -> np.ndarray:
    """(n,) weights of a piece, of which all may be 0; or a `DataError`."""
    found = numbers(weights, "weights") if isinstance(weights, np.ndarray) else None
    if found is None or found.ndim != 1:
        raise DataError("the column of weights holds texts, not numbers")
    bad = ~np.isfinite(found) | (found < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"row {row}: the weight {found[row]} is not a finite number of at least 0")
    return found


def labels_in(column: Any, name: str) -> Any:
    """A column of hidden labels as `lt.fit` takes them: codes, NaN where they are not known, or sets of codes."""
    if isinstance(column, Repeated) and isinstance(column.distinct, OneOf) and not column.distinct.labels:
        return OneOf(tuple(column.distinct.sets[i] for i in column.which.tolist()))
    if isinstance(column, np.ndarray):
        return column
    raise DataError(f"column '{name}' holds texts, not labels: give the codes 0, 1, ... of the components")


def clusters_in(column: np.ndarray | Texts, name: str) -> np.ndarray:
    """(n,) what tells clusters; or a `DataError`."""
    found = column.all() if isinstance(column, Texts) else column
    gone = np.array([value is None or value != value for value in found.tolist()])
    if gone.any():
        raise DataError(f"row {int(np.argmax(gone))}: no '{name}' says which cluster the row is of")
    return found.astype(str) if isinstance(column, Texts) else found


def _height(columns: Columns) -> int:
    first = next(iter(columns.values()))
    return len(first if isinstance(first, np.ndarray) else first.which)


def _both(here: Tally, there: Tally) -> Tally:
    found = {column: dict(kinds) for column, kinds in here.items()}
    for column, kinds in there.items():
        own = found.setdefault(column, {})
        for kind, number in kinds.items():
            own[kind] = own.get(kind, 0.0) + number
    return found
