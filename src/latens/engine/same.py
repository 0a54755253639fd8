"""Whether two fits are of the same data."""

import jax
import numpy as np

from latens.cells import is_half_seen, shown, without_labels
from latens.engine.problem import Problem
from latens.numerics.precision import double


def same_data(one: Problem, other: Problem) -> bool:
    """Whether the rows and weights of two problems are the same, in any order."""
    a, b = _moments(one), _moments(other)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-7))


@double
def _moments(problem: Problem) -> np.ndarray:
    """Weight, and weighted sums of every column and its square in the units of the data, sorted."""
    rows = problem.frame.undo(without_labels(problem.xs))
    found = [np.array([problem.n])]
    for leaf in jax.tree.leaves(jax.tree.map(shown, rows, is_leaf=is_half_seen)):
        given = np.asarray(leaf, dtype=float).reshape(len(problem.weights), -1)
        flat = np.where(np.isfinite(given), given, 0.0)
        found += [problem.weights @ flat, problem.weights @ flat**2]
    return np.sort(np.concatenate(found))
