"""The coordinates that accelerators reckon in."""

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import numpy as np

from latens.numerics.constraints import AbstractConstraint


class _Part(NamedTuple):
    """A stretch of the coordinates: of one constraint, or of all that follow each other and stay as they are."""

    constraint: AbstractConstraint | None
    free: slice
    charted: slice


class Chart:
    """Free coordinates (p,) ↔ those of the `chart` of every constraint."""

    def __init__(self, constraints: Iterable[AbstractConstraint]) -> None:
        # made once: looking at a constraint takes longer than what is done for it
        self.parts, here, there = list[_Part](), 0, 0
        for stays, group in groupby(constraints, _stays):
            together = list(group)
            for each in [None] if stays else together:
                own = together if each is None else [each]
                size, width = sum(c.size for c in own), sum(c.width for c in own)
                self.parts.append(_Part(each, slice(here, here + size), slice(there, there + width)))
                here, there = here + size, there + width
        self.stays = all(part.constraint is None for part in self.parts)

    def chart(self, free: np.ndarray) -> np.ndarray:
        """(p,) → (m,)"""
        if self.stays:
            return free
        return np.concatenate(
            [free[p.free] if p.constraint is None else p.constraint.chart(free[p.free]) for p in self.parts]
        )

    def unchart(self, point: np.ndarray) -> np.ndarray:
        """(m,) → (p,)"""
        if self.stays:
            return point
        return np.concatenate(
            [point[p.charted] if p.constraint is None else p.constraint.unchart(point[p.charted]) for p in self.parts]
        )


def _stays(constraint: AbstractConstraint) -> bool:
    """Whether its chart is the free coordinates themselves."""
    zero = np.zeros(constraint.size)
    return constraint.size == 0 or np.shares_memory(constraint.chart(zero), zero)
