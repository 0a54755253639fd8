"""Memory that JAX computes in without a copy of its own."""

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
