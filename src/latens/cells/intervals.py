"""Numbers known to lie between two ends: censored, rounded, grouped."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells.base import STAND_IN, AbstractCells, AbstractColumn, numbers
from latens.cells.categories import Subset
from latens.cells.missing import cells_of, values_of
from latens.errors import DataError

MOST = 100_000  # codes


class Interval(AbstractCells, AbstractColumn):
    """Rows known to lie in [lower, upper]: equal ends are exact, infinite ones open, both infinite missing.

    Made by `lt.interval`, `lt.right_censored`, `lt.left_censored`; a column of any table, or the data of
    a family of one number. Of a count, both ends belong to the set.
    """

    lower: Any  # (n, ...) array
    upper: Any  # (n, ...) array

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def seen(self) -> Any:
        return self.lower == self.upper

    @property
    def value(self) -> Any:
        return jnp.where(self.seen, self.lower, STAND_IN)

    @property
    def ends(self) -> tuple[Any, Any]:
        return self.lower, self.upper

    @property
    def middle(self) -> Any:
        """A number inside: the middle, or the end that is finite."""
        low, top = jnp.isfinite(self.lower), jnp.isfinite(self.upper)
        lower, upper = jnp.where(low, self.lower, 0.0), jnp.where(top, self.upper, 0.0)
        ends = jnp.where(low & top, 0.5 * (lower + upper), lower + upper)
        return jnp.where(low | top, ends, STAND_IN)

    def mapped(self, function: Callable[[Any], Any]) -> "Interval":
        return Interval(function(self.lower), function(self.upper))

    def log_kernel(self, family: Any, potential: Array) -> Any:
        return family.interval_kernel(potential, self)

    def ends_called(self, name: str) -> tuple[Any, Any]:
        """Of a column of which every number was seen or nothing at all, that column twice."""
        missing = self.kinds["missing"]
        if not (missing | self.seen).all():
            return self.lower, self.upper
        plain = np.where(missing, np.nan, self.lower)
        return plain, plain

    def told(self) -> tuple[int, ...]:
        ends = np.concatenate([self.lower.ravel(), self.upper.ravel()])
        most = ends[np.isfinite(ends)].max(initial=0)
        if most > MOST:
            raise DataError(f"an interval ends at {most:g}, which is no code of a category (at most {MOST:,})")
        return tuple(range(int(most) + 1))

    def coded(self, names: Sequence[Any], k: int, name: str) -> Subset:
        known = values_of(names)
        codes = np.arange(k) if known is None else known
        lower, upper = np.reshape(self.lower, (-1, 1)), np.reshape(self.upper, (-1, 1))
        held = (lower <= codes) & (codes <= upper)
        if not held.any(1).all():
            row = int(np.argmin(held.any(1)))
            ends = f"[{lower[row, 0]:g}, {upper[row, 0]:g}]"
            raise DataError(f"row {row}, column '{name}': the interval {ends} holds no code from 0 to {k - 1}")
        return Subset(held)


def between(x: Any) -> Any:
    """ONE datum of any kind by its ends; a number that was seen stays one."""
    cells = cells_of(x)
    return cells.value if cells.complete else Interval(*cells.ends)


def beyond(value: Any, side: float) -> Any:
    """The next number on that side (−1 or 1), as a strict bound says it; beyond 0, the next that is not flushed."""
    tiny = side * np.finfo(np.float64).tiny
    return np.where(np.asarray(value) == 0, tiny, np.nextafter(value, side * np.inf))


def interval(lower: Any, upper: Any) -> Interval:
    """Values known to lie between two ends.

        x = {y : lower ≤ y ≤ upper}

    **Arguments:** `lower`, `upper`: arrays (n,), or (n, d) for a diagonal normal, in units of the data.
    Equal ends: exact; an infinite end: censored on that side; both, or NaN in both: missing.
    **Returns:** an `Interval`, for `lt.fit` or as a column.
    **Raises:** `DataError` naming the row where lower > upper, or where one end is NaN.
    **Example:** two values seen, one known to be above 3, one between 1 and 2:
        >>> import latens as lt
        >>> x = lt.interval([1.0, 2.0, 3.0, 1.0], [1.0, 2.0, float("inf"), 2.0])
        >>> round(float(lt.fit(lt.IID(lt.Exponential()), x).params["rate"]), 4)
        0.4018

    **Source:** Turnbull (1976), JRSS B 38, 290.
    """
    low, top = (np.atleast_1d(numbers(v, name)) for v, name in ((lower, "lower"), (upper, "upper")))
    low, top = (np.array(v) for v in np.broadcast_arrays(low, top))
    half = np.isnan(low) ^ np.isnan(top)
    wrong = half | (low > top) | (low == np.inf) | (top == -np.inf)
    if wrong.any():
        where = tuple(np.argwhere(wrong)[0])
        at = f"row {where[0]}" + (f", column {where[1]}" if len(where) > 1 else "")
        raise DataError(
            f"{at}: [{low[where]:g}, {top[where]:g}] is no interval; the lower end must not exceed the upper one, "
            "and an end that is not known is -inf or inf"
        )
    gone = np.isnan(low)
    return Interval(np.where(gone, -np.inf, low), np.where(gone, np.inf, top))


def right_censored(time: Any, observed: Any) -> Interval:
    """Times of which some are only known to be later: observed 1 (exact) or 0 (still running then).

    **Arguments:** `time` (n,); `observed` (n,): 1 or True where the event was seen, 0 where it was not.
    **Raises:** `DataError` naming a row where `observed` is neither.
    **Example:**
        >>> import latens as lt
        >>> x = lt.right_censored([5.0, 8.0, 12.0], [1, 0, 1])
        >>> round(float(lt.fit(lt.IID(lt.Exponential()), x).params["rate"]), 4)  # 2 events in 25
        0.08

    **Source:** Cox & Oakes (1984), Analysis of Survival Data, §3.
    """
    value, seen = _censored(time, observed)
    return interval(value, np.where(seen, value, np.where(np.isnan(value), np.nan, np.inf)))


def left_censored(value: Any, observed: Any) -> Interval:
    """Values of which some are only known to be smaller, such as those below a limit of detection.

    **Arguments:** `value` (n,); `observed` (n,): 1 or True where it was seen, 0 where only a bound is.
    **Raises:** `DataError` naming a row where `observed` is neither.
    **Example:**
        >>> import latens as lt
        >>> lt.left_censored([0.2, 0.1], [1, 0]).lower.tolist()
        [0.2, -inf]
    """
    number, seen = _censored(value, observed)
    return interval(np.where(seen, number, np.where(np.isnan(number), np.nan, -np.inf)), number)


def _censored(value: Any, observed: Any) -> tuple[np.ndarray, np.ndarray]:
    number, flag = numbers(value, "value"), numbers(observed, "observed")
    if number.shape != flag.shape:
        raise DataError(f"the values have shape {number.shape}, the indicator of what was observed {flag.shape}")
    bad = ~((flag == 0) | (flag == 1))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"row {row}: the indicator is {flag[row]:g}; it must be 1 (observed) or 0 (censored)")
    return number, flag == 1


class Grouped(AbstractColumn):
    """A histogram, as `lt.grouped` makes it: the bins and how many values fell into each."""

    bins: Interval
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.bins)

    def ungrouped(self, *, whole: bool) -> tuple[Interval, np.ndarray]:
        lower, upper = self.bins.ends
        edges = upper[:-1]
        twice = (edges == lower[1:]) & (edges == np.floor(edges))
        if whole and twice.any():
            raise DataError(
                f"grouped: {edges[twice][0]:g} is a value that can occur, and both bins beside that edge hold it; say "
                "closed='left' if bins are [a, b), closed='right' if they are (a, b]"
            )
        return self.bins, self.counts

    def _refused(self, *asked: Any, **by_name: Any) -> NoReturn:
        raise DataError("a histogram is data for a model of one column")

    ends_called = told = coded = _refused


def grouped(edges: Any, counts: Any, closed: str | None = None) -> Grouped:
    """A histogram as data: counts of values in the bins between successive edges.

        x = {y : a ≤ y < b} closed on the left, {y : a < y ≤ b} on the right; the outermost edges belong to their bins

    **Arguments:** `edges` (m + 1,): increasing, the outer ones perhaps infinite; `counts` (m,); `closed`: "left" or
    "right", which matters where an edge is a value that can occur, as of whole numbers.
    **Raises:** `DataError` for edges that do not increase, for the wrong number of counts, for another `closed`; from
    a fit of whole numbers if two bins share one that is an edge, and `closed` is not given.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), lt.grouped([0, 1, 2, float("inf")], [50, 25, 25]))
        >>> round(float(fit.params["rate"]), 4)  # log 2
        0.6931
    """
    ends, number = numbers(edges, "edges"), numbers(counts, "counts")
    if ends.ndim != 1 or number.shape != (len(ends) - 1,):
        raise DataError(
            f"{len(np.atleast_1d(ends))} edges make {len(np.atleast_1d(ends)) - 1} bins, got {number.size} counts"
        )
    rising = np.diff(ends) > 0
    if not rising.all():
        at = int(np.argmin(rising))
        raise DataError(f"edges {ends[at]:g} and {ends[at + 1]:g} (positions {at}, {at + 1}) do not increase")
    if closed not in ("left", "right", None):
        raise DataError(f"grouped: closed must be 'left', for [a, b), 'right', for (a, b], or None, got {closed!r}")
    lower, upper = ends[:-1].copy(), ends[1:].copy()
    if closed == "left":
        upper[:-1] = beyond(upper[:-1], -1.0)
    if closed == "right":
        lower[1:] = beyond(lower[1:], 1.0)
    return Grouped(interval(lower, upper), number)
