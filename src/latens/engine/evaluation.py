"""The EM map of rows under a model: with as much care as its points turn out to take."""

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.engine.ascent import ascent
from latens.engine.emmap import (
    Burst,
    Care,
    Move,
    Packed,
    block_surrogate,
    block_value,
    burst,
    expect_shard,
    expected_value,
    formula,
    moved,
    one_step,
    packed,
    potentials_at,
    recentred,
    update,
    value,
    with_prior,
)
from latens.engine.prior import Floor, Prior, Seen
from latens.engine.rows import AbstractRows, Program
from latens.engine.stop import AbstractMap, Step
from latens.families.frame import AbstractFrame
from latens.models.base import AbstractModel
from latens.numerics.compiling import double, once, one_thread_each
from latens.numerics.modules import same_kind
from latens.numerics.newton import Maximum
from latens.numerics.space import Label, Params, Space
from latens.numerics.stacked import Chart

LARGE, LARGE_SINGLE = 1e5, 1e3  # terms of a row's log-evidence beyond which their sum has lost too much
MANY, BRIEF = 1 / 4, 4  # of runs: if more lose digits, it is because of the data; evaluations that show it
CALL, COMPILING = 1e6, 5e9  # operations that take as long as calling a program does, and as compiling one
TOGETHER = 10  # points in one program, where the call takes as long as what is computed; else they cost more
PASSES = 3  # over the rows that take as long as a step: forward, back, and what else there is


@once
def to_free(space: Space, params: Params) -> Array:
    """Params in the frame → free coordinates."""
    return space.free(params)


@once
def _entered(space: Space, frame: AbstractFrame, params: Params) -> Array:
    return space.free(frame.enter(params))


@once
def _left(space: Space, frame: AbstractFrame, free: Array) -> Params:
    return frame.leave(space.params(free))


