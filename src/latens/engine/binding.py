"""From what users hand over to rows that a model has read and checked."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import lengths_of, one_of, padded, rows_in, taken
from latens.data.reader import Rows, unseen
from latens.data.source import source_of
from latens.data.table import frequencies, ungroup
from latens.errors import DataError, LatensError, ModelError, counted, first_line
from latens.models.base import AbstractModel
from latens.models.latent import Latent
from latens.numerics.space import Space

BRANCH = (jax.errors.TracerBoolConversionError, jax.errors.TracerIntegerConversionError)
NOT_JAX = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)


class Bound(NamedTuple):
    """Rows of positive weight, as the model reads them."""

    model: AbstractModel  # with what the data say of it filled in
    xs: Any
    columns: tuple[str, ...]
    weights: np.ndarray  # (n,)
    labels: np.ndarray | None  # (n, k) which components each row may come from
    informative: np.ndarray  # (n,) of which rows something was seen
    rows_read: int
    rows_used: np.ndarray | slice  # which of them


def bind(model: AbstractModel, data: Any, weights: Any, labels: Any, *, enough: bool) -> Bound:
    """Check the model, read the data, multiply the weights, drop rows of weight 0; `enough`, however few are left."""
    if not isinstance(model, AbstractModel):
        raise ModelError(f"expected a model such as lt.IID(...) or lt.Mixture(...), got {model!r}")
    check_held(data)
    _check_leaves(model)
    data, counts = ungroup(data, whole=model.reader.whole)
    model = model.suited(data)
    rows, given = read_weighed(model, data, weights, counts)
    n, used = len(given), given > 0
    keep = slice(None) if used.all() else np.flatnonzero(used)
    xs = rows.xs if isinstance(keep, slice) else taken(rows.xs, keep)
    if not enough:
        model.require(xs, rows.columns)
    known = None if labels is None else told(model, labels, n)[keep]
    return Bound(model, xs, rows.columns, given[keep], known, ~unseen(xs, known), n, keep)


def check_held(data: Any) -> None:
    """Raises `DataError` for files and streams, where rows have to be held."""
    if source_of(data) is not None:
        raise DataError(
            "this takes rows that are held, not files or streams: read them first, polars.read_parquet(...); what a "
            "fit says of the rows of files is written by fit.predict_to(folder, data=...)"
        )


def read_weighed(model: AbstractModel, data: Any, weights: Any, counts: Any) -> tuple[Rows, np.ndarray]:
    """Rows as the model reads them, and the weights (n,): those given times what the data themselves count."""
    check_held(data)
    rows = model.reader.read(data)
    n = rows_in(rows.xs)
    given = frequencies(weights, n)
    for more in (rows.weights, None if counts is None else frequencies(counts, n)):
        given = given if more is None else given * more
    return rows, given


def told(model: AbstractModel, labels: Any, n: int) -> np.ndarray:
    """(n, k) which components each row may come from."""
    hidden = model.hidden
    if hidden is None:
        raise ModelError(f"{type(model).__name__} hides no label that labels= could tell")
    sets = one_of(labels)
    if len(sets) != n:
        raise DataError(
            f"{counted(len(sets), 'label')} for {counted(n, 'row')}: give one for each, None where it is not known"
        )
    return sets.allowed(len(hidden), "labels")


def _check_leaves(model: AbstractModel) -> None:
    """Fields that are no arrays or numbers must be declared static, or JAX cannot compile the model."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(model):
        if not isinstance(leaf, float | int | complex | np.ndarray | np.generic | jax.Array):
            raise ModelError(
                f"{type(model).__name__}{jax.tree_util.keystr(path)} is {leaf!r}: declare a field that is not an "
                "array or a number as `name: type = equinox.field(static=True)`"
            )


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
        raise ModelError(f"{name} fails: {type(error).__name__}: {first_line(error)}") from error
    if getattr(found, "shape", None) != ():
        raise ModelError(f"{name} must return a scalar, the log-evidence of ONE row; it returns {_shown(found)}")


def _shown(found: Any) -> str:
    shape = getattr(found, "shape", None)
    return f"an array of shape {shape}" if shape is not None else f"a {type(found).__name__}"


def written_elsewhere(part: Any) -> bool:
    """Whether a model, or a family that it is made of, is one that a user wrote."""
    if isinstance(part, tuple):
        return any(map(written_elsewhere, part))
    if not isinstance(part, eqx.Module):
        return False
    return not type(part).__module__.startswith("latens.") or any(map(written_elsewhere, vars(part).values()))
