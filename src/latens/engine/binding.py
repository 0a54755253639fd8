"""From what users hand over to rows that a model takes."""

from typing import Any, NamedTuple

import jax
import numpy as np

from latens.cells import one_of, rows_in, taken
from latens.data.table import frequencies, ungroup
from latens.data.tally import unseen
from latens.errors import DataError, ModelError, counted
from latens.models.base import AbstractModel


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
    _check_leaves(model)
    data, counts = ungroup(data, whole=model.reader.whole)
    model = model.suited(data)
    rows = model.reader.read(data)
    n = rows_in(rows.xs)
    given = frequencies(weights, n)
    for more in (rows.weights, None if counts is None else frequencies(counts, n)):
        given = given if more is None else given * more
    used = given > 0
    keep = slice(None) if used.all() else np.flatnonzero(used)
    xs = rows.xs if isinstance(keep, slice) else taken(rows.xs, keep)
    if not enough:
        model.require(xs, rows.columns)
    told = None if labels is None else _told(model, labels, n)[keep]
    return Bound(model, xs, rows.columns, given[keep], told, ~unseen(xs, told), n, keep)


def _told(model: AbstractModel, labels: Any, n: int) -> np.ndarray:
    """(n, k) which components each row may come from."""
    hidden = model.hidden
    if hidden is None or isinstance(labels, str):
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
