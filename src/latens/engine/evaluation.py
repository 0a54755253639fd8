"""The EM map of rows under a model: with as much care as its points turn out to take."""

from collections.abc import Callable
from copy import copy
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.engine.blocks import Shard
from latens.engine.burst import Burst, burst
from latens.engine.dealt import Dealt
from latens.engine.emmap import (
    Care,
    Move,
    Packed,
    block_surrogate,
    block_value,
    expect_shard,
    expected_value,
    one_step,
    packed,
    potentials_at,
    recentred,
    update,
    value,
    with_prior,
)
from latens.engine.maps import AbstractMap, Step
from latens.engine.prior import Prior, Seen
from latens.models.base import AbstractModel
from latens.numerics.operations import operations
from latens.numerics.precision import double
from latens.numerics.space import Params, Space
from latens.numerics.threads import one_thread_each

LARGE, LARGE_SINGLE = 1e5, 1e3  # terms of a row's log-evidence beyond which their sum has lost too much
MANY, BRIEF = 1 / 4, 4  # of runs: if more lose digits, it is because of the data; evaluations that show it
CALL, COMPILING = 1e6, 5e9  # operations that take as long as calling a program does, and as compiling one
TOGETHER = 10  # points in one program, where the call takes as long as what is computed; else they cost more
PASSES, ROUNDS = 3, 10  # over the rows that take as long as a step with one statistic; of Newton where there is none


