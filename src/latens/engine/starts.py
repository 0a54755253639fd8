"""Many starts: short runs, the best is gone on with."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from latens.engine.accelerators.base import AbstractAccelerator
from latens.engine.loop import Iterate, run
from latens.engine.problem import Problem, to_free
from latens.engine.status import Status
from latens.engine.stop import Stop
from latens.errors import LatensError, ModelError, ParameterError
from latens.numerics.precision import double

PILOT = 20_000  # rows at most that short runs look at
SHORT = Stop(tolerance=1e-2, max_steps=60)


@dataclass(frozen=True)
class Starts:
    """What many starts met: `tried`; `settled` within their short run; `degenerate` ones; the number of
    distinct `optima` the settled ones met; how many of those `reached` the best; `rows` looked at."""

    tried: int
    settled: int
    degenerate: int
    optima: int
    reached: int
    rows: int


@double
def draw(problem: Problem, seed: int, i: int) -> np.ndarray:
    """The i-th start: free coordinates. The same seed gives the same start."""
    rng = np.random.default_rng([seed, i])
    params = problem.model.start(problem.xs, jnp.asarray(problem.weights), problem.frame, rng)
    return np.asarray(to_free(problem.model, params))


def search(
    problem: Problem, starts: int, seed: int, accelerate: AbstractAccelerator
) -> tuple[np.ndarray, Starts | None]:
    """The best of many short runs, and what they met."""
    if starts < 1:
        raise ParameterError(f"starts must be at least 1, got {starts}")
    pilot = _pilot(problem, seed)
    if starts == 1:
        return draw(pilot, seed, 0), None
    ends: list[Iterate] = []
    trouble: Exception | None = None
    for i in range(starts):
        try:
            *_, last = run(pilot, draw(pilot, seed, i), accelerate, SHORT)
            ends.append(last)
        except ModelError:
            raise
        except LatensError as error:
            trouble = error  # another start may do; raised if none does
    if not ends:
        assert trouble is not None
        raise trouble
    sound = [e for e in ends if e.status is not Status.DEGENERATE]
    best = max(sound or ends, key=lambda e: e.log_likelihood)
    settled = sorted((e.log_likelihood for e in sound if e.status is Status.CONVERGED), reverse=True)
    apart = 1e-3 + 1e-9 * abs(best.log_likelihood)
    optima = sum(1 for i, v in enumerate(settled) if i == 0 or settled[i - 1] - v > apart)
    reached = sum(1 for v in settled if settled[0] - v <= apart)
    return best.free, Starts(starts, len(settled), len(ends) - len(sound), optima, reached, len(pilot.weights))


@double
def _pilot(problem: Problem, seed: int) -> Problem:
    """The problem itself, or one on a random part of its rows, in the same frame."""
    n = len(problem.weights)
    if n <= PILOT:
        return problem
    rows = np.sort(np.random.default_rng([seed]).choice(n, PILOT, replace=False))
    return problem.part(rows)
