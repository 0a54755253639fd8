"""Many steps from many points in one program: the short runs of many starts."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from latens.engine.blocks import Shard
from latens.engine.emmap import Move, recentred, step_over
from latens.models.base import AbstractModel
from latens.numerics.compiling import ALONE, QUICKLY


class Burst(NamedTuple):
    """What came of some evaluations of the EM map, from points (b, p)."""

    log_likelihood: Array  # (b,) at the points
    length: Array  # (b,) of the first step, in standard errors of the complete data
    level: Array  # (b,) the best log-likelihood on the way
    home: Array  # (b, p) the image of the best point
    health: Array  # (b, m) the worst on the way: of what can degenerate, below 1 it has
    size: Array  # (b,) the largest on the way: of the terms that a row's log-evidence is the sum of
    arrived: Array  # (b,) whether every M-step did


class _State(NamedTuple):
    """A run of SQUAREM under way."""

    point: Array  # (p,) to be evaluated next
    first: Array  # (p,) the point before it, where its cycle began if it is the second
    stride: Array  # (p,) the EM step from there
    phase: Array  # 0: a cycle begins at the point; 1: it is the second of one; 2: it was extrapolated
    burst: Burst


# without fusion emitters: a second less to compile, as fast here
@partial(jax.jit, static_argnames="about", compiler_options=ALONE | QUICKLY)
def burst(
    model: AbstractModel,
    points: Array,
    shards: tuple[Shard, ...],
    n: Array,
    seen: Any,
    evaluations: Array,
    *,
    about: bool,
) -> Burst:
    """SQUAREM from points (b, p), side by side, for so many evaluations; one is a step of EM, `about` each point."""
    fixed = model, seen and seen.statistics(model)

    def step(u: Array) -> tuple[Array, Move]:
        here, prior = recentred(model, u, seen) if about else fixed
        return step_over(here, u, shards, n, prior)

    def one(start: Array) -> Burst:
        shapes = jax.eval_shape(step, start)[1]

        def body(i: Array, at: _State) -> _State:
            return _advance(at, i == 0, *step(at.point))

        low, health = jnp.asarray(-jnp.inf), jnp.full(shapes.health.shape, jnp.inf)
        nothing = Burst(low, jnp.zeros(()), low, start, health, jnp.zeros(()), jnp.asarray(True))
        end = jax.lax.fori_loop(0, evaluations, body, _State(start, start, start, jnp.asarray(0), nothing))
        return end.burst

    return jax.vmap(one)(points)


def _advance(at: _State, begins: Array, log_lik: Array, move: Move) -> _State:
    """Scheme 3; an extrapolated point that lost ground is dropped for the image of the best."""
    image, had = move.free, at.burst
    stride = image - at.point
    bend = stride - at.stride
    alpha = jnp.sqrt(at.stride @ at.stride / (bend @ bend))
    jump = at.first + 2 * alpha * at.stride + alpha**2 * bend
    jumps = (at.phase == 1) & (alpha > 1) & jnp.isfinite(jump).all()
    follows = jnp.where(jumps, jump, image)
    phase = jnp.where(jumps, 2, jnp.where(at.phase == 1, 0, 1))
    kept = (log_lik >= had.level) | (at.phase != 2)  # a plain point that fails shows in what is returned
    return _State(
        jnp.where(kept, follows, had.home),
        at.point,
        stride,
        jnp.where(kept, phase, 0),
        Burst(
            jnp.where(begins, log_lik, had.log_likelihood),
            jnp.where(begins, move.length, had.length),
            jnp.where(kept, log_lik, had.level),
            jnp.where(kept, image, had.home),
            jnp.where(kept, jnp.minimum(had.health, move.health), had.health),
            # a NaN counts as large
            jnp.where(move.size <= had.size, had.size, move.size),
            had.arrived & (move.arrived | ~kept),
        ),
    )
