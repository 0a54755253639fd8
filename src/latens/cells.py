"""What was seen of a datum: the set its complete value lies in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from latens.errors import DataError


class Partial(eqx.Module):
    """Rows of which some were not seen at all: `value` holds a stand-in where `seen` is False."""

    value: Any  # (n, ...) array
    seen: Any  # (n,) booleans


class Interval(eqx.Module):
    """Rows known to lie in [lower, upper]: equal ends are exact, infinite ones open, both infinite missing.

    Made by `lt.interval`, `lt.right_censored`, `lt.left_censored`; a column of any table, or the data of
    a family of one number. Of a count, both ends belong to the set.
    """

    lower: Any  # (n, ...) array
    upper: Any  # (n, ...) array

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def exact(self) -> Any:
        """Which entries were seen: booleans."""
        return self.lower == self.upper

    @property
    def value(self) -> Any:
        """What was seen, or a stand-in."""
        return jnp.where(self.exact, self.lower, STAND_IN)

    @property
    def middle(self) -> Any:
        """A number inside: the middle, or the end that is finite."""
        low, top = jnp.isfinite(self.lower), jnp.isfinite(self.upper)
        lower, upper = jnp.where(low, self.lower, 0.0), jnp.where(top, self.upper, 0.0)
        ends = jnp.where(low & top, 0.5 * (lower + upper), lower + upper)
        return jnp.where(low | top, ends, STAND_IN)


class Subset(eqx.Module):
    """Rows known to be one of some categories: `allowed` is (n, k) booleans."""

    allowed: Any

    @property
    def value(self) -> Any:
        """One of the categories."""
        return self.allowed.argmax(-1).astype(float)


class Patterned(eqx.Module):
    """Rows of which cells were not seen: `seen` is (n, d), or one (d,) for all rows of a group."""

    value: Any  # (n, d), a stand-in where not seen
    seen: Any


class Turned(eqx.Module):
    """A row in coordinates (u, w) of which the first were seen: the row is turn @ (u, w)."""

    value: Any  # (d,), 0 where not seen
    seen: Any  # (d,)
    turn: Any  # (d, d), orthogonal


class Labelled(eqx.Module):
    """Rows of which something is known of the hidden label: `allowed` is (n, k) booleans."""

    x: Any
    allowed: Any


@dataclass(frozen=True, eq=False)
class OneOf:
    """Categories of which each row is one, as `lt.one_of` makes them: None where nothing is known.

    `labels` are the names of the codes, if they were read from text.
    """

    sets: tuple[frozenset[int] | None, ...]
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sets)


def without_labels(xs: Any) -> Any:
    """The rows alone."""
    return xs.x if isinstance(xs, Labelled) else xs


def as_interval(x: Partial | Patterned) -> Interval:
    """Cells seen or not, as the sets they are."""
    return Interval(jnp.where(x.seen, x.value, -jnp.inf), jnp.where(x.seen, x.value, jnp.inf))


def is_half_seen(leaf: Any) -> bool:
    """Whether it is rows of which something was not seen."""
    return isinstance(leaf, Partial | Interval | Subset | Patterned)


def complete_like(xs: Any) -> Any:
    """Rows with a stand-in wherever something was not seen."""
    return jax.tree.map(lambda leaf: leaf.value if is_half_seen(leaf) else leaf, xs, is_leaf=is_half_seen)


def complete_cells(xs: Any) -> Any:
    """Rows whose unseen cells are filled by values of other rows, where integrating them out takes every row
    its own potentials: good enough to start from."""

    def is_patterned(leaf: Any) -> bool:
        return isinstance(leaf, Patterned)

    return jax.tree.map(lambda leaf: leaf.value if is_patterned(leaf) else leaf, xs, is_leaf=is_patterned)


def shown(leaf: Any) -> Any:
    """Rows of one kind as arrays that say what was seen and nothing else: NaN where nothing was."""
    if isinstance(leaf, Partial | Patterned):
        seen = jnp.reshape(leaf.seen, (*leaf.seen.shape, *[1] * (leaf.value.ndim - leaf.seen.ndim)))
        return jnp.where(seen, leaf.value, jnp.nan)
    return (
        (leaf.lower, leaf.upper) if isinstance(leaf, Interval) else leaf.allowed if isinstance(leaf, Subset) else leaf
    )


def numbers_in(xs: Any) -> np.ndarray:
    """Rows as read, as plain numbers: NaN where nothing was seen, one number of each interval."""
    if not isinstance(xs, Interval):
        return np.asarray(xs)
    unseen = np.isneginf(xs.lower) & np.isposinf(xs.upper)
    return np.where(unseen, np.nan, np.asarray(xs.middle))


def beyond(value: Any, side: float) -> Any:
    """The next number on that side (−1 or 1), as a strict bound says it; beyond 0, the next that is not flushed."""
    tiny = side * np.finfo(np.float64).tiny
    return np.where(np.asarray(value) == 0, tiny, np.nextafter(value, side * np.inf))


def ends_in(xs: Any, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of intervals as rows of their own, and the weights of these: what frames are made from."""
    if not isinstance(xs, Interval):
        return np.asarray(xs), weights
    low, top = np.isfinite(xs.lower), np.isfinite(xs.upper)
    lower = np.where(low, xs.lower, np.where(top, xs.upper, np.nan))
    upper = np.where(top, xs.upper, lower)
    return np.concatenate([lower, upper]), np.concatenate([weights, weights])


# inside the support of every family, or harmless there: its statistics are multiplied by zero
STAND_IN = 0.5


def observe(xs: np.ndarray) -> Any:
    """The array itself when it has no NaN; else a `Partial`, so complete data pay nothing."""
    first = xs if xs.ndim == 1 else xs[:, 0]
    missing = np.isnan(first)
    if not missing.any():
        return xs
    return Partial(np.where(np.isnan(xs), STAND_IN, xs), ~missing)


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
    low, top = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (lower, upper))
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
    number, flag = np.asarray(value, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    if number.shape != flag.shape:
        raise DataError(f"the values have shape {number.shape}, the indicator of what was observed {flag.shape}")
    bad = ~((flag == 0) | (flag == 1))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"row {row}: the indicator is {flag[row]:g}; it must be 1 (observed) or 0 (censored)")
    return number, flag == 1


def one_of(sets: Iterable[Any]) -> OneOf:
    """Categories known only as a subset: each row a code, a collection of codes, or None (nothing known).

    **Raises:** `DataError` naming a row whose set is empty or holds something that is no code.
    **Example:** the second row is 0 or 2:
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Categorical(3)), lt.one_of([0, {0, 2}, 1, 2]))
        >>> fit.params["probabilities"].round(3).tolist()
        [0.375, 0.25, 0.375]
    """
    found: list[frozenset[int] | None] = []
    for row, entry in enumerate(sets):
        several = isinstance(entry, set | frozenset | Sequence | np.ndarray) and not isinstance(entry, str)
        members = list(entry) if several else [entry]
        if not several and (entry is None or (isinstance(entry, float) and np.isnan(entry))):
            found.append(None)
            continue
        if not members:
            raise DataError(f"row {row}: the set is empty, so nothing could have been seen; None means not seen")
        for member in members:
            if not isinstance(member, int | float | np.number) or member != int(member) or member < 0:
                raise DataError(f"row {row}: {member!r} is not the code of a category (0, 1, 2, ...)")
        found.append(frozenset(int(member) for member in members))
    return OneOf(tuple(found))
