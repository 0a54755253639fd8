"""Data bound to a model, in the coordinates the computation runs in."""

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import complete_like, without_labels
from latens.data.sets import ungroup
from latens.data.table import frequencies, ordered
from latens.engine.blocks import Load, Shard
from latens.engine.burst import Burst, burst
from latens.engine.dealt import Dealt
from latens.engine.emmap import (
    Move,
    evidences,
    expect_shard,
    expected_value,
    one_step,
    potentials_at,
    update,
    value,
    with_prior,
)
from latens.engine.maps import AbstractMap, Step
from latens.engine.prior import Prior, prior_of
from latens.engine.reading import bind
from latens.engine.status import Status
from latens.engine.stop import noise
from latens.errors import ModelError, ParameterError
from latens.families.frame import AbstractFrame
from latens.models.base import AbstractModel
from latens.numerics.chart import Chart
from latens.numerics.compiling import once
from latens.numerics.precision import double
from latens.numerics.space import Params, Space
from latens.numerics.threads import one_thread_each


@once
def to_free(model: AbstractModel, params: Params) -> Array:
    """Params in the frame → free coordinates."""
    return Space(model.constraints).free(params)


@once
def _entered(model: AbstractModel, frame: AbstractFrame, params: Params) -> Array:
    return Space(model.constraints).free(frame.enter(params))


@once
def _to_params(model: AbstractModel, frame: AbstractFrame, free: Array) -> Params:
    return frame.leave(Space(model.constraints).params(free))


SINGLE = 1e6  # times as much rounding as in double precision, about
TOGETHER, FEW = 10, 2_000  # points side by side in one program, if rows are no more than that: else they cost more


