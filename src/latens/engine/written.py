"""Modules as JSON with their arrays aside: models as data have filled them in, frames, rows. Never pickle."""

import re
from dataclasses import fields
from hashlib import sha256
from importlib import import_module
from typing import Any

import equinox as eqx
import jax
import numpy as np

from latens.errors import ModelError

HOME = "latens."


def encode(value: Any, given: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A tree of modules as plain values, arrays put aside under names; what is as in `given` is not written down."""
    if given is not None and type(value) is type(given) and _alike(value, given):
        return {"given": True}
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        name = f"tree_{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array": name}
    if isinstance(value, eqx.Module):
        kind = type(value)
        if not kind.__module__.startswith(HOME):
            raise ModelError(
                f"save: a {kind.__name__} is no part of latens and cannot be kept in a file: pickle the stream"
            )
        other = given if type(given) is kind else None
        own = {each.name: getattr(value, each.name) for each in fields(kind) if hasattr(value, each.name)}
        inside = {name: encode(part, getattr(other, name, None), arrays) for name, part in own.items()}
        return {"module": [kind.__module__, kind.__qualname__], "fields": inside}
    if isinstance(value, tuple | list):
        beside = given if isinstance(given, tuple | list) and len(given) == len(value) else [None] * len(value)
        kind_name = "tuple" if isinstance(value, tuple) else "list"
        return {kind_name: [encode(part, other, arrays) for part, other in zip(value, beside, strict=True)]}
    if isinstance(value, dict):
        own = given if isinstance(given, dict) else {}
        return {"dict": [[name, encode(part, own.get(name), arrays)] for name, part in value.items()]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    raise ModelError(f"save: a {type(value).__name__} cannot be kept in a file; pickle the stream")


def decode(written: Any, given: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The inverse of `encode`."""
    ((kind, content),) = ((key, value) for key, value in written.items() if key != "fields")
    if kind == "given":
        return given
    if kind == "value":
        return content
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        own = given if isinstance(given, dict) else {}
        return {name: decode(part, own.get(name), arrays) for name, part in content}
    if kind in ("tuple", "list"):
        beside = given if isinstance(given, tuple | list) and len(given) == len(content) else [None] * len(content)
        parts = [decode(part, other, arrays) for part, other in zip(content, beside, strict=True)]
        return tuple(parts) if kind == "tuple" else parts
    home, name = content
    return _module(home, name, written["fields"], given, arrays)


def _module(home: str, name: str, inside: dict[str, Any], given: Any, arrays: dict[str, np.ndarray]) -> Any:
    if not home.startswith(HOME):
        raise ValueError(f"{home} is no part of latens")
    found = getattr(import_module(home), name)
    if not (isinstance(found, type) and issubclass(found, eqx.Module)):
        raise ValueError(f"{home}.{name} is no module")
    other = given if type(given) is found else None
    made = object.__new__(found)
    for field, part in inside.items():
        object.__setattr__(made, field, decode(part, getattr(other, field, None), arrays))
    return made


def _alike(value: Any, given: Any) -> bool:
    if value is given:
        return True
    return isinstance(value, eqx.Module) and bool(eqx.tree_equal(value, given, typematch=True))


def digest(model: Any) -> str:
    """What tells a model from another: its structure and its numbers, wherever its functions lie in memory."""
    leaves, tree = jax.tree.flatten(model)
    found = sha256(re.sub(r" at 0x[0-9a-f]+", "", str(tree)).encode())
    for leaf in leaves:
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()
