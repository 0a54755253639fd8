"""The user's own model, from a joint density and the finite set of hidden values."""

from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import labelled, ruled_out, without_labels
from latens.errors import ModelError, first_line
from latens.models.base import AbstractModel
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.memory import frozen
from latens.numerics.space import Constraints, Params
from latens.numerics.special import logsumexp

NONE = -745.0  # the exponential of less is 0


class Latent(AbstractModel):
    """Any model with a finite hidden part z: f(x | θ) = Σ_z f(x, z | θ).

    The potentials of a row are its log-densities log f(x, z | θ), one for each z; the E-step gives
    P(z | x, θ), and the M-step maximises Q by damped Newton over the rows.

    **Arguments:** `log_joint(params, x, z)`: log f(x, z | θ) of ONE observation, a scalar in
    `jax.numpy`; `support`: the values of z, an array with one value per entry of its first axis;
    `parameters`: name → `Real(shape)`, `Positive(shape)`, `Unit(shape)`, `Simplex(k)` or
    `PositiveDefinite(d)`; `exchangeable`: names of parameters whose first axis is a label that could be any
    permutation of itself, so that relabelled maxima count as one, or name → such axes (of transitions, (0, 1));
    `names`: parameter → the names of its entries, or a tuple of names for each of its axes, for reports;
    `sample(params, key, like)`: one row drawn, shaped like the row `like` of the data, whose covariates it may take
    over: for `fit.sample` and parametric bootstraps.
    **Data:** an array or a dict of columns; `x` is one row of it, NaN where a cell is missing. `labels=` of a fit are
    numbers of values of the support.
    **Raises:** `ModelError` for an empty support, a parameter without a constraint, and where `log_joint` fails.
    **Example:** two Poisson rates, the second three times the first:
        >>> import jax.numpy as jnp
        >>> import latens as lt
        >>> def log_joint(params, x, z):
        ...     rate = params["rate"] * jnp.where(z == 1, 3.0, 1.0)
        ...     share = jnp.where(z == 1, params["share"], 1 - params["share"])
        ...     return jnp.log(share) + x * jnp.log(rate) - rate
        >>> model = lt.Latent(log_joint, [0, 1], {"rate": lt.Positive(), "share": lt.Unit()})
        >>> fit = lt.fit(model, [0, 1, 2, 2, 6, 7, 1, 9], start={"rate": 1.0, "share": 0.5})
        >>> round(float(fit.params["rate"]), 4)
        1.9523

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1, §2.
    """

    log_joint: Callable[[Params, Any, Any], Array]
    support: np.ndarray
    names: tuple[str, ...]
    kinds: tuple[AbstractConstraint, ...]
    alike: tuple[tuple[str, tuple[int, ...]], ...] = eqx.field(static=True)
    entries: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = eqx.field(static=True)
    sampler: Callable[..., Any] | None = eqx.field(static=True)

    def __init__(
        self,
        log_joint: Callable[[Params, Any, Any], Array],
        support: Any,
        parameters: Mapping[str, AbstractConstraint],
        *,
        exchangeable: str | Sequence[str] | Mapping[str, Sequence[int]] = (),
        names: Mapping[str, Sequence[Any]] | None = None,
        sample: Callable[..., Any] | None = None,
    ) -> None:
        self.log_joint, self.sampler = log_joint, sample
        if not isinstance(parameters, Mapping):
            raise ModelError(f"Latent: parameters must be a dict, name → constraint, got {parameters!r}")
        if np.asarray(support).dtype.kind not in "biuf":
            raise ModelError(f"Latent: the support must be numbers, such as [0, 1], got {support!r}")
        self.support = frozen(support)
        self.alike = _axes_of_labels(exchangeable)
        self.entries = tuple((name, _by_axis(given)) for name, given in (names or {}).items())
        self.names, self.kinds = tuple(map(str, parameters)), tuple(parameters.values())
        if not callable(log_joint):
            raise ModelError(f"Latent: log_joint must be a function of (params, x, z), got {log_joint!r}")
        if self.support.ndim == 0 or len(self.support) == 0:
            raise ModelError("Latent: the support needs at least one value")
        for name, constraint in parameters.items():
            if not isinstance(constraint, AbstractConstraint):
                raise ModelError(f"Latent: parameter '{name}' needs a constraint like lt.Real(), got {constraint!r}")
        for name in (*dict(self.alike), *dict(self.entries)):
            if name not in self.names:
                raise ModelError(f"Latent: there is no parameter '{name}'; there are {', '.join(self.names)}")
        shapes = {name: self.constraints[name].shape for name in self.names}
        lengths = [shapes[n][axis] if axis < len(shapes[n]) else None for n, each in self.alike for axis in each]
        if len(set(lengths)) > 1 or None in lengths:
            told = ", ".join(f"'{name}' {shapes[name]}" for name, _ in self.alike)
            raise ModelError(f"Latent: exchangeable parameters need a first axis of one length; they are {told}")
        for name, axes in self.entries:
            if shapes[name][len(shapes[name]) - len(axes) :] != tuple(map(len, axes)):
                raise ModelError(f"Latent: names of {tuple(map(len, axes))} entries for '{name}' {shapes[name]}")

    @property
    def constraints(self) -> Constraints:
        return dict(zip(self.names, self.kinds, strict=True))

    def log_evidence(self, potentials: Array, x: Any) -> Array:
        # selected away, what has no share in the sum has none in its derivatives either, infinite ones included
        return logsumexp(jnp.where(potentials > jax.lax.stop_gradient(potentials.max()) + NONE, potentials, -jnp.inf))

    def row_potentials(self, params: Params, x: Any, at: Params) -> Array:
        return self._joint(params, x)

    def _joint(self, params: Params, x: Any) -> Array:
        """(values,) log f(x, z | params) for each z, −∞ for those that a label rules out."""
        row = without_labels(x)
        found = jax.vmap(lambda z: _scalar(self.log_joint(params, row, z)))(jnp.asarray(self.support))
        return ruled_out(found, x)

    def posterior(self, potentials: Params, x: Any) -> Array:
        """(values,) probability of each value of the support."""
        return jax.nn.softmax(self._joint(potentials, x))

    @property
    def hidden(self) -> tuple[str, ...]:
        return tuple(str(z) for z in self.support)

    @property
    def exchangeable(self) -> dict[str, tuple[int, ...]]:
        return dict(self.alike)

    def labelled(self, xs: Any, labels: np.ndarray | None) -> Any:
        return labelled(xs, labels)

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return dict(self.entries)

    def sample(self, params: Params, key: Array, like: Any = None) -> Any:
        if self.sampler is None:
            return super().sample(params, key, like)
        row = without_labels(like)
        try:
            found = jax.tree.map(jnp.asarray, self.sampler(params, key, row))
        except Exception as error:
            raise ModelError(
                f"sample fails: {type(error).__name__}: {first_line(error)}; it is a function of (params, key, like), "
                "written with jax.numpy and jax.random"
            ) from error
        if jax.tree.map(jnp.shape, found) != jax.tree.map(jnp.shape, row):
            raise ModelError(f"sample must return one row like the data's, {_told(row)}; it returns {_told(found)}")
        return found


