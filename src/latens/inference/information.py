"""Missing-information principle: observed information = complete − missing."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.engine.problem import Problem
from latens.inference.derivatives import curvature, jacobian, row_curvatures, slopes, turned
from latens.numerics.memory import Sealed
from latens.numerics.precision import double


@dataclass(frozen=True)
class Information(Sealed):
    """Information about the free scalars at a fit, and what it says of all reported ones.

        observed = complete − missing,    rate = complete⁻¹ · missing,    V = observed⁻¹

    `labels` (p,): the scalars the matrices are about, in the units of the parameters: all but what
    follows from others (the last of a simplex, the upper half of a covariance); `complete`, `observed`
    (p, p); `jacobian` (P, p): of all scalars in `fit.names` with respect to these.

    **Source:** Orchard & Woodbury (1972), Proc. 6th Berkeley Symp. 1, 697; Louis (1982), JRSS B 44, 226.
    """

    labels: list[str]
    complete: np.ndarray
    observed: np.ndarray
    jacobian: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """(p, p): complete − observed."""
        return self.complete - self.observed

    @property
    def rate(self) -> np.ndarray:
        """(p, p) complete⁻¹ · missing: at the optimum, the Jacobian of the EM map, row i that of image i."""
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

    @property
    def condition_number(self) -> float:
        """Largest by smallest eigenvalue of `observed`."""
        values = np.linalg.eigvalsh(self.observed)
        return float(values[-1] / values[0])

    def weakest(self) -> tuple[float, np.ndarray]:
        """The smallest observed fraction, and (P,) how the reported scalars move in that direction."""
        values, vectors = self._relative
        return float(values[0]), self.jacobian @ vectors[:, 0]

    @cached_property
    def covariance(self) -> np.ndarray:
        """(P, P) of the reported scalars, by the delta method."""
        return self.delta(np.linalg.inv(self.observed))

    def delta(self, covariance: np.ndarray) -> np.ndarray:
        """(p, p) covariance of these coordinates → (P, P) of the reported scalars."""
        return self.jacobian @ covariance @ self.jacobian.T

    @cached_property
    def fractions(self) -> np.ndarray:
        """(P,) fraction of information missing about each reported scalar: 1 − complete/observed variance."""
        return 1.0 - np.diag(self.delta(np.linalg.inv(self.complete))) / np.diag(self.covariance)

    def about(self, chosen: np.ndarray, names: list[str]) -> "Information":
        """The same in the coordinates that the chosen p of the P reported scalars are."""
        back = np.linalg.inv(self.jacobian[chosen])
        return Information(
            [names[i] for i in np.flatnonzero(chosen)],
            back.T @ self.complete @ back,
            back.T @ self.observed @ back,
            self.jacobian @ back,
        )


@double
def information(problem: Problem, free: np.ndarray) -> Information:
    """The informations at a point, in the free coordinates of the frame."""
    model, point = problem.model, jnp.asarray(free)
    if model.finite:
        along = slopes(model, point)
        # Σ Cov[S] is met along the p directions of the parameters, or in all q of the potentials if fewer
        few = along.shape[1] < along.shape[0]
        stats, half = score_covariance(problem, point, along if few else jnp.eye(len(along)))
        complete = curvature(model, point, stats)
        observed = complete - (half if few else half @ along)
    else:
        shards = problem.dealt.finer(len(free))
        complete, observed = problem.dealt.add(lambda shard: row_curvatures(model, point, shard), shards)
    labels = [f"free[{i}]" for i in range(len(free))]
    outer = jacobian(model, problem.frame, point)
    return Information(labels, np.asarray(complete), np.asarray(observed), np.asarray(outer))


def score_covariance(problem: Problem, point: Array, directions: Array) -> tuple[Any, Array]:
    """Σ E[S given x] as a tree, and (∂φ/∂θ)ᵀ Σ Cov[S given x] · directions: (p, m)."""
    shards = problem.dealt.finer(directions.shape[1])
    stats, covariance = problem.dealt.add(lambda shard: turned(problem.model, point, directions, shard), shards)
    if problem.pseudo is not None:
        stats = jax.tree.map(jnp.add, stats, problem.pseudo)
    return stats, slopes(problem.model, point).T @ covariance
