"""Double precision for our computations, without touching the caller's global settings."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def double(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` with 64-bit JAX. The switch is per thread and undone on return."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return run
