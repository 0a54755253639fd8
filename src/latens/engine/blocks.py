"""Rows cut into blocks that fit the cache, blocks dealt to shards."""

import os
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import are_cells, cells_of, lengths_of, padded
from latens.cells.sequences import batches
from latens.numerics.compiling import LARGEST, rung
from latens.numerics.devices import accelerator, placed

MEMORY, MOST = 1 << 27, 1 << 19  # the same on a GPU: 1 GB; and rows
CACHE = 1 << 17  # doubles a block may occupy together with its statistics: about half an L2 cache
ROW = 100  # products that take as long as what every row takes whatever its potentials
WORTH = 1e7  # products that a second core saves time on, about a millisecond's
SHARE, SHARDS = 4e7, 16  # products in a shard, at least, if there are more than two; and the most shards
GROUP = 24  # rows that cost as much as integrating the unseen cells out of the potentials
HELD, HELD_THERE = 1 << 18, 1 << 26  # numbers that a block may hold for its rows; on a GPU


class Shard(NamedTuple):
    """The blocks one core works through."""

    xs: Any  # leaves (blocks, size, ...); of rows grouped by pattern (blocks, groups, size, ...)
    weights: Array  # (blocks, size) or (blocks, groups, size), 0 for the padding


class Load(NamedTuple):
    """What one row takes."""

    doubles: int  # that it and what is computed from it occupy, about
    products: int  # with its potentials

    @property
    def size(self) -> int:
        """Rows in a block: a power of two from 128 to 2048, on a GPU as many as fill it."""
        alone = accelerator() is not None
        wanted = max((MEMORY if alone else CACHE) // max(self.doubles, 1), 1)
        return int(np.clip(2 ** int(np.log2(wanted)), 128, MOST if alone else LARGEST))

    def shards(self, n: int) -> int:
        """How many for n rows: not by the cores, so that sums, and with them a fit, are the same on any number."""
        if accelerator() is not None:
            return 1
        work = n * (ROW + self.products)
        # a power of two, which cores share evenly
        return 2 ** int(np.log2(np.clip(work / SHARE, 2, SHARDS))) if work > WORTH else 1

    def of(self, steps: int) -> "Load":
        """The same of a row of so many steps."""
        return Load(self.doubles * steps, (ROW + self.products) * steps)


class Deal(NamedTuple):
    """All rows, dealt: row i stands at `slots[i]` of the shards laid end to end."""

    shards: list[Shard]
    slots: np.ndarray | slice


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def deal(xs: Any, weights: np.ndarray, load: Load, together: int | None = None) -> Deal:
    """All rows as shards; rows that share a pattern of unseen cells are put together, and sequences of like lengths.

    `together`: how many of one pattern; None for as many as cost least.
    """
    lengths = lengths_of(xs)
    if lengths is not None:
        return _by_length(xs, weights, load, lengths)
    n = len(weights)
    size, shards = load.size, load.shards(n)
    seen = _seen(xs)
    if seen is None:
        size = min(size, rung(n) if n <= LARGEST else n)
        spans = _spans(-(-n // size), shards)
        # weights of all rows that are one number in memory are one array for all shards too
        alike = jnp.asarray(np.full((spans[0].stop, size), weights[0])) if weights.strides == (0,) else None
        return Deal([placed(shard_of(xs, weights, alike, size, span)) for span in spans], slice(n))
    pattern = _by_pattern(seen, size, together)
    spans = _spans(pattern.blocks, shards)
    return Deal(_patterned(xs, weights, pattern, spans), pattern.slots)


class Pattern(NamedTuple):
    """Rows put together by what was seen of them, in groups of one pattern each, and groups in blocks."""

    slots: np.ndarray  # (n,) where each row is put
    groups: int
    together: int  # rows in a group
    height: int  # groups in a block

    @property
    def blocks(self) -> int:
        return -(-self.groups // self.height)


def _by_pattern(seen: np.ndarray, size: int, together: int | None, *, even: bool = False) -> Pattern:
    """Groups for patterns (n, d) of rows; of `together` rows, or as many as waste least; in blocks of one size."""
    _, which, counts = np.unique(np.packbits(seen, axis=1), axis=0, return_inverse=True, return_counts=True)
    together = together or _rows_together(counts)
    groups = -(-counts // together)
    order = np.argsort(which.ravel(), kind="stable")
    within = np.arange(len(seen)) - np.repeat(np.cumsum(counts) - counts, counts)
    slots = np.empty(len(seen), dtype=np.int64)
    slots[order] = np.repeat((np.cumsum(groups) - groups) * together, counts) + within
    height = max(size // together if even else min(size // together, rung(int(groups.sum()))), 1)
    return Pattern(slots, int(groups.sum()), together, height)


def _patterned(xs: Any, weights: np.ndarray, pattern: Pattern, spans: list[slice]) -> list[Shard]:
    n, together, slots = len(weights), pattern.together, pattern.slots
    rows = np.zeros(spans[-1].stop * pattern.height * together, dtype=np.int64)
    rows[slots] = np.arange(n)
    filled = np.zeros(len(rows), dtype=bool)
    filled[slots] = True
    # the padding of a group is a copy of its first row, so that the pattern is that of the group
    first = rows.reshape(-1, together)[:, :1]
    rows = np.where(filled.reshape(-1, together), rows.reshape(-1, together), first)
    return [placed(_grouped(xs, weights, rows, filled, pattern.height, span)) for span in spans]


def piece_of(xs: Any, weights: np.ndarray, load: Load, together: int | None) -> Deal:
    """Rows of a stream as one shard, of one of few shapes; those with a pattern in groups of `together`."""
    seen = _seen(xs)
    if seen is None:
        blocks = rung(-(-len(weights) // load.size))
        return Deal([placed(shard_of(xs, weights, None, load.size, slice(0, blocks)))], slice(len(weights)))
    pattern = _by_pattern(seen, load.size, together, even=True)
    return Deal(_patterned(xs, weights, pattern, [slice(0, rung(pattern.blocks))]), pattern.slots)


def rows_together(xs: Any, size: int) -> int | None:
    """How many rows of a pattern waste least, by some of the rows; None where they have none."""
    seen = _seen(xs)
    return None if seen is None else _by_pattern(seen, size, None).together


def _seen(xs: Any) -> np.ndarray | None:
    """(n, d) the pattern of each row, where rows have one."""
    patterns = (cells_of(leaf).patterns for leaf in jax.tree.leaves(xs, is_leaf=are_cells))
    return next((np.asarray(pattern) for pattern in patterns if pattern is not None), None)


def _by_length(xs: Any, weights: np.ndarray, load: Load, lengths: np.ndarray) -> Deal:
    """Sequences of like lengths together, each group padded to the longest in it."""
    shards: list[Shard] = []
    slots, laid = np.empty(len(weights), dtype=np.int64), 0
    for rows, width in batches(lengths):
        found = deal(padded(xs, rows, width), weights[rows], load.of(max(width, 1)))
        slots[rows] = laid + np.arange(len(rows))
        shards, laid = shards + found.shards, laid + sum(shard.weights.size for shard in found.shards)
    return Deal(shards, slots)


def _rows_together(counts: np.ndarray) -> int:
    """Rows in a group: few waste the integration, many waste padding."""
    sizes = 2 ** np.arange(10)
    return int(sizes[np.argmin([(-(-counts // size)).sum() * (GROUP + size) for size in sizes])])


def _spans(blocks: int, shards: int) -> list[slice]:
    """Blocks of each shard: as many in every one, the last filled up with padding, so that one program serves all."""
    per = -(-blocks // min(shards, blocks))
    return [slice(first, first + per) for first in range(0, blocks, per)]


def shard_of(xs: Any, weights: np.ndarray, alike: Array | None, size: int, span: slice) -> Shard:
    """The blocks of a span as a shard, filled up with padding; their weights `alike` for all shards, if not None."""
    rows = slice(span.start * size, min(span.stop * size, len(weights)))
    pad = (span.stop - span.start) * size - (rows.stop - rows.start)

    def cut(leaf: np.ndarray) -> Array:
        part = leaf[rows]
        if pad:
            # a copy of a real row: its density is defined, its weight is 0
            part = np.concatenate([part, np.repeat(part[:1], pad, 0)])
        return jnp.asarray(part.reshape(-1, size, *leaf.shape[1:]))

    if alike is None or pad:
        alike = jnp.asarray(np.concatenate([weights[rows], np.zeros(pad)]).reshape(-1, size))
    return Shard(jax.tree.map(cut, xs), alike)


def _grouped(xs: Any, weights: np.ndarray, rows: np.ndarray, filled: np.ndarray, height: int, span: slice) -> Shard:
    part = rows[span.start * height : span.stop * height]
    shape = (-1, height, rows.shape[1])

    def cut(leaf: Any) -> Any:
        if are_cells(leaf):
            seen = np.asarray(leaf.patterns)[part[:, 0]]
            return replace(leaf, value=cut(leaf.value), seen=jnp.asarray(seen.reshape(-1, height, seen.shape[1])))
        taken = np.asarray(leaf)[part.ravel()]
        return jnp.asarray(taken.reshape(*shape, *taken.shape[1:]))

    w = np.where(filled.reshape(rows.shape)[span.start * height : span.stop * height], weights[part], 0.0)
    return Shard(jax.tree.map(cut, xs, is_leaf=are_cells), jnp.asarray(w.reshape(shape)))


def flat(shard: Shard) -> Any:
    """The rows of a shard end to end, padding included, each with its own pattern."""
    depth = shard.weights.ndim

    def lay(leaf: Any) -> Any:
        if not are_cells(leaf):
            return leaf.reshape(-1, *leaf.shape[depth:])
        if leaf.patterns is None:
            return jax.tree.map(lay, leaf)
        size = shard.weights.shape[-1] if leaf.seen.ndim == depth else 1
        seen = jnp.repeat(leaf.seen.reshape(-1, leaf.seen.shape[-1]), size, 0)
        return replace(leaf, value=lay(leaf.value), seen=seen)

    return jax.tree.map(lay, shard.xs, is_leaf=are_cells)


def rows_of(dealt: Deal) -> Any:
    """The rows again, in order, without padding."""
    laid = [flat(shard) for shard in jax.device_get(dealt.shards)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[dealt.slots], *laid)


def finer(shard: Shard, width: int) -> Shard:
    """The same rows in blocks so small that each may hold `width` numbers for a row."""
    if width == 1:
        return shard
    rows = (HELD if accelerator() is None else HELD_THERE) // width
    whole = size = shard.weights[0].size
    while size % 2 == 0 and size > rows:
        size //= 2
    if size == whole:
        return shard
    if shard.weights.ndim == 2:
        return jax.tree.map(lambda leaf: leaf.reshape(-1, size, *leaf.shape[2:]), shard)
    height, together = shard.weights.shape[1:]
    fewer = max(size // together, 1)
    if height % fewer:
        fewer = 1

    def cut(leaf: Any) -> Any:
        return leaf.reshape(-1, fewer, *leaf.shape[2:])

    return jax.tree.map(cut, shard)
