"""Several constraints one after another, and many values of one."""

from collections.abc import Iterable

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
