"""Second derivatives of a fit, each a sum over blocks, by automatic differentiation: of Q and of the log-likelihood."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from latens.engine.ascent import along
from latens.engine.blocks import Shard
from latens.engine.emmap import expect, log_likelihood, over_blocks, surrogate, update, weighted
from latens.engine.problem import Problem
from latens.families.frame import AbstractFrame
from latens.models.base import AbstractModel, inner, per_row
from latens.numerics.compiling import by_size, double, once
from latens.numerics.space import Space


def _flat(model: AbstractModel, free: Array) -> Array:
    """(q,) all potentials in one vector."""
    return ravel_pytree(model.potentials(Space(model.constraints).params(free)))[0]


@once
def slopes(model: AbstractModel, free: Array) -> Array:
    """(q, p) ∂φ/∂θ."""
    return jax.jacfwd(lambda u: _flat(model, u))(free)


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

    return over_blocks(block, shard)


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

    return over_blocks(block, shard)


@by_size()
def through(model: AbstractModel, free: Array, stats: Any, moves: Array, n: Array) -> Array:
    """(p, p) Jacobian of the EM map: ∂M/∂s̄ · ∂s̄/∂θ."""
    flat, unravel = ravel_pytree(stats)
    push = jax.linearize(lambda s: update(model, free, unravel(s), n).free, flat)[1]
    return along(push, moves)


def _block_scores(model: AbstractModel, free: Array) -> Callable[[Any], Array]:
    """What gives (rows, p) ∂ log f(x)/∂θ of the rows of a block, those of its groups end to end."""
    space = Space(model.constraints)
    if model.finite:  # back through φ once, and not for every row
        flat, unravel = ravel_pytree(model.potentials(space.params(free)))
        slope = jax.jacfwd(lambda u: _flat(model, u))(free)

        def expected(x: Any) -> Array:
            return jax.grad(lambda phi: model.log_evidence(unravel(phi), x))(flat)

        return lambda xs: per_row(expected, xs).reshape(-1, len(flat)) @ slope

    def score(x: Any) -> Array:
        return jax.grad(lambda u: model.evidence(space.params(u), x))(free)

    return lambda xs: per_row(score, xs).reshape(-1, len(free))


@by_size()
def outer_product(model: AbstractModel, free: Array, shard: Shard) -> Array:
    """Σ w s sᵀ over the scores s of the rows: (p, p)."""

    scores_of = _block_scores(model, free)

    def block(xs: Any, w: Array) -> Array:
        scores = scores_of(xs)
        each = w.reshape(-1, 1)
        return scores.T @ (each * jnp.where(each > 0, scores, 0.0))

    return over_blocks(block, shard)


@by_size(static_argnames="number")
def cluster_scores(model: AbstractModel, free: Array, labelled: Shard, *, number: int) -> Array:
    """(number, p) Σ w s over the rows of each cluster; the rows of the shard are pairs (x, cluster)."""

    scores_of = _block_scores(model, free)

    def block(pairs: tuple[Any, Array], w: Array) -> Array:
        xs, labels = pairs
        each = w.reshape(-1, 1)
        scores = each * jnp.where(each > 0, scores_of(xs), 0.0)
        return jax.ops.segment_sum(scores, labels.ravel(), number)

    return over_blocks(block, labelled)


@once
def jacobian(model: AbstractModel, frame: AbstractFrame, free: Array) -> Array:
    """(P, p) of all reported scalars with respect to the free coordinates."""
    space = Space(model.constraints)
    return jax.jacfwd(lambda u: space.flat(frame.leave(space.params(u))))(free)


class AbstractComplete(ABC):
    """Second derivatives at a point of the free coordinates, (p, p) each."""

    def __init__(self, problem: Problem, free: np.ndarray) -> None:
        self.problem, self.model, self.point = problem, problem.model, jnp.asarray(free)

    @abstractmethod
    def informations(self) -> tuple[np.ndarray, np.ndarray]:
        """Complete, −∂²Q, and observed, −∂²ℓ."""

    @abstractmethod
    def louis(self) -> tuple[np.ndarray, np.ndarray]:
        """Complete information, and the covariance of the complete score given what was seen: what is missing."""

    @abstractmethod
    def cross(self) -> np.ndarray:
        """∂²Q(θ | θ′)/∂θ∂θ′: how the slope of Q moves with the point of the E-step."""

    @abstractmethod
    def rate(self) -> np.ndarray:
        """∂M/∂θ, the Jacobian of the EM map at its limit."""


class OneStatistic(AbstractComplete):
    """All rows share their potentials: Q is <φ, s̄>, and Cov[S] is met along the slopes of φ."""

    @cached_property
    def _along(self) -> np.ndarray:
        return np.asarray(slopes(self.model, self.point))

    @double
    def _covariance(self, directions: np.ndarray) -> tuple[Any, np.ndarray]:
        """Σ E[S given x] as a tree, and (∂φ/∂θ)ᵀ Σ Cov[S given x] · directions: (p, m)."""
        found = self.problem.rows.add(
            turned, self.model, self.point, jnp.asarray(directions), width=directions.shape[1]
        )
        stats, covariance = found
        if self.problem.pseudo is not None:
            stats = jax.tree.map(jnp.add, stats, self.problem.pseudo)
        return stats, self._along.T @ np.asarray(covariance)

    @double
    def informations(self) -> tuple[np.ndarray, np.ndarray]:
        # along the p directions of the parameters, or in all q of the potentials if fewer
        few = self._along.shape[1] < self._along.shape[0]
        stats, half = self._covariance(self._along if few else np.eye(len(self._along)))
        complete = np.asarray(curvature(self.model, self.point, stats))
        return complete, complete - (half if few else half @ self._along)

    @double
    def louis(self) -> tuple[np.ndarray, np.ndarray]:
        stats, half = self._covariance(np.eye(len(self._along)))
        return np.asarray(curvature(self.model, self.point, stats)), half @ self._along

    @cached_property
    def _filled(self) -> np.ndarray:
        """(q, p) ∂s̄/∂θ."""
        return np.asarray(self.problem.rows.add(filled, self.model, self.point, width=len(self.point)))

    @double
    def cross(self) -> np.ndarray:
        return self._along.T @ self._filled

    @double
    def rate(self) -> np.ndarray:
        stats = self.problem.expected(np.asarray(self.point))[1]
        n = jnp.asarray(self.problem.n)
        return np.asarray(through(self.model, self.point, stats, jnp.asarray(self._filled), n))


class OwnPotentials(AbstractComplete):
    """Every row has its own: sums over rows of what is taken of each."""

    def _sum(self, program: Any, **settings: Any) -> Any:
        return self.problem.rows.add(program, self.model, self.point, width=len(self.point), **settings)

    @double
    def informations(self) -> tuple[np.ndarray, np.ndarray]:
        complete, observed = self._sum(row_curvatures, forward=self.problem.care.forward)
        return np.asarray(complete), np.asarray(observed)

    @double
    def louis(self) -> tuple[np.ndarray, np.ndarray]:
        return self.informations()[0], np.asarray(self._sum(row_covariance))

    @double
    def cross(self) -> np.ndarray:
        return np.asarray(self._sum(row_cross))

    def rate(self) -> np.ndarray:
        # of the maximum of Q, to which a Newton step comes; what Q does not depend on stays
        complete = self.informations()[0]
        alone = np.sqrt(np.where(np.diag(complete) > 0, np.diag(complete), 1.0))
        inverse = np.linalg.pinv(complete / np.outer(alone, alone), hermitian=True)
        return np.asarray(inverse @ (self.cross() / alone[:, None]) / alone[:, None])


def complete_data(problem: Problem, free: np.ndarray) -> AbstractComplete:
    """Those of a fit."""
    return (OneStatistic if problem.model.finite else OwnPotentials)(problem, free)