class Problem(AbstractMap):
    """A model, its data in shards, and the map between what users see and what is computed."""

    side_by_side = False  # whether one step is evaluated as many are

    @double
    def __init__(
        self,
        model: AbstractModel,
        data: Any,
        weights: Any = None,
        labels: Any = None,
        prior: Prior | float | None = None,
        precision: str = "double",
    ) -> None:
        if precision not in ("double", "single"):
            raise ParameterError(f"precision must be 'double' or 'single', got {precision!r}")
        self.single = precision == "single"
        read = bind(model, data, weights, labels)
        self.given, self.columns, self.weights = model, read.columns, read.weights
        self.rows_read, self.rows_used = read.rows_read, read.rows_used
        self.frame: AbstractFrame = model.frame(read.xs, self.weights, read.columns)
        self.model = model.framed(self.frame)
        self.row_jacobian = self.frame.log_jacobian(read.xs)
        self.space = Space(model.constraints)
        self._chart = Chart(self.space.constraints.values())
        told = read.labels
        self.exchangeable = model.exchangeable if told is None or told.all() else ()
        self._deal(model.labelled(model.observe(self.frame.apply(read.xs)), told))
        self.prior = prior_of(prior)
        before = self.prior and self.prior.statistics(self.model, self.frame, self.xs, self.weights)
        self.pseudo = jax.device_get(before)  # arrays of JAX would lose half of their bits when pickled

    def _deal(self, moved: Any) -> None:
        """Put rows in the frame where they are computed with."""
        if self.single:
            moved = jax.tree.map(lambda leaf: leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf, moved)
        self.dealt = Dealt(moved, self.weights, self._load(moved), one=not self.model.finite)
        self._weigh(self.weights)

    def _weigh(self, weights: np.ndarray) -> None:
        self.weights, self.n = weights, float(weights.sum())
        jacobian = self.row_jacobian
        self.offset = float(np.sum(weights * jacobian)) if np.ndim(jacobian) else self.n * float(jacobian)
        self._total: Any = np.array(self.n)

    @double
    def part(self, rows: np.ndarray) -> "Problem":
        """The same problem on some of its rows, in the same frame."""
        part = copy(self)
        part.weights, part.rows_used = self.weights[rows], self._numbers[rows]
        part.row_jacobian = np.broadcast_to(self.row_jacobian, self.weights.shape)[rows]
        part._deal(jax.tree.map(lambda leaf: np.asarray(leaf[rows]), self.xs))
        return part

    @double
    def elsewhere(self, data: Any) -> "Problem":
        """Other rows, each of weight 1; `carried` takes free coordinates there."""
        rows = self.given.read(ungroup(ordered(data, self.columns), whole=self.given.whole)[0])
        other = copy(self)
        other.frame = self.frame.suiting(rows.xs)
        other.model = self.given.framed(other.frame)
        n = len(jax.tree.leaves(rows.xs)[0])
        other.weights, other.rows_read, other.rows_used = frequencies(None, n), n, slice(None)
        other.row_jacobian = other.frame.log_jacobian(rows.xs)
        other._deal(other.model.observe(other.frame.apply(rows.xs)))
        return other

    def carried(self, free: np.ndarray, other: "Problem") -> np.ndarray:
        """A point in the free coordinates that the other's frame has."""
        return free if other.frame is self.frame else other.free(self.params(free), "params")

    def _load(self, xs: Any) -> Load:
        """What one row takes, by the shapes of the potentials."""
        leaves = jax.tree.leaves(jax.eval_shape(potentials_at, self.model, self.centre))
        own = sum(leaf.size // len(leaf) for leaf in jax.tree.leaves(xs))
        return Load(own + sum(sum(leaf.shape) for leaf in leaves), sum(leaf.size for leaf in leaves))

    @property
    def centre(self) -> Array:
        """(p,) the origin of the free coordinates."""
        return jnp.asarray(np.zeros(self.space.size))  # jnp.zeros would compile

    @double
    def step(self, free: np.ndarray) -> Step:
        """Evaluate the EM map: the log-likelihood at `free`, and where E and M lead from there."""
        if self.side_by_side:
            found = self.burst([free], 1)
            log_lik, move = found.log_likelihood[0], Move(found.home[0], found.length[0], found.health[0])
        elif len(self.dealt.shards) == 1:
            log_lik, move = one_step(self.model, free, self.dealt.whole, self._total, self.pseudo)
        else:
            with one_thread_each():
                log_lik, stats = self.expected(free)
                move = jax.block_until_ready(update(self.model, free, stats, self._total))
        return Step(float(log_lik) + self.offset, np.asarray(move.free), float(move.length), np.asarray(move.health))

    @double
    def burst(self, points: list[np.ndarray], evaluations: int) -> Burst:
        """Short runs from `together` points at most."""
        # one program serves any number of points: the last is repeated
        filled = np.array(points + points[-1:] * (self.together - len(points)))
        found = burst(self.model, filled, self.dealt.whole, self._total, self.pseudo, evaluations)
        fetched: Burst = jax.device_get(found)
        return fetched

    @property
    def together(self) -> int:
        """Points in one program; the same on any number of cores, so that results are."""
        return TOGETHER if len(self.weights) <= FEW else 1

    @double
    def health(self, free: np.ndarray) -> np.ndarray:
        """(m,) how far each part of the model is from degenerating at a point: below 1 it has."""
        return np.asarray(self.model.health(self.inside(jnp.asarray(free)), self._total))

    @double
    def expected(self, free: np.ndarray) -> tuple[Array, Any]:
        """(objective, expected statistics) at free coordinates, those of the prior included."""
        potentials = potentials_at(self.model, free)
        found = self.dealt.add(lambda shard: expect_shard(self.model, potentials, shard))
        return with_prior(self.model, free, found, self.pseudo)

    @double
    def log_prior(self, free: np.ndarray) -> float:
        """log p(θ) up to a constant; 0 without a prior."""
        nothing = (jnp.zeros(()), self.pseudo)
        return float(with_prior(self.model, jnp.asarray(free), nothing, self.pseudo)[0]) if self.prior else 0.0

    @double
    def log_likelihood(self, free: np.ndarray) -> float:
        """ℓ at free coordinates, in the units of the data."""
        u = jnp.asarray(free)
        return float(self.dealt.add(lambda shard: value(self.model, u, shard))) + self.offset

    @double
    def surrogate(self, free: np.ndarray, at: np.ndarray) -> float:
        """Σ w Q(free | at), up to a term that `free` does not enter."""
        u, v = jnp.asarray(free), jnp.asarray(at)
        return float(self.dealt.add(lambda shard: expected_value(self.model, u, v, shard)))

    @double
    def reweighted(self, weights: np.ndarray) -> "Problem":
        """The same rows with other weights, in the same frame."""
        other = copy(self)
        other.dealt = self.dealt.reweighted(weights)
        other._weigh(weights)
        return other

    def modelled(self, model: AbstractModel) -> "Problem":
        """The same rows under another model with the same parameters."""
        other = copy(self)
        other.model = model
        return other

    @property
    def _numbers(self) -> np.ndarray:
        """(n,) the numbers of the rows used."""
        return np.arange(self.rows_read)[self.rows_used]

    @cached_property
    def names(self) -> list[str]:
        """A label for every scalar."""
        return self.space.names(self.model.axes(self.columns))

    @property
    def sizes(self) -> Any:
        """Rows to take trials and exposures from when sampling."""
        return complete_like(without_labels(self.xs))

    @property
    def xs(self) -> Any:
        """Rows in the frame, as `log_evidence` takes them."""
        return self.dealt.xs

    @double
    def free(self, params: Params, what: str = "start") -> np.ndarray:
        """Users' params → free coordinates in the frame; raises `ParameterError`."""
        return np.asarray(_entered(self.model, self.frame, self.space.check(params, what)))

    def each(self, function: Callable[[AbstractModel, Array, Shard], Any], free: np.ndarray) -> Any:
        """A function of the rows: its results in their order, as NumPy arrays."""
        return self.dealt.each(function, self.model, jnp.asarray(free))

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
        return {name: np.asarray(found[name]) for name in self.space.shapes}

    @property
    def rounding(self) -> float:
        return noise(self.n) * (SINGLE if self.single else 1.0)

    def slack(self, best: float) -> float:
        return super().slack(best) * (SINGLE / 1e2 if self.single else 1.0)

    def chart(self, free: np.ndarray) -> np.ndarray:
        return self._chart.chart(free)

    def unchart(self, point: np.ndarray) -> np.ndarray:
        return self._chart.unchart(point)

    def ailment(self, free: np.ndarray, health: np.ndarray | None = None) -> str:
        ill = ~((self.health(free) if health is None else health) >= 1)
        return self.model.ailment(int(np.argmax(ill))) if ill.any() else ""

    def fallen(self, best: float, free: np.ndarray, step: Step) -> tuple[Status, str] | Exception:
        reason = self.ailment(free)
        if not reason and (lost := best - step.log_likelihood) <= self.blur(best):
            reason = f"rounding hides {lost:.1g} of the log-likelihood, as near a variance of 0; try other starts"
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
        where = f"row {self._numbers[int(np.argmax(bad))]}" if bad.any() else "the data"
        return ParameterError(
            f"start: {where} has log-likelihood {logs[bad][0] if bad.any() else np.nan} there; choose another start"
        )
