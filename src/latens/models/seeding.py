"""Starts for mixtures: k-means++ seeds, soft groups around them, and the M-step from known labels."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import complete_cells, taken
from latens.numerics.compiling import by_size, evened
from latens.numerics.matrices import matching
from latens.numerics.space import Params, Space

BLOCK, ODD = 1 << 13, np.uint64(0xBF58476D1CE4E5B9)  # rows; a factor that spreads bits (Steele, Lea & Flood 2014)
SHRINK = 0.1  # share of each group that is the whole sample: keeps every group's estimate inside


def partition(
    features: np.ndarray, weights: np.ndarray, k: int, draws: np.ndarray, *, apart: bool = True
) -> np.ndarray:
    """(n, k) memberships that sum to one over groups: mostly the nearest of k seeds.

    Seeds are drawn, by `draws` (k,) from U(0, 1), with probability proportional to the squared distance to the nearest
    one already drawn, or if not `apart` uniformly; distances are taken with every feature in units of its standard
    deviation. With leading axes in all three, (..., n, k).

    **Source:** Arthur & Vassilvitskii (2007), SODA, 1027.
    """
    share = weights / weights.sum(-1, keepdims=True)
    centred = features - share[..., None, :] @ features
    scale = np.sqrt(share[..., None, :] @ centred**2)
    scaled = centred / np.where(scale > 0, scale, 1.0)

    def away(chance: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """(..., n) squared distances from one row drawn."""
        reached = np.cumsum(chance, -1)
        seed = np.minimum((reached <= draw[..., None] * reached[..., -1:]).sum(-1), reached.shape[-1] - 1)
        return np.asarray(((scaled - np.take_along_axis(scaled, seed[..., None, None], -2)) ** 2).sum(-1))

    nearest = away(np.broadcast_to(share, (*draws.shape[:-1], share.shape[-1])), draws[..., 0])
    groups = np.zeros(nearest.shape, dtype=int)
    for j in range(1, k):
        chance = share * (nearest if apart else nearest > 0)
        chance = np.where(chance.sum(-1, keepdims=True) > 0, chance, share)
        distance = away(chance, draws[..., j])
        closer = distance < nearest
        groups[closer], nearest = j, np.where(closer, distance, nearest)
    memberships = (groups[..., None] == np.arange(k)).astype(float)
    sizes = share[..., None, :] @ memberships
    return np.asarray((1 - SHRINK) * memberships + SHRINK * sizes)


def guided(groups: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(n, k) memberships that respect labels: groups renamed to agree with them, and ruled-out ones emptied."""
    told = allowed & ~allowed.all(1, keepdims=True)
    agreement = groups.T @ (told / np.maximum(told.sum(1, keepdims=True), 1))
    renamed = groups[:, np.argsort(matching(-agreement))]
    kept = np.where(allowed, renamed + 1e-3 * told, 0.0)
    return np.asarray(kept / kept.sum(1, keepdims=True))


def distinct_rows(xs: Any, enough: int) -> int:
    """The number of distinct rows of which something was seen, or `enough` as soon as there are so many."""
    leaves = [np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(xs)]
    n, reach = len(leaves[0]), 64 * enough
    while True:
        rows = np.concatenate([leaf[:reach] for leaf in leaves], 1).astype(float)
        seen = np.nan_to_num(rows[np.isfinite(rows).any(1)], nan=np.inf, posinf=np.inf, neginf=-np.inf)
        count = len(np.unique(seen, axis=0))
        if count >= enough or reach >= n:
            return min(count, enough)
        reach *= 8


def distinct(xs: Any, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each distinct row once, in an order that is the rows' own, and what it counts for: (m,) rows, (m,) weights.

    Draws from them are the same for rows in another order, and for rows that are repeated instead of weighted.
    """
    columns = [leaf[:, j] for leaf in _flat(xs) for j in range(leaf.shape[1])]
    order = np.argsort(columns[0], kind="stable")
    if _apart(columns[:1], order).all():
        return order, weights[order]
    order = np.lexsort(columns[::-1])
    first = np.flatnonzero(np.append(True, _apart(columns, order)))
    return order[first], np.add.reduceat(weights[order], first)


def some_distinct(xs: Any, weights: np.ndarray, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of at most so many distinct rows, drawn at random: those of the smallest of numbers that rows have."""
    if len(weights) <= most:
        return distinct(xs, weights)
    marks, reach, least = _marks(xs, seed), most, np.empty(0)
    while len(least) < most and reach < 4 * len(marks):
        near = marks <= np.partition(marks, reach)[reach] if reach < len(marks) else slice(None)
        least, reach = np.unique(marks[near]), 4 * reach
    chosen = np.flatnonzero(marks <= least[:most][-1])
    rows, counts = distinct(taken(xs, chosen), weights[chosen])
    return chosen[rows], counts


def _flat(xs: Any) -> list[np.ndarray]:
    return [np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(xs)]


def _marks(xs: Any, seed: int) -> np.ndarray:
    """(n,) random numbers, equal for equal rows."""
    leaves = _flat(xs)
    found = np.full(len(leaves[0]), seed, dtype=np.uint64)
    for begin in range(0, len(found), BLOCK):
        own = found[begin : begin + BLOCK]
        for leaf in leaves:
            for column in leaf[begin : begin + BLOCK].T.astype(np.float64) + 0.0:  # -0.0 is 0.0
                column[np.isnan(column)] = np.nan  # of which there are many
                own ^= column.view(np.uint64)
                own *= ODD
                own ^= own >> np.uint64(29)
    return found


def _apart(columns: list[np.ndarray], order: np.ndarray) -> np.ndarray:
    """(n − 1,) whether a row differs from the one before it in that order."""
    found = np.zeros(len(order) - 1, dtype=bool)
    for column in columns:
        laid = column[order]
        found |= (laid[1:] != laid[:-1]) & ~((laid[1:] != laid[1:]) & (laid[:-1] != laid[:-1]))  # NaN is NaN here
    return found


def totals(kernel: Callable[[Any, Any], Array], potentials: Any, xs: Any, weights: Array) -> Any:
    """Σ w S(x) for known labels: kernels are linear in φ, so it is a gradient, wherever it is taken.

    `kernel(φ, x)` is a scalar and `weights` (n,), or it is (k,) and `weights` (n, k).
    """
    return jax.grad(lambda phi: (weights * jax.vmap(kernel, (None, 0))(phi, xs)).sum())(potentials)


def told_apart(model: Any, xs: Any, memberships: Array, before: Any = None) -> Params:
    """The M-step from (n, k) memberships, and perhaps from statistics of what was seen before."""
    parts = model.components.proxy
    stats = totals(
        parts.log_kernels, parts.potentials(Space(parts.constraints).centre), complete_cells(xs), memberships
    )
    found = {"weights": memberships.sum(0), "components": stats}
    return model.maximise(found if before is None else jax.tree.map(jnp.add, found, before))


_from_groups = by_size()(told_apart)


def from_groups(model: Any, xs: Any, memberships: Any, before: Any = None) -> Params:
    """The same, by one program for all small numbers of rows."""
    n, rows = len(memberships), evened(len(memberships))
    filled = np.zeros((len(rows), *memberships.shape[1:]))
    filled[:n] = memberships
    return _from_groups(model, taken(xs, rows), jnp.asarray(filled), before)
