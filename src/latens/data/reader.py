"""How the data of a model are read, looked at and handed back."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from latens.cells import cells_of
from latens.cells.column import numbers
from latens.data.table import columns_of
from latens.errors import DataError
from latens.numerics.modules import Module


class Rows(NamedTuple):
    """Data as read: `xs` has a leading axis of rows in every leaf; `weights` (n,) if the data themselves count rows."""

    xs: Any
    columns: tuple[str, ...] = ()
    weights: np.ndarray | None = None


class AbstractReader(Module):
    """What a model takes for data. To write your own: `read`; and what else differs."""

    @abstractmethod
    def read(self, data: Any) -> Rows:
        """Users' data → NumPy rows, NaN where a number was not seen, and the names of their columns; or `DataError`."""

    @property
    def whole(self) -> bool:
        """Whether data are whole numbers, so that the ends of an interval may have a probability."""
        return False

    def labels(self, columns: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        """Column → what its codes 0, 1, ... stand for, of those that hold categories with names."""
        return {}

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        """Raises `DataError` where too little was seen of the rows to estimate from."""

    def observe(self, xs: Any) -> Any:
        """Rows as read, perhaps in a frame → rows as they are computed with."""
        return xs

    def collect(self, draws: Any, columns: Sequence[str]) -> Any:
        """Many draws → data in the form users hand over."""
        return jax.tree.map(np.asarray, draws)


class Numbers(AbstractReader):
    """Arrays, tables or sequences of numbers, NaN where a cell is missing, which is left to the model."""

    def read(self, data: Any) -> Rows:
        given = cells_of(data)
        if given.observations is not None:
            return Rows(data, given.names)
        named = columns_of(data)
        columns = {"0": numbers(data, "0")} if named is None else {n: numbers(c, n) for n, c in named.items()}
        lengths = {len(leaf) if leaf.ndim else -1 for leaf in columns.values()}
        if lengths in ({0}, set()):
            raise DataError("the data are empty: there is nothing to fit")
        if len(lengths) > 1 or lengths == {-1}:
            raise DataError("the data need the same number of rows in every column")
        for name, leaf in columns.items():
            if np.isinf(leaf).any():
                row = int(np.argwhere(np.isinf(leaf))[0][0])
                raise DataError(f"row {row}, column '{name}': infinite; this model takes numbers only")
        if named is not None:
            return Rows(columns, tuple(columns))
        width = int(np.prod(columns["0"].shape[1:]))
        return Rows(columns["0"], tuple(str(j) for j in range(width)))
