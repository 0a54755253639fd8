"""What values a datum can take."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array


@dataclass(frozen=True)
class Support:
    """The values that one complete datum can take: `holds(y)`, a scalar boolean, and the same in `words` for errors.

    `whole` says that they are whole numbers; `shape` is that of a datum, `fields` the names of its entries, where they
    have names of their own; `sized` that an unseen datum says too little, as its size would be unknown.
    """

    words: str
    holds: Callable[[Array], Array]
    whole: bool = False
    shape: tuple[int, ...] = ()
    fields: tuple[str, ...] = ()
    sized: bool = False

    def __call__(self, y: Array) -> Array:
        return self.holds(y)


def is_whole(y: Array) -> Array:
    """Whether it is a whole number of at least 0."""
    return (y >= 0) & (y == jnp.floor(y))


FINITE = Support("a finite number", jnp.isfinite)
NOT_NEGATIVE = Support("a number of at least 0", lambda y: y >= 0)
ABOVE_ZERO = Support("a number above 0", lambda y: y > 0)
COUNT = Support("a whole number of at least 0", is_whole, whole=True)
