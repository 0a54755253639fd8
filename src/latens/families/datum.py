"""A family of one datum, of which perhaps only a set is known in which it lies."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import STAND_IN, Interval, Partial, observe
from latens.data.sets import estimable, rows_and_sets
from latens.errors import DataError
from latens.families.base import AbstractFamily
from latens.families.expected import Moments
from latens.families.frame import ROWS
from latens.numerics.compiling import by_size
from latens.numerics.precision import double
from latens.numerics.space import Params, Space


class AbstractDatum(AbstractFamily):
    """A family that says what one exact datum, one interval and one unseen datum contribute.

    To write your own: `exact_kernel`, `whole_kernel`, `set_kernel`, `support`, `words`, and `shape` and
    `fields` if a datum is not one number.
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

    @abstractmethod
    def support(self, y: Array) -> Array:
        """Whether y can occur: a scalar boolean."""

    @property
    @abstractmethod
    def words(self) -> str:
        """The support in words: "a number above 0"."""

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

    def log_kernel(self, potential: Array, x: Any) -> Array:
        if isinstance(x, Partial):
            seen, value = x.seen, x.value
            return jnp.where(seen, self.exact_kernel(potential, value), self.whole_kernel(potential, value))
        if not isinstance(x, Interval):
            return self.exact_kernel(potential, x)
        within = self.set_kernel(potential, *_opened(x, self.shape))
        return jnp.where(jnp.all(x.exact), self.exact_kernel(potential, x.value), within)

    @abstractmethod
    def set_moments(self, params: Params, lower: Array, upper: Array) -> tuple[Array, Array]:
        """E[Y | lower ≤ Y ≤ upper] and its variance; of a datum with sizes, of its first entry."""

    @abstractmethod
    def whole_moments(self, params: Params, y: Array) -> tuple[Array, Array]:
        """E[Y] and its variance, for a datum of the size of y."""

    def expected(self, params: Params, x: Any) -> Any:
        if isinstance(x, Interval):
            lower, upper = _opened(x, self.shape)
            seen, value = x.exact, x.lower
            mean, variance = self.set_moments(params, lower, upper)
        elif isinstance(x, Partial):
            seen, value = _first_only(x.seen, self.shape), x.value
            mean, variance = self.whole_moments(params, x.value)
        else:
            return Moments(x, jnp.zeros_like(x))
        return Moments(jnp.where(seen, value, mean), jnp.where(seen, 0.0, variance))

    def fill(self, params: Params, key: Array, x: Any) -> Array:
        if isinstance(x, Partial):
            return jnp.where(x.seen, x.value, self.sample(params, key, x.value))
        return jnp.where(x.exact, x.lower, self._inverted(params, key, x)) if isinstance(x, Interval) else x

    def _inverted(self, params: Params, key: Array, x: Interval) -> Array:
        """The y with P(lower ≤ Y ≤ y) a uniform share of P(lower ≤ Y ≤ upper), found by halving."""
        lower, upper = _opened(x, self.shape)
        potential = self.potential(params)
        goal = self.set_kernel(potential, lower, upper) + jnp.log(jax.random.uniform(key))

        def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
            near, far = bracket
            middle = 0.5 * (near + far)
            # on a scale that resolves numbers of every size alike
            reached = self.set_kernel(potential, lower, jnp.where(lower == upper, upper, jnp.sinh(middle)))
            short = ~(reached >= goal)  # NaN left of the support, where there is nothing to integrate
            return jnp.where(short, middle, near), jnp.where(short, far, middle)

        begin = tuple(jnp.arcsinh(jnp.clip(end, -1e300, 1e300)) for end in (lower, upper))
        found = jnp.clip(jnp.sinh(jax.lax.fori_loop(0, 70, halve, begin)[1]), lower, upper)
        return jnp.round(found) if self.whole else found

    def features(self, x: Any) -> Array:
        return self.features_of(x.middle if isinstance(x, Interval) else x.value if isinstance(x, Partial) else x)

    def features_of(self, y: Array) -> Array:
        """(q,) features of one datum."""
        return jnp.ravel(y)

    def observe(self, xs: Any) -> Any:
        return xs if isinstance(xs, Interval) else observe(xs)

    @double
    def _possible(self, xs: Any) -> np.ndarray:
        """(n,) whether each row, or part of each interval, is in the support."""
        n = len(jax.tree.leaves(xs)[0])
        blocks = [jax.tree.map(lambda leaf: leaf[i : i + ROWS], xs) for i in range(0, n, ROWS)]  # noqa: B023
        return np.concatenate([np.asarray(_supports(self, block)) for block in blocks])

    def read(self, data: Any) -> tuple[Any, tuple[str, ...]]:
        width = int(np.prod(self.shape, dtype=int))
        rows, names = rows_and_sets(data, width, self.fields)
        self._whole_rows(rows, names)
        within = _to_whole(rows) if self.whole and isinstance(rows, Interval) else rows
        xs = jax.tree.map(lambda leaf: leaf[:, 0] if self.shape == () else leaf, within)
        bad = ~self._possible(xs)
        if bad.any():
            row = int(np.argmax(bad))
            where = f"column '{names[0]}'" if len(names) == 1 else f"columns {', '.join(names)}"
            if isinstance(rows, Interval) and rows.lower[row, 0] != rows.upper[row, 0]:
                ends = f"[{rows.lower[row, 0]:g}, {rows.upper[row, 0]:g}]"
                raise DataError(
                    f"row {row}, {where}: the interval {ends} holds no value that {type(self).__name__} can take "
                    f"({self.words}); correct or remove the row"
                )
            value = ", ".join(f"{v:g}" for v in (rows.lower if isinstance(rows, Interval) else rows)[row])
            raise DataError(
                f"row {row}, {where}: {value} is not {self.words}, as {type(self).__name__} requires; "
                "correct or remove the row"
            )
        return xs, names

    def _whole_rows(self, rows: Any, names: tuple[str, ...]) -> None:
        """Errors for data of which too little was seen."""
        if isinstance(rows, Interval):
            missing = np.isneginf(rows.lower) & np.isposinf(rows.upper)
            half = rows.lower[:, 1:] != rows.upper[:, 1:]
            if self.fields and half.any():
                row, column = np.argwhere(half)[0]
                raise DataError(f"row {row}, column '{names[column + 1]}': this must be known exactly")
        else:
            missing = np.isnan(rows)
        sizes = missing[:, 1:] if self.fields else missing
        partly = sizes.any(1)
        if self.takes_missing and not self.fields:
            partly &= ~missing.all(1)
        if partly.any():
            row = int(np.argmax(partly))
            column = names[int(np.argmax(sizes[row])) + (1 if self.fields else 0)]
            instead = ", or make all of it NaN" if self.takes_missing and not self.fields else ""
            raise DataError(
                f"row {row}, column '{column}': NaN; {type(self).__name__} takes this part of a row only when seen: "
                f"drop the row{instead}"
            )

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        estimable(jax.tree.map(lambda leaf: leaf.reshape(len(leaf), -1)[:, :1], xs), columns[:1])