class AbstractEvaluation(AbstractMap):
    """What is computed at a point of the free coordinates; where the rows come from says `Problem`."""

    base: AbstractModel  # in the frame
    model: AbstractModel  # the same, reckoned from a point if that is needed
    prior: Prior | None
    before: Seen | None  # observations before the data, and the statistics the model reckons them by
    pseudo: Any
    dealt: Dealt
    quick: Dealt  # the rows that steps are computed from: in single precision, if that is asked for
    single: bool
    weights: np.ndarray
    space: Space
    offset: float
    spare = 0  # steps yet that the program for many points is to serve
    care = Care()  # what its steps have turned out to take
    _total: Any

    @double
    def step(self, free: np.ndarray) -> Step:
        """Evaluate the EM map: the log-likelihood at `free`, and where E and M lead from there."""
        step, care = self._evaluated(free)
        if care == self.care:
            return step
        self.care = care
        return self.step(free)

    @double
    def probe(self, free: np.ndarray, bar: float) -> Step:
        step, care = self._evaluated(free)
        # the care that it takes there is that of the copy
        return copy(self).step(free) if care != self.care and step.log_likelihood >= bar else step

    def _evaluated(self, free: np.ndarray) -> tuple[Step, Care]:
        """A step, and the care that it would have taken."""
        found = self._step(free)
        log_lik, length, size, arrived = np.asarray(found.facts).tolist()
        step = Step(log_lik + self.offset, np.asarray(found.free), length, np.asarray(found.health), bool(arrived))
        return step, self._careful(size, step.arrived)

    def _step(self, free: np.ndarray) -> Packed:
        if self.spare:
            self.spare -= 1
            found = self._burst([free], 1, self.care)
            move = Move(found.home[0], found.length[0], found.health[0], found.size[0], found.arrived[0])
            return packed(found.log_likelihood[0], move)
        here = self.about(free)
        if len(self.quick.shards) == 1:
            forward = self.care.forward
            return one_step(here.model, free, self.quick.whole, self._total, here.pseudo, forward=forward)
        with one_thread_each():
            log_lik, stats = here._expected(free, self.quick)
            return packed(log_lik, jax.block_until_ready(update(here.model, free, stats, self._total)))

    def _careful(self, size: float, arrived: bool) -> Care:
        """What a step would have taken that turned out so."""
        lost = not size <= (LARGE_SINGLE if self.single else LARGE)
        forward = not arrived and not self.base.finite
        return Care(self.care.about or (lost and self.base.recentres), self.care.forward or forward)

    @double
    def about(self, free: np.ndarray) -> Self:
        """The same reckoned from a point in free coordinates, where it takes that; as it is elsewhere."""
        if not self.care.about:
            return self
        other = copy(self)
        other.model, other.pseudo = jax.device_get(recentred(self.base, free, self.before))
        return other

    @double
    def settle(self, points: list[np.ndarray]) -> None:
        """Find out what care short runs from these points take; where a few of many collapse, it would be wasted."""
        size, lost = self.together, list[bool]()
        for first in range(0, min(max(size, BRIEF), len(points)), size):
            group = points[first : first + size]
            found = self._burst(group, BRIEF, self.care)
            sizes = np.where(np.isfinite(found.home).all(1), found.size, np.inf)[: len(group)]
            lost += [self._careful(each, True) != self.care for each in sizes.tolist()]
        if sum(lost) > MANY * len(lost):
            self.care = self._careful(np.inf, True)

    @double
    def burst(self, points: list[np.ndarray], evaluations: int) -> Burst:
        """Short runs from `together` points at most."""
        return self._burst(points, evaluations, self.care)

    def _burst(self, points: list[np.ndarray], evaluations: int, care: Care) -> Burst:
        # one program serves any number of points: the last is repeated
        filled = np.array(points + points[-1:] * (self.together - len(points)))
        found = burst(self.base, filled, self.quick.whole, self._total, self.before, evaluations, care=care)
        fetched: Burst = jax.device_get(found)
        return fetched

    @property
    def together(self) -> int:
        """Points in one program; the same on any number of cores, so that results are."""
        return TOGETHER if self.operations <= 2 * CALL else 1

    def spared(self) -> None:
        """Let what was compiled for many points serve one, until its idle copies have cost as much as compiling."""
        idle = (self.together - 1) * (self.operations - CALL)
        self.spare = int(COMPILING / max(idle, 1.0))

    @property
    @double
    def operations(self) -> float:
        """How many one evaluation of the EM map takes, about: counted, so the same on any machine."""
        shard, point = self.dealt.shards[0], np.zeros(self.space.size)
        block = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), shard)
        each = operations(block_value if self.base.finite else block_surrogate, self.base, point, block)
        passes = PASSES if self.base.finite else ROUNDS * (len(point) + 1)
        return CALL + passes * len(self.dealt.shards) * len(shard.weights) * each

    def inside(self, free: Array) -> Params:
        """Free coordinates → params in the frame."""
        return self.space.params(free)

    @double
    def health(self, free: np.ndarray) -> np.ndarray:
        """(m,) how far each part of the model is from degenerating at a point: below 1 it has."""
        return np.asarray(self.about(free).model.health(self.inside(jnp.asarray(free)), self._total))

    @double
    def expected(self, free: np.ndarray) -> tuple[Array, Any]:
        """(objective, expected statistics) at free coordinates, those of the prior included."""
        return self._expected(free, self.dealt)

    def _expected(self, free: np.ndarray, rows: Dealt) -> tuple[Array, Any]:
        potentials = potentials_at(self.model, free)
        found = rows.add(lambda shard: expect_shard(self.model, potentials, shard))
        return with_prior(self.model, free, found, self.pseudo)

    @double
    def log_prior(self, free: np.ndarray) -> float:
        """log p(θ) up to a constant; 0 without a prior."""
        if self.prior is None:
            return 0.0
        here = self.about(free)
        return float(with_prior(here.model, jnp.asarray(free), (jnp.zeros(()), here.pseudo), here.pseudo)[0])

    @double
    def log_likelihood(self, free: np.ndarray) -> float:
        """ℓ at free coordinates, in the units of the data."""
        u, model = jnp.asarray(free), self.about(free).model
        return float(self.dealt.add(lambda shard: value(model, u, shard))) + self.offset

    @double
    def surrogate(self, free: np.ndarray, at: np.ndarray) -> float:
        """Σ w Q(free | at), up to a term that `free` does not enter."""
        u, v, model = jnp.asarray(free), jnp.asarray(at), self.about(at).model
        return float(self.dealt.add(lambda shard: expected_value(model, u, v, shard)))

    def each(self, function: Callable[[AbstractModel, Array, Shard], Any], free: np.ndarray) -> Any:
        """A function of the rows: its results in their order, as NumPy arrays."""
        return self.dealt.each(function, self.about(free).model, jnp.asarray(free))
