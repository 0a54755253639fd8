"""The complete data of a fit: what their score is expected to be and how it varies, however potentials are held."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.engine.problem import Problem
from latens.inference.derivatives import (
    curvature,
    filled,
    row_covariance,
    row_cross,
    row_curvatures,
    slopes,
    through,
    turned,
)
from latens.numerics.precision import double


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
