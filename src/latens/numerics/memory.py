"""Memory that JAX computes in without a copy of its own, and memory that cannot be written to."""

from dataclasses import fields
from typing import Any

import numpy as np

ALIGNMENT = 64  # bytes: what XLA asks of an array on a CPU


def aligned(like: np.ndarray) -> np.ndarray:
    """An array of that shape and type, its values not set."""
    room = np.empty(like.nbytes + ALIGNMENT, np.uint8)
    begin = -room.ctypes.data % ALIGNMENT
    return room[begin : begin + like.nbytes].view(like.dtype).reshape(like.shape)


def own(array: np.ndarray) -> np.ndarray:
    """A copy, which the caller of the library cannot change any more."""
    copied = aligned(array)
    copied[...] = array
    return copied


def frozen(array: Any) -> np.ndarray:
    """A copy that cannot be written to."""
    return sealed(np.array(array))


def sealed(array: np.ndarray) -> np.ndarray:
    """The same memory, which cannot be written to by this name."""
    seen = array.view()
    seen.flags.writeable = False
    return seen


class Sealed:
    """A dataclass whose arrays cannot be written to. A copy is made from its fields, so neither can those of a copy."""

    def __post_init__(self) -> None:
        for name, value in self._given().items():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, sealed(value))

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self._given())

    def _given(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]


def _made(kind: type, given: dict[str, Any]) -> Any:
    return kind(**given)
