"""The M-step where rows have potentials of their own: Newton steps on Q, one near a maximum, never down."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.engine.blocks import Shard
from latens.engine.emmap import expected_value, inside, log_likelihood, over_blocks, surrogate
from latens.engine.rows import AbstractRows
from latens.models.base import AbstractModel
from latens.numerics.compiling import beside
from latens.numerics.newton import ROUNDING
from latens.numerics.space import Space
from latens.numerics.stacked import Composition

TOGETHER = 32  # directions taken at once: each may hold a number for every hidden value
STEPS = 30  # Newton's on one Q at most
SHORT = 0.25  # the square of one, in standard errors, after which no other is worth it
TRUE = 0.1  # of what a quadratic promised, that Q may have risen by more or less, for the step to have come to its top
RIDGE = 2e-16  # of a coordinate's own curvature: what Q does not depend on stays
CONVEX = -1e-6  # an eigenvalue below which Q is not concave where the step begins
# (damping, of each coordinate's own curvature, and share of the step), tried until Q rises
TRIES = [(0.0, 0.5**halved) for halved in range(4)] + [(10.0**power, 1.0) for power in range(-3, 13)]
HIDDEN = 1e-6  # the square of a step, in standard errors, that a damped one may stand for
NOTHING = 1e8  # a damping by which a step comes to nothing
FAR = 6.0  # a logarithm moves by no more in one step
SLACK = 1e-14  # of Q, by its size, that rounding may hide


class Ascent(NamedTuple):
    """A step that raised Q."""

    log_likelihood: float  # where it began
    point: np.ndarray  # (p,) where it ended
    slope: float  # of Q along it, where it began
    arrived: bool  # whether it was Newton's, on a concave Q, so that its length says how far the maximum is
    known: bool  # whether the derivatives were numbers


@beside(static_argnames="forward")
def derivatives(
    model: AbstractModel, free: Array, at: Array, directions: Array, shard: Shard, *, forward: bool
) -> tuple[Array, Array, Array, Array]:
    """ℓ(at) and Q(free | at), its gradient (p,) and its Hessian along directions (p, m).

    Derivatives taken `forward` cost more, but a responsibility of 0 then silences infinite ones as well.
    """
    potentials = model.potentials(Space(model.constraints).params(at))

    def block(xs: Any, w: Array) -> tuple[Array, Array, Array, Array]:
        def q(u: Array) -> Array:
            return surrogate(model, u, at, xs, w)

        slope, push = jax.linearize((jax.jacfwd if forward else jax.grad)(q), free)
        return log_likelihood(model, potentials, xs, w), q(free), slope, along(push, directions)

    return over_blocks(block, shard)


def along(push: Any, directions: Array) -> Array:
    """A linear map of every column."""
    if directions.shape[1] <= TOGETHER:
        return jax.vmap(push, 1, 1)(directions)
    found: Array = jax.lax.map(push, directions.T, batch_size=TOGETHER)
    return found.T


def ascent(rows: AbstractRows, model: AbstractModel, free: np.ndarray, n: float, *, forward: bool) -> Ascent:
    """Newton steps on Q(· | free), until one is short: near a maximum that is the first.

    Where Q is a sum over blocks of coordinates, the k-th coordinates of all blocks share a direction, so the Hessian
    costs as many passes as the largest block has coordinates.

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1, §1 (generalised EM); Lange (1995), JRSS B 57, 425.
    """
    blocks = model.blocks
    place = np.array([np.count_nonzero(blocks[:i] == block) for i, block in enumerate(blocks)], dtype=int)
    directions = jnp.asarray((place[:, None] == np.arange(place.max(initial=0) + 1)).astype(float))
    at, point, level, first = jnp.asarray(free), free, np.nan, np.zeros_like(free)
    rise, arrived = 0.0, False
    for step in range(STEPS):
        found = rows.add(
            derivatives, model, jnp.asarray(point), at, directions, width=directions.shape[1] + 1, forward=forward
        )
        ell, q, slope, columns = map(np.asarray, found)
        hessian = np.where(blocks[:, None] == blocks, columns[:, place], 0.0)
        known = bool(np.isfinite(slope).all() and np.isfinite(hessian).all())
        if step == 0:
            level, first = float(ell), slope
            if not known:
                return Ascent(level, free.copy(), 0.0, False, False)
        if not known:
            break
        point, rise, gain, arrived = _raised(rows, model, point, at, float(q), slope, hessian, n)
        if rise <= SHORT or (arrived and abs(2 * gain - rise) <= TRUE * rise):
            break
    return Ascent(level, np.array(point), max(float(first @ (point - free)), rise), arrived, True)


def _raised(
    rows: AbstractRows,
    model: AbstractModel,
    point: np.ndarray,
    at: Array,
    q: float,
    slope: np.ndarray,
    hessian: np.ndarray,
    n: float,
) -> tuple[np.ndarray, float, float, bool]:
    """A Newton step damped until Q rises: its end, the slope along it, the rise, and whether it was Newton's own.

    Where shares are counted, it goes to those of the counts.
    """
    space, size, here = Space(model.constraints), 1 + abs(q), jnp.asarray(point)
    bounded = space.scales != "identity"
    # beside a boundary, where there is no curvature to hold it, rounding in the slope would lead far away
    slope = np.where(bounded & (np.abs(slope) <= ROUNDING * size), 0.0, slope)
    alone = np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-12))
    values, vectors = np.linalg.eigh(-hessian / np.outer(alone, alone))
    undamped, noise = 0.0, 0.0
    for damping, share in TRIES:
        # along directions in which Q has no top, as far as if it were turned round
        newton = (
            vectors @ ((vectors.T @ (slope / alone)) / (np.maximum(np.abs(values), RIDGE) + damping)) / alone * share
        )
        move = _counted(model, space, point, slope, np.where(bounded, np.clip(newton, -FAR, FAR), newton), n)
        rise = float(slope @ move)
        first = not damping and share == 1.0
        # a logarithm held back may have turned a long step downhill: not a short one, whatever its sign
        undamped = abs(rise) if first else undamped
        # below the digits of the point or, in each coordinate, of what Q would gain
        hidden = (np.abs(move) <= ROUNDING * np.abs(point)) | (np.abs(slope * move) <= 1e-22 * size)
        if first and hidden.all():
            return point, 0.0, 0.0, True
        end = inside(model, jnp.asarray(point + move), here)
        gain = float(rows.add(expected_value, model, end, at)) - q if rise > 0 else -np.inf
        noise = max(noise, abs(gain)) if damping >= NOTHING else 0.0
        # where much is left to gain, a damped step that gains nothing is none
        if gain >= (-SLACK if first or undamped <= HIDDEN else SLACK) * size:
            whole = first and not (bounded & (np.abs(newton) > FAR)).any() and values.min(initial=0.0) >= CONVEX
            if not first and undamped <= HIDDEN:  # what is left to gain is hidden by rounding
                return point, undamped, 0.0, True
            return np.asarray(end), rise, gain, bool(whole)
        if first and abs(rise) <= max(1e-13, 1e-16 * size):
            return point, 0.0, 0.0, True
    # what is left to gain is less than rounding makes of a step that is none
    return point, 0.0, 0.0, bool(undamped <= 10 * noise < np.inf)


def _counted(
    model: AbstractModel, space: Space, free: np.ndarray, slope: np.ndarray, move: np.ndarray, n: float
) -> np.ndarray:
    """The move, for shares that are counted to where they are the shares of the counts."""
    at = 0
    for key, kind in space.constraints.items():
        own = slice(at, at + kind.size)
        at += kind.size
        if key in model.counted:
            assert isinstance(kind, Composition)
            move[own] = kind.counted(free[own], slope[own] / n) - free[own]
    return move
