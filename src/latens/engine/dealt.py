"""The rows of a problem, dealt to shards and looked at by threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from types import CodeType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.data.table import frequencies
from latens.engine.blocks import Deal, Load, Shard, cores, deal, finer, rows_of
from latens.engine.repeats import repeats
from latens.models.base import AbstractModel
from latens.numerics.precision import double
from latens.numerics.threads import one_thread_each


@cache
def _threads(process: int) -> ThreadPoolExecutor:
    """Of this process, for all rows: a fork of it has none of them."""
    return ThreadPoolExecutor(cores())


class Dealt:
    """Rows in shards: row i stands at `slots[i]` of the shards laid end to end; identical rows share a slot."""

    def __init__(self, xs: Any, weights: np.ndarray, load: Load, *, one: bool, together: bool = True) -> None:
        """`load` of a row; `one` shard only; identical rows `together`, their weights added."""
        self.n, same = len(weights), repeats(xs) if together else None
        self.load, self.one = load, one
        if same is not None:
            xs = jax.tree.map(lambda leaf: leaf[same.first], xs)
            weights = np.bincount(same.which, weights)
        self.shards, slots = deal(xs, weights, load.size, 1 if one else load.shards(len(weights)))
        self.slots, self._alone = slots, same is None
        if same is not None:
            self.slots = np.arange(len(weights))[slots][same.which] if isinstance(slots, slice) else slots[same.which]
        self._compiled: set[CodeType] = set()

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: getattr(self, name) for name in ("n", "load", "one", "slots", "_alone")}
        return kept | {"shards": jax.device_get(self.shards)}

    @double
    def __setstate__(self, state: dict[str, Any]) -> None:
        # as arrays of JAX they would have come back in single precision
        self.__dict__ |= state | {"shards": jax.tree.map(jnp.asarray, state["shards"]), "_compiled": set()}

    @cached_property
    def xs(self) -> Any:
        """The rows in order, as `log_evidence` takes them."""
        with jax.ensure_compile_time_eval():  # kept, so it must be arrays even if first asked for in a trace
            return rows_of(Deal(self.shards, self.slots))

    @cached_property
    def whole(self) -> Shard:
        """All rows in one shard, for what runs as one program."""
        if len(self.shards) == 1:
            return self.shards[0]
        whole: Shard = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *self.shards)
        return whole

    @cached_property
    def apart(self) -> "Dealt":
        """The same with a slot for every row, also for identical ones."""
        if self._alone:
            return self
        xs = jax.tree.map(np.asarray, self.xs)
        return Dealt(xs, frequencies(None, self.n), self.load, one=self.one, together=False)

    def add(self, function: Callable[[Shard], Any], shards: list[Shard] | None = None) -> Any:
        """Σ over shards, dealt to threads (JAX releases the interpreter lock), added on the host in their order."""
        shards = self.shards if shards is None else shards
        if len(shards) == 1:
            return function(shards[0])
        done = []
        with one_thread_each():
            if function.__code__ not in self._compiled:  # two threads would compile the same program
                self._compiled.add(function.__code__)
                done = [jax.block_until_ready(function(shards[0]))]
            rest, pool = shards[len(done) :], _threads(os.getpid())
            parts = done + list(pool.map(lambda shard: jax.block_until_ready(double(function)(shard)), rest))
        return jax.tree.map(lambda *leaves: sum(map(np.asarray, leaves)), *parts)

    def each(self, function: Callable[[AbstractModel, Array, Shard], Any], model: AbstractModel, point: Array) -> Any:
        """A function of the rows, block by block: its results in the order of the rows, as NumPy arrays."""
        found = [jax.tree.map(np.asarray, function(model, point, shard)) for shard in self.shards]
        depth = self.shards[0].weights.ndim

        def lay(*leaves: np.ndarray) -> np.ndarray:
            return np.concatenate([leaf.reshape(-1, *leaf.shape[depth:]) for leaf in leaves])[self.slots]

        return jax.tree.map(lay, *found)

    def finer(self, p: int) -> list[Shard]:
        """The same shards in smaller blocks, for work that holds p numbers for every row and component."""
        return [finer(shard, (1 << 18) // p) for shard in self.shards]

    def spread(self, values: np.ndarray, shards: list[Shard] | None = None) -> list[Array]:
        """(n,) values of the rows, cut and padded with zeros as the shards are; those of identical rows add up."""
        shapes = [s.weights.shape for s in (self.shards if shards is None else shards)]
        sizes = [int(np.prod(shape)) for shape in shapes]
        padded = np.zeros(sum(sizes), dtype=values.dtype)
        if isinstance(self.slots, slice):
            padded[self.slots] = values
        else:
            np.add.at(padded, self.slots, values)
        cuts = np.cumsum(sizes)[:-1]
        return [jnp.asarray(part.reshape(s)) for part, s in zip(np.split(padded, cuts), shapes, strict=True)]

    def reweighted(self, weights: np.ndarray) -> "Dealt":
        """The same rows with other weights."""
        other = object.__new__(Dealt)
        other.__dict__ |= {n: v for n, v in vars(self).items() if n != "whole"}  # which has the old weights
        pairs = zip(self.shards, self.spread(weights), strict=True)
        other.shards = [Shard(shard.xs, dealt) for shard, dealt in pairs]
        return other
