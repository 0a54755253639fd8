"""Rows that are sequences of observations, each of a length of its own."""

from collections.abc import Callable
from typing import Any, NoReturn

import equinox as eqx
import jax
import numpy as np
from jax import Array

from latens.cells.base import STAND_IN, AbstractCells, AbstractColumn
from latens.errors import DataError

PACES = (0.7, 1.1)
NO_COLUMN = "sequences are data for a model of one's own; a family takes single observations"


class Sequence(eqx.Module):
    """One sequence as `log_evidence` sees it, padded to T steps.

    `value`: an array (T, ...) or a dict of such; `seen` (T,): whether all of a step was; `within` (T,): whether the
    step belongs to the sequence, or is padding.
    """

    value: Any
    seen: Any
    within: Any


class Sequences(AbstractCells, AbstractColumn):
    """Sequences laid end to end: `steps` leaves (Σ lengths, ...), NaN where nothing was seen; `lengths` (n,)."""

    steps: Any
    lengths: Any

    @property
    def observations(self) -> Any:
        return self.lengths

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, if they have any; else that of the only array."""
        return tuple(self.steps) if isinstance(self.steps, dict) else ("0",)

    @property
    def value(self) -> "Sequences":
        return self.mapped(lambda leaf: np.where(np.isnan(leaf), np.asarray(STAND_IN, leaf.dtype), leaf))

    @property
    def seen(self) -> Any:
        return ~self._summed(lambda leaf: np.isnan(leaf)).astype(bool)

    def mapped(self, function: Callable[[Any], Any]) -> "Sequences":
        return Sequences(jax.tree.map(function, self.steps), self.lengths)

    def log_kernel(self, family: Any, potential: Array) -> Array:
        raise DataError(f"{family.title}: {NO_COLUMN}")

    @property
    def _ends(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def _summed(self, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """(n, d) sums over the steps of each sequence, of a function of every column (Σ lengths, d)."""
        laid = [function(np.reshape(leaf, (len(leaf), -1))) for leaf in jax.tree.leaves(self.steps)]
        sums = np.cumsum(np.pad(np.hstack(laid).astype(float), ((1, 0), (0, 0))), 0)
        return np.diff(sums[self._ends], axis=0)

    @property
    def unseen(self) -> np.ndarray:
        return np.asarray((self._summed(np.isnan) == self.lengths[:, None]).all(1))

    @property
    def kinds(self) -> dict[str, np.ndarray]:
        return {"missing": self._summed(np.isnan)}

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """(n, m) numbers that tell sequences apart: their lengths, and sums of what was seen with weights that vary."""
        at = np.arange(self._ends[-1]) - np.repeat(self._ends[:-1], self.lengths)

        def turned(pace: float) -> np.ndarray:
            return self._summed(lambda v: np.nan_to_num(v, nan=-1.0) * np.cos(pace * at)[:, None])

        found = np.hstack([self.lengths[:, None], *map(turned, PACES)])
        return found, found

    def ends_called(self, name: str) -> NoReturn:
        raise DataError(f"column '{name}': {NO_COLUMN}")

    def told(self) -> NoReturn:
        raise DataError(NO_COLUMN)

    def coded(self, names: Any, k: int, name: str) -> NoReturn:
        raise DataError(f"column '{name}': {NO_COLUMN}")

    def take(self, rows: Any) -> "Sequences":
        lengths, begins = self.lengths[rows], self._ends[:-1][rows]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        at = np.repeat(begins, lengths) + within
        return Sequences(jax.tree.map(lambda leaf: leaf[at], self.steps), lengths)

    def padded(self, rows: np.ndarray, steps: int) -> Sequence:
        within = np.arange(steps) < self.lengths[rows][:, None]
        at = np.where(within, self._ends[:-1][rows][:, None] + np.arange(steps), 0)
        laid = jax.tree.map(lambda leaf: leaf[at], self.steps)
        holes = [np.isnan(leaf).reshape(*at.shape, -1).any(-1) for leaf in jax.tree.leaves(laid)]
        seen = within & ~np.any(holes, axis=0)

        def filled(leaf: np.ndarray) -> np.ndarray:
            shown = within.reshape(*within.shape, *[1] * (leaf.ndim - 2))
            return np.where(np.isnan(leaf) | ~shown, np.asarray(STAND_IN, leaf.dtype), leaf)

        return Sequence(jax.tree.map(filled, laid), seen, within)

    def on_average(self, share: Any) -> Sequence:
        return jax.tree.map(lambda leaf: leaf[0], self.padded(np.array([0]), int(self.lengths[0])))

    def drawn(self, sample: Callable[[Any, Any], Any], keys: Any) -> "Sequences":
        """Draws of the same lengths; `sample` takes keys and sequences of one length, and gives (rows, T, ...)."""
        parts: list[Any] = [None] * len(self)
        for length in np.unique(self.lengths):
            rows = np.flatnonzero(self.lengths == length)
            found = jax.tree.map(np.asarray, sample(keys[rows], self.padded(rows, int(length))))
            for i, row in enumerate(rows):
                parts[row] = jax.tree.map(lambda leaf: leaf[i], found)  # noqa: B023
        return Sequences(jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts), self.lengths)

    def blank(self, draw: Any) -> "Sequences":
        hidden = jax.tree.map(lambda leaf, own: np.where(np.isnan(leaf), np.nan, own), self.steps, draw.steps)
        return Sequences(hidden, self.lengths)
