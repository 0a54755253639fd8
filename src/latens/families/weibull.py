"""The Weibull distribution, and that of its logarithm."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln

from latens.cells import cells_of
from latens.families.base import AbstractFamily
from latens.families.datum import ABOVE_ZERO, FINITE, AbstractDatum
from latens.families.frame import AbstractFrame, Log, log_frame
from latens.families.normal import LogNormal, Normal
from latens.families.roles import Power, Scale
from latens.families.within import AbstractInside
from latens.numerics.constraints import Positive
from latens.numerics.integrals import gamma_mass, hazard_mass, nodes
from latens.numerics.space import Params
from latens.numerics.special import logsumexp, positive_log

FAR = (-np.inf, np.inf)
HIGHEST = 700.0  # z beyond which eᶻ is near the end of a double: the density is 0 there


class AbstractWeibull(AbstractDatum):
    """What a Weibull variable and its logarithm share; `log_of` a value is where they differ."""

    linear = False
    roles: ClassVar = {"shape": Power(), "scale": Scale()}
    constraints: ClassVar = {"shape": Positive(), "scale": Positive()}

    @abstractmethod
    def log_of(self, y: Array) -> Array:
        """log y of a lifetime as it is given, −inf where there is none."""

    @abstractmethod
    def log_measure(self, t: Array) -> Array:
        """log |∂ log y/∂ datum| at log y = t."""

    def potential(self, params: Params) -> Array:
        return jnp.stack([params["shape"], jnp.log(params["scale"])])

    def exact_kernel(self, potential: Array, y: Array) -> Array:
        t = self.log_of(y)
        return _log_smallest(potential, t) + self.log_measure(t)

    def whole_kernel(self, potential: Array, y: Array) -> Array:
        return jnp.zeros(())

    def set_kernel(self, potential: Array, lower: Array, upper: Array) -> Array:
        return hazard_mass(self._hazard(potential, lower), self._hazard(potential, upper))

    def row_potential(self, params: Params, x: Any, at: Params) -> Array:
        own, there = self.potential(params), jax.lax.stop_gradient(self.potential(at))
        cells = cells_of(x)
        if cells.complete:
            return self.exact_kernel(own, x)[None]
        lower, upper = (jnp.where(cells.seen, far, self.log_of(end)) for far, end in zip(FAR, cells.ends, strict=True))

        def log_f(t: Array) -> Array:
            """Log-density of log y, which is log-concave with its top at log s."""
            z = there[0] * (t - there[1])
            return z - jnp.exp(z)

        points, shares = nodes(log_f, lower, upper, there[1])
        only = jnp.where(jnp.arange(len(points)) == 0, 0.0, -jnp.inf)
        value = self.log_of(cells.value)
        points = jnp.where(cells.seen, value, points)
        return _log_smallest(own, points) + jnp.where(cells.seen, only + self.log_measure(value), shares)

    def row_kernel(self, potential: Array, x: Any) -> Array:
        return logsumexp(potential)

    def _hazard(self, potential: Array, end: Array) -> Array:
        t = self.log_of(end)
        known = jnp.isfinite(t)
        z = potential[0] * (jnp.where(known, t, 0.0) - potential[1])
        inside = known & (z < HIGHEST)
        return jnp.where(inside, jnp.exp(jnp.where(inside, z, 0.0)), jnp.where(t > potential[1], jnp.inf, 0.0))

    def maximise(self, totals: Array) -> Params:
        """From the moments of log y, a Gumbel variable: where Newton starts."""
        mean, square = totals[1:] / totals[0]
        shape = jnp.pi / jnp.sqrt(6 * jnp.maximum(square - mean**2, 1e-12))
        return {"shape": shape, "scale": jnp.exp(mean + np.euler_gamma / shape)}

    def spread(self, params: Params) -> Array:
        return 1.0 / params["shape"] ** 2


def _log_smallest(potential: Array, t: Array) -> Array:
    """Log-density of log y = t: smallest extreme value, log a + z − eᶻ with z = a (t − log s).

    −inf where eᶻ cannot be held, with no slope, so that a responsibility of 0 leaves nothing of it.
    """
    shape, log_scale = potential
    z = shape * (t - log_scale)
    inside = z < HIGHEST
    z = jnp.where(inside, z, 0.0)
    return jnp.where(inside, jnp.log(shape) + z - jnp.exp(z), -jnp.inf)


class Weibull(AbstractWeibull):
    """Weibull distribution: f(y) = (a/s) (y/s)^(a−1) e^(−(y/s)^a), y > 0.

    No finite statistic serves every shape: a row's potentials are its own log-density, those of a censored
    row its log-density at the nodes of a quadrature over what it may be, and the M-step is damped Newton
    over the rows.

    **Parameters:** `shape` a (no unit), `scale` s (units of y).
    **Example:**
        >>> import latens as lt
        >>> x = lt.right_censored([3.0, 5.0, 6.0, 9.0], [1, 1, 0, 1])
        >>> fit = lt.fit(lt.IID(lt.Weibull()), x)
        >>> {name: round(float(value), 3) for name, value in fit.params.items()}
        {'shape': 2.722, 'scale': 7.117}

    **Source:** Kalbfleisch & Prentice (2002), The Statistical Analysis of Failure Time Data, §2.2.2.
    """

    support = ABOVE_ZERO
    proxy = LogNormal()

    def log_of(self, y: Array) -> Array:
        return positive_log(y)

    def log_measure(self, t: Array) -> Array:
        return -t

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        return log_frame(self.roles, *cells_of(xs).ends_seen(weights))

    def framed(self, frame: AbstractFrame) -> AbstractFamily:
        return _LogWeibull() if isinstance(frame, Log) else self

    def standard(self, params: Params) -> tuple[AbstractFrame, Params]:
        shift = np.log(params["scale"].astype(np.longdouble))
        return Log(shift, params["shape"], self.roles), {"shape": np.ones(()), "scale": np.ones(())}

    def set_moments(self, params: Params, lower: Array, upper: Array) -> tuple[Array, Array]:
        """E[Yʳ; the set] = sʳ Γ(1 + r/a; hazards at the ends): a gamma mass, since the hazard is exponential."""
        potential = self.potential(params)
        ends = [self._hazard(potential, end) for end in (lower, upper)]
        mass = self.set_kernel(potential, lower, upper)

        def moment(r: float) -> Array:
            shape = 1.0 + r / params["shape"]
            within = gamma_mass(shape, jnp.ones(()), *(positive_log(end) for end in ends))
            return jnp.exp(r * potential[1] + gammaln(shape) + within - mass)

        mean = moment(1.0)
        return mean, moment(2.0) - mean**2

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return params["scale"] * jax.random.exponential(key) ** (1 / params["shape"])

    def features_of(self, y: Array) -> Array:
        return jnp.log(y)[None]


class _LogWeibull(AbstractInside, AbstractWeibull):
    """The logarithm of a Weibull variable, in whose frame such data are fitted; `scale` is still that of y."""

    support = FINITE
    proxy = Normal()

    def log_of(self, y: Array) -> Array:
        return y

    def log_measure(self, t: Array) -> Array:
        return jnp.zeros(())
