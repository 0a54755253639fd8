"""A family of one datum, of which perhaps only a set is known in which it lies."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import STAND_IN, Interval, Partial, as_read, cells_of
from latens.data.reader import Rows
from latens.data.table import rows_and_sets
from latens.errors import DataError, ModelError
from latens.families.base import AbstractFamily
from latens.families.moments import ROWS
from latens.numerics.compiling import by_size, double
from latens.numerics.room import room
from latens.numerics.space import Params, Space


@dataclass(frozen=True)
class Support:
    """The values that one complete datum can take: `holds(y)`, a scalar boolean, and the same in `words` for errors.

    `whole` says that they are whole numbers; `shape` is that of a datum, `fields` the names of its entries, where they
    have names of their own; `sized` that an unseen datum says too little, as its size would be unknown.
    """

    words: str
    holds: Callable[[Array], Array]
    whole: bool = False
    shape: tuple[int, ...] = ()
    fields: tuple[str, ...] = ()
    sized: bool = False

    def __call__(self, y: Array) -> Array:
        return self.holds(y)


def is_whole(y: Array) -> Array:
    """Whether it is a whole number of at least 0."""
    return (y >= 0) & (y == jnp.floor(y))


FINITE = Support("a finite number", jnp.isfinite)
NOT_NEGATIVE = Support("a number of at least 0", lambda y: y >= 0)
ABOVE_ZERO = Support("a number above 0", lambda y: y > 0)
COUNT = Support("a whole number of at least 0", is_whole, whole=True)


class Moments(eqx.Module):
    """Mean and variance of every number of a datum, 0 where it was seen."""

    mean: Array
    variance: Array

    def mixed(self, weights: Array) -> "Moments":
        """Of a mixture with these (k,) weights, the components along the first axis."""
        mean = _mixed(weights, self.mean)
        return Moments(mean, jnp.tensordot(weights, self.variance + (self.mean - mean) ** 2, 1))

    @property
    def value(self) -> Array:
        """What takes the place of the datum."""
        return self.mean

    @property
    def deviation(self) -> Array:
        """How far from it the datum may be: a standard deviation."""
        return jnp.sqrt(jnp.maximum(self.variance, 0.0))


class Chances(eqx.Module):
    """Probabilities of the categories of a datum."""

    probabilities: Array  # (k,)

    def mixed(self, weights: Array) -> "Chances":
        """Of a mixture with these (k,) weights."""
        return Chances(_mixed(weights, self.probabilities))

    @property
    def value(self) -> Array:
        """The most probable category."""
        return self.probabilities.argmax(-1).astype(float)

    @property
    def deviation(self) -> Array:
        """The probability that it is another one."""
        return 1.0 - self.probabilities.max(-1)


def _mixed(weights: Array, each: Array) -> Array:
    """Σ_j w_j e_j, and e itself where all components have the same, as of what was seen: not one rounding away."""
    return jnp.where((each == each[0]).all(0), each[0], jnp.tensordot(weights, each, 1))


def is_expected(leaf: Any) -> bool:
    """Whether a node of a tree says what a datum is expected to be."""
    return isinstance(leaf, Moments | Chances)


class AbstractDatum(AbstractFamily):
    """A family that says what one exact datum, one interval and one unseen datum contribute.

    To write your own: `support`, `exact_kernel`, `whole_kernel` and `set_kernel`.
    """

    @abstractmethod
    def exact_kernel(self, potential: Array, y: Array) -> Array:
        """Log-density of a datum that was seen."""

    @abstractmethod
    def whole_kernel(self, potential: Array, y: Array) -> Array:
        """Log of the integral over everything the datum could have been: 0 when normalised."""

    @abstractmethod
    def set_kernel(self, potential: Array, lower: Array, upper: Array) -> Array:
        """Log of the integral over [lower, upper], where an infinite end is open."""

    @property
    @abstractmethod
    def support(self) -> Support:
        """What values a datum can take."""

    # -- derived ------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one datum."""
        return self.support.shape

    @property
    def whole(self) -> bool:
        return self.support.whole

    def log_kernel(self, potential: Array, x: Any) -> Array:
        return jnp.asarray(cells_of(x).log_kernel(self, potential))

    def missing_kernel(self, potential: Array, x: Partial) -> Array:
        """Of a datum that was seen or not."""
        return jnp.where(x.seen, self.exact_kernel(potential, x.value), self.whole_kernel(potential, x.value))

    def interval_kernel(self, potential: Array, x: Interval) -> Array:
        """Of a datum that lies between two ends, which may be equal."""
        within = self.set_kernel(potential, *x.opened)
        return jnp.where(jnp.all(x.seen), self.exact_kernel(potential, x.value), within)

    @abstractmethod
    def set_moments(self, params: Params, lower: Array, upper: Array) -> tuple[Array, Array]:
        """E[Y | lower ≤ Y ≤ upper] and its variance; of a datum with sizes, of its first entry."""

    def whole_moments(self, params: Params, y: Array) -> tuple[Array, Array]:
        """E[Y] and its variance, for a datum of the size of y."""
        return self.set_moments(params, jnp.asarray(-jnp.inf), jnp.asarray(jnp.inf))

    def expected(self, params: Params, x: Any) -> Any:
        return Moments(*cells_of(x).moments(self, params))

    def fill(self, params: Params, key: Array, x: Any) -> Array:
        return jnp.asarray(cells_of(x).fill(self, params, key))

    def features(self, x: Any) -> Array:
        return jnp.asarray(cells_of(x).features(self))

    def features_of(self, y: Array) -> Array:
        """(q,) features of one datum."""
        return jnp.ravel(y)

    def observe(self, xs: Any) -> Any:
        cells = cells_of(xs)
        return self.unseen_as_cells(xs) if cells.complete and np.isnan(xs).any() else xs

    def unseen_as_cells(self, xs: np.ndarray) -> Any:
        """Rows of which some are NaN as cells: here, a row was seen or it was not."""
        return Partial(np.where(np.isnan(xs), STAND_IN, xs), ~np.isnan(xs if xs.ndim == 1 else xs[:, 0]))

    @double
    def _possible(self, xs: Any) -> np.ndarray:
        """(n,) whether each row, or part of each interval, is in the support."""
        n = len(jax.tree.leaves(xs)[0])
        found = []
        for first in range(0, n, ROWS):
            last = min(first + ROWS, n)
            size = ROWS if last - first == ROWS else room(last - first)
            rows = slice(first, last) if size == last - first else np.minimum(np.arange(first, first + size), n - 1)
            block = jax.tree.map(lambda leaf: leaf[rows], xs)  # noqa: B023
            found.append(np.asarray(_supports(self, block))[: last - first])
        return np.concatenate(found)

    def read(self, data: Any) -> Rows:
        if not isinstance(self.support, Support):
            raise ModelError(
                f"{type(self).__name__}.support must be a property that gives lt.Support('a number above 0', lambda y: "
                f"y > 0), got {self.support!r}"
            )
        width = int(np.prod(self.shape, dtype=int))
        rows, names = rows_and_sets(data, width, self.support.fields)
        self._whole_rows(rows, names)
        lower, upper = cells_of(rows).ends
        within = _to_whole(rows) if self.whole else rows
        xs = jax.tree.map(lambda leaf: leaf[:, 0] if self.shape == () else leaf, within)
        bad = ~self._possible(xs)
        if bad.any():
            row = int(np.argmax(bad))
            where = f"column '{names[0]}'" if len(names) == 1 else f"columns {', '.join(names)}"
            if lower[row, 0] != upper[row, 0]:
                ends = f"[{lower[row, 0]:g}, {upper[row, 0]:g}]"
                raise DataError(
                    f"row {row}, {where}: the interval {ends} holds no value that {type(self).__name__} can take "
                    f"({self.support.words}); correct or remove the row"
                )
            value = ", ".join(f"{v:g}" for v in lower[row])
            raise DataError(
                f"row {row}, {where}: {value} is not {self.support.words}, as {type(self).__name__} requires; "
                "correct or remove the row"
            )
        return Rows(xs, names)

    def _whole_rows(self, rows: Any, names: tuple[str, ...]) -> None:
        """Errors for data of which too little was seen."""
        cells, fields, sized = as_read(rows), self.support.fields, self.support.sized
        missing = np.asarray(cells.kinds["missing"])
        half = ~(cells.seen | missing)[:, 1:] if fields and not cells.complete else np.zeros(0)
        if half.any():
            row, column = np.argwhere(half)[0]
            raise DataError(f"row {row}, column '{names[column + 1]}': this must be known exactly")
        sizes = missing[:, 1:] if fields else missing
        partly = sizes.any(1)
        if not (sized or fields):
            partly &= ~missing.all(1)
        if partly.any():
            row = int(np.argmax(partly))
            column = names[int(np.argmax(sizes[row])) + (1 if fields else 0)]
            instead = "" if sized or fields else ", or make all of it NaN"
            raise DataError(
                f"row {row}, column '{column}': NaN; {type(self).__name__} takes this part of a row only when seen: "
                f"drop the row{instead}"
            )

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        cells_of(xs).require(columns[:1])


def _to_whole(rows: Any) -> Any:
    """Intervals of counts by their first and last whole number: an end that is not among them, as of ">5", is said by
    the last bit of a double, which a device may flush or round away."""
    if cells_of(rows).complete:
        return rows
    lower, upper = (end.copy() for end in rows.ends)
    lower[:, 0], upper[:, 0] = np.ceil(lower[:, 0]), np.floor(upper[:, 0])
    return Interval(lower, upper)


@by_size()
def _supports(family: AbstractDatum, block: Any) -> Array:
    def possible(x: Any) -> Array:
        cells = cells_of(x)
        if cells.complete:
            gone = jnp.isnan(jnp.ravel(x)[0])
            return gone | family.support(jnp.where(jnp.isnan(x), STAND_IN, x))
        mass = family.log_kernel(family.potential(Space(family.constraints).centre), x)
        return jnp.where(jnp.all(cells.seen), family.support(cells.value), mass > -jnp.inf)

    return jax.vmap(possible)(block)
