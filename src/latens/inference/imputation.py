"""Unseen parts filled in, by what is expected of them or by draws; and several completed data sets as one answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import are_cells, taken
from latens.data.reader import alike
from latens.data.table import columns_of, ordered, ungroup
from latens.engine.emmap import posteriors
from latens.engine.problem import Problem
from latens.errors import DataError, ParameterError
from latens.families.datum import Chances, Moments, is_expected
from latens.inference.errors import inverse
from latens.inference.estimate import Estimate
from latens.inference.information import grouped
from latens.models.base import AbstractModel
from latens.numerics.asked import number, whole
from latens.numerics.compiling import double, evened
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
        return given, self._even(_expected, params, given, self.xs)

    def draw(self, free: np.ndarray, seed: int) -> Any:
        """Every row completed by a draw, at these free coordinates."""
        given, params = self._at(free)
        keys = jax.random.split(jax.random.key(seed), len(self.problem.weights))
        return self._even(_filled, params, given, keys, self.xs)

    def _even(self, program: Any, params: Params, *rows: Any) -> Any:
        """Rows filled up to one of few numbers, and cut again."""
        n = len(self.problem.weights)
        found = program(self.model, params, *taken(rows, evened(n)))
        return jax.tree.map(lambda leaf: np.asarray(leaf)[:n], found)

    def _at(self, free: np.ndarray) -> tuple[Any, Params]:
        """Posteriors and params at free coordinates of the fit."""
        given = self.problem.each(posteriors, self.fitted.carried(free, self.problem))
        params = {n: jnp.asarray(v) for n, v in self.fitted.params(free).items()}
        return jax.tree.map(jnp.asarray, given), params


def points_drawn(estimate: Estimate, draws: int, seed: int, place: Sequence[int]) -> list[tuple[np.ndarray, int]]:
    """For each draw a point in free coordinates, from N(θ̂, I⁻¹), and a seed to draw rows by."""
    if not draws:
        return []
    # proper in Rubin's sense: the params are drawn too, so that draws vary as much as is unknown
    information = estimate.information
    spread = information.directions @ np.linalg.cholesky(inverse(information.observed, "observed"))
    found = []
    for b in range(draws):
        rng = np.random.default_rng([seed, b])
        free = estimate.at.free + spread @ rng.normal(size=spread.shape[1])
        own = np.random.default_rng([seed, b, *place]) if place else rng
        found.append((free, int(own.integers(2**31))))
    return found


@double
def impute(estimate: Estimate, data: Any, draws: int, seed: int, place: Sequence[int] = ()) -> Imputation:
    """See `Fit.impute`; rows that are one of several pieces are drawn by the piece's `place`."""
    whole(draws, "impute: draws", 0)
    whole(seed, "impute: seed", 0)
    rows, columns = Incomplete(estimate.problem, data), estimate.problem.columns
    names = rows.model.reader.labels(columns)
    _, found = rows.expected(estimate.at.free)
    values = jax.tree.map(lambda e: np.asarray(e.value), found, is_leaf=is_expected)
    errors = jax.tree.map(lambda e: np.asarray(e.deviation), found, is_leaf=is_expected)
    points = points_drawn(estimate, draws, seed, place)
    completed = [alike(data, rows.draw(free, own), columns, names) for free, own in points]
    notes = [
        f"{names} not drawn but held at the estimate: {reason}"
        for names, reason in grouped((h for h in estimate.held if draws and h.move.any()), estimate.problem.names)
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


@dataclass(frozen=True, eq=False)
class Pooled:
    """One answer from m completed data sets.

    `estimate` (p,); `covariance` (p, p): W + (1 + 1/m) B; `standard_error` (p,); `degrees` (p,): of
    freedom; `fraction_missing` (p,): of the information, by the spread between the answers.
    """

    estimate: np.ndarray
    covariance: np.ndarray
    degrees: np.ndarray
    fraction_missing: np.ndarray

    @property
    def standard_error(self) -> np.ndarray:
        """(p,) √ diagonal of the covariance."""
        return np.sqrt(np.diag(self.covariance))

    def interval(self, level: float = 0.95) -> np.ndarray:
        """(p, 2) confidence intervals by Student's t."""
        number(level, "interval: level", "a number strictly between 0 and 1, such as 0.95", 0.0, 1.0)
        from scipy.special import ndtri, stdtrit  # slow to load, and most runs pool nothing

        p = (1 + level) / 2
        half = np.where(np.isinf(self.degrees), ndtri(p), stdtrit(self.degrees, p)) * self.standard_error
        return np.stack([self.estimate - half, self.estimate + half], -1)


def pool(estimates: Any, covariances: Any) -> Pooled:
    """Rubin's rules: one estimate and its covariance from those of m completed data sets.

        Q̄ = mean Qᵢ,   T = W + (1 + 1/m) B,   W = mean Uᵢ,   B = the covariance of the Qᵢ

    **Arguments:** `estimates` (m, p) or (m,); `covariances` (m, p, p), or variances (m, p) or (m,), of those.
    **Returns:** `Pooled`.
    **Raises:** `ParameterError` for fewer than 2 data sets or shapes that do not fit.
    **Example:**
        >>> import latens as lt
        >>> pooled = lt.pool([1.0, 1.2, 0.8], [0.04, 0.04, 0.04])
        >>> float(pooled.estimate[0].round(6)), float(pooled.standard_error[0].round(6))
        (1.0, 0.305505)

    **Source:** Rubin (1987), Multiple Imputation for Nonresponse in Surveys, eqs. 3.1.2 to 3.1.6, 3.1.10.
    """
    answers, within = np.asarray(estimates, dtype=float), np.asarray(covariances, dtype=float)
    if answers.ndim == 1:
        answers, within = answers[:, None], within.reshape(len(within), -1) if within.ndim == 1 else within
    if answers.ndim != 2 or len(answers) < 2:
        raise ParameterError(f"pool: estimates of at least 2 data sets (m, p) are needed, got shape {answers.shape}")
    m, p = answers.shape
    if within.shape == (m, p):
        within = np.stack([np.diag(row) for row in within])
    if within.shape != (m, p, p):
        raise ParameterError(f"pool: covariances have shape {within.shape}; give ({m}, {p}, {p}) or ({m}, {p})")
    inside, between = within.mean(0), np.atleast_2d(np.cov(answers.T))
    total = inside + (1 + 1 / m) * between
    share = (1 + 1 / m) * np.diag(between) / np.diag(total)
    with np.errstate(divide="ignore"):
        degrees = (m - 1) / share**2
    increase = share / np.maximum(1 - share, 1e-300)
    missing = (increase + 2 / (degrees + 3)) / (increase + 1)
    return Pooled(answers.mean(0), total, degrees, missing)
