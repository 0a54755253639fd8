"""Several constraints one after another, and many values of one."""

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax import Array

from latens.numerics.constraints import AbstractConstraint


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

    def inward(self, free: np.ndarray) -> np.ndarray:
        return np.concatenate([self.each.inward(own) for own in np.split(free, self.k)])

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
