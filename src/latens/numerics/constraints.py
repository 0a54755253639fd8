"""Where a parameter may lie, and the minimal free coordinates in which it is estimated."""

from abc import abstractmethod
from math import prod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.errors import ModelError
from latens.numerics.modules import Module
from latens.numerics.special import safe_log

# A probability is kept this far from 0 and 1: one rounding of 1. Nearer, its logarithm is noise, and an
# estimate on the boundary would never stop moving in free coordinates.
EDGE = 2.0**-53

# A positive number is kept this far from 0: the square of its inverse, which second derivatives meet, is finite.
LEAST = 1e-140

# Complete information about a logarithm or logit, in events, below which data do not tell a value from the boundary.
EVENTS = 1e-3
AWAY = 5.0  # a logit that EM comes away from within some steps, if the boundary is not where it leads
FAR = 30.0  # a logarithm or logit at which rounding may hide what information there is


def angle(free: np.ndarray) -> np.ndarray:
    """A logit → 2 arcsin √p."""
    return np.asarray(2 * np.arctan(np.exp(free / 2)))


def logit(point: np.ndarray) -> np.ndarray:
    """The inverse, no farther than a probability may be."""
    with np.errstate(divide="ignore"):
        return np.clip(2 * np.log(np.abs(np.tan(point / 2))), np.log(EDGE), -np.log(EDGE))


def told(free: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Where data tell a value from the boundary. No events where it is not far: the parameter enters nowhere."""
    return (events >= EVENTS) | ((events == 0) & (np.abs(free) < FAR))


class AbstractConstraint(Module):
    """The set a parameter lies in, with a smooth bijection onto free coordinates.

    To write your own: `shape` and `size` (of the value, of its coordinates), `free`, `value`, `holds`,
    `words` and `link`; where estimates may lie on the boundary also `chart`, `unchart` and `width`, and `interior`
    unless there is one coordinate for each entry. What you then get: accelerators, informations, standard errors
    and intervals.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many free coordinates there are."""

    @abstractmethod
    def free(self, value: Array) -> Array:
        """value of `shape` → (size,) coordinates."""

    @abstractmethod
    def value(self, free: Array) -> Array:
        """(size,) coordinates → value of `shape`."""

    def chart(self, free: np.ndarray) -> np.ndarray:
        """(..., size) free coordinates → (..., width) coordinates that accelerators reckon in: here the same."""
        return free

    def unchart(self, point: np.ndarray) -> np.ndarray:
        """The inverse of `chart`, and defined everywhere."""
        return point

    @property
    def width(self) -> int:
        """How many coordinates `chart` has."""
        return self.size

    def interior(self, free: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which entries of the value data can tell from the boundary, and how these move.

        Here each entry has the coordinate of its place, on the scale of its link.

        **Arguments:** `free` (size,); `information` (size, size): the complete one, about these coordinates.
        **Returns:** booleans of `shape`; (size, m) directions in which those entries move and no other does.
        """
        inside = np.ones(self.shape, dtype=bool)
        if inside.size == self.size:
            inside = (self.link == "identity") | told(free, np.diag(information)).reshape(self.shape)
            return inside, np.eye(self.size)[:, inside.reshape(-1)]
        return inside, np.eye(self.size)

    @property
    def scales(self) -> np.ndarray:
        """(size,) what each coordinate is of the value: itself, a "log" or a "logit"; here that of its entry's link."""
        links = np.ravel(self.link)
        return links if len(links) == self.size else np.full(self.size, "identity")

    def inward(self, free: np.ndarray, away: float = AWAY) -> np.ndarray:
        """The same no nearer to a boundary than a logit of `away`: here as it is."""
        return free

    @abstractmethod
    def holds(self, value: np.ndarray) -> bool:
        """Whether a value of the right shape, as users give it, lies in the set."""

    @property
    @abstractmethod
    def words(self) -> str:
        """The set in words, for error messages: "positive"."""

    @property
    @abstractmethod
    def link(self) -> np.ndarray:
        """Per entry of the value: the scale an interval is formed on, "identity", "log" or "logit"."""

    @property
    def distinct(self) -> np.ndarray:
        """Per entry of the value: whether it is worth showing, or repeats another."""
        return np.ones(self.shape, dtype=bool)

    @property
    def independent(self) -> np.ndarray:
        """Per entry of the value: `size` entries that determine all."""
        return self.distinct


def shape_of(given: Any) -> tuple[int, ...]:
    """A shape as a tuple; a whole number n is (n,). Raises `ModelError` for anything else."""
    entries = given if isinstance(given, tuple | list) else (given,)
    if not all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in entries):
        raise ModelError(f"the shape of a parameter is whole numbers of at least 1, such as 3 or (2, 3); got {given!r}")
    return tuple(map(int, entries))


