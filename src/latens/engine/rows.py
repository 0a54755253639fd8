"""Rows that functions are summed over, wherever they are; here: in memory, looked at by threads."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import lengths_of, taken
from latens.engine.blocks import Deal, Load, Shard, cores, deal, finer, rows_of
from latens.numerics.compiling import double, one_thread_each, operations
from latens.numerics.devices import accelerator, placed

FEWEST = 2_000  # rows below which it is not worth while
SAMPLE = 500  # rows that say whether to look at all
SOME = 128  # rows that say what all cost
Program = Callable[..., Any]


class Repeats(NamedTuple):
    """Distinct rows: `first` (m,) a row that is like each; `which` (n,) of them every row is."""

    first: np.ndarray
    which: np.ndarray


def repeats(xs: Any) -> Repeats | None:
    """The distinct rows, if there are at most half as many as rows."""
    leaves = [np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(xs)]
    n = len(leaves[0])
    if n < FEWEST:
        return None
    few = np.concatenate([leaf[:: -(-n // SAMPLE)].astype(float) for leaf in leaves], 1)
    if len(np.unique(few, axis=0)) > 0.9 * len(few):
        return None
    import polars as pl  # slow to load, and most data have no identical rows

    columns = [leaf[:, j].astype(float) for leaf in leaves for j in range(leaf.shape[1])]
    names = [str(j) for j in range(len(columns))]
    frame = pl.DataFrame(dict(zip(names, columns, strict=True))).with_row_index("row")
    first = frame.group_by(names, maintain_order=True).agg(pl.col("row").first().alias("first"))
    if len(first) > n // 2:
        return None
    which = frame.join(first.with_row_index("which"), on=names, how="left", nulls_equal=True, maintain_order="left")
    return Repeats(first["first"].to_numpy(), which["which"].to_numpy())


class AbstractRows(ABC):
    """Observations with their weights. Nobody else asks where they are or how they are cut.

    A program is a function at the top level of a module, `program(*args, shard)`: it can be pickled and is known by its
    name. A `Shard` has some of the rows, in blocks, and their weights. Shards may differ in the shapes of their rows,
    as sequences of different lengths do; a program is compiled for each shape.

    To write your own (files, machines, a device): the methods below.
    """

    n: int  # how many

    @abstractmethod
    def add(self, program: Program, *args: Any, width: int = 1, **settings: Any) -> Any:
        """Σ over shards of what the program gives, in the order of the shards; it holds `width` numbers for a row."""

    @abstractmethod
    def each(self, program: Program, *args: Any) -> Any:
        """What the program gives for every row, in the order of the rows, as NumPy arrays."""

    @abstractmethod
    def take(self, rows: np.ndarray | slice) -> Any:
        """Some of the rows, as `log_evidence` takes them: samples to find starts from."""

    @abstractmethod
    def reweighted(self, weights: np.ndarray) -> "AbstractRows":
        """The same rows with other weights (n,)."""

    @abstractmethod
    def beside(self, values: np.ndarray, weights: np.ndarray) -> "AbstractRows":
        """Rows (x, value), for a value of each row (n,)."""

    def arrays(self) -> list[Any]:
        """All that the rows are, to know them again by."""
        return jax.tree.leaves(self.take(slice(None)))

    @property
    def at_hand(self) -> tuple[Shard, ...]:
        """All rows for one program to take, where a single one can: shards of different shapes; () if not."""
        return ()

    @property
    def alone(self) -> bool:
        """Whether one program may as well take all at once."""
        return False

    def operations(self, program: jax.stages.Wrapped, *args: Any) -> float:
        """How many numbers a program of one block computes over all rows: counted, so the same on any machine."""
        some = np.arange(min(self.n, SOME))
        sample = RowsInMemory(self.take(some), np.ones(len(some)), Load(1, 1))
        return sample.operations(program, *args) * self.n / len(some)


@cache
def threads(process: int) -> ThreadPoolExecutor:
    """Of this process, for all rows: a fork of it has none of them."""
    return ThreadPoolExecutor(cores())


class RowsInMemory(AbstractRows):
    """Row i stands at `slots[i]` of the shards laid end to end; identical rows share a slot."""

    def __init__(self, xs: Any, weights: np.ndarray, load: Load) -> None:
        """`load` of a row."""
        self.n, self.load = len(weights), load
        self._uneven = xs if lengths_of(xs) is not None else None
        same = repeats(xs) if self._uneven is None else None
        if same is not None:
            xs, weights = taken(xs, same.first), np.bincount(same.which, weights)
        self.shards, self.slots = deal(xs, weights, load)
        if same is not None:
            slots = np.arange(len(weights))[self.slots] if isinstance(self.slots, slice) else self.slots
            self.slots = slots[same.which]
        self._compiled: set[Any] = set()

    @classmethod
    @double
    def even(cls, xs: Any, weights: np.ndarray, load: Load) -> "RowsInMemory":
        """Rows in shards whose shapes depend on nothing but their number, so that others of that number fit a program.

        None are put together, neither identical ones nor those that share a pattern of unseen cells.
        """
        made = object.__new__(cls)
        made.n, made.load, made._compiled = len(weights), load, set()
        made._uneven = xs if lengths_of(xs) is not None else None
        made.shards, made.slots = deal(xs, weights, load, together=1)
        return made

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: getattr(self, name) for name in ("n", "load", "slots", "_uneven")}
        return kept | {"shards": jax.device_get(self.shards)}

    @double
    def __setstate__(self, state: dict[str, Any]) -> None:
        # as arrays of JAX they would have come back in single precision
        self.__dict__ |= state | {"shards": placed(jax.tree.map(jnp.asarray, state["shards"])), "_compiled": set()}

    @cached_property
    def _xs(self) -> Any:
        """The rows in order."""
        if self._uneven is not None:
            return self._uneven
        with jax.ensure_compile_time_eval():  # kept, so it must be arrays even if first asked for in a trace
            return rows_of(Deal(self.shards, self.slots))

    def arrays(self) -> list[Any]:
        return jax.tree.leaves(self.shards)

    def take(self, rows: np.ndarray | slice) -> Any:
        return self._xs if isinstance(rows, slice) and rows == slice(None) else taken(self._xs, rows)

    @cached_property
    def _shapes(self) -> list[Any]:
        """Of each shard, what tells whether a program has been compiled for such."""
        return [tuple(leaf.shape for leaf in jax.tree.leaves(shard)) for shard in self.shards]

    @cached_property
    def at_hand(self) -> tuple[Shard, ...]:
        alike: dict[Any, list[Shard]] = {}
        for shape, shard in zip(self._shapes, self.shards, strict=True):
            alike.setdefault(shape, []).append(shard)

        def joined(*leaves: Array) -> Array:
            return leaves[0] if len(leaves) == 1 else jnp.concatenate(leaves)

        return tuple(jax.tree.map(joined, *some) for some in alike.values())

    @property
    def alone(self) -> bool:
        # else the M-step would be done where the rows are
        return len(set(self._shapes)) == len(self.shards) and accelerator() is None

    @double
    def operations(self, program: jax.stages.Wrapped, *args: Any) -> float:
        def of(shard: Shard) -> float:
            block = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), shard)
            return len(shard.weights) * operations(program, *args, block)

        return sum(map(of, self.shards))

    @double
    def add(self, program: Program, *args: Any, width: int = 1, **settings: Any) -> Any:
        """Dealt to threads (JAX releases the interpreter lock), added on the host."""
        shards = [finer(shard, width) for shard in self.shards]

        @double
        def part(shard: Shard) -> Any:
            return jax.block_until_ready(program(*args, shard, **settings))

        if len(shards) == 1:
            found = program(*args, shards[0], **settings)
            return found if accelerator() is None else jax.device_get(found)
        done: dict[int, Any] = {}
        with one_thread_each():
            for i, shape in enumerate(self._shapes):  # two threads would compile the same program
                key = program, width, shape
                if key not in self._compiled:
                    self._compiled.add(key)
                    done[i] = part(shards[i])
            rest = [i for i in range(len(shards)) if i not in done]
            found = threads(os.getpid()).map(lambda i: part(shards[i]), rest)
            done |= dict(zip(rest, found, strict=True))
        return jax.tree.map(lambda *leaves: sum(map(np.asarray, leaves)), *(done[i] for i in range(len(shards))))

    def each(self, program: Program, *args: Any) -> Any:
        found = [jax.tree.map(np.asarray, program(*args, shard)) for shard in self.shards]

        def lay(*leaves: np.ndarray) -> Any:
            depths = (shard.weights.ndim for shard in self.shards)
            laid = [leaf.reshape(-1, *leaf.shape[depth:]) for leaf, depth in zip(leaves, depths, strict=True)]
            if len({leaf.shape[1:] for leaf in laid}) == 1:
                return np.concatenate(laid)[self.slots]
            rows = [row for leaf in laid for row in leaf]  # of different shapes, as of sequences
            return [rows[slot] for slot in np.arange(len(rows))[self.slots]]

        return jax.tree.map(lay, *found)

    def _spread(self, values: np.ndarray) -> list[Array]:
        """(n,) values of the rows, cut and padded with zeros as the shards are; those of identical rows add up."""
        shapes = [shard.weights.shape for shard in self.shards]
        sizes = [int(np.prod(shape)) for shape in shapes]
        padded = np.zeros(sum(sizes), dtype=values.dtype)
        if isinstance(self.slots, slice):
            padded[self.slots] = values
        else:
            np.add.at(padded, self.slots, values)
        cuts = np.cumsum(sizes)[:-1]
        return [placed(jnp.asarray(part.reshape(s))) for part, s in zip(np.split(padded, cuts), shapes, strict=True)]

    def reweighted(self, weights: np.ndarray) -> "RowsInMemory":
        other = object.__new__(RowsInMemory)
        other.__dict__ |= {n: v for n, v in vars(self).items() if n != "at_hand"}  # which has the old weights
        other.shards = [Shard(s.xs, own) for s, own in zip(self.shards, self._spread(weights), strict=True)]
        return other

    def beside(self, values: np.ndarray, weights: np.ndarray) -> "RowsInMemory":
        # identical rows may have different values
        return RowsInMemory((jax.tree.map(np.asarray, self._xs), values), weights, self.load)
