"""What was seen of a datum: the set its complete value lies in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


class Partial(eqx.Module):
    """Rows of which some were not seen at all: `value` holds a stand-in where `seen` is False."""

    value: Any  # (n, ...) array
    seen: Any  # (n,) booleans


class Interval(eqx.Module):
    """Rows known to lie in [lower, upper]: equal ends are exact, infinite ones open, both infinite missing.

    Made by `lt.interval`, `lt.right_censored`, `lt.left_censored`; a column of any table, or the data of
    a family of one number. Of a count, both ends belong to the set.
    """

    lower: Any  # (n, ...) array
    upper: Any  # (n, ...) array

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def exact(self) -> Any:
        """Which entries were seen: booleans."""
        return self.lower == self.upper

    @property
    def value(self) -> Any:
        """What was seen, or a stand-in."""
        return jnp.where(self.exact, self.lower, STAND_IN)

    @property
    def middle(self) -> Any:
        """A number inside: the middle, or the end that is finite."""
        low, top = jnp.isfinite(self.lower), jnp.isfinite(self.upper)
        lower, upper = jnp.where(low, self.lower, 0.0), jnp.where(top, self.upper, 0.0)
        ends = jnp.where(low & top, 0.5 * (lower + upper), lower + upper)
        return jnp.where(low | top, ends, STAND_IN)


class Subset(eqx.Module):
    """Rows known to be one of some categories: `allowed` is (n, k) booleans."""

    allowed: Any

    @property
    def value(self) -> Any:
        """One of the categories."""
        return self.allowed.argmax(-1).astype(float)


class Patterned(eqx.Module):
    """Rows of which cells were not seen: `seen` is (n, d), or one (d,) for all rows of a group."""

    value: Any  # (n, d), a stand-in where not seen
    seen: Any


class Turned(eqx.Module):
    """A row in coordinates (u, w) of which the first were seen: the row is turn @ (u, w)."""

    value: Any  # (d,), 0 where not seen
    seen: Any  # (d,)
    turn: Any  # (d, d), orthogonal


class Labelled(eqx.Module):
    """Rows of which something is known of the hidden label: `allowed` is (n, k) booleans."""

    x: Any
    allowed: Any


@dataclass(frozen=True, eq=False)
class OneOf:
    """Categories of which each row is one, as `lt.one_of` makes them: None where nothing is known.

    `labels` are the names of the codes, if they were read from text.
    """

    sets: tuple[frozenset[int] | None, ...]
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sets)


def without_labels(xs: Any) -> Any:
    """The rows alone."""
    return xs.x if isinstance(xs, Labelled) else xs


def as_interval(x: Partial | Patterned) -> Interval:
    """Cells seen or not, as the sets they are."""
    return Interval(jnp.where(x.seen, x.value, -jnp.inf), jnp.where(x.seen, x.value, jnp.inf))


def is_half_seen(leaf: Any) -> bool:
    """Whether it is rows of which something was not seen."""
    return isinstance(leaf, Partial | Interval | Subset | Patterned)


def complete_like(xs: Any) -> Any:
    """Rows with a stand-in wherever something was not seen."""
    return jax.tree.map(lambda leaf: leaf.value if is_half_seen(leaf) else leaf, xs, is_leaf=is_half_seen)


def complete_cells(xs: Any) -> Any:
    """Rows whose unseen cells are filled by values of other rows, where integrating them out takes every row
    its own potentials: good enough to start from."""

    def is_patterned(leaf: Any) -> bool:
        return isinstance(leaf, Patterned)

    return jax.tree.map(lambda leaf: leaf.value if is_patterned(leaf) else leaf, xs, is_leaf=is_patterned)


def shown(leaf: Any) -> Any:
    """Rows of one kind as arrays that say what was seen and nothing else: NaN where nothing was."""
    if isinstance(leaf, Partial | Patterned):
        seen = jnp.reshape(leaf.seen, (*leaf.seen.shape, *[1] * (leaf.value.ndim - leaf.seen.ndim)))
        return jnp.where(seen, leaf.value, jnp.nan)
    return (
        (leaf.lower, leaf.upper) if isinstance(leaf, Interval) else leaf.allowed if isinstance(leaf, Subset) else leaf
    )


def numbers_in(xs: Any) -> np.ndarray:
    """Rows as read, as plain numbers: NaN where nothing was seen, one number of each interval."""
    if not isinstance(xs, Interval):
        return np.asarray(xs)
    unseen = np.isneginf(xs.lower) & np.isposinf(xs.upper)
    return np.where(unseen, np.nan, np.asarray(xs.middle))


def beyond(value: Any, side: float) -> Any:
    """The next number on that side (−1 or 1), as a strict bound says it; beyond 0, the next that is not flushed."""
    tiny = side * np.finfo(np.float64).tiny
    return np.where(np.asarray(value) == 0, tiny, np.nextafter(value, side * np.inf))


def ends_in(xs: Any, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of intervals as rows of their own, and the weights of these: what frames are made from."""
    if not isinstance(xs, Interval):
        return np.asarray(xs), weights
    low, top = np.isfinite(xs.lower), np.isfinite(xs.upper)
    lower = np.where(low, xs.lower, np.where(top, xs.upper, np.nan))
    upper = np.where(top, xs.upper, lower)
    return np.concatenate([lower, upper]), np.concatenate([weights, weights])


# inside the support of every family, or harmless there: its statistics are multiplied by zero
STAND_IN = 0.5


def observe(xs: np.ndarray) -> Any:
    """The array itself when it has no NaN; else a `Partial`, so complete data pay nothing."""
    first = xs if xs.ndim == 1 else xs[:, 0]
    missing = np.isnan(first)
    if not missing.any():
        return xs
    return Partial(np.where(np.isnan(xs), STAND_IN, xs), ~missing)
