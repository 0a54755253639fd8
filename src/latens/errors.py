"""What can go wrong, as a tree:

LatensError
├── DataError          the data, the weights or a file: names the row, column or key    (a ValueError)
├── ModelError         the model cannot be what was written, or breaks its own laws     (a ValueError)
├── ParameterError     a parameter or start value outside its constraint, or missing    (a ValueError)
└── InferenceError     a standard error that should not be trusted: the message says why
"""

from collections.abc import Sequence
from typing import Any

SHOWN = 8  # names in a message


class LatensError(Exception):
    """Base of every error this package raises on purpose."""


class DataError(LatensError, ValueError):
    """The data, the weights or a file are not usable; the message names the row or column."""


class ModelError(LatensError, ValueError):
    """The model is not well defined, or a law that every model obeys does not hold for it."""


class ParameterError(LatensError, ValueError):
    """A parameter is missing, unknown, of the wrong shape or outside its constraint."""


class InferenceError(LatensError):
    """A standard error that cannot be trusted; the message gives the reason and the remedy."""


def counted(number: float, one: str, many: str = "") -> str:
    """A number of things: "1 row", "2 rows"."""
    return f"{number:.10g} {one if number == 1 else many or one + 's'}"


def first_line(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).strip().splitlines() or [""])[0]


def listed(names: Sequence[Any]) -> str:
    """Names for a message, of many the first: "a, b, c, ... (4095 in all)"."""
    rest = [f"... ({len(names)} in all)"] if len(names) > SHOWN else []
    return ", ".join([*map(str, names[:SHOWN]), *rest])
