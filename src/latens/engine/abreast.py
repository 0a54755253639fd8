"""Groups of rows read once, dealt to programs in batches of like size, each in a frame that suits it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import are_cells, rows_in, taken
from latens.engine.binding import Bound
from latens.engine.blocks import cores
from latens.engine.certain import Found, solve
from latens.engine.groups import Groups, begin, features, filled, pooled
from latens.engine.stop import Status
from latens.errors import LatensError
from latens.families.frame import AbstractFrame
from latens.models.iid import IID
from latens.models.mixture import Mixture
from latens.models.seeding import partition
from latens.numerics.compiling import double, one_thread_each

SIDE = 128  # groups in one program
SHORTEST = 8  # rows that a group is padded to, at least
MARGIN = 100.0  # how far from degenerate a component must be whose group is not quite in the units of its frame


class Group(NamedTuple):
    """What was found of one group: every reported scalar (P,), its standard error or NaN, and a note that says why."""

    values: np.ndarray
    errors: np.ndarray
    n: float
    log_likelihood: float
    status: str
    distance: float
    note: str


class _Framed(NamedTuple):
    """Rows in a frame."""

    frame: AbstractFrame
    xs: Any
    seeds: Any  # to draw starts from, with their columns as given
    weights: np.ndarray  # (n,)
    offsets: np.ndarray  # (n,) what the log-density of a row gains by the frame
    seen: np.ndarray  # (n,) whether anything was

    def picked(self, rows: np.ndarray, counts: np.ndarray) -> Any:
        """Rows (..., m) as they are side by side, those that do not count with weight 0."""
        weights = self.weights[rows] * counts
        told = (weights * self.offsets[rows]).sum(-1), (weights * self.seen[rows]).sum(-1)
        return taken(self.xs, rows), taken(self.seeds, rows), weights, *told


class _Side(NamedTuple):
    """Groups side by side, padded with their first row, which counts nothing there."""

    groups: Sequence[int]  # (g,)
    margin: float  # how far from degenerate they must be
    frames: AbstractFrame  # leaves (g, ...)
    xs: Any  # (g, m, ...)
    seeds: Any
    weights: np.ndarray  # (g, m)
    offsets: np.ndarray  # (g,)
    n: np.ndarray  # (g,)

    @property
    def kind(self) -> Any:
        """What sides that one program is for have in common."""
        leaves, tree = jax.tree.flatten((self.frames, self.xs))
        return tree, tuple((np.shape(leaf), str(leaf.dtype)) for leaf in leaves)


class Abreast:
    """All groups of a model whose density is that of a family's, in batches of like size."""

    def __init__(self, read: Bound, rows: Sequence[np.ndarray], starts: int, seed: int) -> None:
        self.read, self.model = read, read.model
        place = np.full(read.rows_read, -1)
        place[read.rows_used] = np.arange(len(read.weights))
        self.rows = [each[each >= 0] for each in (place[each] for each in rows)]
        self.k = read.model.components.k if isinstance(read.model, Mixture) else 1
        self.draws = np.random.default_rng(seed).random((len(rows), starts, self.k))

    def together(self) -> list[Group | None]:
        """What was found of each group that is certainly at a maximum."""
        found: list[Group | None] = [None] * len(self.rows)
        if not isinstance(self.model, IID | Mixture) or not self.model.finite:
            return found
        with one_thread_each(), ThreadPoolExecutor(cores()) as pool:
            ends: list[Future[None]] = []
            compiled: set[Any] = set()
            for side in self._sides():
                ends.append(pool.submit(self._solved, side, found))
                if side.kind not in compiled:  # two threads would compile the same program
                    compiled.add(side.kind)
                    ends[-1].result()
            for end in ends:
                end.result()
        return found

    def _sides(self) -> Iterator[_Side]:
        """Batches of groups that are at home in a frame of all whose rows were seen exactly, then of the others."""
        alone = [i for i, own in enumerate(self.rows) if len(own)]
        if (exact := _exact(self.read.xs)).any():
            seen = np.array([i for i in alone if exact[self.rows[i]].all()], dtype=int)
            sizes = np.array([len(self.rows[i]) for i in seen], dtype=int)
            common = self._framed(np.concatenate([self.rows[i] for i in seen])) if len(seen) else None
            if common is not None:
                begins = np.cumsum(sizes) - sizes
                home = common.frame.at_home(common.xs, begins)
                alone = sorted({*alone} - {*seen[home].tolist()})
                for length, chosen in _batches(sizes, np.flatnonzero(home)):
                    yield _cut(common, seen[chosen], begins[chosen], sizes[chosen], length)
        waiting: dict[Any, list[tuple[int, _Framed]]] = {}
        for i in alone:
            framed = self._framed(self.rows[i])
            if framed is not None:
                waiting.setdefault(_kind(framed), []).append((i, framed))
        for alike in waiting.values():
            yield from (_stacked(alike[i : i + SIDE]) for i in range(0, len(alike), SIDE))

    def _framed(self, rows: np.ndarray) -> _Framed | None:
        """Rows in the frame that they ask for, if there is one."""
        xs, weights = taken(self.read.xs, rows), self.read.weights[rows]
        try:
            frame = self.model.frame(xs, weights, self.read.columns)
            if frame.lack:
                return None
            moved = self.model.labelled(self.model.reader.observe(frame.apply(xs)), None)
        except LatensError:
            return None
        seeds = xs if isinstance(xs, np.ndarray) and np.isfinite(xs).all() else frame.unmixed(moved)
        offsets = np.broadcast_to(frame.log_jacobian(xs), weights.shape)
        return _Framed(frame, moved, seeds, weights, offsets, self.read.informative[rows])

    @double
    def _solved(self, side: _Side, found: list[Group | None]) -> None:
        groups = Groups(side.frames, side.xs, side.weights)
        if isinstance(self.model, IID):
            points = pooled(self.model, groups)
        else:
            points = begin(self.model, groups, jnp.asarray(self._memberships(side)))
        end = solve(self.model, groups, points)
        sure = end.sure & (end.local.health >= side.margin)
        errors = _errors(end)
        for j in np.flatnonzero(sure).tolist():
            level = float(end.local.value[j] + side.offsets[j])
            distance = float(end.distance[j])
            reported = np.asarray(end.local.reported[j])
            found[side.groups[j]] = Group(
                reported, errors[j], float(side.n[j]), level, Status.CONVERGED.value, distance, ""
            )

    def _memberships(self, side: _Side) -> np.ndarray:
        """(g, s, m, k); neither the order nor the repetition of rows makes a difference."""
        every = np.asarray(features(self.model, side.seeds))
        order = np.lexsort(np.moveaxis(every, -1, 0)[::-1], axis=-1)
        laid, weights = np.take_along_axis(every, order[:, :, None], 1), np.take_along_axis(side.weights, order, 1)
        shares = partition(laid[:, None], weights[:, None], self.k, self.draws[np.asarray(side.groups)])
        found = np.empty_like(shares)
        np.put_along_axis(found, order[:, None, :, None], shares, 2)
        return found