class AbstractEvaluation(AbstractMap):
    """What is computed at a point of the free coordinates; where the rows come from says `Problem`."""

    base: AbstractModel  # in the frame
    model: AbstractModel  # the same, reckoned from a point if that is needed
    columns: tuple[str, ...]  # names of those of the data
    space: Space
    frame: AbstractFrame
    prior: Prior | None
    before: Seen | Floor | None  # observations before the data, and the statistics the model reckons them by
    pseudo: Any
    rows: AbstractRows
    quick: AbstractRows  # those that steps are computed from: in single precision, if that is asked for
    single: bool
    weights: np.ndarray
    offset: float
    rows_read: int
    rows_used: np.ndarray | slice  # which of them
    n: float
    spare = 0  # steps yet that the program for many points is to serve
    care = Care()  # what its steps have turned out to take
    _total: Any

    def but(self, **changes: Any) -> Self:
        """The same with some of it changed."""
        other = copy(self)
        vars(other).update(changes)
        return other

    @double
    def free(self, params: Params, what: str = "start") -> np.ndarray:
        """Users' params → free coordinates in the frame; raises `ParameterError`."""
        return np.asarray(_entered(self.space, self.frame, self.space.check(params, what)))

    @double
    def params(self, free: np.ndarray) -> dict[str, np.ndarray]:
        """Free coordinates → params as users see them, as NumPy arrays."""
        found = _left(self.space, self.frame, jnp.asarray(free))
        return {name: np.asarray(found[name]) for name in self.space.shapes}

    def outside(self, free: Array) -> Params:
        """The same within a computation."""
        return self.frame.leave(self.space.params(free))

    def carried(self, free: np.ndarray, other: Self) -> np.ndarray:
        """A point in the free coordinates that the other's frame has."""
        return free if other.frame is self.frame else other.free(self.params(free), "params")

    @property
    def centre(self) -> Array:
        """(p,) the origin of the free coordinates."""
        return jnp.asarray(np.zeros(self.space.size))  # jnp.zeros would compile

    @cached_property
    def labels(self) -> list[Label]:
        """Of every scalar, its parameter and its entry."""
        return self.space.labels(self.model.axes(self.columns))

    @cached_property
    def names(self) -> list[str]:
        """The same as texts."""
        return list(map(str, self.labels))

    @cached_property
    def _chart(self) -> Chart:
        return Chart(self.space.constraints.values())

    def chart(self, free: np.ndarray) -> np.ndarray:
        return self._chart.chart(free)

    def unchart(self, point: np.ndarray) -> np.ndarray:
        return self._chart.unchart(point)

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
        return self.but().step(free) if care != self.care and step.log_likelihood >= bar else step

    def _evaluated(self, free: np.ndarray) -> tuple[Step, Care]:
        """A step, and the care that it would have taken."""
        found, known = self._step(free)
        log_lik, length, size, arrived = np.asarray(found.facts).tolist()
        step = Step(log_lik + self.offset, np.asarray(found.free), length, np.asarray(found.health), bool(arrived))
        return step, self._careful(size, known=known)

    def _step(self, free: np.ndarray) -> tuple[Packed, bool]:
        """The map at a point, and whether derivatives were numbers there."""
        if self.spare:
            self.spare -= 1
            found = self.burst([free], 1)
            move = Move(found.home[0], found.length[0], found.health[0], found.size[0], found.arrived[0])
            return packed(found.log_likelihood[0], move), True
        here = self.about(free)
        if not here.model.finite:
            up = ascent(self.quick, here.model, free, self.n, forward=self.care.forward)
            end = Maximum(jnp.asarray(up.point), jnp.asarray(up.arrived))
            move = moved(here.model, free, end, np.asarray(up.slope), self._total, np.asarray(0.0))
            return packed(np.asarray(up.log_likelihood), move), up.known
        if self.quick.alone:
            return one_step(here.model, free, self.quick.at_hand, self._total, here.pseudo), True
        with one_thread_each():
            log_lik, stats = here.expected(free, self.quick)
            return packed(log_lik, jax.block_until_ready(update(here.model, free, stats, self._total))), True

    def _careful(self, size: float, *, known: bool = True) -> Care:
        """What a step would have taken that turned out so."""
        lost = not size <= (LARGE_SINGLE if self.single else LARGE)
        return Care(self.care.about or (lost and self.recentres), self.care.forward or not known)

    @cached_property
    @double
    def recentres(self) -> bool:
        """Whether anything of the model can be reckoned from a point."""
        found = jax.eval_shape(lambda u: self.base.about(self.space.params(u)), self.centre)
        return not same_kind(found, self.base)

    @double
    def about(self, free: np.ndarray) -> Self:
        """The same reckoned from a point in free coordinates, where it takes that; as it is elsewhere."""
        if not self.care.about:
            return self
        model, pseudo = jax.device_get(recentred(self.base, free, self.before))
        return self.but(model=model, pseudo=pseudo)

    @double
    def settle(self, points: list[np.ndarray]) -> None:
        """Find out what care short runs from these points take; where a few of many collapse, it would be wasted."""
        size, lost = self.together, list[bool]()
        for first in range(0, min(max(size, BRIEF), len(points)), size):
            group = points[first : first + size]
            found = self.burst(group, BRIEF)
            sizes = np.where(np.isfinite(found.home).all(1), found.size, np.inf)[: len(group)]
            lost += [self._careful(each) != self.care for each in sizes.tolist()]
        if sum(lost) > MANY * len(lost):
            self.care = self._careful(np.inf)

    @double
    def burst(self, points: list[np.ndarray], evaluations: int) -> Burst:
        """Short runs from `together` points at most."""
        # one program serves any number of points: the last is repeated
        filled = np.array(points + points[-1:] * (self.together - len(points)))
        found = burst(
            self.base, filled, self.quick.at_hand, self._total, self.before, evaluations, about=self.care.about
        )
        return jax.device_get(found)

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
    def closed(self) -> bool:
        """Whether the M-step is a formula, and no search."""
        return self.base.finite and formula.eval_shape(self.model, self.centre) is not None

    @property
    def m_step(self) -> str:
        """How Q is maximised, in words."""
        if self.closed:
            return "in closed form"
        if self.base.finite:
            return "Newton's method on the expected statistics"
        shares = f", {' and '.join(self.base.counted)} in closed form" if self.base.counted else ""
        return f"Newton steps on Q over the rows, one near the maximum (generalised EM){shares}"

    @property
    @double
    def operations(self) -> float:
        """How many one evaluation of the EM map takes, about: counted, so the same on any machine."""
        point = np.zeros(self.space.size)
        if self.base.finite:
            return CALL + PASSES * self.rows.operations(block_value, self.base, point)
        most = np.unique(self.base.blocks, return_counts=True)[1].max(initial=0)  # directions of its Hessian
        return CALL + PASSES * (2 + most) * self.rows.operations(block_surrogate, self.base, point)

    @double
    def health(self, free: np.ndarray) -> np.ndarray:
        """(m,) how far each part of the model is from degenerating at a point: below 1 it has."""
        return np.asarray(self.about(free).model.health(self.space.params(jnp.asarray(free)), self._total))

    def where(self, row: int) -> str:
        """The place of a row in what the user gave, in words."""
        return f"row {self.numbers[row]}"

    @property
    def numbers(self) -> np.ndarray:
        """(n,) the numbers of the rows used."""
        return np.arange(self.rows_read)[self.rows_used]

    @property
    def xs(self) -> Any:
        """Rows in the frame, as `log_evidence` takes them."""
        return self.rows.take(slice(None))

    @double
    def expected(self, free: np.ndarray, rows: AbstractRows | None = None) -> tuple[Array, Any]:
        """(objective, expected statistics) at free coordinates, those of the prior included."""
        found = (rows or self.rows).add(expect_shard, self.model, potentials_at(self.model, free))
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
        return float(self.rows.add(value, self.about(free).model, jnp.asarray(free))) + self.offset

    @double
    def surrogate(self, free: np.ndarray, at: np.ndarray) -> float:
        """Σ w Q(free | at), up to a term that `free` does not enter."""
        return float(self.rows.add(expected_value, self.about(at).model, jnp.asarray(free), jnp.asarray(at)))

    def bound(self, at: np.ndarray, level: float) -> Callable[[np.ndarray], float]:
        """Jensen's lower bound of the objective, which touches it where it is `level`: `at`."""
        below = level - self.surrogate(at, at) - self.log_prior(at)
        return lambda free: below + self.surrogate(free, at) + self.log_prior(free)

    def each(self, program: Program, free: np.ndarray) -> Any:
        """What a program of (model, free, shard) gives for every row, in their order, as NumPy arrays."""
        return self.rows.each(program, self.about(free).model, jnp.asarray(free))
