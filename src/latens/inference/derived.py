"""Functions of the parameters, and hypotheses about them, by the delta method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.errors import InferenceError, ParameterError
from latens.inference.intervals import quantile
from latens.numerics.memory import Sealed
from latens.numerics.precision import double
from latens.numerics.space import Params, Space

Function = Callable[[Params], Any]


@dataclass(frozen=True)
class Derived(Sealed):
    """A function g of the parameters at the estimate, with the standard error the delta method gives.

        se² = ∇g V ∇gᵀ

    `estimate`, `standard_error`: shaped like what the function returns; `covariance` (m, m): of its
    entries in order.
    """

    estimate: np.ndarray
    standard_error: np.ndarray
    covariance: np.ndarray

    def interval(self, level: float = 0.95) -> np.ndarray:
        """(..., 2): estimate ± z · standard error."""
        half = quantile(level) * self.standard_error
        return np.stack([self.estimate - half, self.estimate + half], -1)

    def __str__(self) -> str:
        low, high = np.moveaxis(self.interval(), -1, 0)
        return f"{self.estimate}  (standard error {self.standard_error}, 95 % interval {low} .. {high})"


@double
def derive(function: Function, params: Params, space: Space, covariance: np.ndarray) -> Derived:
    """Value and delta-method covariance of a function of the parameters; see `Fit.derive`."""
    flat = np.asarray(space.flat(params))
    shapes = space.shapes

    def of(vector: jax.Array) -> jax.Array:
        cuts = np.cumsum([int(np.prod(s)) for s in shapes.values()])[:-1]
        parts = jnp.split(vector, cuts)
        return jnp.asarray(function({n: p.reshape(s) for (n, s), p in zip(shapes.items(), parts, strict=True)}))

    try:
        slope = np.asarray(jax.jacrev(lambda v: jnp.ravel(of(v)))(jnp.asarray(flat)))
        value = np.asarray(of(jnp.asarray(flat)), dtype=float)
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError, TypeError) as error:
        first = str(error).strip().splitlines()[0]
        raise InferenceError(
            "derive: the function cannot be differentiated; write it with jax.numpy, of a dict of parameters, "
            f"returning a number or an array ({first})"
        ) from None
    except KeyError as error:
        raise ParameterError(f"derive: there is no parameter {error}; this model has {', '.join(shapes)}") from None
    if not np.isfinite(value).all():
        raise InferenceError("derive: the function is not finite at the estimate; see that it is defined there")
    flat_rows = ~(slope != 0).any(1) | ~np.isfinite(slope).all(1)
    if flat_rows.any():
        raise InferenceError(
            f"derive: entry {int(np.argmax(flat_rows))} of the function has no finite, non-zero derivative at the "
            "estimate (a step such as round or argmax?), so the delta method says nothing; use a smooth function"
        )
    found = slope @ covariance @ slope.T
    return Derived(value, np.sqrt(np.diag(found)).reshape(value.shape), found)


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