def _length(rows: int) -> int:
    return int(max(2 ** np.ceil(np.log2(rows)), SHORTEST))


def _batches(sizes: np.ndarray, chosen: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Some of the groups, of so many rows each, those of like size together: what they are padded to, and which."""
    lengths = np.array([_length(size) for size in sizes[chosen]])
    for length in np.unique(lengths):
        own = chosen[lengths == length]
        for i in range(0, len(own), SIDE):
            yield int(length), np.array(filled(own[i : i + SIDE].tolist()))


def _exact(xs: Any) -> np.ndarray:
    """(n,) which rows are numbers that were seen, all of them."""
    found = np.ones(rows_in(xs), dtype=bool)
    for leaf in jax.tree.leaves(xs, is_leaf=are_cells):
        found &= isinstance(leaf, np.ndarray) and np.isfinite(leaf).reshape(len(leaf), -1).all(1)
    return found


def _cut(common: _Framed, groups: np.ndarray, begins: np.ndarray, sizes: np.ndarray, length: int) -> _Side:
    """Groups of rows that follow one another in a frame of all."""
    counts = np.arange(length) < sizes[:, None]
    parts = common.picked(begins[:, None] + np.where(counts, np.arange(length), 0), counts)
    frames = jax.tree.map(lambda leaf: np.stack([leaf] * len(groups)), common.frame)
    return _Side(groups.tolist(), MARGIN, frames, *parts)


def _kind(framed: _Framed) -> Any:
    """What groups in one program have in common."""
    leaves, tree = jax.tree.flatten((framed.frame, framed.xs))
    n = len(framed.weights)
    shapes = [(np.shape(leaf)[1:] if np.shape(leaf)[:1] == (n,) else np.shape(leaf)) for leaf in leaves]
    return _length(n), tree, str(shapes)


def _stacked(batch: list[tuple[int, _Framed]]) -> _Side:
    batch = filled(batch)
    length = _length(len(batch[0][1].weights))
    parts = []
    for _, framed in batch:
        counts = np.arange(length) < len(framed.weights)
        parts.append((framed.frame, *framed.picked(np.where(counts, np.arange(length), 0), counts)))
    return _Side([i for i, _ in batch], 1.0, *jax.tree.map(lambda *leaves: np.stack(leaves), *parts))


def _errors(end: Found) -> np.ndarray:
    """(g, P) standard errors; of groups that are not at a maximum they say nothing."""
    jacobian, p = end.local.jacobian, end.free.shape[1]
    curve = np.where(end.sure[:, None, None], end.local.curve, np.eye(p))
    turned = np.linalg.solve(curve, np.swapaxes(jacobian, 1, 2))
    return np.sqrt(np.maximum(np.einsum("gap,gpa->ga", jacobian, turned), 0.0))
