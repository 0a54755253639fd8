"""Supplemented EM: the covariance from the rate of convergence of EM itself."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from latens.engine.accelerators.base import Plain
from latens.engine.derivatives import complete_data
from latens.engine.loop import run
from latens.engine.stop import Stop
from latens.errors import InferenceError
from latens.inference.errors import AbstractMethod, Errors
from latens.inference.estimate import Estimate
from latens.inference.information import FreeInformation
from latens.numerics.compiling import double

PATH = 60  # points of the EM path at most
ASYMMETRY = 1e-2  # of the covariance, in units of correlation, beyond which it is not reported


@dataclass(frozen=True, eq=False)
class SEM(AbstractMethod):
    """Supplemented EM: the rate matrix from nothing but the EM map M, by forced runs along the EM path.

        r_ji = [M_j(θ* with θ_i set to θ_i⁽ᵗ⁾) − M_j(θ*)] / (θ_i⁽ᵗ⁾ − θ*_i),   V = (I − R)⁻¹ I_com⁻¹

    θ⁽ᵗ⁾ is a run of plain EM that comes in from beside the estimate. Two successive ratios give, by
    extrapolation to a step of 0, one value of the element; the value kept is the one around which they are
    steadiest. A coordinate that EM sets right in one step has no path of its own and is stepped by halves.

    **Arguments:** `tolerance`: the change, between successive values of an element (in complete-data
    standard errors), at which it is steady and its row may end.
    **Source:** Meng & Rubin (1991), JASA 86, 899, §3.3.
    """

    tolerance: float = 1e-9
    name: ClassVar[str] = "sem"

    def evaluations(self, estimate: Estimate) -> float:
        return 16.0 * len(estimate.at.free)

    def errors(self, estimate: Estimate) -> Errors:
        information = estimate.information
        scale = 1 / np.sqrt(np.diag(information.complete))
        path = self._path(estimate, scale)
        columns, unsteady = zip(*(self._column(estimate, path[:, i], i, scale) for i in range(len(scale))), strict=True)
        rate = np.stack(columns, 1)
        worst = max(unsteady)
        if worst > 1e-2:
            raise InferenceError(
                f"method 'sem': the rate matrix is not steady (an element moves by {worst:.1g}): fit again with a "
                "smaller tolerance, stop=lt.Stop(tolerance=1e-8), and start=fit.params, or use method='sem-exact'"
            )
        return self.found(
            information,
            *_supplemented(self.name, information, rate, scale),
            f"elements of the rate matrix steady to {worst:.1g}",
        )

    def _path(self, estimate: Estimate, scale: np.ndarray) -> np.ndarray:
        """(T, m) distances θ⁽ᵗ⁾ − θ* of a plain run from half a complete-data standard error away."""
        information = estimate.information
        beside = estimate.at.free + 0.5 * information.directions @ scale
        steps = run(estimate.problem, beside, Plain(), Stop(tolerance=0, max_steps=PATH))
        return (np.stack([step.free for step in steps]) - estimate.at.free) @ information.coordinates.T

    def _column(self, estimate: Estimate, path: np.ndarray, i: int, scale: np.ndarray) -> tuple[np.ndarray, float]:
        """(∂M/∂θ_i in complete-data standard errors (m,), how steady it is)."""
        information = estimate.information
        limit = estimate.problem.step(estimate.at.free).free
        values: list[np.ndarray] = []
        last: tuple[float, np.ndarray] | None = None
        best, steadiness = np.zeros(len(scale)), np.full(len(scale), np.inf)
        for h in _thinned(path, scale[i]):
            moved = estimate.problem.step(estimate.at.free + h * information.directions[:, i]).free - limit
            ratio = information.coordinates @ moved / h * scale[i] / scale
            if last is not None:
                values.append((ratio * last[0] - last[1] * h) / (last[0] - h))
            if len(values) > 1:
                change = np.abs(values[-1] - values[-2])
                steadier = change < steadiness
                best, steadiness = np.where(steadier, values[-1], best), np.where(steadier, change, steadiness)
                if (steadiness <= self.tolerance).all():
                    break
            last = (h, ratio)
        return best, float(steadiness.max())


def _thinned(path: np.ndarray, scale: float) -> list[float]:
    """The distances along the path, each at most half of the one before; halved on where the path ends."""
    kept = [float(path[0])]
    for h in path[1:]:
        if 1e-6 * scale < abs(h) <= abs(kept[-1]) / 2:
            kept.append(float(h))
    while abs(kept[-1]) > 1e-6 * scale:
        kept.append(kept[-1] / 2)
    return kept


@dataclass(frozen=True, eq=False)
class ExactSEM(AbstractMethod):
    """Supplemented EM with the rate matrix by forward differentiation of the EM map.

        R = ∂M/∂θ at θ*,   V = (I − R)⁻¹ I_com⁻¹

    **Source:** Meng & Rubin (1991), JASA 86, 899, eq. 2.3.5.
    """

    name: ClassVar[str] = "sem-exact"

    @double
    def errors(self, estimate: Estimate) -> Errors:
        information = estimate.information
        scale = 1 / np.sqrt(np.diag(information.complete))
        rate = complete_data(estimate.problem, estimate.at.free).rate()
        within = information.coordinates @ rate @ information.directions
        return self.found(information, *_supplemented(self.name, information, within * scale / scale[:, None], scale))


def _supplemented(
    method: str, information: FreeInformation, rate: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, str]:
    """V = (I − R)⁻¹ I_com⁻¹, in complete-data standard errors and back, and how symmetric it came out."""
    complete = information.complete * np.outer(scale, scale)
    found = np.linalg.solve(np.eye(len(rate)) - rate, np.linalg.inv(complete))
    spread = np.sqrt(np.abs(np.diag(found)))
    asymmetry = float((np.abs(found - found.T) / np.outer(spread, spread)).max())
    if not (asymmetry < ASYMMETRY and (np.diag(found) > 0).all()):
        raise InferenceError(
            f"method '{method}': the covariance it finds is not symmetric (by {asymmetry:.1g} in correlation), "
            "so the fit is not at a limit of EM: fit again with stop=lt.Stop(tolerance=1e-8) and start=fit.params"
        )
    covariance = (found + found.T) / 2 * np.outer(scale, scale)
    return covariance, f"covariance symmetric to {asymmetry:.1g} (in correlation)"
