"""Where a fit could not begin, or had no maximum to come to, in words."""

from typing import Any

import jax
import numpy as np

from latens.engine.emmap import evidences
from latens.engine.evaluation import AbstractEvaluation
from latens.errors import DataError, LatensError, ParameterError
from latens.families.frame import Identity
from latens.models.base import FEWEST
from latens.numerics.compiling import double
from latens.numerics.constraints import LEAST

TOO_LITTLE = "there is not enough in the data to tell, so fix that parameter or use a smaller model"
ULPS = 4 * np.finfo(np.float64).eps
DECIDED = 0.01  # change of the log-likelihood by the last digits of the params, at which these decide it
FAR, FARTHER, RISEN = 20.0, 6.0, 1.0  # a logarithm that may be on its way to an edge; a way on; and what may come of it
TIMES, SEEN = 1e4, 0.01  # how much larger what nothing holds may be; and what it has gained at least


@double
def edge(problem: AbstractEvaluation, here: np.ndarray, there: np.ndarray) -> str:
    """The likelihood rises towards an edge; nothing if only probabilities do: they may be 0 or 1."""
    change = _change(problem, here, there)
    far = np.abs(change) > 3
    if far.any() and (problem.space.links[far] == "logit").all():
        return ""
    gone = [i for i in np.flatnonzero(problem.space.distinct) if abs(change[i]) > 3]
    where = ", ".join(f"{problem.names[i]} goes to {'infinity' if change[i] > 0 else '0'}" for i in gone[:4])
    return (
        f"the likelihood has no maximum: as {where or 'the params run away'}, it rises to a limit that no params "
        f"attain; {TOO_LITTLE}"
    )


def plateau(problem: AbstractEvaluation, here: np.ndarray, there: np.ndarray, gain: float) -> str:
    """A long way led up by next to nothing."""
    change = _change(problem, here, there)
    most = [i for i in np.argsort(-np.abs(change)) if problem.space.distinct[i] and change[i]]
    where = ", ".join(f"{problem.names[i]} {'grows' if change[i] > 0 else 'shrinks'}" for i in most[:2])
    return (
        f"the likelihood has no maximum that the data tell: as {where or 'the params move'}, it goes on rising, by "
        f"{gain:.1g} for the last {np.abs(change).max():.0%}; {TOO_LITTLE}"
    )