class _Elementwise(AbstractConstraint):
    shape: tuple[int, ...] = eqx.field(static=True, default=(), converter=shape_of)

    scale: ClassVar[str]  # that of every entry

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def link(self) -> np.ndarray:
        return np.full(self.shape, self.scale)


class Real(_Elementwise):
    """Any real number; `shape` gives an array of them."""

    words = "finite"
    scale = "identity"

    def free(self, value: Array) -> Array:
        return value.reshape(-1)

    def value(self, free: Array) -> Array:
        return free.reshape(self.shape)

    def holds(self, value: np.ndarray) -> bool:
        return bool(np.isfinite(value).all())


class Positive(_Elementwise):
    """A number above zero, estimated as its logarithm."""

    words = "positive and finite"
    scale = "log"

    def free(self, value: Array) -> Array:
        return safe_log(jnp.maximum(value, LEAST)).reshape(-1)

    def value(self, free: Array) -> Array:
        return jnp.exp(free).reshape(self.shape)

    def chart(self, free: np.ndarray) -> np.ndarray:
        """No nearer to 0 than a positive number is kept."""
        return np.maximum(free, np.log(LEAST))

    def unchart(self, point: np.ndarray) -> np.ndarray:
        return self.chart(point)

    def holds(self, value: np.ndarray) -> bool:
        return bool(((value > 0) & np.isfinite(value)).all())


class Unit(_Elementwise):
    """A number strictly between 0 and 1, estimated as its logit."""

    words = "strictly between 0 and 1"
    scale = "logit"

    def free(self, value: Array) -> Array:
        inside = jnp.clip(value, EDGE, 1.0 - EDGE)
        return (jnp.log(inside) - jnp.log1p(-inside)).reshape(-1)

    def value(self, free: Array) -> Array:
        return jax.nn.sigmoid(free).reshape(self.shape)

    def chart(self, free: np.ndarray) -> np.ndarray:
        """2 arcsin √p: 0 and 1 are no farther away than they are in probability, and beyond them it turns back."""
        return angle(free)

    def unchart(self, point: np.ndarray) -> np.ndarray:
        return logit(point)

    def holds(self, value: np.ndarray) -> bool:
        return bool(((value > 0) & (value < 1)).all())

    def inward(self, free: np.ndarray, away: float = AWAY) -> np.ndarray:
        return np.clip(free, -away, away)


class PositiveDefinite(AbstractConstraint):
    """A (d, d) covariance, estimated as its Cholesky factor with logarithms on the diagonal."""

    words = "symmetric and positive definite"

    d: int

    def __check_init__(self) -> None:
        shape_of(self.d)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.d, self.d)

    @property
    def size(self) -> int:
        return self.d * (self.d + 1) // 2

    def free(self, value: Array) -> Array:
        factor = jnp.linalg.cholesky(value)
        diagonal = jnp.eye(self.d, dtype=bool)
        # the inner `where` keeps log away from the off-diagonal entries, whose gradient would be NaN
        return jnp.where(diagonal, jnp.log(jnp.where(diagonal, factor, 1.0)), factor)[np.tril_indices(self.d)]

    def value(self, free: Array) -> Array:
        factor = jnp.zeros((self.d, self.d)).at[np.tril_indices(self.d)].set(free)
        diagonal = jnp.eye(self.d, dtype=bool)
        factor = jnp.where(diagonal, jnp.exp(jnp.where(diagonal, factor, 0.0)), factor)
        return factor @ factor.T

    def holds(self, value: np.ndarray) -> bool:
        scale = np.sqrt(np.abs(np.diag(value)))
        if not np.isfinite(value).all() or (np.abs(value - value.T) > 1e-8 * np.outer(scale, scale)).any():
            return False
        try:
            np.linalg.cholesky(value)
        except np.linalg.LinAlgError:
            return False
        return True

    @property
    def link(self) -> np.ndarray:
        return np.where(np.eye(self.d, dtype=bool), "log", "identity")

    @property
    def distinct(self) -> np.ndarray:
        return np.tril(np.ones((self.d, self.d), dtype=bool))
