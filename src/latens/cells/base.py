"""What any kind of cells is, everything that the library asks of one; and any column as numbers."""

import datetime
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.errors import DataError, InferenceError

AT_ONCE = {int, float, bool, type(None), np.float64}  # objects that need no look at each
PER_UNIT = "/ np.timedelta64(1, 'D')"
# inside the support of every family, or harmless there: its statistics are multiplied by zero
STAND_IN = 0.5


def absent(value: Any) -> bool:
    """Whether a cell says that nothing was seen: None, NaN, NaT, pandas' NA or a masked one."""
    if value is None or value is np.ma.masked:
        return True
    try:
        return bool(value != value)
    except ArithmeticError:  # of decimals, a NaN that signals
        return True
    except (TypeError, ValueError):  # an array is no cell, and NA will not say whether it differs from itself
        return type(value).__name__ == "NAType"


def as_array(column: Any) -> np.ndarray:
    """A column as an array: of its own type, or of objects, None where it has a mask."""
    if isinstance(column, np.ma.MaskedArray):
        found = column.data.astype(object)
        found[np.ma.getmaskarray(column)] = None
        return found
    try:
        return np.asarray(column)
    except ValueError:  # rows of different lengths
        return np.asarray(column, dtype=object)


def numbers(column: Any, name: str) -> np.ndarray:
    """A column as float64, NaN for every kind of missing cell, or a `DataError` naming what is no number."""
    array = as_array(column)
    if array.dtype.kind in "Mm":
        raise DataError(f"column '{name}' holds {_time(array.dtype.kind == 'M')}")
    if array.dtype.kind == "c":
        raise DataError(f"column '{name}' holds complex numbers; give their real parts, or two columns of numbers")
    if array.dtype.kind != "O" or set(map(type, array.flat)) <= AT_ONCE:
        try:
            return np.asarray(array, dtype=np.float64)
        except (ValueError, OverflowError):
            array = array.astype(object)  # looked at cell by cell, to say which one is no number
    found = np.full(array.shape, np.nan)
    for index in np.ndindex(array.shape):
        if not absent(array[index]):
            found[index] = _number(array[index], name, index)
    return found


def _number(value: Any, name: str, index: tuple[int, ...]) -> float:
    where = f"row {index[0]}, column '{name}'" if index else f"the data, column '{name}'"
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta | np.datetime64 | np.timedelta64):
        moment = not isinstance(value, datetime.timedelta | np.timedelta64)
        raise DataError(f"{where}: {shown(value)}: the column holds {_time(moment)}")
    if isinstance(value, list | tuple | np.ndarray):
        raise DataError(f"column '{name}': the rows have different lengths")
    if isinstance(value, complex | np.complexfloating):
        raise DataError(f"{where}: {shown(value)} is a complex number; give real numbers")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        remedy = "remove it, or use NaN where nothing was seen"
        remedy += (
            " (lt.read_cells reads texts such as '>5' or 'NA'; lt.Categorical() takes categories)"
            if isinstance(value, str)
            else ""
        )
        raise DataError(f"{where}: {shown(value)} is not a number; {remedy}") from None


def _time(moment: bool) -> str:
    """What a column of times holds, and the remedy."""
    if moment:
        return (
            f"dates or times; give numbers in a unit of your choice, such as (x - x.min()) {PER_UNIT}, or leave it out"
        )
    return f"durations; give numbers in a unit of your choice, such as x {PER_UNIT}, or leave it out"


