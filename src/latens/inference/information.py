"""Missing-information principle: observed information = complete − missing; and what of it can be trusted."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.engine.derivatives import complete_data, jacobian
from latens.engine.loop import Iterate
from latens.engine.problem import Problem
from latens.engine.stop import Status
from latens.errors import InferenceError, listed
from latens.markup import html_table
from latens.numerics.compiling import double
from latens.numerics.memory import Sealed

INDEPENDENT = 1e-6  # of a scalar's complete-data variance: what must not follow from others that are chosen
CLOSE = 1e-2  # standard errors from the maximum at which its curvature is still the curvature there
FLAT = 1e-8  # observed by complete information below which the data say nothing
RISING = -1e-6  # and below which the log-likelihood rises
SINGULAR = 1e-10  # the same for the complete information, by that of each coordinate alone
MOVES = 1e-4  # how much of the largest move a scalar makes, beyond rounding

BOUNDARY = (
    "on the boundary as far as the data can tell, where the log-likelihood has no quadratic shape (the standard errors "
    "of others are conditional on that); see confidence_intervals(method='profile')"
)
FIXED = "not free: it can have no other value"


@dataclass(frozen=True)
class Held(Sealed):
    """Scalars without a standard error, for one reason: the data say nothing of a move of the parameters.

    `move` (P,): of the reported scalars, zeros for what cannot move; `scalars` (P,): which have none for it.
    """

    move: np.ndarray
    scalars: np.ndarray
    reason: str


@dataclass(frozen=True)
class Information(Sealed):
    """Information about the free scalars at a fit, and what it says of all reported ones.

        observed = complete − missing,    rate = complete⁻¹ · missing,    V = observed⁻¹

    `labels` (m,): the scalars the matrices are about, in the units of the parameters: all but what
    follows from others (the last of a simplex, the upper half of a covariance) or is held; `complete`,
    `observed` (m, m); `jacobian` (P, m): of all scalars in `fit.names` with respect to these. What is held
    stays where it is: the information about the others is conditional on that.

    **Source:** Orchard & Woodbury (1972), Proc. 6th Berkeley Symp. 1, 697; Louis (1982), JRSS B 44, 226.
    """

    labels: list[str]
    complete: np.ndarray
    observed: np.ndarray
    jacobian: np.ndarray
    held: tuple[Held, ...] = ()

    @property
    def missing(self) -> np.ndarray:
        """(p, p): complete − observed."""
        return self.complete - self.observed

    @property
    def rate(self) -> np.ndarray:
        """(p, p) complete⁻¹ · missing: at the optimum, the Jacobian of the EM map, row i that of image i."""
        return np.linalg.solve(self.complete, self.missing)

    @cached_property
    def _relative(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and vectors of observed relative to complete: 1 − the missing fractions."""
        half = np.linalg.inv(np.linalg.cholesky(self.complete))
        values, vectors = np.linalg.eigh(half @ self.observed @ half.T)
        return values, half.T @ vectors

    @property
    def fraction_missing(self) -> float:
        """The largest fraction of missing information: EM's rate of convergence."""
        return float(1.0 - self._relative[0][0]) if len(self.complete) else 0.0

    @property
    def condition_number(self) -> float:
        """Largest by smallest eigenvalue of `observed`."""
        values = np.linalg.eigvalsh(self.observed)
        return float(values[-1] / values[0])

    @cached_property
    def covariance(self) -> np.ndarray:
        """(P, P) of the reported scalars, by the delta method; NaN for those that are held."""
        return masked(self.delta(np.linalg.inv(self.observed)), self.held)

    def delta(self, covariance: np.ndarray) -> np.ndarray:
        """(m, m) covariance of these coordinates → (P, P) of the reported scalars."""
        return self.jacobian @ covariance @ self.jacobian.T

    @cached_property
    def fractions(self) -> np.ndarray:
        """(P,) fraction of information missing about each reported scalar: 1 − complete/observed variance."""
        return 1.0 - np.diag(self.delta(np.linalg.inv(self.complete))) / np.diag(self.covariance)

    def _repr_html_(self) -> str:
        shares = np.diag(self.missing) / np.diag(self.complete)
        columns = (np.diag(each) for each in (self.complete, self.observed, self.missing))
        rows = [
            (label, *(f"{number:.6g}" for number in numbers), f"{share:.1%}")
            for label, share, *numbers in zip(self.labels, shares, *columns, strict=True)
        ]
        table = html_table(("about", "complete", "observed", "missing", "share missing"), rows)
        return f"{table}\n<p>Largest fraction of missing information in any direction: {self.fraction_missing:.1%}</p>"

    def about(self, first: np.ndarray, names: list[str]) -> "Information":
        """The same about reported scalars that determine all that are not held, the `first` ones if they do."""
        free = ~held_by(self.held, len(names))
        ordered = [*np.flatnonzero(first & free), *np.flatnonzero(~first & free)]
        chosen = self._independent(ordered) if self.held else ordered[: first.sum()]
        rows = self.jacobian[chosen]
        if len(chosen) == len(self.labels):
            back = np.linalg.inv(rows)
            complete, observed = back.T @ self.complete @ back, back.T @ self.observed @ back
        else:  # what is left over moves no scalar alone
            back = np.linalg.pinv(rows)
            both = (np.linalg.inv(rows @ np.linalg.inv(i) @ rows.T) for i in (self.complete, self.observed))
            complete, observed = both
        return Information([names[i] for i in chosen], complete, observed, self.jacobian @ back, self.held)

    def _independent(self, candidates: list[int]) -> list[int]:
        """Those of the candidates, in their order, that do not follow from the ones before; sorted."""
        rest = self.jacobian @ np.linalg.inv(np.linalg.cholesky(self.complete)).T
        size = np.linalg.norm(rest, axis=1)
        chosen: list[int] = []
        for i in candidates:
            length = np.linalg.norm(rest[i])
            if length > INDEPENDENT * size[i]:
                along = rest[i] / length
                rest = rest - np.outer(rest @ along, along)
                chosen.append(i)
        return sorted(chosen)


