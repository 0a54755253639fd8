"""Fewer passes over many rows: EM on growing samples first, whose curvature then guides the steps on all rows."""

from collections import deque
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field, replace
from math import ceil

import numpy as np

from latens.engine.accelerators import guided
from latens.engine.accelerators.base import AbstractAccelerator, Sampled
from latens.engine.accelerators.guided import Guide, Memory
from latens.engine.derivatives import complete_data
from latens.engine.loop import Run, drive
from latens.engine.problem import Problem
from latens.engine.starts import PILOT
from latens.engine.stop import Status, Stop
from latens.errors import LatensError, ModelError
from latens.numerics.asked import number, whole
from latens.numerics.compiling import double

NEAR = Stop(0.1, 500)  # in standard errors of all rows, which are less than half of those of a sample
ROWS = 50  # to a parameter, at least: fewer do not tell a curvature
CHEAPER = 0.5  # of what an evaluation over all rows takes: a sample that saves less than the rest is none
TOLD = 1e-10  # complete information, by that of each coordinate alone, below which nothing is known of a direction
GAIN = 1.0  # in log-likelihood, by which a place must be better than that it was reached from to be gone to
NUDGE = 1e-6  # in free coordinates: for differences of the chart


@dataclass(frozen=True)
class Growing(AbstractAccelerator):
    """Few passes over many rows: steps on all rows, guided by the curvature of a random sample.

        θ' = θ + (I − R)⁻¹ (M(θ) − θ),   I − R = I_com⁻¹ I_obs, of the sample, at its maximum

    M is the EM map of all rows, so the limit is the same, to the same tolerance; R only says how to go there. EM runs
    on `first` rows, then on samples larger by `factor`, up to the share `most` of the rows, each begun where the one
    before ended and guided by its curvature. Over all rows an evaluation then leaves of the error what the curvature of
    the sample is wrong by, not the rate of EM, however near 1 that is; and what is wrong is learnt from the moves, as
    by `lt.Auto`. A point that loses is dropped. After two in a row, or where steps do not shorten, `lt.Auto` goes on.

    A sample in which a component dies is passed over, and the place that samples lead to is dropped if all rows make it
    less likely than the start. It pays where a pass over all rows takes some tenths of a second or more. With few rows,
    or few that are distinct, it is `lt.Auto`.

    **Arguments:** `first`: rows of the first sample (or 50 to a parameter, if that is more); `factor`: from one to the
    next; `most`: the largest share of the rows that a sample may have.
    **Raises:** `ParameterError` for a `first` below 1, a factor of at most 1, a share that is not between 0 and 1.
    **Example:**
        >>> import latens as lt, numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x = np.concatenate([rng.normal(0, 1, 30_000), rng.normal(1.8, 1, 30_000)])
        >>> start = {"weights": [0.5, 0.5], "mean": [-1.0, 3.0], "variance": [1.0, 1.0]}
        >>> model = lt.Mixture(lt.Normal(), 2)
        >>> fits = [lt.fit(model, x, start=start, accelerate=rule) for rule in (lt.Auto(), lt.Growing(5_000))]
        >>> bool(np.isclose(*(fit.log_likelihood for fit in fits))), fits[1].evaluations < fits[0].evaluations / 2
        (True, True)

    **Source:** Louis (1982), JRSS B 44, 226 (Newton's step from that of EM, by the observed information).
    """

    first: int = PILOT
    _: KW_ONLY
    factor: float = 8.0
    most: float = 0.2
    learnt: Memory | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        whole(self.first, "Growing: first", 1)
        number(self.factor, "Growing: factor", "a number above 1", 1.0, np.inf)
        number(self.most, "Growing: most", "a share between 0 and 1", 0.0, 1.0)

    def init(self) -> Memory:
        return guided.begun() if self.learnt is None else self.learnt

    def propose(self, memory: Memory, point: np.ndarray, image: np.ndarray) -> tuple[Memory, np.ndarray]:
        return guided.proposed(memory, point, image)

    def rejected(self, memory: Memory) -> Memory:
        return guided.dropped(memory)

    def samples(self, memory: Memory) -> tuple[Sampled, ...]:
        return memory.samples

    @double
    def prepared(self, problem: Problem, free: np.ndarray, seed: int) -> "Growing":
        here, guide, done = free, None, list[Sampled]()
        for sample in self._samples(problem, seed):
            under_way = _ended(sample, here, replace(self, learnt=guided.begun(guide)))
            if under_way is None or (last := under_way.best) is None:
                continue
            done.append(Sampled(len(sample.weights), last.evaluations, last.status.value))
            if last.status is Status.DEGENERATE:
                continue
            # a share of 0 here need not be one of all rows, and EM would be long in coming away from it
            inside = problem.space.inward(last.free, np.log(len(sample.weights)))
            gain = last.log_likelihood - under_way.path[0].log_likelihood
            if gain > GAIN or np.abs(inside - last.free).max() > NUDGE:
                here = inside
            guide = _guide(sample, here)
        goal = None if here is free else problem.chart(here)
        return replace(self, learnt=guided.begun(guide, goal, tuple(done)))

    def _samples(self, problem: Problem, seed: int) -> Iterator[Problem]:
        """Ever more of the rows of which something was seen, weighted so that they count as all."""
        size = max(self.first, ROWS * problem.space.size)
        while problem.space.size and size <= self.most * problem.rows_seen:
            part = problem.sampled(size, seed)
            if part is None or part.operations > CHEAPER * problem.operations:
                return
            yield part
            size = ceil(size * self.factor)


def _ended(sample: Problem, free: np.ndarray, rule: Growing) -> Run | None:
    """A run on a sample taken to its end; None if it cannot begin there."""
    under_way = Run(sample, free, rule, NEAR)
    try:
        deque(drive(under_way), maxlen=0)
    except ModelError:
        raise
    except LatensError:
        return None
    return under_way


def _guide(sample: Problem, free: np.ndarray) -> Guide | None:
    """What the curvature of a sample says; None where it cannot be had."""
    complete, observed = complete_data(sample.about(free), free).informations()
    if not (np.isfinite(complete).all() and np.isfinite(observed).all()):
        return None
    alone = np.diag(complete)
    units = 1 / np.sqrt(np.where(alone > 0, alone, 1.0))
    known, axes = np.linalg.eigh(complete * np.outer(units, units))
    told = known > TOLD
    half = units[:, None] * axes[:, told] / np.sqrt(known[told])
    fractions, vectors = np.linalg.eigh(half.T @ observed @ half)
    ways = half @ vectors  # whose complete information is 1
    nudges = NUDGE * np.eye(len(free))
    slopes = np.stack([sample.chart(free + each) - sample.chart(free - each) for each in nudges], 1) / (2 * NUDGE)
    return Guide(slopes @ ways, fractions, ways.T @ complete @ np.linalg.pinv(slopes))
