"""Where rows are computed with: on a GPU, where JAX has one; all that is small stays on the processor."""

from contextlib import nullcontext
from functools import cache
from typing import Any

import jax


def accelerator() -> Any:
    """The device that rows are put on: the first that JAX takes (JAX_PLATFORMS=cpu: none); None for the processor."""
    return _first()


@cache
def _first() -> Any:
    return None if jax.default_backend() == "cpu" else jax.devices()[0]


def small_here() -> Any:
    """A context in which what is computed of no rows is computed by the processor: small factorisations are faster."""
    return nullcontext() if accelerator() is None else jax.default_device(jax.devices("cpu")[0])


def placed(tree: Any) -> Any:
    """Arrays on the device for rows, where programs that take them then run."""
    device = accelerator()
    return tree if device is None else jax.device_put(tree, device)
