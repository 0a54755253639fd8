"""Groups of rows read once, each put in a frame of its own, and dealt to programs in batches of like size."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import taken
from latens.engine.binding import Bound
from latens.engine.blocks import cores
from latens.engine.certain import Found, solve
from latens.engine.groups import Groups, begin, features, pooled
from latens.engine.stop import Status
from latens.errors import LatensError
from latens.families.frame import AbstractFrame
from latens.models.iid import IID
from latens.models.mixture import Mixture
from latens.models.seeding import partition
from latens.numerics.compiling import double, one_thread_each

SIDE = 128  # groups in one program
SHORTEST = 8  # rows that a group is padded to, at least


class Group(NamedTuple):
    """What was found of one group: every reported scalar (P,), its standard error or NaN, and a note that says why."""

    values: np.ndarray
    errors: np.ndarray
    n: float
    log_likelihood: float
    status: str
    distance: float
    note: str


class _Ready(NamedTuple):
    """A group in a frame of its own."""

    i: int
    frame: AbstractFrame
    xs: Any
    seeds: Any  # rows to draw starts from, with their columns as given
    weights: np.ndarray
    offset: float


class Abreast:
    """All groups of a model whose density is that of a family's, in batches of like size."""

    def __init__(self, read: Bound, starts: int, seed: int) -> None:
        self.read, self.model, self.starts, self.seed = read, read.model, starts, seed
        model = self.model
        # looked up once: a method of a module is made anew each time
        self.steps = model.require, model.frame, model.reader.observe, model.labelled

    def together(self, rows: Sequence[np.ndarray], weights: np.ndarray) -> list[Group | None]:
        """What was found of each group that is certainly at a maximum."""
        found: list[Group | None] = [None] * len(rows)
        if not isinstance(self.model, IID | Mixture) or not self.model.finite:
            return found
        place = np.full(self.read.rows_read, -1)
        place[self.read.rows_used] = np.arange(len(self.read.weights))
        waiting: dict[Any, list[_Ready]] = {}
        with one_thread_each(), ThreadPoolExecutor(cores()) as pool:
            ends: list[Future[None]] = []
            compiled: set[Any] = set()

            def submit(kind: Any, batch: list[_Ready]) -> None:
                # two threads would compile the same program
                first = (kind, _size(len(batch))) not in compiled
                compiled.add((kind, _size(len(batch))))
                ends.append(pool.submit(self._solved, batch, found))
                if first:
                    ends[-1].result()

            for i, each in enumerate(rows):
                ready = self._ready(i, place[each][place[each] >= 0])
                if ready is None:
                    continue
                kind = _kind(ready)
                waiting.setdefault(kind, []).append(ready)
                if len(waiting[kind]) == SIDE:
                    submit(kind, waiting.pop(kind))
            for kind, batch in waiting.items():
                submit(kind, batch)
            for end in ends:
                end.result()
        return found

    def _ready(self, i: int, rows: np.ndarray) -> _Ready | None:
        if not len(rows):
            return None
        xs, weights = taken(self.read.xs, rows), self.read.weights[rows]
        require, framing, observe, labelled = self.steps
        try:
            require(xs, self.read.columns)
            frame = framing(xs, weights, self.read.columns)
            if frame.lack:
                return None
            moved = labelled(observe(frame.apply(xs)), None)
        except LatensError:
            return None
        seeds = xs if isinstance(xs, np.ndarray) and np.isfinite(xs).all() else frame.unmixed(moved)
        return _Ready(i, frame, moved, seeds, weights, float(np.sum(weights * frame.log_jacobian(xs))))

    @double
    def _solved(self, batch: list[_Ready], found: list[Group | None]) -> None:
        length, side = _length(batch[0]), _size(len(batch))
        filled = [*batch, *[batch[0]] * (side - len(batch))]
        frames, xs = (
            jax.tree.map(lambda *leaves: np.stack(leaves), *each)
            for each in ([one.frame for one in filled], [_padded(one.xs, length) for one in filled])
        )
        weights = np.stack([np.pad(one.weights, (0, length - len(one.weights))) for one in filled])
        groups: Groups = jax.tree.map(jnp.asarray, Groups(frames, xs, jnp.asarray(weights)))
        if isinstance(self.model, IID):
            points = pooled(self.model, groups)
        else:
            points = begin(self.model, groups, jnp.asarray(self._memberships(filled, length)))
        end = solve(self.model, groups, points)
        for j, ready in enumerate(batch):
            if end.sure[j]:
                found[ready.i] = _told(ready, end, j)

    def _memberships(self, batch: list[_Ready], length: int) -> np.ndarray:
        assert isinstance(self.model, Mixture)
        k = self.model.components.k
        rows = jax.tree.map(lambda *leaves: np.stack(leaves), *(_padded(r.seeds, length) for r in batch))
        every = np.asarray(features(self.model, rows))
        found = np.zeros((len(batch), self.starts, length, k))
        for j, ready in enumerate(batch):
            n = len(ready.weights)
            own = np.lexsort(every[j, :n].T[::-1])  # neither order nor repetition of rows makes a difference
            for s in range(self.starts):
                rng = np.random.default_rng([self.seed, ready.i, s])
                found[j, s, own] = partition(every[j, own], ready.weights[own], k, rng)
        return found


def _length(ready: _Ready) -> int:
    return int(max(2 ** np.ceil(np.log2(len(ready.weights))), SHORTEST))


def _size(groups: int) -> int:
    return SIDE if groups == SIDE else int(2 ** np.ceil(np.log2(groups)))


def _kind(ready: _Ready) -> Any:
    """What groups in one program have in common."""
    leaves, tree = jax.tree.flatten((ready.frame, ready.xs))
    n = len(ready.weights)
    shapes = [(np.shape(leaf)[1:] if np.shape(leaf)[:1] == (n,) else np.shape(leaf)) for leaf in leaves]
    return _length(ready), tree, str(shapes)


def _padded(xs: Any, length: int) -> Any:
    """With the first row again and again."""
    return jax.tree.map(lambda leaf: np.concatenate([leaf, np.repeat(leaf[:1], length - len(leaf), 0)]), xs)


def _told(ready: _Ready, end: Found, j: int) -> Group:
    jacobian, curve = end.local.jacobian[j], end.local.curve[j]
    covariance = jacobian @ np.linalg.solve(curve, jacobian.T)
    return Group(
        np.asarray(end.local.reported[j]),
        np.sqrt(np.maximum(np.diag(covariance), 0.0)),
        float(ready.weights.sum()),
        float(end.local.value[j]) + ready.offset,
        Status.CONVERGED.value,
        float(end.distance[j]),
        "",
    )
