"""How much a function computes, counted without running it."""

from functools import lru_cache
from math import prod
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

ROUNDS = 10  # of a loop whose length is not known before


def operations(function: jax.stages.Wrapped, *args: Any) -> float:
    """How many numbers it computes on the way; of arguments only the shapes matter, and it is traced once for each."""
    return _of(function.trace(*args).jaxpr.jaxpr)


@lru_cache(maxsize=256)
def _of(program: Jaxpr) -> float:
    return sum(_times(each) * sum(map(_of, inner)) if (inner := _inner(each)) else _own(each) for each in program.eqns)


def _inner(each: JaxprEqn) -> list[Jaxpr]:
    """The programs that an operation runs: the body of a loop, both branches."""
    parts = jax.tree.leaves(list(each.params.values()))
    return [p.jaxpr if isinstance(p, ClosedJaxpr) else p for p in parts if isinstance(p, ClosedJaxpr | Jaxpr)]


def _times(each: JaxprEqn) -> int:
    return int(each.params.get("length", ROUNDS if each.primitive.name == "while" else 1))


def _own(each: JaxprEqn) -> float:
    computed = sum(prod(_shape(out)) for out in each.outvars)
    if each.primitive.name != "dot_general":
        return computed
    summed = each.params["dimension_numbers"][0][0]
    return computed * prod(_shape(each.invars[0])[axis] for axis in summed)


def _shape(variable: Any) -> tuple[int, ...]:
    return getattr(variable.aval, "shape", ())
