"""Missing-information principle: observed information = complete − missing."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from latens.engine.blocks import Shard
from latens.engine.emmap import log_likelihood, over_blocks, surrogate
from latens.engine.problem import Problem
from latens.errors import InferenceError
from latens.families.frame import AbstractFrame
from latens.models.base import AbstractModel, inner
from latens.numerics.precision import double
from latens.numerics.space import Space


@jax.jit
def _moments(model: AbstractModel, free: Array, shard: Shard) -> tuple[Any, Array]:
    """Σ E[S given x] as a tree and Σ Cov[S given x] over flat potentials: gradient and Hessian of ℓ in φ."""
    flat, unravel = ravel_pytree(model.potentials(Space(model.constraints).params(free)))

    def ell(phi: Array, xs: Any, w: Array) -> Array:
        return log_likelihood(model, unravel(phi), xs, w)

    mean, covariance = over_blocks(lambda xs, w: (jax.grad(ell)(flat, xs, w), jax.hessian(ell)(flat, xs, w)), shard)
    return unravel(mean), covariance


@jax.jit
def _assemble(model: AbstractModel, free: Array, stats: Any, covariance: Array) -> tuple[Array, Array]:
    """(complete, observed): −∇²<φ(θ), s̄>, and the conditional variance of its score taken away."""
    space = Space(model.constraints)

    def potentials(u: Array) -> Any:
        return model.potentials(space.params(u))

    complete = -jax.hessian(lambda u: inner(potentials(u), stats))(free)
    score = jax.jacfwd(lambda u: ravel_pytree(potentials(u))[0])(free)
    return complete, complete - score.T @ covariance @ score


@jax.jit
def _hessians(model: AbstractModel, free: Array, shard: Shard) -> tuple[Array, Array]:
    """(complete, observed) of a model without a finite statistic: Hessians, added block by block."""
    space = Space(model.constraints)

    def ell(u: Array, xs: Any, w: Array) -> Array:
        return log_likelihood(model, model.potentials(space.params(u)), xs, w)

    def q(u: Array, xs: Any, w: Array) -> Array:
        return surrogate(model, u, free, xs, w)

    complete, observed = over_blocks(
        lambda xs, w: (-jax.hessian(q)(free, xs, w), -jax.hessian(ell)(free, xs, w)), shard
    )
    return complete, observed


@jax.jit
def _jacobian(model: AbstractModel, frame: AbstractFrame, free: Array) -> Array:
    """(P, p) of all reported scalars with respect to the free coordinates."""
    space = Space(model.constraints)
    found: Array = jax.jacfwd(lambda u: space.flat(frame.leave(space.params(u))))(free)
    return found


@dataclass(frozen=True)
class Information:
    """Information about the free coordinates at a fit, and what it says of the reported parameters.

        observed = complete − missing,    V = observed⁻¹,    V(θ) = J V Jᵀ

    `complete`, `observed` (p, p): in the free coordinates of the frame the fit ran in; `jacobian`
    (P, p): of all reported scalars with respect to them.
    """

    complete: np.ndarray
    observed: np.ndarray
    jacobian: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """(p, p): complete − observed."""
        return self.complete - self.observed

    @property
    def rate(self) -> np.ndarray:
        """(p, p) complete⁻¹ · missing: at the optimum, the Jacobian of the EM map."""
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

    def weakest(self) -> tuple[float, np.ndarray]:
        """The smallest observed fraction, and (P,) how the reported scalars move in that direction."""
        values, vectors = self._relative
        return float(values[0]), self.jacobian @ vectors[:, 0]

    @cached_property
    def covariance(self) -> np.ndarray:
        """(P, P) of the reported scalars, by the delta method."""
        return self._delta(self.observed)

    def _delta(self, information: np.ndarray) -> np.ndarray:
        return self.jacobian @ np.linalg.solve(information, self.jacobian.T)

    @cached_property
    def fractions(self) -> np.ndarray:
        """(P,) fraction of information missing about each reported scalar: 1 − complete/observed variance."""
        return 1.0 - np.diag(self._delta(self.complete)) / np.diag(self.covariance)


@double
def information(problem: Problem, free: np.ndarray) -> Information:
    """The informations at a point, by automatic differentiation."""
    point = jnp.asarray(free)
    shards = problem.finer(len(free))
    if problem.model.finite:
        stats, covariance = problem.add(lambda shard: _moments(problem.model, point, shard), shards)
        complete, observed = _assemble(problem.model, point, stats, covariance)
    else:
        complete, observed = problem.add(lambda shard: _hessians(problem.model, point, shard), shards)
    jacobian = _jacobian(problem.model, problem.frame, point)
    return Information(np.asarray(complete), np.asarray(observed), np.asarray(jacobian))


def trusted(problem: Problem, free: np.ndarray, names: list[str]) -> Information:
    """The information, or an `InferenceError` that says why standard errors would mean nothing."""
    _boundary(problem, free, names)
    found = information(problem, free)
    if not (np.isfinite(found.complete).all() and np.isfinite(found.observed).all()):
        raise InferenceError("the information is not finite at the estimate: a parameter is at an extreme")
    try:
        weakest, direction = found.weakest()
    except np.linalg.LinAlgError:
        raise InferenceError("even the complete-data information is singular: drop or fix a parameter") from None
    if weakest < 1e-8:
        scaled = np.abs(direction) / np.maximum(np.abs(direction).max(), 1e-300)
        flat = ", ".join(names[i] for i in np.argsort(-scaled)[:4] if scaled[i] > 0.05)
        kind = "a saddle, not a maximum" if weakest < -1e-6 else "not identified (the likelihood is flat)"
        raise InferenceError(
            f"the observed information is not positive definite: the fit is {kind} along {flat}; "
            "try other starts, or fix or share a parameter"
        )
    return found


def _boundary(problem: Problem, free: np.ndarray, names: list[str]) -> None:
    """Refuse where a probability is 0 or 1 as far as these data can tell."""
    with jax.enable_x64(True):
        values = np.asarray(problem.space.flat(problem.outside(jnp.asarray(free))))
    near = (np.minimum(values, 1 - values) * problem.n < 1e-3) & (problem.space.links == "logit")
    if near.any():
        listed = ", ".join(f"{names[i]} = {values[i]:.3g}" for i in np.flatnonzero(near)[:4])
        more = f" and {near.sum() - 4} more" if near.sum() > 4 else ""
        raise InferenceError(
            f"{listed}{more}: on the boundary, where the log-likelihood has no quadratic shape and a "
            "standard error means nothing; fix it there, or use a smaller model"
        )
