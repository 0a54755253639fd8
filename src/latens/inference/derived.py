"""Functions of the parameters, by the delta method."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.errors import InferenceError, ParameterError, first_line
from latens.inference.errors import LINKS, Errors, quantile, wald
from latens.inference.estimate import Estimate
from latens.inference.profile import Scalar, Wanted, profiled
from latens.numerics.compiling import double, once
from latens.numerics.constraints import EDGE
from latens.numerics.memory import Sealed
from latens.numerics.space import Params
from latens.numerics.special import TINY

Function = Callable[[Params], Any]

POINTS, FEWER = 400, 40  # of the parameter space at which a function is asked for its range; one by one
SOME = 0.1  # of them it must be defined at to tell
HAIR, STEEPER = 1e-4, 30.0  # standard errors; how much steeper a function gets that was stationary
MATTERS = 1e-10  # of the largest derivative: less leans on nothing
LEANS = 1e-4  # how much of a derivative's terms must be left of their sum for it not to be rounding


@dataclass(frozen=True, repr=False)
class Derived(Sealed):
    """A function g of the parameters at the estimate, with the standard error the delta method gives.

        se² = ∇g V ∇gᵀ

    `estimate`, `standard_error`: shaped like what the function returns; `covariance` (m, m): of its
    entries in order; `scale`: per entry, on which intervals are formed.
    """

    estimate: np.ndarray
    standard_error: np.ndarray
    covariance: np.ndarray
    scale: np.ndarray
    _profile: Callable[[float], np.ndarray] | None = field(default=None, repr=False, compare=False)

    def interval(self, level: float = 0.95, method: str = "delta") -> np.ndarray:
        """(..., 2): estimate ± z · standard error on the scale, mapped back; or by the likelihood.

        **Arguments:** `level` in (0, 1); `method`: "delta", or "profile" for the values that the likelihood ratio
        keeps, for which EM runs along the profile of the function.
        **Raises:** `ParameterError` for another level or method; `InferenceError` where the profile cannot be followed.
        **Source:** Venzon & Moolgavkar (1988), Appl. Stat. 37, 87.
        """
        quantile(level)
        if method not in ("delta", "profile"):
            raise ParameterError(f"interval: method must be 'delta' or 'profile', got {method!r}")
        if method == "delta":
            ends = wald(self.estimate.ravel(), self.standard_error.ravel(), self.scale.ravel(), level)
        elif self._profile is None:
            raise InferenceError("interval: a derived quantity that was read from a file has no fit: derive it again")
        else:
            ends = self._profile(level)
        return ends.reshape(*self.estimate.shape, 2)

    def _given(self) -> dict[str, Any]:
        return super()._given() | {"_profile": None}  # functions cannot be written

    def __copy__(self) -> "Derived":
        return self  # nothing of it can change

    def __deepcopy__(self, memo: Any) -> "Derived":
        return self

    def __repr__(self) -> str:
        return f"<Derived: {self}>"

    def __str__(self) -> str:
        low, high = np.moveaxis(self.interval(), -1, 0)
        return f"{self.estimate}  (standard error {self.standard_error}, 95 % interval {low} .. {high})"


@double
def derive(function: Function, estimate: Estimate, errors: Errors, scale: str | None) -> Derived:
    """Value and delta-method covariance of a function of the parameters; see `Fit.derive`."""
    if scale is not None and scale not in LINKS:
        raise ParameterError(f"derive: unknown scale {scale!r}; there are {', '.join(LINKS)}")
    shapes = estimate.problem.space.shapes

    def of(vector: jax.Array) -> jax.Array:
        cuts = np.cumsum([int(np.prod(s)) for s in shapes.values()])[:-1]
        parts = jnp.split(vector, cuts)
        return jnp.asarray(function({n: p.reshape(s) for (n, s), p in zip(shapes.items(), parts, strict=True)}))

    flat = jnp.asarray(estimate.values)

    def slope_at(vector: np.ndarray) -> np.ndarray:
        return np.asarray(jax.jacrev(lambda v: jnp.ravel(of(v)))(jnp.asarray(vector)))

    try:
        slope = slope_at(estimate.values)
        value = np.asarray(of(flat), dtype=float)
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError, TypeError) as error:
        raise InferenceError(
            "derive: the function cannot be differentiated; write it with jax.numpy, of a dict of parameters, "
            f"returning a number or an array ({first_line(error)})"
        ) from None
    except KeyError as error:
        raise ParameterError(f"derive: there is no parameter {error}; this model has {', '.join(shapes)}") from None
    if not np.isfinite(value).all():
        raise InferenceError("derive: the function is not finite at the estimate; see that it is defined there")
    flat_rows = ~(slope != 0).any(1) | ~np.isfinite(slope).all(1)
    if flat_rows.any():
        raise InferenceError(
            f"derive: entry {int(np.argmax(flat_rows))} of the function has no finite, non-zero derivative at the "
            "estimate (a step such as round or argmax, or a maximum of it?), so the delta method says nothing; use a "
            "smooth function"
        )
    _check_told(slope, estimate, errors)
    _check_slope(slope, slope_at, estimate, errors)
    found = slope @ errors.kept @ slope.T
    deviation = np.sqrt(np.diag(found)).reshape(value.shape)
    scales = np.full(value.shape, scale) if scale else _scales(function, estimate, value)
    _check_range(value, scales)

    def profile(level: float) -> np.ndarray:
        ends = (scales != "identity") & ((value <= TINY) | ((scales != "log") & (value >= 1 - EDGE)))
        if ends.any():
            raise InferenceError(
                f"interval: the function is {value[ends][0]:.6g} to the last digit, so its profile cannot be seen: "
                "derive a logarithm of it, or of what it is less than 1"
            )
        names = [f"entry {i} of the function" if value.ndim else "the function" for i in range(value.size)]
        scalars = [Scalar(estimate.problem.frame, np.asarray(i), function) for i in range(value.size)]
        wanted = zip(scalars, names, value.ravel(), deviation.ravel(), scales.ravel(), strict=True)
        try:
            return profiled(estimate, [Wanted(*each) for each in wanted], level)[0]
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
            raise InferenceError(
                "interval: along a profile the function is compiled, so it may not look at values: write jnp.where for "
                f"if, and jax.numpy for the rest ({first_line(error)})"
            ) from None

    return Derived(value, deviation, found, scales, profile)


def _check_told(slope: np.ndarray, estimate: Estimate, errors: Errors) -> None:
    """Raise `InferenceError` if an entry with this derivative (m, P) leans on what is held."""
    names = estimate.problem.names
    for each in errors.held:
        terms = slope * each.move
        size = np.abs(terms).sum(1)
        most = np.abs(slope).max(1) * np.abs(each.move).max()
        leaning = (np.abs(terms.sum(1)) > LEANS * size) & (size > MATTERS * most)
        alone = (slope != 0) <= each.scalars
        leaning |= alone.all(1) & ~each.move.any()
        if leaning.any():
            entry = int(np.argmax(leaning))
            scalar = int(np.argmax(np.abs(np.where(each.scalars, slope[entry], 0.0))))
            raise InferenceError(
                f"derive: entry {entry} of the function leans on {names[scalar]}, which has no standard error: "
                f"{each.reason}"
            )


def _check_slope(
    slope: np.ndarray, slope_at: Callable[[np.ndarray], np.ndarray], estimate: Estimate, errors: Errors
) -> None:
    """At a stationary point of a function its slope is rounding: a hair's breadth away it is far steeper."""
    sizes = np.sqrt(np.maximum(np.diag(errors.kept), 0.0))
    away = slope_at(estimate.values + HAIR * sizes * np.random.default_rng(0).standard_normal(len(sizes)))
    flat = np.abs(slope) @ sizes < np.abs(away) @ sizes / STEEPER
    if flat.any():
        raise InferenceError(
            f"derive: entry {int(np.argmax(flat))} of the function has all but no slope at the estimate (a maximum or "
            "minimum of it?), so the delta method says nothing: derive what it is a function of"
        )


