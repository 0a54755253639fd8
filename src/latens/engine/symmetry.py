"""What a likelihood leaves open: the order of labels, and signs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from latens.engine.loop import Iterate
from latens.errors import ModelError, ParameterError, listed
from latens.models.base import AbstractModel
from latens.numerics.compiling import double
from latens.numerics.matrices import matching
from latens.numerics.space import Label, Params, Space


@dataclass(frozen=True)
class Symmetry:
    """`axes`: parameter → those of its axes that are the label; `signs`: parameters that change sign together."""

    axes: Mapping[str, tuple[int, ...]]
    signs: tuple[str, ...] = ()

    def of_labels(self, params: Params) -> np.ndarray:
        """(k, m) the numbers that go with each label: of a matrix of transitions, that of staying."""
        found = []
        for name, axes in self.axes.items():
            value = np.moveaxis(np.asarray(params[name]), axes, range(len(axes)))
            for _ in axes[1:]:
                value = np.moveaxis(np.diagonal(value), -1, 0)
            found.append(value.reshape(len(value), -1))
        return np.concatenate(found, 1)

    def columns(self, labels: Sequence[Label]) -> dict[str, list[int]]:
        """What each label has one of, by name → the places of these among the labels of all scalars."""
        found: dict[str, list[int]] = {}
        for i, label in enumerate(labels):
            if self.axes.get(label.name) == (0,):
                found.setdefault(str(Label(label.name, label.entry[1:])), []).append(i)
        return found

    def permuted(self, params: Params, order: np.ndarray) -> Params:
        """The same with label i for what was label `order[i]`."""
        changed = dict(params)
        for name, axes in self.axes.items():
            for axis in axes:
                changed[name] = np.take(changed[name], order, axis)
        return changed

    def nearest(self, here: Params, there: Params, spread: np.ndarray | None = None) -> Params:
        """The params `there` with the labels and signs that agree best with `here`.

        Distances are in units of `spread`, like `of_labels` or (m,); None: of the range over all labels of both.
        """
        if sum(np.vdot(here[name], there[name]) for name in self.signs) < 0:
            there = there | {name: -there[name] for name in self.signs}
        return self.permuted(there, self.order(here, there, spread)) if self.axes else there

    def order(self, here: Params, there: Params, spread: np.ndarray | None = None) -> np.ndarray:
        """Which labels of `there` go with those of `here`, one after the other; of a model that has some."""
        a, b = self.of_labels(here), self.of_labels(there)
        if spread is None:
            spread = np.ptp([a, b], axis=(0, 1)) + 1e-12 * np.abs(a).max(0) + 1e-300
        apart = np.abs(a[:, None] - b[None]) / np.broadcast_to(spread, a.shape)[:, None]
        return matching(apart.sum(-1))


def symmetry_of(model: AbstractModel) -> Symmetry:
    """That of a model: names alone have the label for first axis. Raises `ModelError` for what cannot be."""
    given: Any = model.exchangeable
    signs: Any = model.signs
    title = type(model).__name__
    space = Space(model.constraints)
    shapes, links = space.shapes, space.unflat(space.links)
    if isinstance(given, str) or not isinstance(given, Mapping | Sequence) or isinstance(signs, str):
        raise ModelError(f"{title}: exchangeable and signs are tuples of names, or a dict, name → axes; got {given!r}")
    axes = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given, (0,))
    for name in (*axes, *signs):
        if name not in shapes:
            raise ModelError(f"{title}: there is no parameter '{name}' to exchange; there are {listed(list(shapes))}")
    for name, each in axes.items():
        if not isinstance(each, tuple) or len(set(each)) < len(each) or not set(each) <= set(range(len(shapes[name]))):
            raise ModelError(
                f"{title}: '{name}' {shapes[name]} has no axes {each!r}: give a tuple such as (0,) or (0, 1)"
            )
    lengths = {shapes[name][axis] for name, each in axes.items() for axis in each}
    if len(lengths) > 1:
        raise ModelError(f"{title}: exchangeable axes must have one length; they have {sorted(lengths)}")
    for name in signs:
        if (links[name] != "identity").any():
            raise ModelError(f"{title}: '{name}' cannot change its sign")
    return Symmetry(axes, tuple(signs))


@double
def in_order(at: Iterate, by: str, *, descending: bool) -> Iterate:
    """The same point with its components in the order of one of their numbers; see `Fit.sorted`."""
    problem, axes = at.problem, at.problem.symmetry.axes
    if not axes:
        raise ModelError(
            "sorted: the model has no components that could change places (or labels, a prior or known weights tell "
            "them apart)"
        )
    values = np.asarray(problem.space.flat(at.params))
    columns = problem.symmetry.columns(problem.labels)
    if by not in columns:
        raise ParameterError(f"sorted: by must be one of {listed(list(columns))}; got {by!r}")
    order = np.argsort(values[columns[by]], kind="stable")[:: -1 if descending else 1]
    return replace(at, free=problem.free(problem.symmetry.permuted(at.params, order), "sorted"))
