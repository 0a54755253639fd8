"""Categories: one draw, or the counts of many."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import gammaln

from latens.cells import cells_of
from latens.data.reader import Rows
from latens.data.table import columns_of, only_column
from latens.data.text import categories
from latens.errors import DataError, ModelError, listed
from latens.families.datum import Chances, Support, is_whole
from latens.families.exponential import AbstractExponentialFamily
from latens.numerics.asked import whole
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.space import Params
from latens.numerics.special import logsumexp, safe_log
from latens.numerics.stacked import Probabilities


class _Simplex(AbstractExponentialFamily):
    """A family whose one parameter is a vector of k probabilities: η = log p, A = log Σ e^η."""

    k: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if self.k is not None:
            whole(self.k, f"{type(self).__name__}: k", 2, ModelError)

    @property
    def number(self) -> int:
        """The number of categories; raises `ModelError` while only the data would tell."""
        if self.k is None:
            name = type(self).__name__
            raise ModelError(f"{name}: the number of categories is not known before the data are: give it, {name}(3)")
        return self.k

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {"probabilities": Probabilities(self.number)}

    def natural(self, params: Params) -> Array:
        return safe_log(params["probabilities"])

    def log_partition(self, natural: Array) -> Array:
        return logsumexp(natural)

    def estimate(self, mean: Array) -> Params:
        return {"probabilities": mean / mean.sum()}


class Categorical(_Simplex):
    """Categorical distribution: f(y) = p_y, y a code in 0, …, k − 1, or a text.

    T(y) = the indicator of y (k entries), η = log p.

    **Arguments:** `k`: the number of categories, or None for those that the data hold, sorted: texts or whole numbers;
    `names` (k,): what the codes stand for; None: what the data say.
    **Parameters:** `probabilities` p (k,).
    **Raises:** `ModelError` unless k ≥ 2; `DataError` for a text that is none of the names.
    **Example:**
        >>> import latens as lt
        >>> lt.fit(lt.IID(lt.Categorical(3)), [0, 1, 1, 2]).params["probabilities"].round(6).tolist()
        [0.25, 0.5, 0.25]
        >>> lt.fit(lt.IID(lt.Categorical()), ["red", "blue", "red", None]).names
        ['probabilities[blue]', 'probabilities[red]']

    **Source:** Agresti (2013), Categorical Data Analysis, §1.2.
    """

    names: tuple[Any, ...] = eqx.field(static=True, default=(), converter=lambda names: tuple(names or ()))

    def __check_init__(self) -> None:
        if self.names and (self.k != len(self.names) or len(set(self.names)) < len(self.names)):
            raise ModelError(f"Categorical: give k = {self.k} different names, got {', '.join(map(str, self.names))}")

    def suited(self, data: Any) -> "Categorical":
        if self.names:
            return self
        name, column = only_column(data, "Categorical")
        found = categories(column, name).told()
        if self.k is None:
            if len(found) < 2:
                held = f"only '{found[0]}'" if found else "nothing"
                raise DataError(f"column '{name}' holds {held}: categories need two values at least, or k to be given")
            whole = all(isinstance(each, str | int) for each in found)
            return Categorical(len(found), found if whole and found != tuple(range(len(found))) else ())
        if found and isinstance(found[0], str):
            if len(found) > self.k:
                raise DataError(
                    f"column '{name}' holds {len(found)} categories ({listed(found)}), more than k = {self.k}"
                )
            return Categorical(self.k, (*found, *range(len(found), self.number)))
        return self

    def labels(self, columns: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        return {columns[0]: self.names} if self.names else {}

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return {"probabilities": (tuple(map(str, self.names)),)} if self.names else {}

    def statistic(self, y: Array) -> Array:
        return (jnp.arange(self.number) == y).astype(float)

    @property
    def support(self) -> Support:
        some = "" if self.k is None else f" from 0 to {self.k - 1}"
        return Support(f"a code{some}", lambda y: is_whole(y) & (y < self.number), whole=True)

    def subset_kernel(self, potential: Array, allowed: Array) -> Array:
        """Of a datum that is one of some categories."""
        return logsumexp(jnp.where(allowed, potential[0] + potential[1:], -jnp.inf))

    def log_mass(self, natural: Array, lower: Array, upper: Array) -> Array:
        codes = jnp.arange(self.number)
        held = jnp.where((lower <= codes) & (codes <= upper), natural, -jnp.inf)
        return logsumexp(held) - self.log_partition(natural)

    def expected(self, params: Params, x: Any) -> Any:
        return Chances(jax.nn.softmax(self._logits(params, x)))

    def fill(self, params: Params, key: Array, x: Any) -> Array:
        return jax.random.categorical(key, self._logits(params, x)).astype(float)

    def _logits(self, params: Params, x: Any) -> Array:
        """(k,) log-probabilities of the categories that remain possible."""
        possible = cells_of(x).holds(jnp.arange(self.number))
        return jnp.where(possible, safe_log(params["probabilities"]), -jnp.inf)

    def read(self, data: Any) -> Rows:
        name, column = only_column(data, "Categorical")
        codes = categories(column, name).coded(self.names, self.number, name)
        return super().read({name: codes}) if cells_of(codes).ordered else Rows(codes, (name,))

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jax.random.categorical(key, safe_log(params["probabilities"])).astype(float)


class Multinomial(_Simplex):
    """Multinomial distribution: f(y) = N!/∏ y_j! ∏ p_j^y_j, N = Σ y_j of each datum.

    T(y) = y, η = log p.

    **Arguments:** `k`: the number of categories, or None for as many as the data have columns.
    **Parameters:** `probabilities` p (k,).
    **Raises:** `ModelError` unless k ≥ 2.
    **Example:**
        >>> import latens as lt
        >>> lt.fit(lt.IID(lt.Multinomial()), [[3, 1], [0, 4]]).params["probabilities"].round(6).tolist()
        [0.375, 0.625]

    **Source:** Agresti (2013), Categorical Data Analysis, §1.2.
    """

    def suited(self, data: Any) -> "Multinomial":
        if self.k is not None:
            return self
        named = columns_of(data)
        if named is not None:
            return Multinomial(len(named))
        shape = np.shape(data)
        return Multinomial(shape[1]) if len(shape) == 2 else self

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return {"probabilities": (columns,)} if len(columns) == self.k else {}

    whole = False  # asked before the data tell the number of categories

    def statistic(self, y: Array) -> Array:
        return y

    def count(self, y: Array) -> Array:
        return y.sum()

    def log_base(self, y: Array) -> Array:
        return gammaln(y.sum() + 1.0) - gammaln(y + 1.0).sum()

    @property
    def support(self) -> Support:
        words, shape = f"{self.number} whole numbers of at least 0", (self.number,)
        return Support(words, lambda y: jnp.all(is_whole(y)), shape=shape, sized=True)

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        return jax.random.multinomial(key, like.sum(), params["probabilities"])