@dataclass(frozen=True)
class FreeInformation(Information):
    """The same about directions of the free coordinates.

    `directions` (p, m): their columns; `whole` (p, p): the complete information about all free coordinates.
    """

    directions: np.ndarray = field(kw_only=True)
    whole: np.ndarray = field(kw_only=True)

    @cached_property
    def coordinates(self) -> np.ndarray:
        """(m, p): how far a move of the free coordinates goes along each, were the M-step to keep to them."""
        return np.linalg.solve(self.complete, self.directions.T @ self.whole)

    def reduced(self, matrix: Array | np.ndarray) -> np.ndarray:
        """A matrix (p, p) about the free coordinates, in the directions: (m, m)."""
        return self.directions.T @ np.asarray(matrix) @ self.directions

    def along(self, directions: np.ndarray) -> "FreeInformation":
        """In some directions (m, r) of these only."""
        return FreeInformation(
            [f"direction[{i}]" for i in range(directions.shape[1])],
            directions.T @ self.complete @ directions,
            directions.T @ self.observed @ directions,
            self.jacobian @ directions,
            self.held,
            directions=self.directions @ directions,
            whole=self.whole,
        )


def held_by(held: tuple[Held, ...], scalars: int) -> np.ndarray:
    """(P,) which of the reported scalars are held."""
    return np.any([np.zeros(scalars, dtype=bool), *(each.scalars for each in held)], axis=0)


def masked(covariance: np.ndarray, held: tuple[Held, ...]) -> np.ndarray:
    """(P, P), NaN in the rows and columns of what is held."""
    none = held_by(held, len(covariance))
    return np.where(none | none[:, None], np.nan, covariance)


@double
def information(problem: Problem, free: np.ndarray) -> FreeInformation:
    """The informations at a point, in the free coordinates of the frame."""
    complete, observed = complete_data(problem, free).informations()
    labels = [f"free[{i}]" for i in range(len(free))]
    outer = np.asarray(jacobian(problem.model, problem.frame, jnp.asarray(free)))
    return FreeInformation(labels, complete, observed, outer, directions=np.eye(len(free)), whole=complete)


class Saddle(InferenceError):
    """The point is no maximum, so that no method says anything of the estimates."""


def check_converged(at: Iterate) -> None:
    """Raise `InferenceError` unless the fit has reached a limit, and nearly enough."""
    if at.status is not Status.CONVERGED:
        raise InferenceError(f"the fit has not converged ({at.status.value}): there is no maximum to measure at")
    if at.distance > CLOSE:
        raise InferenceError(
            f"the fit stopped {at.distance:.2g} standard errors from the limit, too far for its curvature: "
            "fit again with a smaller tolerance, stop=lt.Stop(tolerance=1e-6), and start=fit.params"
        )


def trusted(at: Iterate) -> FreeInformation:
    """The information in the directions that the data tell of, with what is held: the test of every optimum.

    **Raises:** `InferenceError` for a fit that has not converged, and for a saddle.
    """
    check_converged(at)
    problem = at.problem.about(at.free)
    full = information(problem, at.free)
    inside, directions = problem.space.interior(at.free, full.complete)
    held = [Held(move, move > 0, BOUNDARY) for move in np.eye(len(inside))[~inside]]
    fixed = inside & (full.jacobian == 0).all(1)
    if fixed.any():
        held.append(Held(np.zeros(len(inside)), fixed, FIXED))
    found = full if inside.all() else full.along(directions)
    if not (np.isfinite(found.complete).all() and np.isfinite(found.observed).all()):
        raise InferenceError(_extreme(found, problem))
    # along a curved ridge, what is left of the score shows as curvature; it is the step, in these standard errors
    kept, flat = _split(found, problem, min(problem.step(at.free).length, -RISING))
    if flat.shape[1]:
        held += _unidentified(found, flat, problem)
        found = found.along(kept)
    return replace(found, held=tuple(held))


