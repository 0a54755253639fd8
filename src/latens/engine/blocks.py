"""Rows cut into blocks that fit the cache, blocks dealt to cores."""

import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

CACHE = 1 << 17  # doubles a block may occupy together with its statistics: about half an L2 cache
WORTH_A_CORE = 20_000  # rows below which a second core costs more than it saves


class Shard(NamedTuple):
    """The blocks one core works through."""

    xs: Any  # leaves (blocks, size, ...)
    weights: Array  # (blocks, size), 0 for the padding


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def size_for(doubles_per_row: int) -> int:
    """Rows in a block: a power of two from 128 to 2048."""
    wanted = max(CACHE // max(doubles_per_row, 1), 1)
    return int(np.clip(2 ** int(np.log2(wanted)), 128, 2048))


def deal(xs: Any, weights: np.ndarray, size: int, shards: int) -> list[Shard]:
    """All rows as at most `shards` shards of equal length; the last is padded with weight 0."""
    n = len(weights)
    size = min(size, n)
    blocks = -(-n // size)
    shards = min(shards, blocks)
    per = -(-blocks // shards)
    dealt = []
    for first in range(0, blocks, per):
        rows = slice(first * size, min((first + per) * size, n))
        have = rows.stop - rows.start
        length = (min(first + per, blocks) - first) * size

        def cut(leaf: np.ndarray, rows: slice = rows, pad: int = length - have) -> Array:
            part = leaf[rows]
            if pad:
                # a copy of a real row: its density is defined, its weight is 0
                part = np.concatenate([part, np.repeat(part[:1], pad, 0)])
            return jnp.asarray(part.reshape(-1, size, *leaf.shape[1:]))

        w = np.concatenate([weights[rows], np.zeros(length - have)]).reshape(-1, size)
        dealt.append(Shard(jax.tree.map(cut, xs), jnp.asarray(w)))
    return dealt


def rows_of(shards: list[Shard], n: int) -> Any:
    """The rows again, in order, without padding."""
    flat = [jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), shard.xs) for shard in shards]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[:n], *flat)
