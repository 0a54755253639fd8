"""The maximum of every group: a few starts, short runs of EM, and Newton's method, which says how sure it is."""

from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from latens.engine.emmap import Burst
from latens.engine.evaluation import LARGE
from latens.engine.groups import Groups, Local, climb, filled, local
from latens.models.base import AbstractModel
from latens.numerics.space import Space


class Found(NamedTuple):
    """Of every group the end of its way, as NumPy arrays; `sure` where it is certainly a maximum."""

    free: np.ndarray  # (g, p)
    local: Local
    sure: np.ndarray  # (g,)
    distance: np.ndarray  # (g,) to the maximum, in standard errors


EVALUATIONS, THEN, LONGER = 10, 14, 48  # of each start; of those that go on; of a group that is not yet near
ROUNDS, POLISH = 6, 8
NEAR, ENOUGH = 1e-7, 1e-10  # standard errors from the maximum: at most, and where no further step is worth while
SOUND = 1e-7  # of the curvature in every direction, by that of each coordinate alone: else it is looked at more closely
TELLING = 0.1  # curvature about a logarithm or logit: of less, the estimate may be on a boundary
ROUNDING = 1e-12  # of a log-likelihood, that may be lost by it
RUNNERS = 2  # starts of each group that go on


def solve(model: AbstractModel, groups: Groups, points: Array) -> Found:
    """The highest of the maxima that the points of each group lead to, finished by Newton's method."""
    here = np.asarray(points)
    if here.shape[1] > 1:
        here = _best(climb(model, groups, here, EVALUATIONS), RUNNERS)
    return _finished(model, groups, _best(climb(model, groups, here, THEN), 1)[:, 0])


def _best(found: Burst, most: int) -> np.ndarray:
    """(g, s, p) of each group the best ends."""
    order = np.argsort(-np.nan_to_num(np.asarray(found.level), nan=-np.inf), 1)[:, :most]
    return np.take_along_axis(np.asarray(found.home), order[:, :, None], 1)


def _finished(model: AbstractModel, groups: Groups, free: np.ndarray) -> Found:
    """Newton's steps, and of groups in which they do not hold EM's, until all are at a maximum or time is up."""
    inner = np.asarray(Space(model.constraints).scales != "identity")
    at: Local = jax.device_get(local(model, groups, free))
    for round_ in range(ROUNDS):
        free, at = _polished(model, groups, free, at)
        sound, distance = _newton(at)[1:]
        settled = sound & (distance <= NEAR)
        left = np.flatnonzero(~settled)
        if not len(left) or round_ == ROUNDS - 1:
            break
        some = np.array(filled(left.tolist()))
        later = climb(model, jax.tree.map(lambda leaf, some=some: leaf[some], groups), free[some][:, None], LONGER)
        rises = np.zeros(len(free), dtype=bool)
        rises[some] = np.asarray(later.level)[:, 0] >= at.value[some]
        there = free.copy()
        there[some] = np.asarray(later.home)[:, 0]
        free = np.where(rises[:, None], there, free)
        at = _either(rises, jax.device_get(local(model, groups, free)), at)
    told = np.diagonal(at.curve, axis1=1, axis2=2)[:, inner].min(1, initial=np.inf) > TELLING
    return Found(free, at, settled & told & (at.health >= 1) & (at.size <= LARGE), distance)


def _polished(model: AbstractModel, groups: Groups, free: np.ndarray, at: Local) -> tuple[np.ndarray, Local]:
    """After Newton's steps, each taken where it rises and comes nearer."""
    for _ in range(POLISH):
        steps, sound, distance = _newton(at)
        moves = sound & (distance > ENOUGH)
        if not moves.any():
            break
        there = np.where(moves[:, None], free + steps, free)
        found: Local = jax.device_get(local(model, groups, there))
        after = _newton(found)
        rises = moves & after[1] & (found.value >= at.value - ROUNDING * (1 + np.abs(at.value)))
        rises &= (after[2] < 0.5 * distance) | (distance > NEAR)
        free, at = np.where(rises[:, None], there, free), _either(rises, found, at)
        if not rises.any():
            break
    return free, at


def _either(flags: np.ndarray, new: Local, old: Local) -> Local:
    """Of every group the one or the other."""
    found: Local = jax.tree.map(lambda a, b: np.where(flags.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, old)
    return found


def _newton(at: Local) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(g, p) Newton's steps, whether the curvature is that of a maximum, and their length in standard errors."""
    diagonal = np.diagonal(at.curve, axis1=1, axis2=2)
    with np.errstate(all="ignore"):
        units = np.where(diagonal > 0, 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), np.nan)
        scaled = at.curve * units[:, :, None] * units[:, None, :]
        sound = np.asarray(np.isfinite(scaled).all((1, 2)) & np.isfinite(at.slope).all(1))
        values, vectors = np.linalg.eigh(np.where(sound[:, None, None], scaled, np.eye(scaled.shape[1])))
        sound &= values[:, 0] > SOUND
        pull = np.einsum("gij,gi->gj", vectors, np.where(sound[:, None], at.slope * units, 0.0))
        along = pull / np.where(sound[:, None], values, 1.0)
        steps = np.einsum("gij,gj->gi", vectors, along) * np.where(sound[:, None], units, 0.0)
        length = np.sqrt(np.maximum((pull * along).sum(1), 0.0))
    return np.nan_to_num(steps), sound, np.where(sound, length, np.inf)
