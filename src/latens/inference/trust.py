"""What of a fit standard errors mean something for; if not all, what is held, why, and what to do."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from latens.engine.loop import Iterate
from latens.engine.problem import Problem
from latens.engine.stop import Status
from latens.errors import InferenceError, listed
from latens.inference.information import FreeInformation, Held, information

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
        raise InferenceError(
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
