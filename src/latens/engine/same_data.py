"""Whether two fits are of the same data."""

from typing import Any, NamedTuple
from zlib import crc32

import jax
import numpy as np

from latens.cells import Subset, are_cells, as_read, labels_of
from latens.engine.problem import Problem
from latens.models.gene_counting import Cells
from latens.numerics.compiling import double

WAYS = 4  # functions of a row that are summed
DOUBLE, SINGLE = 1e-8, 1e-4  # spreads that a number may be off by after the way into a frame and back
FAR = 1e3  # spreads from the centre, where an open end is put
EPS = float(np.finfo(float).eps)


class Column(NamedTuple):
    """What was seen of one number: (n,) the ends of the set it lies in, and a number for the codes between left out."""

    lower: np.ndarray
    upper: np.ndarray
    gaps: np.ndarray

    def place(self, weights: np.ndarray) -> tuple[float, float]:
        """Centre and spread of the finite ends."""
        ends = np.stack([self.lower, self.upper])
        shares = np.isfinite(ends) * weights
        shares = shares / (shares.sum() or 1.0)
        numbers = np.where(np.isfinite(ends), ends, 0.0)
        rough = (shares * numbers).sum()
        centre = rough + (shares * (numbers - rough)).sum()  # in two passes, as it may be far from the origin
        # the spread of equal numbers would be rounding
        spread = np.hypot(np.sqrt((shares * (numbers - centre) ** 2).sum()), 1e-10 * centre)
        return float(centre), float(spread or 1.0)

    def turned(self, place: np.ndarray, pace: float, phases: np.ndarray) -> np.ndarray:
        """(n,) a smooth function of what was seen."""
        centre, spread = place
        total = self.gaps
        for end, phase in zip((self.lower, self.upper), phases, strict=True):
            total = total + np.sin(
                pace * np.where(np.isfinite(end), (end - centre) / spread, FAR * np.sign(end)) + phase
            )
        return total


@double
def same_data(one: Problem, other: Problem) -> bool:
    """Whether two problems have the same rows, in any order of rows and of columns; weights are repetitions.

    Functions of a row that do not depend on the order of columns that lie alike, Σ_i w_i cos(Σ_j sin(ω z_ij + b_j)),
    have the same sums then, and hardly otherwise.
    """
    if one.origin is not None or other.origin is not None:
        return bool(one.origin == other.origin)
    here, there = _columns(one), _columns(other)
    if len(here) != len(there) or not np.isclose(one.observations, other.observations, rtol=1e-9):
        return False
    at, to = (np.array([c.place(p.weights * p.informative) for c in cs]) for cs, p in ((here, one), (there, other)))
    loose = SINGLE if one.single or other.single else DOUBLE
    room = loose + 4 * EPS * float(np.max(np.abs(at[:, 0]) / at[:, 1]))
    alike, found = (np.abs(some[:, None] - at).max(-1) <= room * at[:, 1] for some in (at, to))
    if not found.any(1).all():
        return False
    apart = _sums(here, one, at, alike.argmax(1)) - _sums(there, other, at, found.argmax(1))
    return bool((np.abs(apart) <= 4 * len(here) * room).all())


def _sums(columns: list[Column], problem: Problem, at: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """(WAYS,) means over the rows; columns of one kind lie alike."""
    rng = np.random.default_rng(0)
    found = []
    for pace in rng.uniform(0.5, 2.0, WAYS):
        phases = rng.uniform(0.0, 2 * np.pi, (len(at), 2))
        pairs = zip(columns, kinds, strict=True)
        rows = sum(column.turned(at[kind], pace, phases[kind]) for column, kind in pairs)
        found.append((problem.weights * problem.informative) @ np.cos(rows) / problem.observations)
    return np.array(found)


def _columns(problem: Problem) -> list[Column]:
    """In the units of the data; known labels are one more column, groups of cells are known by their names."""
    rows = problem.as_given
    if isinstance(problem.given, Cells):
        rows = np.array([crc32(group.encode()) / 2**32 for group in problem.columns])[np.asarray(rows)]
    leaves, labels = jax.tree.leaves(rows, is_leaf=are_cells), labels_of(problem.xs)
    if labels is not None:
        leaves.append(Subset(labels))
    n = len(problem.weights)
    parts = [[np.reshape(part, (n, -1)).T for part in _sets(as_read(leaf))] for leaf in leaves]
    return [Column(*each) for part in parts for each in zip(*part, strict=True)]


def _sets(cells: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends and gaps, shaped like the numbers."""
    lower, upper = (np.asarray(end, dtype=float) for end in cells.ends)
    # a logarithm makes 0 of an open end; rounding may leave a 0 just below
    bound = -DOUBLE * np.max(np.where(np.isfinite(upper), np.abs(upper), 0.0), 0, initial=0.0)
    positive = (np.isinf(lower) | (lower >= bound)).all(0) & (upper >= bound).all(0)
    return np.where(positive & np.isinf(lower), 0.0, lower), upper, cells.gaps
