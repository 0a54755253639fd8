"""Hypotheses about the parameters, and Wald's test of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.errors import ParameterError, counted
from latens.inference.derived import Derived, Function
from latens.numerics.space import Params, Space


@dataclass(frozen=True)
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