def shown(value: Any) -> str:
    """A cell in an error message."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


class AbstractCells(eqx.Module):
    """What was seen of data of one kind: of every datum the set in which its complete value lies.

    An object holds ONE datum, or rows of them along a first axis. To write another kind, in a file of its own:

    1. `value`: what was seen, a stand-in elsewhere; `seen`: which numbers were, broadcast against it.
    2. `ends`: the lowest and the highest value that each number may have, infinite where nothing is known.
    3. `mapped(function)`: the same after an increasing function of each number, as arrays take it.
    4. `log_kernel(family, potential)`: the integral over the set of ONE datum, put together from what the family
       says: `exact_kernel`, `whole_kernel`, `set_kernel`, or a method for this kind alone.

    What you then get is written by the ends: moments, draws, frames, reports of what was half seen, whether two fits
    are of the same data. Refine it where the set is more, or less, than all that lies between its ends.
    """

    if TYPE_CHECKING:  # else a field could not take the place of a property

        @property
        def value(self) -> Any: ...
        @property
        def seen(self) -> Any: ...

    complete: ClassVar[bool] = False  # whether all was seen, whatever the numbers
    ordered: ClassVar[bool] = True  # whether the set is all between its ends

    @property
    @abstractmethod
    def ends(self) -> tuple[Any, Any]:
        """The lowest and the highest value of every number; those of categories are codes."""

    @abstractmethod
    def mapped(self, function: Callable[[Any], Any]) -> Any:
        """All numbers through an increasing function."""

    @abstractmethod
    def log_kernel(self, family: Any, potential: Array) -> Any:
        """Log of the integral of the family's density over the set of ONE datum."""

    # -- of ONE datum -------------------------------------------------------------------------------

    @property
    def opened(self) -> tuple[Array, Array]:
        """The ends, infinite where the datum was seen, so that integrals there and their gradients are finite.

        Sizes (trials, exposure), which are always seen, stay.
        """
        lower, upper = self.ends
        seen = first_only(self.seen, jnp.shape(lower))
        return jnp.where(seen, -jnp.inf, lower), jnp.where(seen, jnp.inf, upper)

    def moments(self, family: Any, params: Any) -> tuple[Array, Array]:
        """What the datum is expected to be, and its variance: 0 where it was seen."""
        mean, variance = family.set_moments(params, *self.opened)
        return jnp.where(self.seen, self.value, mean), jnp.where(self.seen, 0.0, variance)

    def fill(self, family: Any, params: Any, key: Array) -> Array:
        """A draw of the datum; what was seen stays."""
        return jnp.where(self.seen, self.value, self._inverted(family, params, key))

    def _inverted(self, family: Any, params: Any, key: Array) -> Array:
        """The y with P(lower ≤ Y ≤ y) a uniform share of P(lower ≤ Y ≤ upper), found by halving."""
        lower, upper = self.opened
        potential = family.potential(params)
        goal = family.set_kernel(potential, lower, upper) + jnp.log(jax.random.uniform(key))

        def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
            near, far = bracket
            middle = 0.5 * (near + far)
            # on a scale that resolves numbers of every size alike
            reached = family.set_kernel(potential, lower, jnp.where(lower == upper, upper, jnp.sinh(middle)))
            short = ~(reached >= goal)  # NaN left of the support, where there is nothing to integrate
            return jnp.where(short, middle, near), jnp.where(short, far, middle)

        begin = tuple(jnp.arcsinh(jnp.clip(end, -1e300, 1e300)) for end in (lower, upper))
        found = jnp.clip(jnp.sinh(jax.lax.fori_loop(0, 70, halve, begin)[1]), lower, upper)
        return jnp.round(found) if family.whole else found

    def features(self, family: Any) -> Any:
        """(q,) what distances between data are measured on when starts are sought."""
        return family.features_of(self.middle)

    def holds(self, codes: Array) -> Array:
        """(k,) which of these categories the datum may be."""
        lower, upper = self.ends
        return (lower <= codes) & (codes <= upper)

    def mixed(self, shift: Array, matrix: Array) -> Any:
        """The datum y as z = matrix (y − shift), the matrix lower triangular."""
        return self.mapped(lambda y: (y - shift) @ matrix.T)

    def mixed_slope(self, shift: Array, matrix: Array) -> Array:
        """log |∂z/∂y| of what was seen of it."""
        return jnp.where(self.seen, jnp.log(jnp.diag(matrix)), 0.0).sum()

    # -- of rows ------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return jnp.shape(jax.tree.leaves(self)[0])

    @property
    def middle(self) -> Any:
        """A number inside the set."""
        return self.value

    @property
    def numbers(self) -> np.ndarray:
        """One number of each set, NaN where nothing was seen."""
        return np.where(self.kinds["missing"], np.nan, np.asarray(self.middle))

    def ends_seen(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both ends as rows of their own, NaN where nothing was seen, and their weights: what frames are made from."""
        lower, upper = self.ends
        low, top = np.isfinite(lower), np.isfinite(upper)
        first = np.where(low, lower, np.where(top, upper, np.nan))
        return np.concatenate([first, np.where(top, upper, first)]), np.concatenate([weights, weights])

    @property
    def kinds(self) -> dict[str, np.ndarray]:
        """Kind ("missing", "right-censored", ...) → which entries are of it."""
        lower, upper = map(np.asarray, self.ends)
        low, top = np.isneginf(lower), np.isposinf(upper)
        return {
            "missing": low & top,
            "right-censored": ~low & top,
            "left-censored": low & ~top,
            "interval": ~low & ~top & (lower < upper),
        }

    @property
    def unseen(self) -> np.ndarray:
        """(n,) of which rows nothing was seen."""
        missing = self.kinds["missing"]
        return np.asarray(missing.reshape(len(missing), -1).all(1))

    @property
    def gaps(self) -> np.ndarray:
        """What says which values between the ends are left out: a number for each of them, 0 if none is."""
        return np.zeros(np.shape(self.ends[0]))

    def require(self, columns: Sequence[str]) -> None:
        """Raises `DataError` for a column of which nothing was seen, or unbounded on one side in every row."""
        low, top = (~np.isfinite(end).reshape(len(end), -1) for end in map(np.asarray, self.ends))
        for j, name in enumerate(columns):
            seen = ~(low[:, j] & top[:, j])
            if not seen.any():
                raise DataError(
                    f"column '{name}': nothing was seen, so nothing can be estimated from it; leave the column out"
                )
            for open_end, word in ((top[seen, j], "right"), (low[seen, j], "left")):
                if open_end.all():
                    raise DataError(
                        f"column '{name}': every value seen is {word}-censored, so the likelihood has no maximum; "
                        "at least one value must be bounded on that side"
                    )

    @property
    def patterns(self) -> Any:
        """(n, d) which cells were seen, if rows share potentials by that; else None."""
        return None

    @property
    def to_start(self) -> Any:
        """The same, or with values of other rows for unseen cells where integrating them out would take every row
        potentials of its own: good enough to start from."""
        return self

    @property
    def observations(self) -> Any:
        """(n,) how many each row stands for, where rows have lengths of their own; else None."""
        return None

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, rows: Any) -> Any:
        """Some of the rows, in that order."""
        return jax.tree.map(lambda leaf: leaf[rows], self)

    def padded(self, rows: np.ndarray, steps: int) -> Any:
        """Some of the rows in one shape, with so many steps if they have lengths of their own."""
        return self.take(rows)

    def on_average(self, share: np.ndarray) -> Any:
        """One datum as large as these are on average, with shares (n,)."""
        return np.tensordot(share, np.asarray(self.value, dtype=float), 1)

    def drawn(self, sample: Callable[[Any, Any], Any], keys: Any) -> Any:
        """New rows like these; `sample` takes a key and a row for each of several rows of one shape."""
        return sample(keys, self)

    def blank(self, draw: Any) -> Any:
        """New data in the place of these, NaN where nothing was seen."""
        raise InferenceError(
            "some values are known only as intervals or sets, and the model does not say how they come to be: "
            "new data like these cannot be drawn; draw rows instead (method='bootstrap')"
        )


class AbstractColumn(eqx.Module):
    """A column as users hand it over, of which perhaps only sets are known."""

    @abstractmethod
    def ends_called(self, name: str) -> tuple[Any, Any]:
        """Its ends, for a model that takes numbers; raises `DataError` naming the column."""

    @abstractmethod
    def told(self) -> tuple[Any, ...]:
        """The categories that it holds, sorted: texts, or whole numbers."""

    @abstractmethod
    def coded(self, names: Sequence[Any], k: int, name: str) -> Any:
        """Codes of k categories, of these names if they have any: numbers, or `Subset`; or a `DataError`."""

    def ungrouped(self, *, whole: bool) -> tuple[Any, np.ndarray | None]:
        """The column, perhaps of `whole` numbers, and how many values each row of it stands for, if it says so."""
        return self, None


def chosen(flags: Any, value: Any, other: Any) -> Any:
    """`where` of NumPy's arrays by NumPy, as a shape that is new need not be compiled then."""
    return (np if isinstance(flags, np.ndarray) else jnp).where(flags, value, other)


def first_only(flags: Any, shape: tuple[int, ...]) -> Any:
    """Flags of a datum that concern its first entry, if it has several."""
    return flags if shape == () else jnp.zeros(shape, dtype=bool).at[0].set(jnp.ravel(flags)[0])
