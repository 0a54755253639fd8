"""Categories of which some are known only as a set: rows, columns, and hidden labels that are known."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells.base import AbstractCells, AbstractColumn, absent
from latens.errors import DataError, listed

TRUTH = {"true": 1.0, "false": 0.0}
DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")


class Subset(AbstractCells):
    """Rows known to be one of some categories: `allowed` is (n, k) booleans."""

    allowed: Any

    ordered = False

    @property
    def value(self) -> Any:
        """One of the categories."""
        return self.allowed.argmax(-1).astype(float)

    @property
    def seen(self) -> Any:
        return self.allowed.sum(-1) == 1

    @property
    def ends(self) -> tuple[Any, Any]:
        allowed = np.asarray(self.allowed)
        unseen, last = allowed.all(-1), allowed.shape[-1] - 1 - allowed[..., ::-1].argmax(-1)
        return np.where(unseen, -np.inf, allowed.argmax(-1)), np.where(unseen, np.inf, last)

    @property
    def gaps(self) -> np.ndarray:
        codes = np.arange(self.allowed.shape[-1])
        lower, upper = (end[..., None] for end in self.ends)
        return np.asarray(((codes > lower) & (codes < upper) & ~np.asarray(self.allowed)) @ np.sqrt(codes + 2.0))

    @property
    def kinds(self) -> dict[str, np.ndarray]:
        number, k = np.asarray(self.allowed).sum(-1), self.allowed.shape[-1]
        return {"missing": number == k, "subset": (number > 1) & (number < k)}

    def mapped(self, function: Callable[[Any], Any]) -> Any:
        return self  # codes are no numbers

    def log_kernel(self, family: Any, potential: Array) -> Any:
        return family.subset_kernel(potential, self.allowed)

    def features(self, family: Any) -> Array:
        return jnp.asarray(self.allowed / self.allowed.sum())

    def holds(self, codes: Array) -> Array:
        return jnp.asarray(self.allowed)


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


class Labelled(eqx.Module):
    """Rows of which something is known of the hidden label: `allowed` is (n, k) booleans."""

    x: Any
    allowed: Any


def labelled(xs: Any, allowed: Any) -> Any:
    """Rows with what is known of their labels; the rows themselves where that is nothing."""
    return xs if allowed is None else Labelled(xs, allowed)


def without_labels(xs: Any) -> Any:
    """The rows alone."""
    return xs.x if isinstance(xs, Labelled) else xs


def labels_of(xs: Any) -> Any:
    """(n, k) which labels each row may have; None where nothing is known of any."""
    return xs.allowed if isinstance(xs, Labelled) else None


def ruled_out(logs: Array, x: Any) -> Array:
    """(k,) logarithms for each label of ONE row: −∞ for those that it cannot have."""
    allowed = labels_of(x)
    return logs if allowed is None else jnp.where(allowed, logs, -jnp.inf)
