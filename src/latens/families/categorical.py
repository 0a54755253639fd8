"""Categories: one draw, or the counts of many."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln

from latens.cells import Interval, OneOf, Partial, Subset
from latens.data.sets import allowed, only_column
from latens.errors import DataError, ModelError
from latens.families.expected import Chances
from latens.families.exponential import AbstractExponentialFamily
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.simplex import Probabilities
from latens.numerics.space import Params
from latens.numerics.special import logsumexp, safe_log


class _Simplex(AbstractExponentialFamily):
    """A family whose one parameter is a vector of k probabilities: η = log p, A = log Σ e^η."""

    k: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not (isinstance(self.k, int) and self.k >= 2):
            raise ModelError(f"{type(self).__name__}: k must be a whole number of at least 2, got {self.k}")

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"probabilities": Probabilities(self.k)}

    def natural(self, params: Params) -> Array:
        return safe_log(params["probabilities"])

    def log_partition(self, natural: Array) -> Array:
        return logsumexp(natural)

    def estimate(self, mean: Array) -> Params:
        return {"probabilities": mean / mean.sum()}


class Categorical(_Simplex):
    """Categorical distribution: f(y) = p_y, y a code in 0, …, k − 1.

    T(y) = the indicator of y (k entries), η = log p.

    **Arguments:** `k`: the number of categories.
    **Parameters:** `probabilities` p (k,).
    **Raises:** `ModelError` unless k ≥ 2.
    **Example:**
        >>> import latens as lt
        >>> lt.fit(lt.IID(lt.Categorical(3)), [0, 1, 1, 2]).params["probabilities"].round(6).tolist()
        [0.25, 0.5, 0.25]

    **Source:** Agresti (2013), Categorical Data Analysis, §1.2.
    """

    def statistic(self, y: Array) -> Array:
        return (jnp.arange(self.k) == y).astype(float)

    @property
    def whole(self) -> bool:
        return True

    def support(self, y: Array) -> Array:
        return (y >= 0) & (y < self.k) & (y == jnp.floor(y))

    @property
    def words(self) -> str:
        return f"a code from 0 to {self.k - 1}"

    def log_kernel(self, potential: Array, x: Any) -> Array:
        if not isinstance(x, Subset):
            return super().log_kernel(potential, x)
        each = potential[0] + potential[1:]
        return logsumexp(jnp.where(x.allowed, each, -jnp.inf))

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        codes = jnp.arange(self.k)
        held = jnp.where((lower <= codes) & (codes <= upper), natural, -jnp.inf)
        return logsumexp(held) - self.log_partition(natural)

    def expected(self, params: Params, x: Any) -> Any:
        return Chances(jax.nn.softmax(self._logits(params, x)))

    def fill(self, params: Params, key: Array, x: Any) -> Array:
        return jax.random.categorical(key, self._logits(params, x)).astype(float)

    def _logits(self, params: Params, x: Any) -> Array:
        """(k,) log-probabilities of the categories that remain possible."""
        codes = jnp.arange(self.k)
        if isinstance(x, Subset):
            possible = x.allowed
        elif isinstance(x, Interval):
            possible = (x.lower <= codes) & (codes <= x.upper)
        else:
            value = x.value if isinstance(x, Partial) else x
            possible = (codes == value) | (~x.seen if isinstance(x, Partial) else False)
        return jnp.where(possible, safe_log(params["probabilities"]), -jnp.inf)

    def features(self, x: Any) -> Array:
        if not isinstance(x, Subset):
            return super().features(x)
        return x.allowed / x.allowed.sum()

    def read(self, data: Any) -> tuple[Any, tuple[str, ...]]:
        name, column = only_column(data)
        if isinstance(column, OneOf):
            return Subset(allowed(column, self.k, f"column '{name}'")), (name,)
        if isinstance(column, Interval):
            codes = np.arange(self.k)
            lower, upper = np.reshape(column.lower, (-1, 1)), np.reshape(column.upper, (-1, 1))
            held = (lower <= codes) & (codes <= upper)
            if not held.any(1).all():
                row = int(np.argmin(held.any(1)))
                ends = f"[{lower[row, 0]:g}, {upper[row, 0]:g}]"
                raise DataError(f"row {row}, column '{name}': the interval {ends} holds no {self.words[2:]}")
            return Subset(held), (name,)
        return super().read(data)

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        if isinstance(xs, Subset):
            if xs.allowed.all():
                raise DataError(f"column '{columns[0]}': nothing was seen, so nothing can be estimated from it")
        else:
            super().require(xs, columns)

    def observe(self, xs: Any) -> Any:
        return xs if isinstance(xs, Subset) else super().observe(xs)

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jax.random.categorical(key, safe_log(params["probabilities"])).astype(float)


class Multinomial(_Simplex):
    """Multinomial distribution: f(y) = N!/∏ y_j! ∏ p_j^y_j, N = Σ y_j of each datum.

    T(y) = y, η = log p.

    **Arguments:** `k`: the number of categories.
    **Parameters:** `probabilities` p (k,).
    **Raises:** `ModelError` unless k ≥ 2.
    **Example:**
        >>> import latens as lt
        >>> lt.fit(lt.IID(lt.Multinomial(2)), [[3, 1], [0, 4]]).params["probabilities"].round(6).tolist()
        [0.375, 0.625]

    **Source:** Agresti (2013), Categorical Data Analysis, §1.2.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.k,)

    @property
    def takes_missing(self) -> bool:
        return False

    def statistic(self, y: Array) -> Array:
        return y

    def count(self, y: Array) -> Array:
        return y.sum()

    def log_base(self, y: Array) -> Array:
        return gammaln(y.sum() + 1.0) - gammaln(y + 1.0).sum()

    def support(self, y: Array) -> Array:
        return jnp.all((y >= 0) & (y == jnp.floor(y)))

    @property
    def words(self) -> str:
        return f"{self.k} whole numbers of at least 0"

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jax.random.multinomial(key, like.sum(), params["probabilities"])
