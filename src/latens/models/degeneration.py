"""When a component has become a point, where the likelihood is without bound."""

import jax.numpy as jnp
from jax import Array

# a spread (variance where the data have 1) below which a component is a point: far above rounding
# of the second moments, and reached within a few steps once a likelihood is unbounded
POINT = 1e-11
# where statistics are reckoned from the component itself, rounding begins far below; but so narrow a component of
# fewer rows than this has found some that happen to lie close together
FEWEST = 1e-3  # expected rows below which a component has died
POINT_ABOUT, SEVERAL = 1e-24, 10.0


def least_spread(precise: bool, rows: Array) -> Array:
    """Below which a component that expects so many rows is a point; `precise` if no second moments are subtracted."""
    return jnp.where(rows >= SEVERAL, POINT_ABOUT, POINT) if precise else jnp.full_like(rows, POINT)


def collapsed(what: str, remedy: str, *, alone: bool = False) -> str:
    """Why a likelihood without bound is no estimate, and the remedy; `alone` of a datum that is one number."""
    where = "" if alone else ", in some direction"
    return (
        f"{what} has collapsed (its variance goes to zero{where}), where the likelihood is unbounded and no maximum "
        f"exists: {remedy}"
    )
