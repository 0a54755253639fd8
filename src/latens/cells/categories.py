"""Columns of categories of which some are known only as a set."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import equinox as eqx
import numpy as np

from latens.cells.base import AbstractColumn
from latens.cells.column import absent
from latens.cells.subset import Subset
from latens.errors import DataError, listed

TRUTH = {"true": 1.0, "false": 0.0}
DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")


class OneOf(AbstractColumn):
    """Categories of which each row is one, as `lt.one_of` makes them: None where nothing is known.

    `labels` are the names of the codes, if they were read from text.
    """

    sets: tuple[frozenset[int] | None, ...] = eqx.field(static=True)
    labels: tuple[str, ...] = eqx.field(static=True, default=())

    def __len__(self) -> int:
        return len(self.sets)

    def ends_called(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Of truths only: other categories are no numbers."""
        if self.labels and {label.lower() for label in self.labels} <= TRUTH.keys():
            told = [TRUTH[label.lower()] for label in self.labels]
            truths = np.array([np.nan if m is None or len(m) > 1 else told[min(m)] for m in self.sets])
            return truths, truths
        named = f" ({', '.join(self.labels[:3])}{', ...' if len(self.labels) > 3 else ''})" if self.labels else ""
        if self.labels and all(map(DATE.match, self.labels)):
            raise DataError(
                f"column '{name}' holds dates{named}; give numbers in a unit of your choice, such as days since the "
                "first one, or choose the columns to use (--columns)"
            )
        raise DataError(
            f"column '{name}' holds categories{named}, not numbers as the model takes; choose the columns to use "
            "(--columns), or give this one a Categorical family"
        )

    def told(self) -> tuple[Any, ...]:
        return self.labels or tuple(sorted({code for members in self.sets for code in members or ()}))

    def coded(self, names: Sequence[Any], k: int, name: str) -> Any:
        where = f"column '{name}'"
        sets = self._renamed(names, where) if names else self
        if any(members and len(members) > 1 for members in sets.sets):
            return Subset(sets.allowed(k, where))
        return np.array([np.nan if members is None else min(members) for members in sets.sets])

    def _renamed(self, names: Sequence[Any], where: str) -> "OneOf":
        """Sets of codes of these names."""
        own: Any = self.labels or range(max((max(m) for m in self.sets if m), default=0) + 1)  # takes no memory
        place = {name: code for code, name in enumerate(names)}
        place |= {str(name): code for code, name in enumerate(names)}

        def code(member: int, row: int) -> int:
            if own[member] in place:
                return place[own[member]]
            if not self.labels and isinstance(names[0], str) and member < len(names):
                return member
            raise DataError(f"row {row}, {where}: '{own[member]}' is none of the categories {listed(names)}")

        coded = (None if m is None else frozenset(code(each, row) for each in m) for row, m in enumerate(self.sets))
        return OneOf(tuple(coded), tuple(map(str, names)))

    def allowed(self, k: int, where: str) -> np.ndarray:
        """(n, k) which of k codes each row may have; raises `DataError` for a code beyond them."""
        found = np.ones((len(self), k), dtype=bool)
        for row, members in enumerate(self.sets):
            if members is not None:
                if max(members) >= k:
                    raise DataError(
                        f"row {row}, {where}: {max(members)} is not a code from 0 to {k - 1}; correct the row"
                    )
                found[row] = [code in members for code in range(k)]
        return found


def one_of(sets: Iterable[Any]) -> OneOf:
    """Categories known only as a subset: each row a code, a collection of codes, or None (nothing known).

    **Raises:** `DataError` naming a row whose set is empty or holds something that is no code.
    **Example:** the second row is 0 or 2:
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Categorical(3)), lt.one_of([0, {0, 2}, 1, 2]))
        >>> fit.params["probabilities"].round(3).tolist()
        [0.375, 0.25, 0.375]
    """
    if isinstance(sets, OneOf):
        return sets
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


def named_sets(parts: Sequence[Iterable[Any] | None]) -> OneOf:
    """Sets of labels, of which some are texts, as sets of codes in their sorted order; None where nothing is known."""
    labels = sorted({part for members in parts for part in members or ()}, key=str)
    codes = {label: code for code, label in enumerate(labels)}
    return OneOf(tuple(None if m is None else frozenset(codes[e] for e in m) for m in parts), tuple(map(str, labels)))
