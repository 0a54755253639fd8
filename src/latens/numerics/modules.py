"""Modules that users write: which of their fields a program depends on, and which it takes as numbers."""

from collections.abc import Callable
from inspect import get_annotations
from typing import Any, get_args, get_origin

import equinox as eqx
import jax

PLAIN = {int, bool, str}


class Module(eqx.Module):
    """An Equinox module in which sizes, names and choices are static: a program is compiled for each value of them.

    They are the fields declared as `int`, `bool`, `str`, a tuple of such, or a function; arrays and `float` are not.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, kind in get_annotations(cls).items():
            given = cls.__dict__.get(name)
            if _is_static(kind) and not hasattr(given, "metadata"):  # one that says itself what it is
                setattr(cls, name, eqx.field(static=True, **({"default": given} if name in cls.__dict__ else {})))


def same_kind(one: Any, other: Any) -> bool:
    """Whether two trees of modules differ in their numbers only."""
    return bool(jax.tree.structure(one) == jax.tree.structure(other))  # type: ignore[operator]


def _is_static(kind: Any) -> bool:
    if isinstance(kind, str):  # as `from __future__ import annotations` leaves them
        return kind in ("int", "bool", "str") or kind.split("[")[0].endswith("Callable")
    if get_origin(kind) is tuple:
        return set(get_args(kind)) - {...} <= PLAIN
    return kind in PLAIN or kind is Callable or get_origin(kind) is Callable