@double
def _scales(function: Function, estimate: Estimate, value: np.ndarray) -> np.ndarray:
    """Per entry, the scale of its range as far as points of the parameter space show it, near and very far."""
    rng, centre = np.random.default_rng(0), estimate.at.free
    near_and_far = 10.0 ** rng.uniform(-2, 6, size=(POINTS, 1)) * (1 + np.abs(centre))
    points = centre + near_and_far * rng.normal(size=(POINTS, len(centre)))

    def there(u: jax.Array) -> jax.Array:
        return jnp.asarray(function(estimate.problem.outside(u)))

    try:
        found = once(lambda us: jax.lax.map(there, us))(jnp.asarray(points))
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):  # a function that looks at values takes them one by one
        found = np.stack([there(jnp.asarray(u)) for u in points[:FEWER]])
    values = np.concatenate([value[None], found])
    told = ~np.isnan(values)
    positive = ((values >= 0) | ~told).all(0) & (told.mean(0) > SOME)
    return np.select([positive & ~(values > 1).any(0), positive], ["logit", "log"], "identity")


def _check_range(values: np.ndarray, scales: np.ndarray) -> None:
    wrong = ((scales != "identity") & (values < 0)) | (np.isin(scales, ("logit", "cloglog")) & (values > 1))
    if wrong.any():
        raise ParameterError(
            f"derive: the function is {values[wrong][0]:.6g}, which the scale '{scales[wrong][0]}' has no place for; "
            "leave scale out, or give another"
        )
