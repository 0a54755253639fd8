"""Data drawn from a fitted model, like those of the fit: held, or drawn anew in every pass over a source."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import are_cells, cells_of, complete_like, labels_of, lengths_of, rows_in, taken, without_labels
from latens.data.arrow import extra
from latens.data.parts import FEWEST, Part, Stamp
from latens.data.reader import as_columns, with_names
from latens.data.source import AbstractSource
from latens.engine.dealer import Dealer
from latens.engine.kept import plain
from latens.engine.prior import Prior
from latens.engine.problem import Problem
from latens.engine.sourced import Sourced, problem_of
from latens.errors import InferenceError
from latens.inference.estimate import Estimate
from latens.models.base import AbstractModel
from latens.numerics.compiling import double, evened
from latens.numerics.space import Params

if TYPE_CHECKING:
    import pyarrow as pa


def drawn(estimate: Estimate, seed: int) -> Any:
    """New data from the fitted model: for every row as many as its weight says, unseen where it was.

    **Raises:** `ModelError` if the model does not say how to sample; `InferenceError` if values are censored or labels
    known: nothing says which of new ones would have been; and if the weights do not make one row.
    """
    problem = estimate.problem
    if problem.n < 0.5:
        raise InferenceError(
            f"the weights add up to {problem.n:.2g} of a row, so new data like these would have none: give weights "
            "that count rows"
        )
    if isinstance(problem, Sourced):
        check_unlabelled(problem.source.labels)
        return Drawn(dealer=problem.rows.dealer, params=plain(estimate.at.params), seed=seed)
    check_unlabelled(labels_of(problem.xs))
    ends = repeated(problem.weights)
    rows = np.searchsorted(ends, np.arange(ends[-1]), side="right")
    return simulate(problem, estimate.at.params, rows, seed, unseen=True)


def fresh(estimate: Estimate, data: Any, prior: Prior | None = None) -> Problem:
    """The model of a fit and other data, wherever those of the fit are computed with."""
    return problem_of(estimate.model, data, prior=prior, engine=estimate.problem.engine)


@double
def simulate(problem: Problem, params: Params, rows: np.ndarray, seed: int, *, unseen: bool = False) -> Any:
    """One draw like each of these rows of the data: of its trials or exposure, and `unseen` where it was."""
    model, columns = problem.given, problem.columns
    found = _new(model, params, taken(problem.xs, rows), jax.random.key(seed), columns, unseen=unseen)
    names = model.reader.labels(columns)
    if isinstance(found, dict):
        return with_names(found, names)
    return with_names({columns[0]: found}, names)[columns[0]] if names else found


@dataclass(frozen=True, kw_only=True, repr=False)
class Drawn(AbstractSource):
    """New rows like those of a source, the same in every pass; they are held no more than those are."""

    dealer: Dealer
    params: Params
    seed: int

    def __repr__(self) -> str:
        # dealers of the rows drawn are told apart by it
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(self.params[name]).tobytes() for name in self.params))
        return f"Drawn({self.dealer.key}, {digest.hexdigest()}, {self.seed})"

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.dealer.source.parts

    @property
    def names(self) -> tuple[str, ...]:
        return self.dealer.columns

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        return self.dealer.source.stamps

    @property
    def title(self) -> str:
        return f"rows drawn like those of {self.dealer.source.title}"

    def tables(self, part: Part, wanted: list[str]) -> Iterator["pa.Table"]:
        key = jax.random.fold_in(jax.random.key(self.seed), part.number)
        number = 0
        for item in self.dealer.items(part):
            read = self.dealer.read(item)
            ends, most = repeated(read.weights), max(len(read.weights), FEWEST)
            for first in range(0, int(ends[-1]), most):
                rows = np.searchsorted(ends, np.arange(first, min(first + most, ends[-1])), side="right")
                yield self._table(taken(read.xs, rows), jax.random.fold_in(key, number))
                number += 1

    @double
    def _table(self, xs: Any, key: jax.Array) -> "pa.Table":
        reader, columns = self.dealer.model.reader, self.dealer.names
        found = _new(self.dealer.model, self.params, reader.observe(xs), key, columns, unseen=True)
        names = reader.labels(columns)
        drawn = {name: _column(cells, names.get(name)) for name, cells in as_columns(found, columns).items()}
        return extra().table(drawn)


def repeated(weights: np.ndarray) -> np.ndarray:
    """(n,) how many rows there are up to each, which stands for as many as its weight says; fractions add up."""
    return np.asarray(np.floor(np.cumsum(weights) + 0.5))


def check_unlabelled(labels: Any) -> None:
    """Raises `InferenceError` if there are any."""
    if labels is not None:
        raise InferenceError(
            "some labels are known, and the model does not say which rows come with one: new data like these "
            "cannot be drawn; draw rows instead (method='bootstrap')"
        )


def _new(
    model: AbstractModel, params: Params, like: Any, key: jax.Array, columns: tuple[str, ...], *, unseen: bool
) -> Any:
    """One draw like each of the rows, in the form of the data, of categories their codes."""
    sizes, given = complete_like(without_labels(like)), {name: jnp.asarray(v) for name, v in params.items()}
    n = rows_in(sizes)

    def draw(numbers: np.ndarray, sizes: Any) -> Any:
        even = evened(len(numbers))
        found = _draws(model, given, key, numbers[even], taken(sizes, even), most=len(evened(n)))
        return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(numbers)], found)

    numbers = np.arange(n)
    draws = draw(numbers, sizes) if lengths_of(sizes) is None else sizes.drawn(draw, numbers)
    if unseen:
        draws = jax.tree.map(lambda x, draw: cells_of(x).blank(draw), like, draws, is_leaf=are_cells)
    return model.reader.collect(draws, columns)


@partial(jax.jit, static_argnames="most")
def _draws(model: Any, params: Params, key: jax.Array, numbers: jax.Array, likes: Any, *, most: int) -> Any:
    """A draw for each of several rows, each with the key of its number among `most`."""
    keys = jax.random.split(key, most)[numbers]
    return jax.vmap(model.sample, (None, 0, 0))(params, keys, likes)


def _column(cells: np.ndarray, names: tuple[Any, ...] | None) -> Any:
    """Numbers, or what codes stand for, as a column of a table."""
    if names is None:
        return cells.astype(float)
    gone = np.isnan(cells)
    codes = extra().array(np.where(gone, 0, cells).astype(np.int32), mask=gone)
    return extra().DictionaryArray.from_arrays(codes, extra().array(names))
