"""What a pass over rows of a source does: look at them, add them up, sum a program or call it for each row."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from threading import Lock
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from latens.data.arrow import Columns
from latens.data.parts import Part
from latens.data.survey import Survey, codes, places, some_of
from latens.engine.blocks import Shard, finer
from latens.engine.dealer import Facts, Item, Piece
from latens.engine.derivatives import cluster_scores
from latens.engine.emmap import evidences
from latens.engine.kept import Kept, plain
from latens.engine.rows import Program
from latens.numerics.compiling import rung

T = TypeVar("T")


class AbstractJob(ABC, Generic[T]):
    """What a pass does. It is sent to where the rows are, so it must be small."""

    @abstractmethod
    def of(self, kept: Kept, item: Item) -> T:
        """What one piece gives."""

    @abstractmethod
    def plus(self, total: T, value: T) -> T:
        """The sum of earlier rows and of those that come next."""

    def items(self, kept: Kept, part: Part) -> Iterator[Item]:
        """The pieces of a part."""
        return kept.items(part)

    def ended(self, kept: Kept, part: Part) -> None:
        """All pieces of a part have been taken."""
        kept.ended(part)


class AbstractReading(AbstractJob[T]):
    """A job that takes rows as they are read, of which nothing is kept."""

    def items(self, kept: Kept, part: Part) -> Iterator[Item]:
        return kept.dealer.items(part)

    def ended(self, kept: Kept, part: Part) -> None:
        pass


class Look(AbstractReading[Survey]):
    """The first pass: before it is known how rows are read."""

    def of(self, kept: Kept, item: Item) -> Survey:
        found = Survey()
        assert isinstance(item.content, dict)
        found.counts[item.part.number] = item.first
        found.add(item.part, item.content, kept.dealer.source.weights)
        return found

    def plus(self, total: Survey, value: Survey) -> Survey:
        return total.merge(value)


class Settle(AbstractReading[Facts]):
    """What rows add up to whatever the params are."""

    def of(self, kept: Kept, item: Item) -> Facts:
        return kept.dealer.facts(kept.dealer.read(item))

    def plus(self, total: Facts, value: Facts) -> Facts:
        return total.plus(value)


class Take(AbstractReading[list[Columns]]):
    """A share of the rows, drawn by their places."""

    def __init__(self, share: float, seed: int) -> None:
        self.bar, self.seed = int(share * 2**64), seed

    def of(self, kept: Kept, item: Item) -> list[Columns]:
        assert isinstance(item.content, dict)
        n = len(codes(next(iter(item.content.values()))))
        few = np.flatnonzero(places(item.part.number, item.first, n, self.seed) < self.bar)
        return [{name: some_of(column, few) for name, column in item.content.items()}]

    def plus(self, total: list[Columns], value: list[Columns]) -> list[Columns]:
        total += value
        return total


class AbstractProgramJob(AbstractJob[T]):
    """A job that calls a program with arguments, which are sent as arrays and the tree that they are leaves of.

    What the tree was made of is kept by its bytes: a program is compiled for one tree, and a copy of it, such as comes
    out of a pickle, is another to JAX where a part of it knows no equality but identity.
    """

    args: Any

    def __getstate__(self) -> dict[str, Any]:
        leaves, tree = jax.tree.flatten(self.args)
        return vars(self) | {"args": (leaves, dumps(jax.tree.unflatten(tree, range(len(leaves)))))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        leaves, tree = state["args"]
        vars(self).update(state | {"args": jax.tree.unflatten(_tree(tree), leaves)})


@lru_cache(maxsize=64)
def _tree(sent: bytes) -> Any:
    return jax.tree.structure(pickle.loads(sent))


def dumps(value: Any) -> bytes:
    """Pickled; what a user defined in a notebook or script by its content, if cloudpickle is there."""
    try:
        from cloudpickle import dumps as by_value
    except ImportError:
        return pickle.dumps(value, protocol=5)
    found: bytes = by_value(value, protocol=5)
    return found


class Sum(AbstractProgramJob[Any]):
    """Σ of what a program gives."""

    def __init__(
        self, program: Program, args: Any, width: int, settings: dict[str, Any], draw: int | None = None
    ) -> None:
        """With a seed to `draw` by, under Poisson weights whose means are the weights."""
        self.program, self.args, self.width, self.settings = program, plain(args), width, settings
        self.draw = draw

    def of(self, kept: Kept, item: Item) -> Any:
        piece = kept.piece(item)
        shard = piece.shard
        if self.draw is not None:
            seed = np.random.default_rng([self.draw, item.part.number, item.number])
            weights = np.zeros(shard.weights.size)
            weights[piece.slots] = seed.poisson(np.asarray(shard.weights).reshape(-1)[piece.slots])
            shard = shard._replace(weights=jnp.asarray(weights.reshape(shard.weights.shape)))
        return plain(once_compiled(kept, self.program, self.args, finer(shard, self.width), self.settings))

    def plus(self, total: Any, value: Any) -> Any:
        return jax.tree.map(np.add, total, value)


class Clustered(AbstractReading[dict[Any, np.ndarray]], AbstractProgramJob[dict[Any, np.ndarray]]):
    """Cluster → the sum of the scores of its rows, (p,)."""

    def __init__(self, args: Any, width: int) -> None:
        self.args, self.width = plain(args), width

    def of(self, kept: Kept, item: Item) -> dict[Any, np.ndarray]:
        read = kept.dealer.read(item)
        assert read.clusters is not None
        kinds, which = np.unique(read.clusters, return_inverse=True)
        piece = kept.dealer.blocks(read)
        laid = np.zeros(piece.shard.weights.size, dtype=np.int64)
        laid[piece.slots] = which
        labels = jnp.asarray(laid.reshape(piece.shard.weights.shape))
        shard = finer(Shard((piece.shard.xs, labels), piece.shard.weights), self.width)
        settings = {"number": rung(len(kinds))}
        sums = np.asarray(once_compiled(kept, cluster_scores, self.args, shard, settings))
        counts = np.bincount(which, read.weights)
        return {kind: sums[i] for i, kind in enumerate(kinds.tolist()) if counts[i] > 0}

    def plus(self, total: dict[Any, np.ndarray], value: dict[Any, np.ndarray]) -> dict[Any, np.ndarray]:
        for kind, scores in value.items():
            total[kind] = total[kind] + scores if kind in total else scores
        return total


class Each(AbstractProgramJob[list[Any]]):
    """What a program gives for every row, in pieces: of each a tree of arrays."""

    def __init__(self, program: Program, args: Any) -> None:
        self.program, self.args = program, plain(args)

    def of(self, kept: Kept, item: Item) -> list[Any]:
        return [self.laid(kept, kept.piece(item))]

    def laid(self, kept: Kept, piece: Piece) -> Any:
        """What the program gives for the rows of a piece, in their order."""
        depth = piece.shard.weights.ndim

        def lay(leaf: Any) -> np.ndarray:
            return np.asarray(leaf).reshape(-1, *np.shape(leaf)[depth:])[piece.slots]

        return jax.tree.map(lay, once_compiled(kept, self.program, self.args, piece.shard, {}))

    def plus(self, total: list[Any], value: list[Any]) -> list[Any]:
        total += value
        return total


class Densities(Each):
    """The log-likelihood of every row, in the units of the data."""

    def __init__(self, args: Any) -> None:
        super().__init__(evidences, args)

    def laid(self, kept: Kept, piece: Piece) -> Any:
        return super().laid(kept, piece) + piece.jacobian


def once_compiled(kept: Kept, program: Program, args: Any, shard: Any, settings: dict[str, Any]) -> Any:
    """Call a program; the first of several threads that would compile it for such rows does, while the others wait."""
    shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves((args, shard)))
    key = program, shapes, jax.tree.structure(shard), *sorted(settings.items())
    if key in kept.compiled:
        return program(*args, shard, **settings)
    with kept.lock:
        own = kept.compiling.setdefault(key, Lock())
    with own:
        found = jax.block_until_ready(program(*args, shard, **settings))
        kept.compiled.add(key)
    return found