def _axes_of_labels(exchangeable: Any) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Of each parameter that has labels, the axes along which they are."""
    alike = [exchangeable] if isinstance(exchangeable, str) else exchangeable
    try:
        labels = alike if isinstance(alike, Mapping) else dict.fromkeys(alike, 0)
        return tuple((str(name), tuple(map(index, np.atleast_1d(each).tolist()))) for name, each in labels.items())
    except TypeError:
        raise ModelError(
            f"Latent: exchangeable is a tuple of names, or a dict, name → axes, such as (0, 1); got {exchangeable!r}"
        ) from None


def _by_axis(given: Sequence[Any]) -> tuple[tuple[str, ...], ...]:
    """Names of entries, one list for each axis."""
    several = any(not isinstance(entry, str) for entry in given)
    return tuple(tuple(map(str, axis)) for axis in (given if several else [given]))


def _told(row: Any) -> str:
    """A row by the shapes of its columns."""
    if isinstance(row, dict):
        return "{" + ", ".join(f"'{name}': {jnp.shape(cell)}" for name, cell in row.items()) + "}"
    return f"an array of shape {jnp.shape(row)}"


def _scalar(joint: Any) -> Array:
    found = jnp.asarray(joint)
    if found.shape != ():
        raise ModelError(
            f"log_joint returns an array of shape {found.shape}; it is of ONE row and ONE hidden value, so it must be "
            "a scalar: add up what belongs to the row, with .sum()"
        )
    return found
