"""Ways to the covariance of the estimates: what they share, Wald intervals, and the ways that are a few lines."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import inf
from statistics import NormalDist
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.engine.derivatives import cluster_scores, complete_data, outer_product
from latens.engine.sourced import SourcedRows
from latens.errors import DataError, InferenceError, counted
from latens.inference.estimate import Estimate
from latens.inference.information import FreeInformation, Held, check_converged, masked
from latens.numerics.asked import number
from latens.numerics.compiling import double
from latens.numerics.constraints import EDGE
from latens.numerics.memory import Sealed
from latens.numerics.special import TINY

LINKS = ("identity", "log", "logit", "cloglog")
SQUARES = 8  # matrices of p × p numbers that the informations hold at once


def quantile(level: float) -> float:
    """z with P(|Z| ≤ z) = level; `ParameterError` for a level outside (0, 1)."""
    number(level, "level", "a number strictly between 0 and 1, such as 0.95", 0.0, 1.0)
    return NormalDist().inv_cdf((1 + level) / 2)


def wald(values: np.ndarray, errors: np.ndarray, links: np.ndarray, level: float) -> np.ndarray:
    """(P, 2) intervals: value ± z·error on the scale of the link, mapped back, so positive stays positive.

    `links` (P,): one of `LINKS` for each number.
    """
    free, slope = to_link(values, links)
    with np.errstate(over="ignore", invalid="ignore"):
        half = quantile(level) * errors * slope
        low, high = from_link(free - half, links), from_link(free + half, links)
    return np.stack([np.minimum(low, values), np.maximum(high, values)], 1)  # a value at the end of its range


def to_link(values: np.ndarray, links: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values on their links' scales, and the derivative of the link there; the ends of a range one rounding inside."""
    free, slope = np.array(values, dtype=float), np.ones_like(values, dtype=float)
    logs, logits, clogs = (links == link for link in LINKS[1:])
    positive = np.maximum(values, TINY)
    inside = np.minimum(positive, 1 - EDGE)
    free[logs], slope[logs] = np.log(positive[logs]), 1 / positive[logs]
    p, rest = inside[logits], np.log1p(-inside[clogs])
    free[logits], slope[logits] = np.log(p) - np.log1p(-p), 1 / (p * (1 - p))
    free[clogs], slope[clogs] = np.log(-rest), -1 / (np.exp(rest) * rest)
    return free, slope


def from_link(free: np.ndarray, links: np.ndarray) -> np.ndarray:
    """The inverse of `to_link`."""
    values = np.array(free, dtype=float)
    logs, logits, clogs = (links == link for link in LINKS[1:])
    values[logs] = np.exp(free[logs])
    values[logits] = np.exp(-np.logaddexp(0, -free[logits]))
    values[clogs] = -np.expm1(-np.exp(free[clogs]))
    return values


@dataclass(frozen=True)
class Errors(Sealed):
    """The covariance (P, P) of all reported scalars by one method, and what there is to say about it.

    It is NaN for scalars that are `held`; `kept` (P, P): the same from the directions that are not, which
    serves functions of held scalars that the data tell of. `replicates` (B, P): the estimates that a bootstrap
    found.
    """

    method: str
    covariance: np.ndarray
    notes: tuple[str, ...]
    kept: np.ndarray
    held: tuple[Held, ...]
    replicates: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class AbstractMethod(ABC):
    """A way to standard errors or intervals; it is asked for by its `name` or given as an object.

    `operations`: how many it may take; a method that would take more says so before it starts. The usual number is
    what a core computes in some ten minutes; it is counted, so what is refused is so on any machine.
    """

    operations: float = field(default=6e12, kw_only=True)
    name: ClassVar[str]

    @abstractmethod
    def errors(self, estimate: Estimate) -> Errors:
        """Covariance of all reported scalars; raises `InferenceError`."""

    def once(self, estimate: Estimate) -> Errors:
        """The same, worked out once for an estimate, if it does not cost more than is allowed."""
        if self not in estimate.done:
            self.check_cost(estimate)
            estimate.done[self] = self.errors(estimate)
        return estimate.done[self]

    def found(self, information: FreeInformation, covariance: np.ndarray, *notes: str) -> Errors:
        """From the covariance (m, m) in the directions of the information."""
        kept = information.delta(covariance)
        return Errors(self.name, masked(kept, information.held), notes, kept, information.held)

    def evaluations(self, estimate: Estimate) -> float:
        """How many evaluations of the EM map it costs, about."""
        return float(len(estimate.at.free))

    def intervals(self, estimate: Estimate, level: float) -> np.ndarray:
        """(P, 2) lower and upper ends."""
        found = self.once(estimate)
        estimate.check_some(found.held)
        errors = np.sqrt(np.diag(found.covariance))
        return wald(estimate.values, errors, estimate.problem.space.links, level)

    def check_cost(self, estimate: Estimate) -> None:
        """Raise `InferenceError` with the cost if it is more than `operations`, or than the memory."""
        check_converged(estimate.at)
        gigabytes = 8 * SQUARES * len(estimate.at.free) ** 2 / 1e9
        if gigabytes > 0.8 * _memory():
            raise InferenceError(
                f"{len(estimate.at.free):,} free parameters need about {gigabytes:,.0f} GB for their informations, "
                f"more than this machine's {_memory():.0f}; share or restrict parameters (covariance='diagonal')"
            )
        count = self.evaluations(estimate)
        expected = count * estimate.operations
        if expected > self.operations:
            other = "" if self.name == "observed" else ", method='observed', or"
            raise InferenceError(
                f"method '{self.name}' needs about {count:,.0f} evaluations of the EM map here, {expected:.1e} "
                f"operations, and {self.operations:.1e} are allowed; use{other} lt.{type(self).__name__}(operations="
                f"{2 * expected:.0e}) to allow that"
            )


