"""Missing-information principle: observed information = complete − missing."""

from dataclasses import dataclass, field
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.engine.problem import Problem
from latens.inference.complete import complete_data
from latens.inference.derivatives import jacobian
from latens.numerics.memory import Sealed
from latens.numerics.precision import double

INDEPENDENT = 1e-6  # of a scalar's complete-data variance: what must not follow from others that are chosen


@dataclass(frozen=True)
class Held(Sealed):
    """Scalars without a standard error, for one reason: the data say nothing of a move of the parameters.

    `move` (P,): of the reported scalars, zeros for what cannot move; `scalars` (P,): which have none for it.
    """

    move: np.ndarray
    scalars: np.ndarray
    reason: str


@dataclass(frozen=True)
class Information(Sealed):
    """Information about the free scalars at a fit, and what it says of all reported ones.

        observed = complete − missing,    rate = complete⁻¹ · missing,    V = observed⁻¹

    `labels` (m,): the scalars the matrices are about, in the units of the parameters: all but what
    follows from others (the last of a simplex, the upper half of a covariance) or is held; `complete`,
    `observed` (m, m); `jacobian` (P, m): of all scalars in `fit.names` with respect to these. What is held
    stays where it is: the information about the others is conditional on that.

    **Source:** Orchard & Woodbury (1972), Proc. 6th Berkeley Symp. 1, 697; Louis (1982), JRSS B 44, 226.
    """

    labels: list[str]
    complete: np.ndarray
    observed: np.ndarray
    jacobian: np.ndarray
    held: tuple[Held, ...] = ()

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

    @cached_property
    def covariance(self) -> np.ndarray:
        """(P, P) of the reported scalars, by the delta method; NaN for those that are held."""
        return masked(self.delta(np.linalg.inv(self.observed)), self.held)

    def delta(self, covariance: np.ndarray) -> np.ndarray:
        """(m, m) covariance of these coordinates → (P, P) of the reported scalars."""
        return self.jacobian @ covariance @ self.jacobian.T

    @cached_property
    def fractions(self) -> np.ndarray:
        """(P,) fraction of information missing about each reported scalar: 1 − complete/observed variance."""
        return 1.0 - np.diag(self.delta(np.linalg.inv(self.complete))) / np.diag(self.covariance)

    def about(self, first: np.ndarray, names: list[str]) -> "Information":
        """The same about reported scalars that determine all that are not held, the `first` ones if they do."""
        free = ~held_by(self.held, len(names))
        ordered = [*np.flatnonzero(first & free), *np.flatnonzero(~first & free)]
        chosen = self._independent(ordered) if self.held else ordered[: first.sum()]
        rows = self.jacobian[chosen]
        if len(chosen) == len(self.labels):
            back = np.linalg.inv(rows)
            complete, observed = back.T @ self.complete @ back, back.T @ self.observed @ back
        else:  # what is left over moves no scalar alone
            back = np.linalg.pinv(rows)
            both = (np.linalg.inv(rows @ np.linalg.inv(i) @ rows.T) for i in (self.complete, self.observed))
            complete, observed = both
        return Information([names[i] for i in chosen], complete, observed, self.jacobian @ back, self.held)

    def _independent(self, candidates: list[int]) -> list[int]:
        """Those of the candidates, in their order, that do not follow from the ones before; sorted."""
        rest = self.jacobian @ np.linalg.inv(np.linalg.cholesky(self.complete)).T
        size = np.linalg.norm(rest, axis=1)
        chosen: list[int] = []
        for i in candidates:
            length = np.linalg.norm(rest[i])
            if length > INDEPENDENT * size[i]:
                along = rest[i] / length
                rest = rest - np.outer(rest @ along, along)
                chosen.append(i)
        return sorted(chosen)


@dataclass(frozen=True)
class FreeInformation(Information):
    """The same about directions of the free coordinates.

    `directions` (p, m): their columns; `whole` (p, p): the complete information about all free coordinates.
    """

    directions: np.ndarray = field(kw_only=True)
    whole: np.ndarray = field(kw_only=True)

    @cached_property
    def coordinates(self) -> np.ndarray:
        """(m, p): how far a move of the free coordinates goes along each, were the M-step to keep to them."""
        return np.linalg.solve(self.complete, self.directions.T @ self.whole)

    def reduced(self, matrix: Array | np.ndarray) -> np.ndarray:
        """A matrix (p, p) about the free coordinates, in the directions: (m, m)."""
        return self.directions.T @ np.asarray(matrix) @ self.directions

    def along(self, directions: np.ndarray) -> "FreeInformation":
        """In some directions (m, r) of these only."""
        return FreeInformation(
            [f"direction[{i}]" for i in range(directions.shape[1])],
            directions.T @ self.complete @ directions,
            directions.T @ self.observed @ directions,
            self.jacobian @ directions,
            self.held,
            directions=self.directions @ directions,
            whole=self.whole,
        )


def held_by(held: tuple[Held, ...], scalars: int) -> np.ndarray:
    """(P,) which of the reported scalars are held."""
    return np.any([np.zeros(scalars, dtype=bool), *(each.scalars for each in held)], axis=0)


def masked(covariance: np.ndarray, held: tuple[Held, ...]) -> np.ndarray:
    """(P, P), NaN in the rows and columns of what is held."""
    none = held_by(held, len(covariance))
    return np.where(none | none[:, None], np.nan, covariance)


@double
def information(problem: Problem, free: np.ndarray) -> FreeInformation:
    """The informations at a point, in the free coordinates of the frame."""
    complete, observed = complete_data(problem, free).informations()
    labels = [f"free[{i}]" for i in range(len(free))]
    outer = np.asarray(jacobian(problem.model, problem.frame, jnp.asarray(free)))
    return FreeInformation(labels, complete, observed, outer, directions=np.eye(len(free)), whole=complete)
