"""Outer products of scores, and what they make robust."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from latens.errors import DataError, InferenceError, counted
from latens.inference.derivatives import cluster_scores, outer_product
from latens.inference.errors import AbstractMethod, Errors, inverse
from latens.inference.estimate import Estimate
from latens.numerics.precision import double


@dataclass(frozen=True, eq=False)
class OPG(AbstractMethod):
    """Outer product of gradients: V = (Σ w s sᵀ)⁻¹ over the scores s of the rows.

    **Source:** Berndt, Hall, Hall & Hausman (1974), Ann. Econ. Soc. Meas. 3, 653.
    """

    name: ClassVar[str] = "opg"

    @double
    def errors(self, estimate: Estimate) -> Errors:
        information = estimate.information
        return self.found(information, inverse(information.reduced(_products(estimate)), self.name))


@dataclass(frozen=True, eq=False)
class Sandwich(AbstractMethod):
    """Robust covariance: right for a model that is wrong, or rows that go together in clusters.

        V = A⁻¹ B A⁻¹,   A = −∇²ℓ,   B = Σ w s sᵀ,   or with clusters B = G/(G − 1) Σ_g (Σ_{i in g} w s)(...)ᵀ

    **Arguments:** `clusters`: None, or a label for each row of the data (n,): any values that compare.
    **Raises:** `DataError` for the wrong number of labels, `InferenceError` for fewer than 2 clusters.
    **Source:** Huber (1967), Proc. 5th Berkeley Symp. 1, 221; White (1982), Econometrica 50, 1; clusters:
    Liang & Zeger (1986), Biometrika 73, 13.
    """

    clusters: Any = field(default=None, kw_only=True)
    name: ClassVar[str] = "sandwich"

    @double
    def errors(self, estimate: Estimate) -> Errors:
        information = estimate.information
        bread = inverse(information.observed, self.name)
        if self.clusters is None:
            return self.found(information, bread @ information.reduced(_products(estimate)) @ bread)
        labels, number = self._labels(estimate)
        problem, point = estimate.problem, jnp.asarray(estimate.at.free)
        rows = problem.rows.beside(labels, problem.weights)
        scores = np.asarray(rows.add(cluster_scores, problem.model, point, number, width=len(point)))
        meat = information.reduced(scores.T @ scores) * number / (number - 1)
        notes: tuple[str, ...] = (f"{number} clusters",)
        if number <= len(bread):
            notes += ("no more clusters than free parameters: the covariance is singular",)
        return self.found(information, bread @ meat @ bread, *notes)

    def _labels(self, estimate: Estimate) -> tuple[np.ndarray, int]:
        given, problem = np.asarray(self.clusters), estimate.problem
        if given.shape != (problem.rows_read,):
            raise DataError(
                f"clusters have shape {given.shape}, the data have {counted(problem.rows_read, 'row')}: give one label "
                "for each"
            )
        kinds, labels = np.unique(given[problem.rows_used], return_inverse=True)
        if len(kinds) < 2:
            raise InferenceError("there is only one cluster: nothing says how clusters vary")
        return labels, len(kinds)


def _products(estimate: Estimate) -> np.ndarray:
    problem, point = estimate.problem, jnp.asarray(estimate.at.free)
    return np.asarray(problem.rows.add(outer_product, problem.model, point, width=len(point)))
