"""What users ask for, checked: whole numbers, numbers, objects of a class."""

from math import inf
from typing import Any

import numpy as np

from latens.errors import LatensError, ParameterError


def whole(value: Any, what: str, least: int, error: type[LatensError] = ParameterError) -> int:
    """A whole number of at least `least`, or an error that says what must be one."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise error(f"{what} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def number(value: Any, what: str, words: str, low: float = -inf, high: float = inf) -> float:
    """A number strictly between two others, or a `ParameterError` with the words for it."""
    if not isinstance(value, int | float | np.number) or isinstance(value, bool) or not low < value < high:
        raise ParameterError(f"{what} must be {words}, got {value!r}")
    return float(value)


def instance(value: Any, kind: type | tuple[type, ...], what: str, such_as: str) -> Any:
    """An object of a class; a `ParameterError` says what is wanted, also where the class itself is given."""
    if isinstance(value, kind):
        return value
    if isinstance(value, type) and issubclass(value, kind):
        raise ParameterError(f"{what} is the class {value.__name__}; give one made of it, such as {such_as}")
    raise ParameterError(f"{what} must be such as {such_as}, got {value!r}")
