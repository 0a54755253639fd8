"""Histograms as data."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from latens.cells.base import AbstractColumn
from latens.cells.column import numbers
from latens.cells.intervals import Interval, beyond, interval
from latens.errors import DataError

ONLY = "a histogram is data for a model of one column"


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

    def ends_called(self, name: str) -> NoReturn:
        raise DataError(ONLY)

    def told(self) -> NoReturn:
        raise DataError(ONLY)

    def coded(self, names: Sequence[Any], k: int, name: str) -> NoReturn:
        raise DataError(ONLY)


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