def _memory() -> float:
    """Gigabytes of this machine."""
    if not hasattr(os, "sysconf"):
        return inf
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


@dataclass(frozen=True, eq=False)
class Observed(AbstractMethod):
    """Inverse observed information: the Hessian of the log evidence, summed over blocks.

        V = (−∇²ℓ)⁻¹

    **Source:** Efron & Hinkley (1978), Biometrika 65, 457.
    """

    name: ClassVar[str] = "observed"

    def errors(self, estimate: Estimate) -> Errors:
        information = estimate.information
        return self.found(information, np.linalg.inv(information.observed))


@dataclass(frozen=True, eq=False)
class Louis(AbstractMethod):
    """Complete information less the conditional covariance of the complete-data score.

        V = (I_com − Σ w Cov[s(Y) given x])⁻¹,   s = ∂ log f(Y | θ)/∂θ

    **Source:** Louis (1982), JRSS B 44, 226, eq. 3.2.
    """

    name: ClassVar[str] = "louis"

    @double
    def errors(self, estimate: Estimate) -> Errors:
        information = estimate.information
        complete, missing = complete_data(estimate.problem, estimate.at.free).louis()
        return self.found(information, inverse(information.reduced(complete - missing), self.name))


@dataclass(frozen=True, eq=False)
class Oakes(AbstractMethod):
    """Derivatives of Q alone.

        −∂²ℓ/∂θ² = −[∂²Q(θ | θ′)/∂θ² + ∂²Q(θ | θ′)/∂θ∂θ′]  at θ′ = θ

    **Source:** Oakes (1999), JRSS B 61, 479, eq. 4.
    """

    name: ClassVar[str] = "oakes"

    @double
    def errors(self, estimate: Estimate) -> Errors:
        information = estimate.information
        cross = complete_data(estimate.problem, estimate.at.free).cross()
        return self.found(information, inverse(information.complete - information.reduced(cross), self.name))


def inverse(information: Array | np.ndarray, method: str) -> np.ndarray:
    """Of a symmetric positive definite matrix, or an `InferenceError`."""
    matrix = np.asarray(information)
    matrix = (matrix + matrix.T) / 2
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise InferenceError(f"method '{method}': the information it finds is not positive definite") from None
    return np.linalg.inv(matrix)


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

    **Arguments:** `clusters`: None, or a label for each row of the data (n,): any values that compare; of rows in files
    the column that holds them.
    **Raises:** `DataError` for the wrong number of labels, or a column that is not there; `InferenceError` for fewer
    than 2 clusters.
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
        scores = self._scores(estimate)
        number = len(scores)
        if number < 2:
            raise InferenceError("there is only one cluster: nothing says how clusters vary")
        meat = information.reduced(scores.T @ scores) * number / (number - 1)
        notes: tuple[str, ...] = (f"{number} clusters",)
        if number <= len(bread):
            notes += ("no more clusters than free parameters: the covariance is singular",)
        return self.found(information, bread @ meat @ bread, *notes)

    def _scores(self, estimate: Estimate) -> np.ndarray:
        """(G, p) the sums of scores over the rows of each cluster."""
        problem, point = estimate.problem, jnp.asarray(estimate.at.free)
        if isinstance(problem.rows, SourcedRows):
            if not isinstance(self.clusters, str):
                raise DataError("the rows are those of files: name the column of clusters, lt.Sandwich(clusters='...')")
            return problem.rows.clustered(self.clusters, problem.model, point)
        given = np.asarray(self.clusters)
        if given.shape != (problem.rows_read,):
            raise DataError(
                f"clusters have shape {given.shape}, the data have {counted(problem.rows_read, 'row')}: give one label "
                "for each"
            )
        kinds, labels = np.unique(given[problem.rows_used], return_inverse=True)
        rows = problem.rows.beside(labels, problem.weights)
        return np.asarray(rows.add(cluster_scores, problem.model, point, width=len(point), number=len(kinds)))


def _products(estimate: Estimate) -> np.ndarray:
    problem, point = estimate.problem, jnp.asarray(estimate.at.free)
    return np.asarray(problem.rows.add(outer_product, problem.model, point, width=len(point)))
