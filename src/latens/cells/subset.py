"""Categories of which one was drawn."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells.base import AbstractCells


class Subset(AbstractCells):
    """Rows known to be one of some categories: `allowed` is (n, k) booleans."""

    allowed: Any

    ordered = False

    @property
    def value(self) -> Any:
        """One of the categories."""
        return self.allowed.argmax(-1).astype(float)

    @property
    def seen(self) -> Any:
        return self.allowed.sum(-1) == 1

    @property
    def ends(self) -> tuple[Any, Any]:
        allowed = np.asarray(self.allowed)
        unseen, last = allowed.all(-1), allowed.shape[-1] - 1 - allowed[..., ::-1].argmax(-1)
        return np.where(unseen, -np.inf, allowed.argmax(-1)), np.where(unseen, np.inf, last)

    @property
    def gaps(self) -> np.ndarray:
        codes = np.arange(self.allowed.shape[-1])
        lower, upper = (end[..., None] for end in self.ends)
        return np.asarray(((codes > lower) & (codes < upper) & ~np.asarray(self.allowed)) @ np.sqrt(codes + 2.0))

    @property
    def kinds(self) -> dict[str, np.ndarray]:
        number, k = np.asarray(self.allowed).sum(-1), self.allowed.shape[-1]
        return {"missing": number == k, "subset": (number > 1) & (number < k)}

    def mapped(self, function: Callable[[Any], Any]) -> Any:
        return self  # codes are no numbers

    def log_kernel(self, family: Any, potential: Array) -> Any:
        return family.subset_kernel(potential, self.allowed)

    def features(self, family: Any) -> Array:
        return jnp.asarray(self.allowed / self.allowed.sum())

    def holds(self, codes: Array) -> Array:
        return jnp.asarray(self.allowed)
