"""Methods by the names they are asked for, and what they give."""

import numpy as np

from latens.errors import ParameterError
from latens.inference.bootstrap import Bootstrap, ParametricBootstrap
from latens.inference.errors import OPG, AbstractMethod, Errors, Louis, Oakes, Observed, Sandwich, quantile
from latens.inference.estimate import Estimate
from latens.inference.profile import Profile
from latens.inference.sem import SEM, ExactSEM

USUAL = (Observed(), Louis(), Oakes(), SEM(), ExactSEM(), OPG(), Sandwich())
METHODS = {method.name: method for method in (*USUAL, Bootstrap(), ParametricBootstrap(), Profile())}


def method_for(given: str | AbstractMethod) -> AbstractMethod:
    """The method itself, or the one of that name; `ParameterError` for an unknown one."""
    if isinstance(given, AbstractMethod):
        return given
    if given not in METHODS:
        raise ParameterError(f"unknown method {given!r}; there are {', '.join(METHODS)}")
    return METHODS[given]


def errors_by(method: str | AbstractMethod, estimate: Estimate) -> Errors:
    """See `Fit.errors`."""
    found = method_for(method).once(estimate)
    estimate.check_some(found.held)
    return found


def intervals_by(method: str | AbstractMethod, estimate: Estimate, level: float = 0.95) -> np.ndarray:
    """(P, 2) lower and upper ends for every scalar; see `Fit.confidence_intervals`."""
    chosen = method_for(method)
    quantile(level)
    chosen.check_cost(estimate)
    return chosen.intervals(estimate, level)
