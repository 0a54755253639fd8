"""Named parameters ↔ one flat vector of free coordinates."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.errors import ParameterError, listed
from latens.numerics.constraints import AWAY, AbstractConstraint
from latens.numerics.stacked import interiors

Params = dict[str, Any]
Key = str | tuple[str, ...]
Constraints = Mapping[Any, AbstractConstraint]  # by Key; a Mapping[str, ...] is welcome too


class Label(NamedTuple):
    """A scalar by its parameter and its entry; as a text, "mean[0, waiting]"."""

    name: str
    entry: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(self.entry)}]" if self.entry else self.name


class Space(eqx.Module):
    """The parameters of one model: constraints by name; a tuple of names shares one constraint.

    `params` is what people read and write, `free` what the algorithms work in.
    """

    keys: tuple[Key, ...] = eqx.field(static=True)
    kinds: tuple[AbstractConstraint, ...]

    def __init__(self, constraints: Constraints) -> None:
        # as a dict it would be sorted by JAX, and there is no order of texts and tuples
        self.keys, self.kinds = tuple(constraints), tuple(constraints.values())

    @property
    def constraints(self) -> dict[Key, AbstractConstraint]:
        """Key → constraint."""
        return dict(zip(self.keys, self.kinds, strict=True))

    @property
    def size(self) -> int:
        """Number of free parameters."""
        return sum(c.size for c in self.constraints.values())

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """name → shape of the parameter as users see it."""
        shapes: dict[str, tuple[int, ...]] = {}
        for key, c in self.constraints.items():
            shapes |= {key: c.shape} if isinstance(key, str) else dict.fromkeys(key, c.shape[1:])
        return shapes

    def free(self, params: Mapping[str, Any]) -> Array:
        """params → (size,) free coordinates."""
        parts = [c.free(self._gather(key, params)) for key, c in self.constraints.items()]
        return jnp.concatenate([jnp.zeros(0), *parts])

    def params(self, free: Array) -> Params:
        """(size,) free coordinates → params."""
        params: Params = {}
        at = 0
        for key, c in self.constraints.items():
            value = c.value(free[at : at + c.size])
            at += c.size
            params |= {key: value} if isinstance(key, str) else dict(zip(key, unstacked(value), strict=True))
        return params

    @property
    def centre(self) -> Params:
        """Some params inside the constraints: those at the origin of the free coordinates."""
        return self.params(jnp.zeros(self.size))

    def flat(self, params: Mapping[str, Any]) -> Array:
        """params → every scalar in one vector, in the order of `names` and `links`."""
        return jnp.concatenate([jnp.zeros(0)] + [jnp.asarray(params[n]).reshape(-1) for n in self.shapes])

    def unflat(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """The inverse of `flat`: arrays of each parameter's shape."""
        cuts = np.cumsum([prod(s) for s in self.shapes.values()])[:-1]
        parts = np.split(np.asarray(vector), cuts)
        return {n: p.reshape(s) for (n, s), p in zip(self.shapes.items(), parts, strict=True)}

    @property
    def links(self) -> np.ndarray:
        """Per scalar: the scale its interval is formed on."""
        return np.concatenate([np.empty(0, "<U8"), *(c.link.reshape(-1) for c in self.kinds)])

    @property
    def distinct(self) -> np.ndarray:
        """Per scalar: whether a report should show it."""
        return np.concatenate([np.empty(0, bool), *(c.distinct.reshape(-1) for c in self.kinds)])

    @property
    def independent(self) -> np.ndarray:
        """Per scalar: `size` of them that determine all."""
        return np.concatenate([np.empty(0, bool), *(c.independent.reshape(-1) for c in self.kinds)])

    @property
    def scales(self) -> np.ndarray:
        """Per free coordinate: "identity", "log" or "logit"."""
        return np.concatenate([np.empty(0, "<U8"), *(c.scales for c in self.kinds)])

    def inward(self, free: np.ndarray, away: float = AWAY) -> np.ndarray:
        """The same point, no nearer to a boundary than a logit of `away`: what EM comes away from within some steps."""
        parts, at = [np.zeros(0)], 0
        for c in self.constraints.values():
            parts.append(c.inward(free[at : at + c.size], away))
            at += c.size
        return np.concatenate(parts)

    def interior(self, free: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Per scalar: whether data tell it from the boundary; (size, m) directions in which those scalars move."""
        return interiors(self.constraints.values(), free, information)

    def labels(self, axes: Mapping[str, Sequence[Sequence[str]]]) -> list[Label]:
        """Per scalar: of which parameter it is which entry; `axes` names entries of the trailing axes."""
        labels = []
        for name, shape in self.shapes.items():
            for index in np.ndindex(shape):
                words = [str(i) for i in index]
                for back, entries in enumerate(reversed(axes.get(name, ())), 1):
                    words[-back] = entries[index[-back]]
                labels.append(Label(name, tuple(words)))
        return labels

    def check(self, params: Mapping[str, Any], what: str = "start") -> Params:
        """The given params as arrays, or a `ParameterError` naming what is wrong with which."""
        shapes = self.shapes
        unknown = [n for n in params if n not in shapes]
        if unknown:
            raise ParameterError(f"{what}: unknown parameter '{unknown[0]}'; this model has {_listed(shapes)}")
        missing = [n for n in shapes if n not in params]
        if missing:
            raise ParameterError(f"{what}: parameter '{missing[0]}' is missing; give all of {_listed(shapes)}")
        arrays: dict[str, np.ndarray] = {}
        for name, shape in shapes.items():
            try:
                arrays[name] = np.asarray(params[name], dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise ParameterError(f"{what}: parameter '{name}' is not numeric: {error}") from None
            if arrays[name].shape != shape:
                raise ParameterError(f"{what}: parameter '{name}' has shape {arrays[name].shape}, expected {shape}")
        for key, c in self.constraints.items():
            value = arrays[key] if isinstance(key, str) else np.stack([arrays[name] for name in key])
            if not c.holds(value):
                title = key if isinstance(key, str) else listed(key)
                shown = np.array2string(value, precision=6, threshold=12)
                raise ParameterError(f"{what}: parameter '{title}' must be {c.words}; got {shown}")
        return dict(arrays)

    @staticmethod
    def _gather(key: Key, params: Mapping[str, Any]) -> Array:
        if isinstance(key, str):
            return jnp.asarray(params[key])
        return jnp.stack([jnp.asarray(params[name]) for name in key])


def unstacked(values: Array) -> list[Array]:
    """The entries of the first axis; derivatives come back through them as one array, not as a sum of one for each."""
    return [part.squeeze(0) for part in jax.lax.split(values, (1,) * len(values))]


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return listed([f"'{n}' {s}" if s else f"'{n}'" for n, s in shapes.items()]) or "no parameters"
