"""A column of texts of which many are the same: each is read once."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from latens.cells.base import AbstractColumn


class Repeated(AbstractColumn):
    """Row i is entry `which[i]` of another column."""

    distinct: AbstractColumn
    which: np.ndarray

    def __len__(self) -> int:
        return len(self.which)

    def ends_called(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        lower, upper = self.distinct.ends_called(name)
        found = lower[self.which]
        return found, found if upper is lower else upper[self.which]

    def told(self) -> tuple[Any, ...]:
        return self.distinct.told()

    def coded(self, names: Sequence[Any], k: int, name: str) -> Any:
        found = self.distinct.coded(names, k, name)
        return found[self.which] if isinstance(found, np.ndarray) else found.take(self.which)
