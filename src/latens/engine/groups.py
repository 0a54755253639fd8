"""Many small problems of one model side by side in one program."""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from latens.engine.blocks import Shard
from latens.engine.emmap import Burst, log_likelihood, squarem
from latens.families.frame import AbstractFrame
from latens.models.base import AbstractModel
from latens.models.iid import IID, from_all
from latens.models.seeding import told_apart
from latens.numerics.compiling import ALONE
from latens.numerics.space import Space

ALIKE = partial(jax.jit, compiler_options=ALONE)


class Groups(NamedTuple):
    """Groups of rows, padded to one length with rows of weight 0, each group in a frame of its own."""

    frames: AbstractFrame  # leaves (g, ...)
    xs: Any  # (g, m, ...)
    weights: Any  # (g, m)


class Local(NamedTuple):
    """What a model is like at a point of each group."""

    value: Array  # (g,) the log-likelihood, in the frame
    slope: Array  # (g, p)
    curve: Array  # (g, p, p) −∂²ℓ
    health: Array  # (g,) below 1 something has degenerated
    size: Array  # (g,) of the terms that a row's log-density is the sum of
    reported: Array  # (g, P) every scalar, in the units of the data
    jacobian: Array  # (g, P, p)


def filled(batch: list[Any]) -> list[Any]:
    """As many as a program takes: the first again and again."""
    return [*batch, *batch[:1] * (2 ** int(np.ceil(np.log2(len(batch)))) - len(batch))]


@ALIKE
def features(model: AbstractModel, rows: Any) -> Array:
    """(g, m, f) numbers of rows by which a mixture's are told apart."""
    kind: Any = model
    return jax.vmap(jax.vmap(kind.components.kinds[0].features))(rows)


@ALIKE
def begin(model: AbstractModel, groups: Groups, memberships: Array) -> Array:
    """(g, s, p) where s soft partitions (g, s, m, k) of the rows lead."""

    def one(frame: AbstractFrame, xs: Any, weights: Array, each: Array) -> Array:
        own = model.framed(frame)
        space = Space(own.constraints)
        return jax.vmap(lambda shares: space.free(told_apart(own, xs, shares * weights[:, None])))(each)

    return jax.vmap(one)(groups.frames, groups.xs, groups.weights, memberships)


@ALIKE
def pooled(model: IID, groups: Groups) -> Array:
    """(g, 1, p) where all rows of a group lead as if nothing were hidden."""

    def one(frame: AbstractFrame, xs: Any, weights: Array) -> Array:
        own = model.framed(frame)
        return Space(own.constraints).free(from_all(own.family, xs, weights))[None]

    return jax.vmap(one)(groups.frames, groups.xs, groups.weights)


@ALIKE
def climb(model: AbstractModel, groups: Groups, points: Any, evaluations: Any) -> Burst:
    """Short runs from points (g, s, p) of every group; the result is (g, s, ...)."""

    def one(frame: AbstractFrame, xs: Any, weights: Array, own: Array) -> Burst:
        shard = Shard(jax.tree.map(lambda leaf: leaf[None], xs), weights[None])
        return squarem(model.framed(frame), own, (shard,), weights.sum(), None, evaluations, about=False)

    return jax.vmap(one)(groups.frames, groups.xs, groups.weights, points)


@ALIKE
def local(model: AbstractModel, groups: Groups, points: Any) -> Local:
    """Value, slope and curvature of the log-likelihood at a point (g, p) of every group."""

    def one(frame: AbstractFrame, xs: Any, weights: Array, free: Array) -> Local:
        own = model.framed(frame)
        space = Space(own.constraints)

        def value(u: Array) -> Array:
            return log_likelihood(own, own.potentials(space.params(u)), xs, weights)

        def reported(u: Array) -> Array:
            return space.flat(frame.leave(space.params(u)))

        level, slope = jax.value_and_grad(value)(free)
        potentials, n = own.potentials(space.params(free)), weights.sum()
        stats = jax.grad(lambda phi: log_likelihood(own, phi, xs, weights))(potentials)
        return Local(
            level,
            slope,
            -jax.hessian(value)(free),
            own.health(space.params(free), n).min(),
            own.sum_of_terms(potentials, stats, n),
            reported(free),
            jax.jacfwd(reported)(free),
        )

    return jax.vmap(one)(groups.frames, groups.xs, groups.weights, points)
