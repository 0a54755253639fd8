"""Components put in an order that people can rely on."""

from dataclasses import replace

import numpy as np

from latens.engine.loop import Iterate
from latens.errors import ModelError, ParameterError, listed
from latens.numerics.precision import double
from latens.numerics.space import Label


@double
def in_order(at: Iterate, by: str, *, descending: bool) -> Iterate:
    """The same point with its components in the order of one of their numbers; see `Fit.sorted`."""
    problem = at.problem
    if not problem.exchangeable:
        raise ModelError(
            "sorted: the model has no components that could change places (or labels, a prior or known weights tell "
            "them apart)"
        )
    values = np.asarray(problem.space.flat(at.params))
    columns: dict[str, list[float]] = {}
    for label, value in zip(problem.labels, values, strict=True):
        if label.name in problem.exchangeable:
            columns.setdefault(str(Label(label.name, label.entry[1:])), []).append(float(value))
    if by not in columns:
        raise ParameterError(f"sorted: by must be one of {listed(list(columns))}; got {by!r}")
    order = np.argsort(columns[by], kind="stable")[:: -1 if descending else 1]
    params = {name: value[order] if name in problem.exchangeable else value for name, value in at.params.items()}
    return replace(at, free=problem.free(params, "sorted"))
