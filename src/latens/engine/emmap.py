"""The EM map in free coordinates: an E-step that is a gradient, an M-step that is an `estimate`; one step or many."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.engine.blocks import Shard
from latens.errors import ModelError
from latens.models.base import AbstractModel, inner, per_row
from latens.numerics.compiling import ALONE, QUICKLY, beside, by_size
from latens.numerics.newton import Maximum, maximise
from latens.numerics.space import Space


class Care(NamedTuple):
    """What a step takes where the quick way would not do."""

    about: bool = False  # statistics reckoned from the point itself, where digits would be lost
    forward: bool = False  # derivatives taken forward, where a responsibility of 0 meets an infinite one


class Move(NamedTuple):
    """Where the M-step went from a point."""

    free: Array  # (p,) the next point
    length: Array  # of the step, in standard errors of the complete data
    health: Array  # (m,) of the point the step was taken from
    size: Array  # of the terms that a row's log-evidence is the sum of
    arrived: Array  # whether Q is at its maximum there


class Packed(NamedTuple):
    """A log-likelihood and the step from there."""

    facts: Array  # (4,) log-likelihood, length, size, whether it arrived
    free: Array
    health: Array


def over_blocks(function: Callable[[Any, Array], Any], shard: Shard) -> Any:
    """Σ over blocks of a function of (rows, weights): memory stays that of one block."""
    function = jax.jit(function)  # traced once, for its shapes and for the sum

    def body(total: Any, block: tuple[Any, Array]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(*block)), None

    zero = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
        jax.eval_shape(function, *jax.tree.map(lambda leaf: leaf[0], tuple(shard))),
    )
    return jax.lax.scan(body, zero, tuple(shard))[0]


def weighted(values: Array, weights: Array) -> Array:
    """Σ w v, where a weight of 0 silences even an infinite value."""
    return jnp.where(weights > 0, weights * jnp.where(weights > 0, values, 0.0), 0.0).sum()


def log_likelihood(model: AbstractModel, potentials: Any, xs: Any, weights: Array) -> Array:
    """Σ w log-evidence of the rows of one block."""
    return weighted(model.log_evidences(potentials, xs), weights)


def surrogate(model: AbstractModel, free: Array, at: Array, xs: Any, weights: Array) -> Array:
    """Σ w Q(free | at) of the rows of one block."""
    space = Space(model.constraints)
    params, before = space.params(free), space.params(at)
    return weighted(per_row(lambda x: model.surrogate(params, before, x), xs), weights)


@jax.jit
def block_value(model: AbstractModel, free: Array, block: Shard) -> Array:
    """The log-likelihood of one block."""
    return log_likelihood(model, model.potentials(Space(model.constraints).params(free)), *block)


@jax.jit
def block_surrogate(model: AbstractModel, free: Array, block: Shard) -> Array:
    """Q of one block at the point itself."""
    return surrogate(model, free, free, *block)


@by_size()
def value(model: AbstractModel, free: Array, shard: Shard) -> Array:
    """The log-likelihood alone."""
    potentials = model.potentials(Space(model.constraints).params(free))
    return over_blocks(lambda xs, w: log_likelihood(model, potentials, xs, w), shard)


@by_size()
def evidences(model: AbstractModel, free: Array, shard: Shard) -> Array:
    """log-evidence of every row, shaped like the weights."""
    potentials = model.potentials(Space(model.constraints).params(free))
    return jax.lax.map(lambda xs: model.log_evidences(potentials, xs), shard.xs)


@by_size()
def posteriors(model: AbstractModel, free: Array, shard: Shard) -> Any:
    """What is known of the hidden part of every row."""
    potentials = model.potentials(Space(model.constraints).params(free))
    return jax.lax.map(lambda xs: per_row(lambda x: model.posterior(potentials, x), xs), shard.xs)


@by_size()
def entropies(model: AbstractModel, free: Array, shard: Shard) -> Array:
    """Σ w entropy of the hidden label of each row."""
    potentials = model.potentials(Space(model.constraints).params(free))

    def block(xs: Any, w: Array) -> Array:
        given = per_row(lambda x: model.posterior(potentials, x), xs)
        return weighted(-(given * jnp.log(jnp.where(given > 0, given, 1.0))).sum(-1), w)

    return over_blocks(block, shard)


@by_size()
def expected_value(model: AbstractModel, free: Array, at: Array, shard: Shard) -> Array:
    """Q(free | at), the expected complete-data log-likelihood."""
    return over_blocks(lambda xs, w: surrogate(model, free, at, xs, w), shard)


@jax.jit
def potentials_at(model: AbstractModel, free: Array) -> Any:
    """φ at free coordinates."""
    return model.potentials(Space(model.constraints).params(free))


@jax.jit
def expect(model: AbstractModel, free: Array, shard: Shard) -> tuple[Array, Any]:
    """(log-likelihood, expected statistics): the E-step."""
    return _expect(model, potentials_at(model, free), shard)


def _expect(model: AbstractModel, potentials: Any, shard: Shard) -> tuple[Array, Any]:
    """One value-and-gradient per block."""

    def rounded(phi: Any, xs: Any, w: Array) -> Array:
        return log_likelihood(model, as_precise(phi, xs), xs, w)

    return over_blocks(lambda xs, w: jax.value_and_grad(rounded)(potentials, xs, w), shard)


@beside()
def expect_shard(model: AbstractModel, potentials: Any, shard: Shard) -> tuple[Array, Any]:
    """`expect` as a program of its own, for potentials that all shards share."""
    return _expect(model, potentials, shard)


def as_precise(potentials: Any, xs: Any) -> Any:
    """Potentials in the precision of the rows; sums of what is computed from them stay in double."""
    single = any(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(xs))
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), potentials) if single else potentials


@jax.jit
def update(model: AbstractModel, free: Array, stats: Any, n: Array) -> Move:
    """The M-step from statistics summed over all shards: the closed form, or damped Newton."""
    space = Space(model.constraints)

    def q(u: Array) -> Array:
        return inner(model.potentials(space.params(u)), stats)

    params = _estimated(model, stats)
    if params is None:
        found = maximise(q, free, bounded=space.scales != "identity")
        found = found._replace(point=inside(model, found.point, free))
    else:
        found = Maximum(space.free(params), jnp.asarray(True))
    # Q has its maximum at the end of the step Δ, so to second order its slope at the beginning is ΔᵀI_com Δ
    slope = jax.jvp(q, (free,), (found.point - free,))[1]
    size = model.sum_of_terms(model.potentials(space.params(free)), stats, n)
    return moved(model, free, found, slope, n, size)


@jax.jit
def formula(model: AbstractModel, free: Array) -> Any:
    """What `estimate` makes of statistics like the potentials, which tells whether it is one; traced once for all."""
    return model.estimate(potentials_at(model, free))


def _estimated(model: AbstractModel, stats: Any) -> Any:
    """Where Q is highest, if the model has a formula. Raises `ModelError` if that is not its parameters."""
    params = model.estimate(stats)
    shapes = Space(model.constraints).shapes
    if params is None:
        return None
    given = {name: jnp.shape(value) for name, value in params.items()} if isinstance(params, Mapping) else repr(params)
    if given != shapes:
        raise ModelError(
            f"{type(model).__name__}.estimate must return a dict of the parameters, with the shapes {shapes}, or None; "
            f"it returned {given}"
        )
    return params


@jax.jit
def inside(model: AbstractModel, point: Array, free: Array) -> Array:
    """A point that a step from `free` has led to, no nearer to a boundary than an estimate may be."""
    space = Space(model.constraints)
    kept = space.free(space.params(point))
    # what has not moved at all stays to the last bit, with the derivatives of what may
    return kept + jax.lax.stop_gradient(jnp.where(point == free, free - kept, 0.0))


def with_prior(
    model: AbstractModel, free: Array | np.ndarray, found: tuple[Array, Any], prior: Any
) -> tuple[Array, Any]:
    """(ℓ + <φ, prior>, statistics + prior): a conjugate prior is statistics that were seen before the data."""
    return found if prior is None else _with(model, jnp.asarray(free), found, prior)


@jax.jit
def _with(model: AbstractModel, free: Array, found: tuple[Array, Any], prior: Any) -> tuple[Array, Any]:
    potentials = model.potentials(Space(model.constraints).params(free))
    return found[0] + inner(potentials, prior), jax.tree.map(jnp.add, found[1], prior)


@jax.jit
def recentred(model: AbstractModel, free: Array, seen: Any) -> tuple[AbstractModel, Any]:
    """The model about a point, and the statistics of what was seen before the data as it reckons them."""
    about = model.about(Space(model.constraints).params(jax.lax.stop_gradient(free)))
    return about, seen and seen.statistics(about)


@jax.jit
def step_over(model: AbstractModel, free: Array, shards: tuple[Shard, ...], n: Array, prior: Any) -> tuple[Array, Move]:
    """(log-likelihood, E- and M-step) in one program, of a model with a finite statistic."""
    found = jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *(expect(model, free, shard) for shard in shards))
    log_lik, stats = with_prior(model, free, found, prior)
    return log_lik, update(model, free, stats, n)


@beside()
def one_step(model: AbstractModel, free: Array | np.ndarray, shards: tuple[Shard, ...], n: Array, prior: Any) -> Packed:
    """`step_over` as a program of its own."""
    return packed(*step_over(model, jnp.asarray(free), shards, n, prior))


@jax.jit
def packed(log_lik: Array, move: Move) -> Packed:
    """A step in as few arrays as may be: fetching one takes as long as a small step does."""
    # a step into nowhere has lost all its digits
    size = jnp.where(jnp.isfinite(move.free).all(), move.size, jnp.inf)
    facts = jnp.stack([log_lik, move.length, size, move.arrived.astype(log_lik.dtype)])
    return Packed(facts, move.free, move.health)


@jax.jit
def moved(model: AbstractModel, free: Array, found: Maximum, slope: Array, n: Array, size: Array) -> Move:
    """A step Δ measured by the complete information, √(ΔᵀI_com Δ), which is the same in any coordinates."""
    health = model.health(Space(model.constraints).params(free), n)
    return Move(found.point, jnp.sqrt(jnp.abs(slope)), health, size, found.arrived)


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


def squarem(
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


# a program of its own; without fusion emitters: a second less to compile, as fast here
burst = partial(jax.jit, static_argnames="about", compiler_options=ALONE | QUICKLY)(squarem)


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