@double
def _change(problem: AbstractEvaluation, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(P,) of the logarithms of the reported scalars."""
    before, after = (np.asarray(problem.space.flat(problem.params(free))) for free in (here, there))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.log(np.abs(after)) - np.log(np.abs(before)))


def _cells(cells: dict[str, Any]) -> str:
    """A row's cells, where they are few."""
    shown = [f"{name or 'x'} = {float(cell):g}" for name, cell in cells.items() if np.size(cell) == 1]
    return f" ({', '.join(shown)})" if 0 < len(shown) <= 6 else ""


@double
def unusable(problem: AbstractEvaluation, free: np.ndarray) -> LatensError:
    """The first row that a start gives no probability to."""
    logs = problem.each(evidences, free)
    bad = ~np.isfinite(logs)
    if not bad.any():
        return ParameterError("start: the log-likelihood is not finite where the fit begins; give another (start=...)")
    row = int(np.argmax(bad))
    where, columns = problem.where(row), problem.xs if isinstance(problem.xs, dict) else {"": problem.xs}
    cells = {name: leaf[row] for name, leaf in columns.items() if isinstance(leaf, np.ndarray | jax.Array)}
    holes = [name for name, cell in cells.items() if np.isnan(cell).any()]
    if holes:
        column = f" in column '{holes[0]}'" if holes[0] else ""
        return DataError(
            f"{where} has a missing cell{column}, and the model gives it the log-likelihood {logs[row]}: let it leave "
            "that cell out, with y = jnp.where(jnp.isnan(x), 0.0, x) in what is computed and "
            "jnp.where(jnp.isnan(x), 0.0, ...) around what is added, or drop the row"
        )
    own = _cells(cells) if isinstance(problem.frame, Identity) else ""  # in a frame they are other numbers
    return ParameterError(
        f"start: {where} has log-likelihood {logs[row]} where the fit begins{own}: correct the row if the "
        "model gives it no probability, or give another start (start=...), or the data in other units"
    )


class Doubt:
    """A point that EM hardly moves, looked at: the likelihood there may be without bound, or a component dead."""

    def __init__(self, problem: AbstractEvaluation, free: np.ndarray) -> None:
        self.problem, self.free = problem, free
        self.level = problem.log_likelihood(free)
        self.values = np.asarray(problem.space.flat(problem.params(free)))
        self.links, self.scales = problem.space.links, problem.space.scales

    def reason(self) -> str:
        """Why it is no maximum, or nothing."""
        if self._decided_by_rounding() or self._still_rising():
            return (
                f"the likelihood is unbounded{self._where()}, so no maximum exists: try other starts (starts=20), "
                "bound or share that parameter, or use fewer hidden values"
            )
        return self._endless() or self._dead()

    def _endless(self) -> str:
        """Coefficients that may all grow ten thousandfold at no loss, and not be 0: a separated regression, say.

        **Source:** Albert & Anderson (1984), Biometrika 71, 1, §3.
        """
        way = np.where(self.scales == "identity", self.free, 0.0)
        bar = self.level - self.problem.slack(self.level)
        if not way.any() or not self.problem.log_likelihood(self.free + TIMES * way) >= bar:
            return ""
        if not self.problem.log_likelihood(self.free - way) < self.level - SEEN:
            return ""
        names = [name for name, kind in self.problem.space.constraints.items() if "identity" in kind.scales]
        return (
            f"the likelihood does not fall however far {', '.join(map(str, names))} "
            "go on, so no maximum exists: the data are separated; use fewer covariates, or bound the coefficients"
        )

    def _where(self) -> str:
        """The positive scalar that is nearest to 0 or infinity."""
        positive = np.flatnonzero(self.links == "log")
        if not len(positive):
            return ""
        i = positive[np.argmax(np.abs(np.log(np.maximum(self.values[positive], LEAST))))]
        goes = "goes to 0" if self.values[i] < 1 else "grows"
        return f" as {self.problem.names[i]} = {self.values[i]:.2g} {goes}"

    def _decided_by_rounding(self) -> bool:
        signs = np.random.default_rng(0).choice([-1.0, 1.0], len(self.free))
        moved = (self.problem.log_likelihood(self.free * (1 + side * ULPS * signs)) for side in (1, -1))
        return any(not abs(self.level - value) <= DECIDED for value in moved)

    def _still_rising(self) -> bool:
        logs = np.where(self.scales == "log", self.free, 0.0)
        gone = np.where(np.abs(logs) > FAR, np.sign(logs), 0.0)
        return bool(gone.any()) and self.problem.log_likelihood(self.free + FARTHER * gone) > self.level + RISEN

    def _dead(self) -> str:
        """A share at its edge, and something else that enters nowhere then."""
        shares = np.where(self.links == "logit", np.minimum(self.values, 1 - self.values), 1.0)
        gone = np.flatnonzero(shares * self.problem.n < FEWEST)
        if not len(gone):
            return ""
        # what enters nowhere at the origin of the coordinates, where no share is at its edge, enters nowhere at all
        others = np.flatnonzero(self.scales != "logit").tolist()
        if not any(self._idle(self.free, j) and not self._idle(np.zeros_like(self.free), j) for j in others):
            return ""
        share = f"{self.problem.names[gone[0]]} = {self.values[gone[0]]:.2g}"
        return (
            f"a component has died: {share}, so other parameters enter nowhere; use fewer hidden values or try other "
            "starts (starts=20)"
        )

    def _idle(self, free: np.ndarray, j: int) -> bool:
        """Whether a coordinate enters nowhere there."""
        here, moved = (self.problem.log_likelihood(free + way * np.eye(len(free))[j]) for way in (0.0, 1.0))
        return abs(moved - here) <= self.problem.slack(here)
