"""Many starts: short runs side by side, the better ones longer; the best is gone on with."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from latens.engine.accelerators.base import Plain
from latens.engine.loop import Iterate, Run
from latens.engine.problem import Problem, to_free
from latens.engine.race import Bursts, race
from latens.engine.status import Status
from latens.engine.stop import Stop
from latens.errors import LatensError, ModelError, ParameterError
from latens.numerics.matching import matching
from latens.numerics.precision import double
from latens.numerics.space import Params

PILOT = 20_000  # rows at most that short runs look at
SHORT = Stop(tolerance=1e-2, max_steps=5)  # bursts
LONGER = (4, 16)  # times as long, for half of the runs that have not settled, and half of those
SAME = 0.05  # of the range of a parameter over components and ends, within which its values are one


@dataclass(frozen=True)
class Starts:
    """How many starts to draw, and how; `fit(..., starts=20)` means `Starts(20)`.

    **Arguments:** `seeded`: by k-means++ for a mixture, by the model's own rule for others; `random`: from
    seeds that are any rows of the data.
    **Raises:** `ParameterError` for no start at all.
    **Example:**
        >>> import latens as lt
        >>> data = [0, 1, 1, 2, 6, 7, 8, 9]
        >>> fit = lt.fit(lt.Mixture(lt.Poisson(), 2), data, starts=lt.Starts(5, random=5))
        >>> fit.starts.tried
        10
    """

    seeded: int = 10
    random: int = 0

    def __post_init__(self) -> None:
        if self.seeded < 0 or self.random < 0 or self.seeded + self.random < 1:
            raise ParameterError(f"starts must be at least 1, got {self.seeded} seeded and {self.random} random")


@dataclass(frozen=True)
class Optimum:
    """A maximum that starts settled on: the log-likelihood there, and how many did."""

    log_likelihood: float
    reached: int


@dataclass(frozen=True)
class Met:
    """What many starts met: `tried`; `settled` within their run; `degenerate` ones; the distinct `optima` of
    the settled ones, up to relabelling, best first; the number of `rows` looked at."""

    tried: int
    settled: int
    degenerate: int
    optima: tuple[Optimum, ...]
    rows: int


@double
def draw(problem: Problem, seed: int, i: int, *, random: bool = False) -> np.ndarray:
    """The i-th start: free coordinates. The same seed gives the same start."""
    rng = np.random.default_rng([seed, i])
    begin = problem.model.random_start if random else problem.model.start
    params = begin(problem.xs, jnp.asarray(problem.weights), problem.frame, rng)
    free = np.asarray(to_free(problem.model, params))
    if problem.before is None:
        return free
    # what too few rows do not tell, the prior does
    given = np.asarray(to_free(problem.model, problem.before.params))
    free = np.where(np.isfinite(free), free, given)
    return given if problem.ailment(free) else free


def search(problem: Problem, starts: Starts, seed: int) -> tuple[np.ndarray, Met | None]:
    """The best of many short runs, and what they met."""
    pilot = _pilot(problem, seed)
    number = starts.seeded + starts.random
    if number == 1:
        return draw(pilot, seed, 0, random=starts.random == 1), None
    points: list[np.ndarray] = []
    trouble: LatensError | None = None
    for i in range(number):
        try:
            points.append(draw(pilot, seed, i, random=i >= starts.seeded))
        except ModelError:
            raise
        except LatensError as error:
            trouble = error  # another start may do; raised if none does
    return _best(pilot, points, number, trouble)


def among(problem: Problem, points: list[np.ndarray], seed: int) -> tuple[np.ndarray, Met]:
    """The best of short runs from given points, and what they met."""
    return _best(_pilot(problem, seed), points, len(points), None)


def _best(pilot: Problem, points: list[np.ndarray], number: int, trouble: LatensError | None) -> tuple[np.ndarray, Met]:
    pilot.settle(points)
    bursts = Bursts(pilot)
    runs = [Run(bursts, point, Plain(), SHORT) for point in points]
    trouble = race(bursts, runs) or trouble
    for times in LONGER:
        unsettled = [r for r in runs if r.best is not None and r.best.status is Status.MAX_STEPS]
        unsettled.sort(key=lambda r: -r.best.log_likelihood if r.best else 0.0)
        longer = unsettled[: (len(unsettled) + 1) // 2]
        for r in longer:
            r.resume(Stop(SHORT.tolerance, times * SHORT.max_steps))
        race(bursts, longer)
    ends = [r.best for r in runs if r.best is not None]
    if not ends:
        assert trouble is not None
        raise trouble
    sound = [end for end in ends if end.status is not Status.DEGENERATE]
    best = max(sound or ends, key=lambda end: end.log_likelihood)
    settled = [end for end in sound if end.status is Status.CONVERGED]
    optima = _optima(pilot, settled)
    pilot.spared()
    return best.free, Met(number, len(settled), len(ends) - len(sound), optima, len(pilot.weights))


def _optima(problem: Problem, settled: list[Iterate]) -> tuple[Optimum, ...]:
    """The distinct ones, best first: a higher log-likelihood, or the same elsewhere."""
    found: list[list[Iterate]] = []
    for end in sorted(settled, key=lambda end: -end.log_likelihood):
        apart = 1e-3 + 10 * problem.slack(end.log_likelihood)
        near = [f for f in found if abs(f[0].log_likelihood - end.log_likelihood) <= apart]
        home = next((f for f in near if _same(problem.exchangeable, f[0].params, end.params)), None)
        if home is None:
            found.append([end])
        else:
            home.append(end)
    return tuple(Optimum(f[0].log_likelihood, len(f)) for f in found)


def _same(exchangeable: tuple[str, ...], here: Params, there: Params) -> bool:
    """Whether two points are one, up to a relabelling of what is exchangeable."""
    labelled = [n for n in here if n in exchangeable]
    if any(not _close(here[n], there[n]).all() for n in here if n not in labelled):
        return False
    if not labelled:
        return True
    agree = np.logical_and.reduce(
        [
            _close(*np.broadcast_arrays(here[n][:, None], there[n][None]))
            .reshape(len(here[n]), len(there[n]), -1)
            .all(-1)
            for n in labelled
        ]
    )
    return bool(agree[np.arange(len(agree)), matching(~agree)].all())


def _close(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(a - b) <= SAME * np.maximum(np.ptp([a, b]), 1e-3 * np.abs(a)))


@double
def _pilot(problem: Problem, seed: int) -> Problem:
    """The problem itself, or one on a random part of the rows of which something was seen, in the same frame."""
    rows = np.flatnonzero(problem.informative)
    if len(rows) > PILOT:
        rows = np.sort(np.random.default_rng([seed]).choice(rows, PILOT, replace=False))
    return problem if len(rows) in (0, len(problem.weights)) else problem.part(rows)
