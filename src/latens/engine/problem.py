"""Data bound to a model, in the coordinates the computation runs in."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import cached_property
from types import CodeType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import complete_like, is_half_seen, shown, without_labels
from latens.data.sets import ungroup
from latens.engine.blocks import Deal, Shard, cores, deal, finer, rows_of, shards_for, size_for
from latens.engine.emmap import evidences, expect, expected_value, many_steps, one_step, row_step, update, value
from latens.engine.maps import AbstractMap, Step
from latens.engine.reading import bind
from latens.engine.status import Status
from latens.engine.stop import noise
from latens.errors import ModelError, ParameterError
from latens.families.frame import AbstractFrame
from latens.models.base import AbstractModel
from latens.numerics.precision import double
from latens.numerics.space import Params, Space


@jax.jit
def to_free(model: AbstractModel, params: Params) -> Array:
    """Params in the frame → free coordinates."""
    return Space(model.constraints).free(params)


@jax.jit
def _to_params(model: AbstractModel, frame: AbstractFrame, free: Array) -> Params:
    return frame.leave(Space(model.constraints).params(free))


TOGETHER = 5  # points in one evaluation of the map from many; the same on any number of cores, so that results are


class Problem(AbstractMap):
    """A model, its data in shards, and the map between what users see and what is computed."""

    side_by_side = False  # whether one point is evaluated as many are

    @double
    def __init__(self, model: AbstractModel, data: Any, weights: Any = None, labels: Any = None) -> None:
        read = bind(model, data, weights, labels)
        self.given, self.columns, self.weights = model, read.columns, read.weights
        self.rows_read, self.rows_used = read.rows_read, read.rows_used
        self.frame: AbstractFrame = model.frame(read.xs, self.weights, read.columns)
        self.model = model.framed(self.frame)
        self.row_jacobian = self.frame.log_jacobian(read.xs)
        self.space = Space(model.constraints)
        told = read.labels
        self.exchangeable = model.exchangeable if told is None or told.all() else ()
        self._deal(model.labelled(model.observe(self.frame.apply(read.xs)), told))

    def _deal(self, moved: Any) -> None:
        shards = shards_for(len(self.weights)) if self.model.finite else 1
        self.shards, self.slots = deal(moved, self.weights, size_for(self._row_size(moved)), shards)
        self._compiled: set[CodeType] = set()
        self._pool = ThreadPoolExecutor(min(cores(), len(self.shards))) if len(self.shards) > 1 else None
        self.n = float(self.weights.sum())
        self.offset = float(np.sum(self.weights * self.row_jacobian))
        self._total = jnp.asarray(self.n)

    @double
    def part(self, rows: np.ndarray) -> "Problem":
        """The same problem on some of its rows, in the same frame."""
        part = self._emptied()
        part.weights, part.rows_used = self.weights[rows], self.rows_used[rows]
        part.row_jacobian = np.broadcast_to(self.row_jacobian, self.weights.shape)[rows]
        part._deal(jax.tree.map(lambda leaf: np.asarray(leaf[rows]), self.xs))
        return part

    @double
    def elsewhere(self, data: Any) -> "Problem":
        """Other rows, each of weight 1; `carried` takes free coordinates there."""
        rows = self.given.read(ungroup(data)[0])
        other = self._emptied()
        other.frame = self.frame.suiting(rows.xs)
        other.model = self.given.framed(other.frame)
        n = len(jax.tree.leaves(rows.xs)[0])
        other.weights, other.rows_used = np.ones(n), np.arange(n)
        other.row_jacobian = other.frame.log_jacobian(rows.xs)
        other._deal(other.model.observe(other.frame.apply(rows.xs)))
        return other

    def carried(self, free: np.ndarray, other: "Problem") -> np.ndarray:
        """A point in the free coordinates that the other's frame has."""
        return free if other.frame is self.frame else other.free(self.params(free), "params")

    def _emptied(self) -> "Problem":
        other = copy(self)
        for name in ("xs", "sizes", "_moments"):
            other.__dict__.pop(name, None)
        return other

    def _row_size(self, xs: Any) -> int:
        """Doubles that one row and what is computed from it occupy: about a block of potentials."""
        potentials = jax.eval_shape(lambda u: self.model.potentials(self.space.params(u)), self.centre)
        leaves = jax.tree.leaves(potentials)
        widths = sum(sum(leaf.shape) for leaf in leaves)
        return int(widths) + sum(leaf.size // len(leaf) for leaf in jax.tree.leaves(xs))

    @property
    def centre(self) -> Array:
        """(p,) the origin of the free coordinates."""
        return jnp.zeros(self.space.size)

    @double
    def step(self, free: np.ndarray) -> Step:
        """Evaluate the EM map: the log-likelihood at `free`, and where E and M lead from there."""
        if self.side_by_side:
            return self.steps(np.array([free] * TOGETHER))[0]
        point = jnp.asarray(free)
        if self._pool is None:
            whole = one_step if self.model.finite else row_step
            log_lik, move = whole(self.model, point, self.shards[0], self._total)
        else:
            log_lik, stats = self.add(lambda shard: expect(self.model, point, shard))
            move = update(self.model, point, stats, self._total)
        return Step(float(log_lik) + self.offset, np.asarray(move.free), float(move.length), np.asarray(move.health))

    @double
    def steps(self, points: np.ndarray) -> list[Step]:
        """The same from many points (b, p) at once; worth it where the data are few."""
        log_liks, move = many_steps(self.model, jnp.asarray(points), self.shards, self._total)
        found = (np.asarray(leaf) for leaf in (log_liks + self.offset, *move))
        return [Step(float(v), free, float(length), health) for v, free, length, health in zip(*found, strict=True)]

    @double
    def health(self, free: np.ndarray) -> np.ndarray:
        """(m,) how far each part of the model is from degenerating at a point: below 1 it has."""
        return np.asarray(self.model.health(self.inside(jnp.asarray(free)), self._total))

    @double
    def log_likelihood(self, free: np.ndarray) -> float:
        """ℓ at free coordinates, in the units of the data."""
        u = jnp.asarray(free)
        return float(self.add(lambda shard: value(self.model, u, shard))) + self.offset

    @double
    def surrogate(self, free: np.ndarray, at: np.ndarray) -> float:
        """Σ w Q(free | at), up to a term that `free` does not enter."""
        u, v = jnp.asarray(free), jnp.asarray(at)
        return float(self.add(lambda shard: expected_value(self.model, u, v, shard)))

    def add(self, function: Callable[[Shard], Any], shards: list[Shard] | None = None) -> Any:
        """Σ over shards, dealt to threads (JAX releases the interpreter lock), added on the host in their order."""
        shards = self.shards if shards is None else shards
        if self._pool is None:
            return function(shards[0])
        done = []
        if function.__code__ not in self._compiled:  # two threads would compile the same program
            self._compiled.add(function.__code__)
            done = [jax.block_until_ready(function(shards[0]))]
        rest = shards[len(done) :]
        parts = done + list(self._pool.map(lambda shard: jax.block_until_ready(double(function)(shard)), rest))
        return jax.tree.map(lambda *leaves: sum(leaves[1:], start=leaves[0]), *parts)

    def as_dealt(self, values: np.ndarray, shards: list[Shard] | None = None) -> list[Array]:
        """(n,) values of the rows, cut and padded with zeros as the shards are."""
        shapes = [s.weights.shape for s in (self.shards if shards is None else shards)]
        sizes = [int(np.prod(shape)) for shape in shapes]
        padded = np.zeros(sum(sizes), dtype=values.dtype)
        padded[self.slots] = values
        cuts = np.cumsum(sizes)[:-1]
        return [jnp.asarray(part.reshape(s)) for part, s in zip(np.split(padded, cuts), shapes, strict=True)]

    @double
    def reweighted(self, weights: np.ndarray) -> "Problem":
        """The same rows with other weights, in the same frame."""
        other = copy(self)
        other.weights, other.n = weights, float(weights.sum())
        other.offset = float(np.sum(weights * self.row_jacobian))
        pairs = zip(self.shards, self.as_dealt(weights), strict=True)
        other.shards = [Shard(shard.xs, dealt) for shard, dealt in pairs]
        other._total = jnp.asarray(other.n)
        return other

    def modelled(self, model: AbstractModel) -> "Problem":
        """The same rows under another model with the same parameters."""
        other = copy(self)
        other.model = model
        return other

    @cached_property
    def names(self) -> list[str]:
        """A label for every scalar."""
        return self.space.names(self.model.axes(self.columns))

    @cached_property
    @double
    def _moments(self) -> np.ndarray:
        """Weight, and weighted sums of every column and its square in the units of the data, sorted."""
        rows = self.frame.undo(without_labels(self.xs))
        found = [np.array([self.n])]
        for leaf in jax.tree.leaves(jax.tree.map(shown, rows, is_leaf=is_half_seen)):
            given = np.asarray(leaf, dtype=float).reshape(len(self.weights), -1)
            flat = np.where(np.isfinite(given), given, 0.0)
            found += [self.weights @ flat, self.weights @ flat**2]
        return np.sort(np.concatenate(found))

    def same_data(self, other: "Problem") -> bool:
        """Whether the other's rows and weights are these, in any order."""
        a, b = self._moments, other._moments
        return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-7))

    def finer(self, p: int) -> list[Shard]:
        """The same shards in smaller blocks, for work that holds p numbers for every row and component."""
        return [finer(shard, (1 << 18) // p) for shard in self.shards]

    @cached_property
    def sizes(self) -> Any:
        """Rows to take trials and exposures from when sampling."""
        return complete_like(without_labels(self.xs))

    @cached_property
    def xs(self) -> Any:
        """Rows in the frame, as `log_evidence` takes them."""
        with jax.ensure_compile_time_eval():  # kept, so it must be arrays even if first asked for in a trace
            return rows_of(Deal(self.shards, self.slots))

    @double
    def free(self, params: Params, what: str = "start") -> np.ndarray:
        """Users' params → free coordinates in the frame; raises `ParameterError`."""
        return np.asarray(to_free(self.model, self.frame.enter(self.space.check(params, what))))

    def each(self, function: Callable[[AbstractModel, Array, Shard], Any], free: np.ndarray) -> Any:
        """A function of the rows, block by block: its results in the order of the rows, as NumPy arrays."""
        point = jnp.asarray(free)
        found = [jax.tree.map(np.asarray, function(self.model, point, shard)) for shard in self.shards]
        depth = self.shards[0].weights.ndim

        def lay(*leaves: np.ndarray) -> np.ndarray:
            return np.concatenate([leaf.reshape(-1, *leaf.shape[depth:]) for leaf in leaves])[self.slots]

        return jax.tree.map(lay, *found)

    def inside(self, free: Array) -> Params:
        """Free coordinates → params in the frame."""
        return self.space.params(free)

    def outside(self, free: Array) -> Params:
        """Free coordinates → params as users see them."""
        return self.frame.leave(self.space.params(free))

    @double
    def params(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """Free coordinates → params as users see them, as NumPy arrays."""
        found = _to_params(self.model, self.frame, jnp.asarray(free))
        return {name: np.array(found[name]) for name in self.space.shapes}

    @property
    def rounding(self) -> float:
        return noise(self.n)

    def ailment(self, free: np.ndarray, health: np.ndarray | None = None) -> str:
        ill = ~((self.health(free) if health is None else health) >= 1)
        return self.model.ailment(int(np.argmax(ill))) if ill.any() else ""

    def fallen(self, best: float, free: np.ndarray, step: Step) -> tuple[Status, str] | Exception:
        reason = self.ailment(free)
        if reason or not np.isfinite(step.log_likelihood):
            return Status.DEGENERATE, reason or "the log-likelihood is not finite after the next EM step"
        return ModelError(
            f"the log-likelihood fell from {best:.10g} to {step.log_likelihood:.10g} in a plain EM "
            "step, which cannot happen if estimate(stats) maximises <potentials(params), stats>: check the "
            "model with lt.testing.check_model"
        )

    @double
    def unusable(self, free: np.ndarray, step: Step) -> ParameterError:
        """The first row that a start gives no probability to."""
        logs = self.each(evidences, free)
        bad = ~np.isfinite(logs)
        where = f"row {self.rows_used[int(np.argmax(bad))]}" if bad.any() else "the data"
        return ParameterError(
            f"start: {where} has log-likelihood {logs[bad][0] if bad.any() else np.nan} there; choose another start"
        )
