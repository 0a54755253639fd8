"""The user's own model, from a joint density and the finite set of hidden values."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.errors import ModelError
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
    `PositiveDefinite(d)`.
    **Data:** an array or a dict of columns; `x` is one row of it.
    **Raises:** `ModelError` for an empty support or a parameter without a constraint.
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

    log_joint: Callable[[Params, Any, Any], Array] = eqx.field(static=True)
    support: np.ndarray
    names: tuple[str, ...] = eqx.field(static=True)
    kinds: tuple[AbstractConstraint, ...]

    def __init__(
        self,
        log_joint: Callable[[Params, Any, Any], Array],
        support: Any,
        parameters: Mapping[str, AbstractConstraint],
    ) -> None:
        self.log_joint = log_joint
        self.support = frozen(support)
        self.names, self.kinds = tuple(map(str, parameters)), tuple(parameters.values())
        if self.support.ndim == 0 or len(self.support) == 0:
            raise ModelError("Latent: the support needs at least one value")
        for name, constraint in parameters.items():
            if not isinstance(constraint, AbstractConstraint):
                raise ModelError(f"Latent: parameter '{name}' needs a constraint like lt.Real(), got {constraint!r}")

    @property
    def constraints(self) -> Constraints:
        return dict(zip(self.names, self.kinds, strict=True))

    def potentials(self, params: Params) -> Params:
        return params

    def log_evidence(self, potentials: Params, x: Any) -> Array:
        joint = self._joint(potentials, x)
        # selected away, what has no share in the sum has none in its derivatives either, infinite ones included
        return logsumexp(jnp.where(joint > jax.lax.stop_gradient(joint.max()) + NONE, joint, -jnp.inf))

    @property
    def finite(self) -> bool:
        return False

    def row_potentials(self, params: Params, x: Any, at: Params) -> Array:
        return self._joint(params, x)

    def _joint(self, params: Params, x: Any) -> Array:
        """(values,) log f(x, z | params) for each z."""
        return jax.vmap(lambda z: self.log_joint(params, x, z))(jnp.asarray(self.support))

    def row_evidence(self, potentials: Array, x: Any) -> Array:
        return logsumexp(potentials)

    def posterior(self, potentials: Params, x: Any) -> Array:
        """(values,) probability of each value of the support."""
        return jax.nn.softmax(self._joint(potentials, x))

    @property
    def hidden(self) -> tuple[str, ...]:
        return tuple(str(z) for z in self.support)
