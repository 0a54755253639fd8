"""Many values of a constraint, several constraints one after another, and numbers that sum to one."""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.numerics.constraints import AWAY, EDGE, AbstractConstraint, angle, logit, shape_of, told
from latens.numerics.special import TINY


class Stacked(AbstractConstraint):
    """k values of one constraint with a leading axis: what a mixture's components have."""

    each: AbstractConstraint
    k: int = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.k, *self.each.shape)

    @property
    def size(self) -> int:
        return self.k * self.each.size

    def free(self, value: Array) -> Array:
        return jax.vmap(self.each.free)(value).reshape(-1)

    def value(self, free: Array) -> Array:
        return jax.vmap(self.each.value)(free.reshape(self.k, self.each.size))

    def chart(self, free: np.ndarray) -> np.ndarray:
        lead = free.shape[:-1]
        return self.each.chart(free.reshape(*lead, self.k, self.each.size)).reshape(*lead, -1)

    def unchart(self, point: np.ndarray) -> np.ndarray:
        lead = point.shape[:-1]
        return self.each.unchart(point.reshape(*lead, self.k, self.each.width)).reshape(*lead, -1)

    @property
    def width(self) -> int:
        return self.k * self.each.width

    def interior(self, free: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inside, directions = interiors([self.each] * self.k, free, information)
        return inside.reshape(self.shape), directions

    @property
    def scales(self) -> np.ndarray:
        return np.tile(self.each.scales, self.k)

    def inward(self, free: np.ndarray, away: float = AWAY) -> np.ndarray:
        return np.concatenate([self.each.inward(own, away) for own in np.split(free, self.k)])

    def holds(self, value: np.ndarray) -> bool:
        return all(self.each.holds(each) for each in value)

    @property
    def words(self) -> str:
        return f"{self.each.words} in every component"

    @property
    def link(self) -> np.ndarray:
        return np.broadcast_to(self.each.link, self.shape)

    @property
    def distinct(self) -> np.ndarray:
        return np.broadcast_to(self.each.distinct, self.shape)

    @property
    def independent(self) -> np.ndarray:
        return np.broadcast_to(self.each.independent, self.shape)


def interiors(
    constraints: Iterable[AbstractConstraint], free: np.ndarray, information: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`interior` of constraints one after another: entries end to end, and the directions of all coordinates."""
    inside, directions, at = [np.ones(0, dtype=bool)], [np.zeros((len(information), 0))], 0
    for each in constraints:
        own = slice(at, at + each.size)
        at += each.size
        told, along = each.interior(free[own], information[own, own])
        inside.append(told.reshape(-1))
        directions.append(np.zeros((len(information), along.shape[1])))
        directions[-1][own] = along
    return np.concatenate(inside), np.hstack(directions)


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


@cache
def _basis(k: int) -> np.ndarray:
    """(k − 1, k) orthonormal, orthogonal to (1, ..., 1): axes in the mirror that swaps the last one for its line."""
    normal = np.full(k, k**-0.5)
    normal[-1] += 1.0
    return np.asarray((np.eye(k) - np.outer(normal, normal) / normal[-1])[:-1])


def Simplex(shape: int | Sequence[int]) -> AbstractConstraint:
    """Numbers that are positive and sum to one: k of them, or rows of them.

    **Arguments:** `shape`: k, or (m, k) for a matrix whose rows sum to one, such as one of transitions.
    **Raises:** `ModelError` for anything else.
    **Example:**
        >>> import latens as lt
        >>> lt.Simplex((2, 3)).shape, lt.Simplex((2, 3)).size
        ((2, 3), 4)
    """
    *lead, k = shape_of(shape)
    found: AbstractConstraint = Composition(k)
    for n in reversed(lead):
        found = Stacked(found, n)
    return found


class Composition(AbstractConstraint):
    """k positive numbers that sum to one, estimated as isometric log-ratios.

    They are logarithms less their mean, in an orthonormal basis, times √2, so that two numbers have their logit for a
    coordinate. Relabelling turns or reflects them and changes no distance: a rule that goes by distances takes the
    same way whatever the labels are.

    **Source:** Egozcue et al. (2003), Math. Geol. 35, 279.
    """

    words = "positive and summing to one"

    k: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.k,)

    @property
    def size(self) -> int:
        return self.k - 1

    def free(self, value: Array) -> Array:
        return 2**0.5 * jnp.asarray(_basis(self.k)) @ jnp.log(jnp.maximum(value, EDGE))

    def value(self, free: Array) -> Array:
        logs = free @ _basis(self.k) / 2**0.5
        odds = jnp.exp(logs - jax.lax.stop_gradient(logs.max()))
        return jnp.maximum(odds / odds.sum(), TINY)

    def interior(self, free: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By the logit of each number, the ratios of the others held; log-ratios of those inside."""
        axes = _basis(self.k)
        inside = told(2**0.5 * free @ axes, 2 * np.einsum("ij,ik,kj->j", axes, information, axes))
        if inside.all():
            return inside, np.eye(self.size)
        among = int(inside.sum())
        if among < 2:  # one number alone cannot move
            return np.zeros_like(inside), np.zeros((self.size, 0))
        logs = np.zeros((self.k, among - 1))
        logs[inside] = _basis(among).T
        return inside, axes @ logs

    @property
    def scales(self) -> np.ndarray:
        return np.full(self.size, "logit")

    def inward(self, free: np.ndarray, away: float = AWAY) -> np.ndarray:
        logs = free @ _basis(self.k) / 2**0.5
        return np.asarray(2**0.5 * np.maximum(logs, logs.max() - away) @ _basis(self.k).T)

    def counted(self, free: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """The shares of counts n_j, as coordinates, from the slope of Σ n_j log p_j / Σ n_j at any."""
        axes = _basis(self.k)
        logs = free @ axes / 2**0.5
        odds = np.exp(logs - logs.max())
        # in logarithms the slope is n_j / Σ n − p_j
        shares = odds / odds.sum() + 2**0.5 * slope @ axes
        return np.asarray(2**0.5 * axes @ np.log(np.maximum(shares, EDGE)))

    def holds(self, value: np.ndarray) -> bool:
        return bool((value > 0).all() and abs(value.sum() - 1.0) < 1e-6)

    @property
    def independent(self) -> np.ndarray:
        return np.arange(self.k) < self.k - 1

    @property
    def link(self) -> np.ndarray:
        return np.full(self.shape, "logit")


class Probabilities(Composition):
    """A simplex on whose boundary an estimate may well lie: no farther away, for accelerators, than in probability."""

    def chart(self, free: np.ndarray) -> np.ndarray:
        """2 √p, a point of a sphere; for two numbers the angle on a circle, as `Unit` has."""
        if self.k == 2:
            return angle(free)
        roots = np.exp(free @ _basis(self.k) / 8**0.5)
        return np.asarray(2 * roots / np.linalg.norm(roots, axis=-1, keepdims=True))

    def unchart(self, point: np.ndarray) -> np.ndarray:
        if self.k == 2:
            return logit(point)
        squares = np.maximum(point**2, TINY)
        logs = np.log(np.maximum(squares / squares.sum(-1, keepdims=True), EDGE))
        return np.asarray(2**0.5 * logs @ _basis(self.k).T)

    @property
    def width(self) -> int:
        return 1 if self.k == 2 else self.k
