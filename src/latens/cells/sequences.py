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
WIDTHS = 6  # of sequences, each of which takes a program of its own
NO_COLUMN = "sequences are data for a model of one's own; a family takes single observations"


class Sequence(eqx.Module):
    """One sequence as `log_evidence` sees it, padded to T steps.

    `value`: an array (T, ...) or a dict of such, with a stand-in where nothing was seen; `seen`: the same of booleans,
    which numbers were; `within` (T,): whether the step belongs to the sequence, or is padding.
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
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(self.steps)]
        laid = [function(leaf.reshape(len(leaf), int(np.prod(leaf.shape[1:])))) for leaf in leaves]
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
            return self._summed(lambda v: np.nan_to_num(_standard(v), nan=-9.0) * np.cos(pace * at)[:, None])

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

        def laid(leaf: np.ndarray) -> np.ndarray:
            shown = within.reshape(*within.shape, *[1] * (leaf.ndim - 1))
            return np.where(shown, leaf[at] if len(leaf) else np.nan, np.nan)

        found = jax.tree.map(laid, self.steps)
        seen = jax.tree.map(lambda leaf: ~np.isnan(leaf), found)
        return Sequence(jax.tree.map(lambda leaf: np.where(np.isnan(leaf), STAND_IN, leaf), found), seen, within)

    def on_average(self, share: Any) -> Sequence:
        return jax.tree.map(lambda leaf: leaf[0], self.padded(np.array([0]), int(self.lengths[0])))

    def drawn(self, sample: Callable[[Any, Any], Any], keys: Any) -> "Sequences":
        """Draws of the same lengths; `sample` takes keys and sequences of one shape, and gives (rows, T, ...)."""
        parts: list[Any] = [None] * len(self)
        for rows, steps in batches(self.lengths):
            found = jax.tree.map(np.asarray, sample(keys[rows], self.padded(rows, steps)))
            for i, row in enumerate(rows):
                parts[row] = jax.tree.map(lambda leaf: leaf[i, : self.lengths[row]], found)  # noqa: B023
        return Sequences(jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts), self.lengths)

    def blank(self, draw: Any) -> "Sequences":
        hidden = jax.tree.map(lambda leaf, own: np.where(np.isnan(leaf), np.nan, own), self.steps, draw.steps)
        return Sequences(hidden, self.lengths)


def _standard(values: np.ndarray) -> np.ndarray:
    """(N, d) columns about their own means, in units of their spreads."""
    seen = ~np.isnan(values)
    number = np.maximum(seen.sum(0), 1)
    centre = np.where(seen, values, 0.0).sum(0) / number
    away = np.where(seen, values - centre, 0.0)
    spread = np.sqrt((away**2).sum(0) / number)
    return (values - centre) / np.where(spread > 0, spread, 1.0)


def batches(lengths: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Rows of like lengths, and the length that they are padded to."""
    edges = widths(lengths)
    pairs = zip((-1, *edges), edges, strict=False)
    return [(np.flatnonzero((lengths > shorter) & (lengths <= width)), width) for shorter, width in pairs]


def widths(lengths: np.ndarray) -> tuple[int, ...]:
    """The lengths that sequences are padded to: few, and such that little is padded."""
    found, counts = np.unique(lengths, return_counts=True)
    if len(found) > 64:  # of so many, those at even steps of the whole
        at = np.searchsorted(np.cumsum(counts * found), np.linspace(0, (counts * found).sum(), 64))
        kept = np.unique(np.append(np.minimum(at, len(found) - 1), len(found) - 1))
        counts = np.add.reduceat(counts, np.append(0, kept[:-1] + 1))
        found = found[kept]
    total = np.concatenate([[0], np.cumsum(counts)])
    # least[j]: the least number of steps, padding included, that the first j lengths take in so many groups
    least = np.where(np.arange(len(total)) == 0, 0.0, np.inf)
    cuts = []
    for _ in range(min(WIDTHS, len(found))):
        costs = least[:, None] + (total[None] - total[:, None]) * np.append(0, found)[None]
        costs[np.tril_indices(len(total))] = np.inf
        costs[0, 0] = 0.0
        cuts.append(costs.argmin(0))
        least = costs.min(0)
    ends, end = [], len(found)
    for cut in reversed(cuts):
        if end > 0:
            ends.append(int(found[end - 1]))
            end = int(cut[end])
    return tuple(reversed(ends))
