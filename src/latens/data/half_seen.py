"""What users say of data of which something was not seen."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from latens.cells import Interval, OneOf
from latens.data.column import absent, numbers
from latens.errors import DataError


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
    if not isinstance(sets, Iterable):
        raise DataError(f"one_of takes one entry for each row: a code, several, or None; got {sets!r}")
    for row, entry in enumerate(sets):
        several = isinstance(entry, set | frozenset | Sequence | np.ndarray) and not isinstance(entry, str)
        members = list(entry) if several else [entry]
        if not several and absent(entry):
            found.append(None)
            continue
        if not members:
            raise DataError(f"row {row}: the set is empty, so nothing could have been seen; None means not seen")
        for member in members:
            if not isinstance(member, int | float | np.number) or member != int(member) or member < 0:
                raise DataError(f"row {row}: {member!r} is not the code of a category (0, 1, 2, ...)")
        found.append(frozenset(int(member) for member in members))
    return OneOf(tuple(found))
