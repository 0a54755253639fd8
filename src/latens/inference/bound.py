"""Q, H and Jensen's bound: the three functions that EM is made of."""

from typing import Any

from latens.engine.problem import Problem
from latens.models.base import AbstractModel
from latens.numerics.compiling import double
from latens.numerics.space import Params


def _pieces(
    model: AbstractModel, params: Params, at: Params, data: Any, weights: Any
) -> tuple[float, float, float, float]:
    """Q(params|at), Q(at|at), ℓ(params) and ℓ(at), all in the frame of the data."""
    problem = Problem(model, data, weights)
    here, there = problem.free(params, "params"), problem.free(at, "at")
    q, ell = problem.surrogate, problem.log_likelihood
    return q(here, there), q(there, there), ell(here), ell(there)


@double
def q_function(model: AbstractModel, params: Params, at: Params, data: Any, weights: Any = None) -> float:
    """Q(params | at): the expected complete-data log-likelihood given what was seen.

        Q(θ | θₜ) = Σ w E[log f(Y | θ) given x, θₜ]

    up to a term that is free of θ, which is chosen so that ℓ(θ) = Q(θ | θₜ) − H(θ | θₜ) with
    H(θₜ | θₜ) = 0.

    **Arguments:** `params`, `at`: dicts as in `fit.params`; `data`, `weights` as in `lt.fit`.
    **Returns:** a number, in units of log-likelihood.
    **Raises:** `ParameterError`, `DataError`.
    **Example:** Q = 2 log θ − 5θ − θ/θₜ (+ a constant) for two lifetimes, one missing:
        >>> import latens as lt
        >>> model, data = lt.IID(lt.Exponential()), [5.0, float("nan")]
        >>> q = [lt.q_function(model, {"rate": r}, {"rate": 0.5}, data) for r in (0.5, 0.25)]
        >>> round(q[1] - q[0], 6)  # 2 log(1/2) + 5/4 + 1/2
        0.363706

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1, eq. 2.17.
    """
    q, q_at, _, ell_at = _pieces(model, params, at, data, weights)
    return q - q_at + ell_at


@double
def h_function(model: AbstractModel, params: Params, at: Params, data: Any, weights: Any = None) -> float:
    """H(params | at) = Q(params | at) − ℓ(params): largest, and 0, at params = at.

        H(θ | θₜ) = Σ w E[log k(Y given x, θ) given x, θₜ]   less its value at θₜ

    which is why the log-likelihood cannot fall when Q rises.

    **Arguments:** as in `lt.q_function`. **Returns:** a number of at most 0 (but for rounding).
    **Raises:** `ParameterError`, `DataError`.
    **Example:**
        >>> import latens as lt
        >>> model, data = lt.IID(lt.Exponential()), [5.0, float("nan")]
        >>> lt.h_function(model, {"rate": 1.0}, {"rate": 0.5}, data) < 0
        True

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1, lemma 1.
    """
    q, q_at, ell, ell_at = _pieces(model, params, at, data, weights)
    return (q - q_at) - (ell - ell_at)


@double
def lower_bound(model: AbstractModel, params: Params, at: Params, data: Any, weights: Any = None) -> float:
    """Jensen's lower bound on the log-likelihood, the auxiliary function: it touches ℓ at `at`.

        A(θ, θₜ) = Σ w E_z log[P(x, z | θ)/P(z | x, θₜ)] = ℓ(θₜ) + <φ(θ) − φ(θₜ), s̄(θₜ)> ≤ ℓ(θ)

    **Arguments:** as in `lt.q_function`. **Returns:** a number, in units of log-likelihood.
    **Raises:** `ParameterError`, `DataError`.
    **Example:**
        >>> import latens as lt
        >>> model, data = lt.IID(lt.Exponential()), [5.0, float("nan")]
        >>> round(lt.lower_bound(model, {"rate": 0.5}, {"rate": 0.5}, data), 6)  # log(1/2) − 5/2
        -3.193147

    **Source:** Neal & Hinton (1998), Learning in Graphical Models, 355.
    """
    # with the free term of Q chosen as above, Q is the bound
    return q_function(model, params, at, data, weights)
