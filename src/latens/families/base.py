"""What a family is, and everything that follows from its formula."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import STAND_IN, Partial, observe
from latens.data.table import matrix
from latens.errors import DataError
from latens.families.frame import ROWS, AbstractFrame, Identity
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.precision import double
from latens.numerics.space import Params


class AbstractFamily(eqx.Module):
    """A distribution of one complete datum, as a flat row of potentials φ against statistics S:

        log f(y | θ) = <φ(θ), S(y)> + log h(y)

    Most families should subclass `AbstractExponentialFamily`, which asks for less. This class is what
    models talk to:

    1. `constraints`: parameter name → constraint.
    2. `potential(params)`: (1 + p,) flat row of potentials.
    3. `log_kernel(potential, x)`: log-density of ONE datum, from the row of potentials.
    4. `maximise(totals)`: (1 + p,) expected totals → params: the M-step.
    5. `sample(params, key, like)`: one draw.
    6. `read`, `observe`, `frame`: from users' data to arrays.
    """

    @property
    @abstractmethod
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        """Parameter name → constraint."""

    @abstractmethod
    def potential(self, params: Params) -> Array:
        """params → (1 + p,) potentials [−A(η), η]."""

    @abstractmethod
    def log_kernel(self, potential: Array, x: Any) -> Array:
        """log f(x) of one datum, the whole integral (0 when normalised) where it was not seen."""

    @abstractmethod
    def maximise(self, totals: Array) -> Params:
        """(1 + p,) totals of the complete statistic → the params that maximise <φ(params), totals>."""

    @abstractmethod
    def sample(self, params: Params, key: Array, like: Any = None) -> Any:
        """One draw; `like` is a datum whose size (trials, exposure) the draw takes over."""

    @abstractmethod
    def read(self, data: Any) -> tuple[Any, tuple[str, ...]]:
        """Users' data → NumPy rows and the names of their columns; raises `DataError`."""

    @abstractmethod
    def observe(self, xs: Any) -> Any:
        """Rows as read → rows as `log_kernel` takes them."""

    @abstractmethod
    def features(self, x: Any) -> Array:
        """(q,) what distances between data are measured on when starts are sought."""

    @property
    def title(self) -> str:
        """What reports call it."""
        return type(self).__name__

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        """Coordinates to fit in; the data as given unless a family knows better."""
        return Identity()

    def spread(self, params: Params) -> Array:
        """How far the distribution is from a single point, in the frame: 0 there; 1 when it has none."""
        return jnp.ones(())

    @property
    def pooled(self) -> frozenset[str]:
        """Parameters whose shared estimate is the count-weighted average of separate ones."""
        return frozenset()

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        """Parameter name → names of the entries of its trailing axes, for labels."""
        return {}

    @double
    def log_density(self, params: Params, y: Any) -> np.ndarray:
        """log f(y | params) of each row of `y`: (n,).

        **Arguments:** `params` as in `constraints`; `y` anything `lt.fit` would take.
        **Raises:** `DataError` for values outside the support.
        **Example:**
            >>> import latens as lt
            >>> float(lt.Poisson().log_density({"rate": 2.0}, [0]).round(6)[0])
            -2.0
        """
        xs = self.observe(self.read(y)[0])
        potential = self.potential({n: jnp.asarray(v, dtype=jnp.float64) for n, v in params.items()})
        return np.asarray(jax.vmap(self.log_kernel, (None, 0))(potential, xs))


