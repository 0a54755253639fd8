"""What kinds of values a file may hold, checked before any is used."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple

from latens.errors import DataError, LatensError


class Kind(NamedTuple):
    """A kind of value: in words, of one and of several, and whether a value is of it."""

    one: str
    several: str
    holds: Callable[[Any], bool]


def list_of(kind: Kind) -> Kind:
    return Kind(
        f"a list of {kind.several}",
        f"lists of {kind.several}",
        lambda value: isinstance(value, list) and all(map(kind.holds, value)),
    )


def table_of(kind: Kind) -> Kind:
    return Kind(
        f"a table of {kind.several}",
        f"tables of {kind.several}",
        lambda value: isinstance(value, Mapping) and all(map(kind.holds, value.values())),
    )


def either(*kinds: Kind) -> Kind:
    return Kind(
        " or ".join(kind.one for kind in kinds),
        " or ".join(kind.several for kind in kinds),
        lambda value: any(kind.holds(value) for kind in kinds),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and abs(value) < 1e300


def _is_array(value: Any) -> bool:
    """A number, or lists of equal lengths of such, in one another."""
    if not isinstance(value, list):
        return _is_number(value)
    return bool(value) and all(map(_is_array, value)) and len({_shape(each) for each in value}) == 1


def _shape(value: Any) -> tuple[int, ...]:
    return (len(value), *_shape(value[0])) if isinstance(value, list) and value else ()


TEXT = Kind("a text", "texts", lambda value: isinstance(value, str))
NUMBER = Kind("a number", "numbers", _is_number)
WHOLE = Kind("a whole number", "whole numbers", lambda value: _is_number(value) and isinstance(value, int))
ARRAY = Kind("a number or an array of numbers", "numbers or arrays of such", _is_array)
TABLE = Kind("a table", "tables", lambda value: isinstance(value, Mapping))
CELL = Kind(
    "a number or a text",
    "numbers or texts",
    lambda value: isinstance(value, str | bool | float) or _is_number(value),
)
TEXTS = either(TEXT, list_of(TEXT))


def check(spec: Any, known: Mapping[str, Kind], where: str, error: type[LatensError] = DataError) -> Mapping[str, Any]:
    """The table itself; raises an error naming table and key for one that is not known, and a value of another kind."""
    if not isinstance(spec, Mapping):
        raise error(f"{where} must be a table, got {spec!r}")
    for key, value in spec.items():
        if key not in known:
            raise error(f"{where}: unknown key '{key}'; known: {', '.join(sorted(known)) or 'none'}")
        if not known[key].holds(value):
            raise error(f"{where}: {key} must be {known[key].one}, got {_shown(value)}")
    return spec


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
