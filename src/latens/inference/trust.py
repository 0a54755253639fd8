"""Whether a fit is a point at which standard errors mean something; if not, why and what to do."""

import numpy as np

from latens.engine.loop import Iterate
from latens.engine.problem import Problem
from latens.engine.status import Status
from latens.errors import InferenceError
from latens.inference.information import Information, information

CLOSE = 1e-2  # standard errors from the maximum at which its curvature is still the curvature there


def check_converged(at: Iterate) -> None:
    """Raise `InferenceError` unless the fit has reached a limit, and nearly enough."""
    if at.status is not Status.CONVERGED:
        raise InferenceError(f"the fit has not converged ({at.status.value}): there is no maximum to measure at")
    if at.distance > CLOSE:
        raise InferenceError(
            f"the fit stopped {at.distance:.2g} standard errors from the limit, too far for its curvature: "
            "fit again with a smaller tolerance, stop=lt.Stop(tolerance=1e-6), and start=fit.params"
        )


def trusted(at: Iterate) -> Information:
    """The information in free coordinates, or an `InferenceError`: the second-order test of every optimum."""
    check_converged(at)
    problem = at.problem
    _check_boundary(problem, at.free)
    found = information(problem, at.free)
    if not (np.isfinite(found.complete).all() and np.isfinite(found.observed).all()):
        raise InferenceError("the information is not finite at the estimate: a parameter is at an extreme")
    try:
        weakest, direction = found.weakest()
    except np.linalg.LinAlgError:
        raise InferenceError("even the complete-data information is singular: drop or fix a parameter") from None
    if weakest < -1e-6:
        raise InferenceError(
            f"the fit is a saddle, not a maximum: the log-likelihood rises along {_combination(direction, problem)} "
            "(EM alone stays here); start off this point, or try other starts (starts=20)"
        )
    if weakest < 1e-8:
        raise InferenceError(
            f"not identified: the log-likelihood is flat along {_combination(direction, problem)}, so the data "
            "cannot tell; fix or share a parameter"
        )
    return found


def _combination(direction: np.ndarray, problem: Problem) -> str:
    """A direction as the combination of parameters it is: "+1·a -0.5·b"."""
    scaled = np.where(problem.space.distinct, direction, 0.0) / max(np.abs(direction).max(), 1e-300)
    largest = [i for i in np.argsort(-np.abs(scaled))[:6] if abs(scaled[i]) > 0.02]
    if largest and scaled[largest[0]] < 0:
        scaled = -scaled
    return " ".join(f"{scaled[i]:+.3g}·{problem.names[i]}" for i in largest) or "no parameter shown"


def _check_boundary(problem: Problem, free: np.ndarray) -> None:
    """Refuse where a probability is 0 or 1 as far as these data can tell."""
    params = problem.params(free)
    values = np.concatenate([np.reshape(params[name], -1) for name in problem.space.shapes])
    near = (np.minimum(values, 1 - values) * problem.n < 1e-3) & (problem.space.links == "logit")
    if near.any():
        listed = ", ".join(f"{problem.names[i]} = {values[i]:.3g}" for i in np.flatnonzero(near)[:4])
        more = f" and {near.sum() - 4} more" if near.sum() > 4 else ""
        raise InferenceError(
            f"{listed}{more}: on the boundary, where the log-likelihood has no quadratic shape and a standard error "
            "means nothing; fix it there, use a smaller model, or see confidence_intervals(method='profile')"
        )