class AboveZero(AbstractDatum):
    """What families of positive numbers share."""

    def support(self, y: Array) -> Array:
        return y > 0

    @property
    def words(self) -> str:
        return "a number above 0"


def _to_whole(rows: Interval) -> Interval:
    """Intervals of counts by their first and last whole number: an end that is not among them, as of ">5", is said by
    the last bit of a double, which a device may flush or round away."""
    lower, upper = rows.lower.copy(), rows.upper.copy()
    lower[:, 0], upper[:, 0] = np.ceil(lower[:, 0]), np.floor(upper[:, 0])
    return Interval(lower, upper)


def _opened(x: Interval, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """The ends, infinite where the datum is exact, so that integrals there and their gradients are finite.

    Sizes (trials, exposure), which are always exact, stay.
    """
    exact = _first_only(x.exact, shape)
    return jnp.where(exact, -jnp.inf, x.lower), jnp.where(exact, jnp.inf, x.upper)


def _first_only(flags: Array, shape: tuple[int, ...]) -> Array:
    """Flags of a datum that concern its first entry, if it has several."""
    if shape == ():
        return flags
    return jnp.zeros(shape, dtype=bool).at[0].set(jnp.ravel(flags)[0])


@by_size()
def _supports(family: AbstractDatum, block: Any) -> Array:
    def possible(x: Any) -> Array:
        if not isinstance(x, Interval):
            gone = jnp.isnan(jnp.ravel(x)[0])
            return gone | family.support(jnp.where(jnp.isnan(x), STAND_IN, x))
        mass = family.log_kernel(family.potential(_anywhere(family)), x)
        return jnp.where(jnp.all(x.exact), family.support(x.value), mass > -jnp.inf)

    return jax.vmap(possible)(block)


def _anywhere(family: AbstractFamily) -> Params:
    space = Space(family.constraints)
    return space.params(jnp.zeros(space.size))