def _extreme(found: FreeInformation, problem: Problem) -> str:
    """Which parameters are where second derivatives are no numbers."""
    bad = ~(np.isfinite(found.complete) & np.isfinite(found.observed))
    lost = bad.diagonal() if bad.diagonal().any() else bad.any(1)
    moved = (np.abs(np.nan_to_num(found.jacobian[:, lost])) > 0).any(1) & problem.space.distinct
    names = [problem.names[i] for i in np.flatnonzero(moved)] or ["a parameter"]
    return (
        f"the information is not finite at the estimate: {listed(names)} {'is' if len(names) == 1 else 'are'} at an "
        "extreme; give the data in other units, or fix what is at its extreme"
    )


def nothing_left(held: Iterable[Held], names: list[str]) -> InferenceError:
    """What to raise where every scalar is held."""
    return InferenceError("; ".join(f"{some}: {reason}" for some, reason in grouped(held, names)))


def grouped(held: Iterable[Held], names: list[str]) -> list[tuple[str, str]]:
    """Each reason, with the names of the first few scalars that are held for it."""
    scalars: dict[str, np.ndarray] = {}
    for each in held:
        scalars[each.reason] = scalars.get(each.reason, False) | each.scalars
    found = []
    for reason, among in scalars.items():
        chosen = [names[i] for i in np.flatnonzero(among)]
        more = f" and {len(chosen) - 4} more" if len(chosen) > 4 else ""
        found.append((", ".join(chosen[:4]) + more, reason))
    return found


def _split(found: FreeInformation, problem: Problem, blur: float) -> tuple[np.ndarray, np.ndarray]:
    """Directions (m, r) that the data tell of, with complete information 1, and flat ones (m, m − r)."""
    alone = np.diag(found.complete)
    units = 1 / np.sqrt(np.where(alone > 0, alone, 1.0))
    known, axes = np.linalg.eigh(found.complete * np.outer(units, units))
    told = known > max(SINGULAR, blur)
    half = units[:, None] * axes[:, told] / np.sqrt(known[told])
    fractions, vectors = np.linalg.eigh(half.T @ found.observed @ half)
    if (fractions < RISING).any():
        rising = _combination(found.jacobian @ half @ vectors[:, 0], problem)
        raise Saddle(
            f"the fit is a saddle, not a maximum: the log-likelihood rises along {rising} "
            "(EM alone stays here); start off this point, or try other starts (starts=20)"
        )
    ways, seen = half @ vectors, fractions > max(FLAT, blur)
    return ways[:, seen], np.hstack([units[:, None] * axes[:, ~told], ways[:, ~seen]])


def _unidentified(found: FreeInformation, flat: np.ndarray, problem: Problem) -> list[Held]:
    """The flat directions (m, r), each told by as few scalars as may be."""
    alone = np.diag(found.complete)
    sizes = np.linalg.norm(found.jacobian / np.sqrt(np.where(alone > 0, alone, 1.0)), axis=1)
    moves = (found.jacobian @ flat) / np.where(sizes > 0, sizes, 1.0)[:, None]
    for column in range(moves.shape[1]):  # Gauss–Jordan
        row = np.argmax(np.abs(moves[:, column]))
        moves[:, column] /= moves[row, column] or 1.0
        others = np.arange(moves.shape[1]) != column
        moves[:, others] -= np.outer(moves[:, column], moves[row, others])
    moves = np.where(np.abs(moves) > MOVES * np.abs(moves).max(0), moves, 0.0) * sizes[:, None]
    return [
        Held(
            move,
            move != 0,
            f"not identified: the log-likelihood is flat along {_combination(move, problem)}, so the data cannot "
            "tell; fix or share a parameter",
        )
        for move in moves.T
    ]


def _combination(direction: np.ndarray, problem: Problem) -> str:
    """A direction as the combination of parameters it is: "+1·a -0.5·b"."""
    scaled = np.where(problem.space.distinct, direction, 0.0) / max(np.abs(direction).max(), 1e-300)
    largest = [i for i in np.argsort(-np.abs(scaled))[:6] if abs(scaled[i]) > 0.02]
    if largest and scaled[largest[0]] < 0:
        scaled = -scaled
    return " ".join(f"{scaled[i]:+.3g}·{problem.names[i]}" for i in largest) or "no parameter shown"
