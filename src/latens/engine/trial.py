"""A first look at a model that a user wrote: what fails in it is said in its own words."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import lengths_of, padded
from latens.errors import LatensError, ModelError
from latens.models.base import AbstractModel
from latens.models.latent import Latent
from latens.numerics.space import Space

BRANCH = (jax.errors.TracerBoolConversionError, jax.errors.TracerIntegerConversionError)
NOT_JAX = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)


@jax.jit
def _evidence(model: AbstractModel, free: Any, x: Any) -> Any:
    return model.evidence(Space(model.constraints).params(free), x)


def tried(model: AbstractModel, xs: Any) -> None:
    """Trace the evidence of one row; raises `ModelError` saying what in it cannot be."""
    name = "log_joint" if isinstance(model, Latent) else f"{type(model).__name__}.log_evidence"
    space = Space(model.constraints)
    lengths = lengths_of(xs)
    some = padded(xs, np.zeros(1, int), 0 if lengths is None else int(lengths[0]))
    row = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf)[1:], leaf.dtype), some)

    try:
        found = _evidence.eval_shape(model, jnp.zeros(space.size), row)  # traced once for models of a kind
    except LatensError:
        raise
    except KeyError as error:
        columns = f"the columns {', '.join(xs)}" if isinstance(xs, dict) else "the data have no columns with names"
        known = f"the parameters are {', '.join(space.shapes)}, {columns}"
        raise ModelError(f"{name} asks for {error}, which is neither a parameter nor a column: {known}") from error
    except BRANCH as error:
        raise ModelError(
            f"{name} decides by `if`, `and`, `int()` or an index of a list on a value that is not known while it is "
            "compiled: write jnp.where(z == 0, a, b), and index arrays of jax.numpy"
        ) from error
    except NOT_JAX as error:
        raise ModelError(
            f"{name} calls a function of Python or NumPy, such as math.log or np.log, on a value that is not known "
            "while it is compiled: write it with jax.numpy (jnp.log) and jax.scipy"
        ) from error
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise ModelError(f"{name} fails: {type(error).__name__}: {first}") from error
    if getattr(found, "shape", None) != ():
        raise ModelError(f"{name} must return a scalar, the log-evidence of ONE row; it returns {_shown(found)}")


def _shown(found: Any) -> str:
    shape = getattr(found, "shape", None)
    return f"an array of shape {shape}" if shape is not None else f"a {type(found).__name__}"
