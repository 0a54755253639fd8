"""How programs are compiled: quickly where little is computed, well where much is."""

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

import jax
import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

MUCH = 1 << 12  # numbers in an argument that make it worth while to compile well
QUICKLY = {"xla_cpu_use_fusion_emitters": False}  # in half the time; every pass over rows may take three times as long

# for what runs once, or over no data: it is their compilation that takes time, less so unoptimised
once = partial(jax.jit, compiler_options=QUICKLY | {"xla_backend_optimization_level": 0})

# where our own threads fill the cores, one of XLA's more for half a block costs more than it saves
ALONE = {"xla_disable_hlo_passes": "cpu-parallel-task-assigner"}


class BySize(Generic[P, R]):
    """A function compiled quickly unless an argument is large; not one that another program calls."""

    def __init__(self, function: Callable[P, R], options: dict[str, Any], **settings: Any) -> None:
        update_wrapper(self, function)
        self._well = jax.jit(function, compiler_options=options, **settings)
        self._quickly = jax.jit(function, compiler_options=options | QUICKLY, **settings)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        much = any(np.size(leaf) > MUCH for leaf in jax.tree.leaves(args))
        found: R = (self._well if much else self._quickly)(*args, **kwargs)
        return found

    @property
    def programs(self) -> int:
        """How many have been compiled."""
        return sum(each._cache_size() for each in (self._well, self._quickly))  # type: ignore[attr-defined]


def by_size(options: dict[str, Any] | None = None, **settings: Any) -> Callable[[Callable[P, R]], BySize[P, R]]:
    """A decorator that makes a `BySize`; `settings` of `jax.jit`."""
    return lambda function: BySize(function, options or {}, **settings)


beside = partial(by_size, ALONE)
