"""Tests of hypotheses: Wald's, and by the ratio of likelihoods, against χ² or by parametric bootstrap."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.engine.same_data import same_data
from latens.engine.solve import solve
from latens.engine.stop import Status
from latens.errors import DataError, InferenceError, LatensError, ParameterError, counted
from latens.inference.derived import Derived, Function
from latens.inference.drawing import drawn, fresh
from latens.inference.estimate import Estimate
from latens.numerics.space import Params, Space


@dataclass(frozen=True, repr=False)
class Test:
    """A test of a hypothesis: `statistic`, degrees of freedom `df` (None if not by χ²), `p_value`.

    `method`: how the p-value was had; `replicates`: bootstrap statistics, if any.
    """

    __test__ = False  # not a test case

    title: str
    statistic: float
    df: int | None
    p_value: float
    method: str
    replicates: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        freedom = "" if self.df is None else f" on {counted(self.df, 'degree')} of freedom"
        return f"{self.title}: statistic {self.statistic:.4f}{freedom}, p = {self.p_value:.4g} ({self.method})"


def chi_squared(title: str, statistic: float, df: int) -> Test:
    """A statistic against χ²."""
    from scipy.special import chdtrc  # slow to load, and most runs test nothing

    return Test(title, statistic, df, float(chdtrc(df, statistic)), "χ²")


def contrast_of(
    hypothesis: str | Mapping[str, Any] | Function, value: Any, names: list[str], space: Space
) -> tuple[Function, Any]:
    """What a hypothesis says as (function of the parameters, value it should have)."""
    if callable(hypothesis):
        return hypothesis, value
    given = {hypothesis: value} if isinstance(hypothesis, str) else dict(hypothesis)
    shapes = space.shapes
    for name, wanted in given.items():
        if name not in shapes and name not in names:
            raise ParameterError(f"wald_test: there is no parameter '{name}'; there are {', '.join(shapes)}")
        shape = shapes.get(name, ())
        if np.shape(wanted) not in ((), shape):
            raise ParameterError(f"wald_test: '{name}' has shape {shape}, the value given {np.shape(wanted)}")

    def function(params: Params) -> jax.Array:
        flat = space.flat(params)
        return jnp.concatenate([jnp.ravel(params[n]) if n in shapes else flat[names.index(n)][None] for n in given])

    target = [np.ravel(np.broadcast_to(v, shapes.get(n, ()))) for n, v in given.items()]
    return function, np.concatenate(target)


def wald_test(contrast: Derived, value: Any) -> Test:
    """χ² = (g − v)ᵀ (∇g V ∇gᵀ)⁻¹ (g − v), on the rank of that covariance."""
    difference = np.ravel(contrast.estimate - np.asarray(value, dtype=float))
    values, vectors = np.linalg.eigh(contrast.covariance)
    used = values > 1e-10 * max(values[-1], 0)
    along = vectors.T @ difference
    if np.abs(along[~used]).max(initial=0.0) > 1e-6 * (1 + np.abs(difference).max()):
        raise ParameterError(
            "wald_test: the hypothesis cannot hold together with the constraints of the parameters (do the "
            "probabilities sum to one?)"
        )
    return chi_squared("Wald test", float((along[used] ** 2 / values[used]).sum()), int(used.sum()))


def likelihood_ratio(one: Estimate, other: Estimate, replicates: int, seed: int) -> Test:
    """2(ℓ₁ − ℓ₀) of two nested models, of which the one with fewer parameters is the hypothesis.

    By bootstrap, both models are fitted to each data set drawn from the smaller one, each from its
    parameters and from its usual starts, and p = (1 + #{larger or equal}) / (1 + replicates).
    """
    for each in (one, other):
        if each.problem.prior is not None:
            raise InferenceError("likelihood_ratio: a fit with a prior is not at the maximum of its likelihood")
        if not each.converged:
            raise InferenceError(f"likelihood_ratio: the fit of {each.model.title} has not converged")
    if not same_data(one.problem, other.problem):
        raise DataError("likelihood_ratio: the two fits are of different data")
    small, large = sorted((one, other), key=lambda each: each.free_parameters)
    df = large.free_parameters - small.free_parameters
    statistic = 2 * (large.log_likelihood - small.log_likelihood)
    if df == 0:
        raise ParameterError("likelihood_ratio: both models have as many parameters, so neither is inside the other")
    if statistic < -1e-6 * (1 + abs(small.log_likelihood)):
        raise InferenceError(
            f"the larger model has the smaller log-likelihood (by {-statistic / 2:.4g}): it is at a local maximum (try "
            "starts=50), or the models are not nested"
        )
    statistic, title = max(statistic, 0.0), f"Likelihood ratio of {small.model.title} in {large.model.title}"
    if replicates == 0:
        if _labels(small) != _labels(large):
            raise InferenceError(
                f"χ² does not hold between {_labels(small)} and {_labels(large)} hidden values (the smaller model is "
                "on the boundary of the larger): use the bootstrap, likelihood_ratio(other, replicates=99)"
            )
        return chi_squared(title, statistic, df)
    if replicates < 19:
        raise ParameterError(f"likelihood_ratio: replicates must be 0 or at least 19, got {replicates}")

    def draw(b: int) -> float:
        return _statistic(small, large, int(np.random.default_rng([seed, b]).integers(2**31)))

    with ThreadPoolExecutor(small.problem.at_once) as pool:
        found = np.array(list(pool.map(draw, range(replicates))))
    kept = found[np.isfinite(found)]
    if len(kept) < replicates / 2:
        raise InferenceError(f"{replicates - len(kept)} of {replicates} replicates could not be fitted by both models")
    p = (1 + int((kept >= statistic).sum())) / (1 + len(kept))
    lost = f", {replicates - len(kept)} left out" if len(kept) < replicates else ""
    return Test(title, statistic, None, p, f"parametric bootstrap, {len(kept)} replicates{lost}", kept)


def _labels(each: Estimate) -> int:
    shapes, axes = each.problem.space.shapes, each.problem.symmetry.axes
    return max([len(each.model.hidden or ("",)), *(shapes[name][axis] for name in axes for axis in axes[name])])


def _statistic(small: Estimate, large: Estimate, seed: int) -> float:
    """2(ℓ₁ − ℓ₀) on a data set drawn from the smaller model; NaN if either model cannot be fitted."""
    data = drawn(small, seed)
    ends = [_highest(data, each) for each in (small, large)]
    return 2 * (ends[1] - ends[0])


def _highest(data: object, near: Estimate) -> float:
    """The highest log-likelihood of two ways to begin."""
    found = [np.nan]
    with suppress(LatensError):
        problem = fresh(near, data)
        for start in (near.at.params, None):
            with suppress(LatensError):
                last = solve(problem, start=start).last
                found += [last.log_likelihood] if last.status is Status.CONVERGED else []
    return float(np.fmax.reduce(found))