class AbstractExponentialFamily(AbstractFamily):
    """f(y | θ) = h(y) exp(<η(θ), T(y)> − c(y) A(η)), with c(y) = 1 unless a datum has a size.

    To write your own, for ONE datum y (a scalar, or an array of shape `shape`):

    1. `constraints`: parameter name → constraint.
    2. `statistic(y)`: T(y), shape (p,).
    3. `natural(params)`: η, shape (p,).
    4. `log_partition(natural)`: A(η), a scalar; its gradient must be the mean of T per unit of c.
    5. `estimate(mean)`: the params whose mean statistic is `mean` (p,): the M-step.
    6. `sample(params, key, like)`: one draw.
    7. `support(y)` and `words`: whether y can occur, and that set in words for error messages.
    8. if not the default: `log_base(y)` (log h, default 0), `count(y)` (c, default 1), `shape`.

    What you then get: densities, the M-step in any model, unseen data, starts, errors that name the
    row, and every law in `latens.testing.check_family`.

    **Source:** Barndorff-Nielsen (1978), Information and Exponential Families.
    """

    @abstractmethod
    def statistic(self, y: Array) -> Array:
        """T(y): (p,)."""

    @abstractmethod
    def natural(self, params: Params) -> Array:
        """η(params): (p,)."""

    @abstractmethod
    def log_partition(self, natural: Array) -> Array:
        """A(η): a scalar."""

    @abstractmethod
    def estimate(self, mean: Array) -> Params:
        """Mean statistic (p,) → params."""

    @abstractmethod
    def support(self, y: Array) -> Array:
        """Whether y can occur: a scalar boolean."""

    @property
    @abstractmethod
    def words(self) -> str:
        """The support in words: "a number above 0"."""

    def log_base(self, y: Array) -> Array:
        """log h(y)."""
        return jnp.zeros(())

    def count(self, y: Array) -> Array:
        """c(y): trials or exposure; 1 for most families."""
        return jnp.ones(())

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one datum."""
        return ()

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the entries of a datum, where they have names of their own."""
        return ()

    @property
    def takes_missing(self) -> bool:
        """Whether a datum may be wholly unseen (NaN): not if its size would then be unknown."""
        return True

    # -- derived ------------------------------------------------------------------------------------

    def complete(self, y: Array) -> Array:
        """[c(y), T(y)]: one flat row, so that a mixture is one matrix product."""
        return jnp.concatenate([self.count(y)[None], self.statistic(y)])

    def potential(self, params: Params) -> Array:
        natural = self.natural(params)
        return jnp.concatenate([-self.log_partition(natural)[None], natural])

    def mean(self, params: Params) -> Array:
        """E[T | params] = ∇A(η): (p,)."""
        return jax.grad(self.log_partition)(self.natural(params))

    def log_kernel(self, potential: Array, x: Any) -> Array:
        if not isinstance(x, Partial):
            return potential @ self.complete(x) + self.log_base(x)
        kernel = potential @ self.complete(x.value) + self.log_base(x.value)
        # the integral over the whole space: 0 for normalised potentials, and its gradient is E[S]
        whole = potential[0] + self.log_partition(potential[1:])
        return jnp.where(x.seen, kernel, self.count(x.value) * whole)

    def maximise(self, totals: Array) -> Params:
        return self.estimate(totals[1:] / totals[0])

    def features(self, x: Any) -> Array:
        return self.statistic(x.value if isinstance(x, Partial) else x)

    def observe(self, xs: np.ndarray) -> Any:
        return observe(xs)

    @double
    def _possible(self, xs: np.ndarray) -> np.ndarray:
        """(n,) whether each row is in the support."""
        blocks = [np.nan_to_num(xs[i : i + ROWS], nan=STAND_IN) for i in range(0, len(xs), ROWS)]
        return np.concatenate([np.asarray(_supports(self, block)) for block in blocks])

    def read(self, data: Any) -> tuple[np.ndarray, tuple[str, ...]]:
        width = int(np.prod(self.shape, dtype=int))
        rows, names = matrix(data, width, self.fields)
        missing = np.isnan(rows)
        sizes = missing[:, 1:] if self.fields else missing
        partly = sizes.any(1)
        if self.takes_missing and not self.fields:
            partly &= ~missing.all(1)
        if partly.any():
            row = int(np.argmax(partly))
            column = names[int(np.argmax(sizes[row])) + (1 if self.fields else 0)]
            raise DataError(
                f"row {row}, column '{column}': NaN; {type(self).__name__} takes a row as a whole, seen or "
                "not seen: drop the row, or make all of it NaN"
            )
        xs = rows.reshape(len(rows), *self.shape)
        if self.shape == ():
            xs = rows[:, 0]
        gone = missing[:, 0]
        if gone.all():
            raise DataError(f"column '{names[0]}': nothing was seen, so nothing can be estimated from it")
        bad = ~self._possible(xs) & ~gone
        if bad.any():
            row = int(np.argmax(bad))
            value = ", ".join(f"{v:g}" for v in rows[row])
            where = f"column '{names[0]}'" if len(names) == 1 else f"columns {', '.join(names)}"
            raise DataError(
                f"row {row}, {where}: {value} is not {self.words}, as {type(self).__name__} requires; "
                "correct or remove the row"
            )
        return xs, names


@jax.jit
def _supports(family: AbstractExponentialFamily, block: Array) -> Array:
    return jax.vmap(family.support)(block)
