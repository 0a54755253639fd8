"""Unseen parts filled in: by what is expected of them, or by draws."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import are_cells
from latens.data.reader import alike
from latens.data.table import columns_of, ordered, ungroup
from latens.engine.emmap import posteriors
from latens.engine.problem import Problem
from latens.errors import DataError
from latens.families.datum import Chances, Moments
from latens.inference.errors import inverse
from latens.inference.estimate import Estimate
from latens.inference.information import grouped
from latens.models.base import AbstractModel
from latens.numerics.asked import whole
from latens.numerics.precision import double
from latens.numerics.space import Params

ROWS = 512  # rows at a time: each takes matrices of its own


@dataclass(frozen=True, eq=False)
class Imputation:
    """Data with the unseen parts filled in, in the form they were handed over.

    `values`: their conditional expectations (of a category: the most probable one); `errors`: conditional
    standard deviations at the fitted params, 0 where a cell was seen (of a category: the probability that it
    is another one); `draws`: completed data sets for multiple imputation, see `lt.pool`; `notes`: of what
    they do not vary.
    """

    values: Any
    errors: Any
    draws: tuple[Any, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Conditional:
    """The distribution of some columns given the others, row by row.

    `weights` (n, k): of the components; `mean`, `deviation`: column → (n,); `probabilities`: column → (n,
    categories) for those that are categories.
    """

    weights: np.ndarray
    mean: dict[str, np.ndarray]
    deviation: dict[str, np.ndarray]
    probabilities: dict[str, np.ndarray]


@jax.jit
def _expected(model: AbstractModel, params: Params, given: Any, xs: Any) -> Any:
    return jax.lax.map(lambda row: model.expected(params, *row), (given, xs), batch_size=ROWS)


@jax.jit
def _filled(model: AbstractModel, params: Params, given: Any, keys: jax.Array, xs: Any) -> Any:
    return jax.lax.map(lambda row: model.fill(params, *row), (given, keys, xs), batch_size=ROWS)


def _is_expected(leaf: Any) -> bool:
    return isinstance(leaf, Moments | Chances)


class Incomplete:
    """The rows asked about: as the E-step sees them, and as the user does."""

    def __init__(self, problem: Problem, data: Any) -> None:
        self.fitted, self.problem = problem, problem.elsewhere(data)
        self.model = problem.given
        reader = self.model.reader
        read = reader.read(ungroup(ordered(data, problem.columns), whole=reader.whole)[0])
        self.xs = jax.tree.map(jnp.asarray, reader.observe(read.xs))

    def expected(self, free: np.ndarray) -> tuple[Any, Any]:
        """Posteriors, and `Moments` or `Chances` of all rows."""
        given, params = self._at(free)
        return given, _expected(self.model, params, given, self.xs)

    def draw(self, free: np.ndarray, seed: int) -> Any:
        """Every row completed by a draw, at these free coordinates."""
        given, params = self._at(free)
        keys = jax.random.split(jax.random.key(seed), len(self.problem.weights))
        return _filled(self.model, params, given, keys, self.xs)

    def _at(self, free: np.ndarray) -> tuple[Any, Params]:
        """Posteriors and params at free coordinates of the fit."""
        given = self.problem.each(posteriors, self.fitted.carried(free, self.problem))
        params = {n: jnp.asarray(v) for n, v in self.fitted.params(free).items()}
        return jax.tree.map(jnp.asarray, given), params


@double
def impute(estimate: Estimate, data: Any, draws: int, seed: int) -> Imputation:
    """See `Fit.impute`."""
    whole(draws, "impute: draws", 0)
    whole(seed, "impute: seed", 0)
    rows, columns = Incomplete(estimate.problem, data), estimate.problem.columns
    names = rows.model.reader.labels(columns)
    _, found = rows.expected(estimate.at.free)
    values = jax.tree.map(lambda e: np.asarray(e.value), found, is_leaf=_is_expected)
    errors = jax.tree.map(lambda e: np.asarray(e.deviation), found, is_leaf=_is_expected)
    completed, notes = [], []
    if draws:
        # proper in Rubin's sense: the params are drawn too, so that draws vary as much as is unknown
        information = estimate.information
        spread = information.directions @ np.linalg.cholesky(inverse(information.observed, "observed"))
        for b in range(draws):
            rng = np.random.default_rng([seed, b])
            free = estimate.at.free + spread @ rng.normal(size=spread.shape[1])
            completed.append(alike(data, rows.draw(free, int(rng.integers(2**31))), columns, names))
        notes = [
            f"{names} not drawn but held at the estimate: {reason}"
            for names, reason in grouped((h for h in information.held if h.move.any()), estimate.problem.names)
        ]
    filled, deviations = alike(data, values, columns, names), alike(data, errors, columns)
    return Imputation(filled, deviations, tuple(completed), tuple(notes))


def _known(column: Any, name: str) -> Any:
    """A column as a table of the model may hold it."""
    if are_cells(column):
        return column
    entries = np.atleast_1d(np.asarray(column, dtype=object))
    if entries.ndim > 1:
        raise DataError(f"conditional: column '{name}' has shape {entries.shape}, expected (n,)")
    return entries


@double
def conditional(estimate: Estimate, given: dict[str, Any]) -> Conditional:
    """See `Fit.conditional`."""
    columns, named = estimate.problem.columns, columns_of(given) or {}
    unknown = [name for name in named if name not in columns]
    if unknown or not named:
        what = f"there is no column '{unknown[0]}'" if unknown else "no column is given"
        raise DataError(f"conditional: {what}; the columns are {', '.join(columns)}")
    known = {name: _known(column, name) for name, column in named.items()}
    n = len(next(iter(known.values())))
    rows = Incomplete(estimate.problem, {c: known.get(c, np.full(n, np.nan)) for c in columns})
    weights, found = rows.expected(estimate.at.free)
    if estimate.problem.given.hidden is None:
        weights = np.ones((n, 1))
    wanted = [c for c in columns if c not in known]
    if not isinstance(found, dict):
        found = {c: Moments(found.mean[:, j], found.variance[:, j]) for j, c in enumerate(columns)}
    numeric = {c: found[c] for c in wanted if isinstance(found[c], Moments)}
    return Conditional(
        np.asarray(weights),
        {c: np.asarray(e.value) for c, e in numeric.items()},
        {c: np.asarray(e.deviation) for c, e in numeric.items()},
        {c: np.asarray(found[c].probabilities) for c in wanted if isinstance(found[c], Chances)},
    )
