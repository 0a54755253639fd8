"""The M-step where rows have potentials of their own: one Newton step on Q for each E-step, never down."""

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
from latens.numerics.simplex import Composition
from latens.numerics.space import Space

TOGETHER = 32  # directions taken at once: each may hold a number for every hidden value
RIDGE = 1e-10  # of a coordinate's own curvature: what Q does not depend on stays
CONVEX = -1e-6  # an eigenvalue below which Q is not concave where the step begins
DAMPING = (0.0, *10.0 ** np.arange(-3, 13))  # of each coordinate's own curvature, tried until Q rises
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
    model: AbstractModel, free: Array, directions: Array, shard: Shard, *, forward: bool
) -> tuple[Array, Array, Array, Array]:
    """ℓ and Q(free | free), its gradient (p,) and its Hessian along directions (p, m).

    Derivatives taken `forward` cost more, but a responsibility of 0 then silences infinite ones as well.
    """
    potentials = model.potentials(Space(model.constraints).params(free))

    def block(xs: Any, w: Array) -> tuple[Array, Array, Array, Array]:
        def q(u: Array) -> Array:
            return surrogate(model, u, free, xs, w)

        slope, push = jax.linearize((jax.jacfwd if forward else jax.grad)(q), free)
        return log_likelihood(model, potentials, xs, w), q(free), slope, along(push, directions)

    total: tuple[Array, Array, Array, Array] = over_blocks(block, shard)
    return total


def along(push: Any, directions: Array) -> Array:
    """A linear map of every column."""
    if directions.shape[1] <= TOGETHER:
        return jax.vmap(push, 1, 1)(directions)
    found: Array = jax.lax.map(push, directions.T, batch_size=TOGETHER)
    return found.T


def ascent(rows: AbstractRows, model: AbstractModel, free: np.ndarray, n: float, *, forward: bool) -> Ascent:
    """One Newton step on Q(· | free), where shares are counted those of the counts; damped until Q rises.

    Where Q is a sum over blocks of coordinates, the k-th coordinates of all blocks share a direction, so the Hessian
    costs as many passes as the largest block has coordinates.

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1, §1 (generalised EM); Lange (1995), JRSS B 57, 425.
    """
    space = Space(model.constraints)
    blocks = model.blocks
    place = np.array([np.count_nonzero(blocks[:i] == block) for i, block in enumerate(blocks)], dtype=int)
    directions = (place[:, None] == np.arange(place.max(initial=0) + 1)).astype(float)
    u = jnp.asarray(free)
    found = rows.add(derivatives, model, u, jnp.asarray(directions), width=len(directions.T) + 1, forward=forward)
    level, q, slope, columns = map(np.asarray, found)
    hessian = np.where(blocks[:, None] == blocks, columns[:, place], 0.0)
    if not (np.isfinite(slope).all() and np.isfinite(hessian).all()):
        return Ascent(float(level), free.copy(), 0.0, False, False)
    # beside a boundary, where there is no curvature to hold it, rounding in the slope would lead far away
    bounded = space.scales != "identity"
    slope = np.where(bounded & (np.abs(slope) <= ROUNDING * (1 + abs(q))), 0.0, slope)
    alone = np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-12))
    values, vectors = np.linalg.eigh(-hessian / np.outer(alone, alone))
    size = 1 + abs(float(q))
    for damping in DAMPING:
        # along directions in which Q has no top, as far as if it were turned round
        newton = vectors @ ((vectors.T @ (slope / alone)) / (np.maximum(np.abs(values), RIDGE) + damping)) / alone
        move = _counted(model, space, free, slope, np.where(bounded, np.clip(newton, -FAR, FAR), newton), n)
        rise = float(slope @ move)
        if not damping and _is_rounding(free, slope, move, size):
            return Ascent(float(level), free.copy(), 0.0, True, True)
        point = inside(model, jnp.asarray(free + move), u)
        if rise > 0 and float(rows.add(expected_value, model, point, u)) >= float(q) - SLACK * size:
            arrived = not damping and values.min(initial=0.0) >= CONVEX and not (bounded & (np.abs(newton) > FAR)).any()
            return Ascent(float(level), np.asarray(point), rise, bool(arrived), True)
        if not damping and abs(rise) <= max(1e-13, 1e-16 * size):
            return Ascent(float(level), free.copy(), 0.0, True, True)
    return Ascent(float(level), free.copy(), 0.0, False, True)


def _is_rounding(free: np.ndarray, slope: np.ndarray, move: np.ndarray, size: float) -> bool:
    """Whether a move is below the digits of the point or, in each coordinate, of what Q would gain."""
    return bool(((np.abs(move) <= ROUNDING * np.abs(free)) | (np.abs(slope * move) <= 1e-22 * size)).all())


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
