"""Newton's step by a curvature known from elsewhere, corrected by what the moves tell; `Auto` where that fails."""

from typing import NamedTuple

import numpy as np

from latens.engine.accelerators.auto import Auto, newton
from latens.engine.accelerators.auto import Memory as Usual
from latens.engine.accelerators.base import Sampled, Secants

AUTO = Auto()
REACH = 16.0  # how far a corrected step may go, in steps of the guide
MOST = 1e5  # times that a step of EM is lengthened along any way
DROPS, HOLD = 2, 4  # dropped points, and evaluations that shorten nothing, in a row after which the guide is left
SHORTER = 0.5  # of the shortest step so far: what is longer has shortened nothing


class Guide(NamedTuple):
    """I − R in m coordinates, R the rate matrix of EM on a sample: I + `ways` (diag(`fractions`) − I) `reading`.

    `ways` (m, q): directions; `fractions` (q,): of information that was seen along each, 1 − its rate of EM; `reading`
    (q, m): how far a step goes along each, in standard errors of the complete data.
    """

    ways: np.ndarray
    fractions: np.ndarray
    reading: np.ndarray

    def through(self, steps: np.ndarray) -> np.ndarray:
        """(I − R)⁻¹ of steps (m,) or (m, s) of EM."""
        # where a sample says that EM would run away, the likelihood is not concave, and uphill is the other way
        longer = 1 / np.maximum(np.abs(self.fractions), 1 / MOST) - 1
        found: np.ndarray = steps + self.ways @ (longer * (self.reading @ steps).T).T
        return found


class Memory(NamedTuple):
    """Runs on samples, where to go first, the guide while it is followed, how it does, and what `Auto` learns."""

    samples: tuple[Sampled, ...]
    goal: np.ndarray | None
    guide: Guide | None
    drops: int  # points dropped in a row
    least: float  # length of the shortest step so far, in standard errors
    held: int  # evaluations since
    auto: Usual


def begun(guide: Guide | None = None, goal: np.ndarray | None = None, samples: tuple[Sampled, ...] = ()) -> Memory:
    """The memory to begin with."""
    return Memory(samples, goal, guide, 0, np.inf, 0, AUTO.init())


def proposed(memory: Memory, point: np.ndarray, image: np.ndarray) -> tuple[Memory, np.ndarray]:
    """The goal first; then the steps of the guide; then those of `Auto`."""
    if memory.goal is not None:
        return memory._replace(goal=None), memory.goal
    if memory.guide is not None:
        step = memory.guide.through(image - point)
        memory = _judged(memory, memory.guide, step)
    if memory.guide is None:
        auto, there = AUTO.propose(memory.auto, point, image)
        return memory._replace(auto=auto), there
    learnt = memory.auto.secants.with_pair(point, image, min(AUTO.order, len(point)))
    jump = step
    if learnt.moves:
        turns = memory.guide.through(learnt.matrices()[1])
        jump = newton(Secants(learnt.moves, tuple(turns.T)), step, REACH)
    length, most = float(np.linalg.norm(jump)), REACH * float(np.linalg.norm(step))
    jump = jump * (most / length) if length > most else jump
    return memory._replace(auto=memory.auto._replace(secants=learnt)), point + jump


def _judged(memory: Memory, guide: Guide, step: np.ndarray) -> Memory:
    """With the guide left if its steps do not shorten."""
    length = float(np.linalg.norm(guide.reading @ step))
    if length < SHORTER * memory.least:
        return memory._replace(least=length, drops=0, held=0)
    held = memory.held + 1
    return memory._replace(guide=guide if held <= HOLD else None, least=min(length, memory.least), held=held)


def dropped(memory: Memory) -> Memory:
    """After a point was dropped: the guide is left after some."""
    if memory.guide is None:
        return memory._replace(auto=AUTO.rejected(memory.auto))
    # the next pair would join two that are not on one path
    learnt = memory.auto.secants._replace(point=None, residual=None)
    drops = memory.drops + 1
    kept = memory.guide if drops < DROPS else None
    return memory._replace(guide=kept, drops=drops, auto=memory.auto._replace(secants=learnt))
