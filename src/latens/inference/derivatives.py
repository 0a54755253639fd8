"""Derivatives that informations are made of, each a sum over blocks, by automatic differentiation."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from latens.engine.ascent import along
from latens.engine.blocks import Shard
from latens.engine.emmap import expect, log_likelihood, over_blocks, surrogate, update, weighted
from latens.families.frame import AbstractFrame
from latens.models.base import AbstractModel, inner
from latens.models.rows import per_row
from latens.numerics.compiling import by_size, once
from latens.numerics.space import Space


def _flat(model: AbstractModel, free: Array) -> Array:
    """(q,) all potentials in one vector."""
    return ravel_pytree(model.potentials(Space(model.constraints).params(free)))[0]


@once
def slopes(model: AbstractModel, free: Array) -> Array:
    """(q, p) ∂φ/∂θ."""
    found: Array = jax.jacfwd(lambda u: _flat(model, u))(free)
    return found


@by_size()
def turned(model: AbstractModel, free: Array, directions: Array, shard: Shard) -> tuple[Any, Array]:
    """Σ E[S given x] as a tree, and Σ Cov[S given x] · directions (q, m): gradient and Hessian of ℓ in φ."""
    flat, unravel = ravel_pytree(model.potentials(Space(model.constraints).params(free)))

    def block(xs: Any, w: Array) -> tuple[Array, Array]:
        slope = jax.grad(lambda phi: log_likelihood(model, unravel(phi), xs, w))
        mean, push = jax.linearize(slope, flat)
        return mean, along(push, directions)

    mean, covariance = over_blocks(block, shard)
    return unravel(mean), covariance


@once
def curvature(model: AbstractModel, free: Array, stats: Any) -> Array:
    """−∇²<φ(θ), s̄> with s̄ held: (p, p)."""
    space = Space(model.constraints)
    return -jax.hessian(lambda u: inner(model.potentials(space.params(u)), stats))(free)


@by_size(static_argnames="forward")
def row_curvatures(model: AbstractModel, free: Array, shard: Shard, *, forward: bool) -> tuple[Array, Array]:
    """(complete, observed) of a model without a finite statistic; `forward` as in `ascent.derivatives`."""
    first = jax.jacfwd if forward else jax.grad
    space = Space(model.constraints)

    def ell(u: Array, xs: Any, w: Array) -> Array:
        return log_likelihood(model, model.potentials(space.params(u)), xs, w)

    def q(u: Array, xs: Any, w: Array) -> Array:
        return surrogate(model, u, free, xs, w)

    def block(xs: Any, w: Array) -> tuple[Array, Array]:
        return -jax.jacfwd(first(q))(free, xs, w), -jax.jacfwd(first(ell))(free, xs, w)

    complete, observed = over_blocks(block, shard)
    return complete, observed


@by_size()
def row_covariance(model: AbstractModel, free: Array, shard: Shard) -> Array:
    """Σ Cov[score of the complete datum given x]: (p, p), of a model without a finite statistic."""
    space = Space(model.constraints)

    def shifted(t: Array, x: Any) -> Array:
        at = space.params(free)
        here, change = jax.jvp(lambda u: model.row_potentials(space.params(u), x, at), (free,), (t,))
        return model.log_evidence(jax.tree.map(jnp.add, here, change), x)

    def block(xs: Any, w: Array) -> Array:
        return jax.hessian(lambda t: weighted(per_row(lambda x: shifted(t, x), xs), w))(jnp.zeros_like(free))

    total: Array = over_blocks(block, shard)
    return total


@by_size()
def filled(model: AbstractModel, free: Array, shard: Shard) -> Array:
    """Σ ∂s̄/∂θ: (q, p), how the E-step's answer moves with the point it is taken at."""
    push = jax.linearize(lambda u: ravel_pytree(expect(model, u, shard)[1])[0], free)[1]
    return along(push, jnp.eye(len(free)))


@by_size()
def row_cross(model: AbstractModel, free: Array, shard: Shard) -> Array:
    """Σ ∂²Q(θ | θ′)/∂θ∂θ′: (p, p), of a model without a finite statistic."""

    def block(xs: Any, w: Array) -> Array:
        return jax.jacfwd(jax.grad(surrogate, 1), 2)(model, free, free, xs, w)

    total: Array = over_blocks(block, shard)
    return total


@by_size()
def through(model: AbstractModel, free: Array, stats: Any, moves: Array, n: Array) -> Array:
    """(p, p) Jacobian of the EM map: ∂M/∂s̄ · ∂s̄/∂θ."""
    flat, unravel = ravel_pytree(stats)
    push = jax.linearize(lambda s: update(model, free, unravel(s), n).free, flat)[1]
    return along(push, moves)


def _block_scores(model: AbstractModel, free: Array, xs: Any) -> Array:
    """(rows, p) ∂ log f(x)/∂θ of the rows of one block, those of its groups end to end."""
    space = Space(model.constraints)
    found: Array = per_row(lambda x: jax.grad(lambda u: model.evidence(space.params(u), x))(free), xs)
    return found.reshape(-1, len(free))


@by_size()
def outer_product(model: AbstractModel, free: Array, shard: Shard) -> Array:
    """Σ w s sᵀ over the scores s of the rows: (p, p)."""

    def block(xs: Any, w: Array) -> Array:
        scores = _block_scores(model, free, xs)
        each = w.reshape(-1, 1)
        return scores.T @ (each * jnp.where(each > 0, scores, 0.0))

    total: Array = over_blocks(block, shard)
    return total


@by_size(static_argnums=2)
def cluster_scores(model: AbstractModel, free: Array, number: int, labelled: Shard) -> Array:
    """(number, p) Σ w s over the rows of each cluster; the rows of the shard are pairs (x, cluster)."""

    def block(pairs: tuple[Any, Array], w: Array) -> Array:
        xs, labels = pairs
        each = w.reshape(-1, 1)
        scores = each * jnp.where(each > 0, _block_scores(model, free, xs), 0.0)
        return jax.ops.segment_sum(scores, labels.ravel(), number)

    total: Array = over_blocks(block, labelled)
    return total


@once
def jacobian(model: AbstractModel, frame: AbstractFrame, free: Array) -> Array:
    """(P, p) of all reported scalars with respect to the free coordinates."""
    space = Space(model.constraints)
    found: Array = jax.jacfwd(lambda u: space.flat(frame.leave(space.params(u))))(free)
    return found
