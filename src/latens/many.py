"""`fit_many`: one model fitted to many groups of rows, side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from latens.cells import are_cells, rows_in, taken
from latens.data.table import aside, columns_of, library_of
from latens.engine.abreast import Abreast, Group
from latens.engine.binding import bind
from latens.engine.problem import Problem
from latens.engine.solve import solve as solve_one
from latens.engine.stop import Status
from latens.engine.symmetry import Symmetry, symmetry_of
from latens.errors import DataError, InferenceError, LatensError, ParameterError, listed
from latens.inference.errors import wald
from latens.inference.methods import errors_by
from latens.models.base import AbstractModel
from latens.numerics.asked import whole
from latens.numerics.compiling import double
from latens.numerics.space import Label, Space
from latens.report.tidy import ASIDE, framed, parted
from latens.result import Fit

STARTS = 3  # of each group


@dataclass(frozen=True, eq=False, repr=False)
class Many:
    """The fits of `lt.fit_many`, a group each. `tidy()` and `glance()` are tables; `many[key]` is the `Fit` of a group.

    `groups`: the keys, in the order in which they were met; `by`: the names of the columns that tell them.
    """

    model: AbstractModel
    by: tuple[str, ...]
    groups: list[Any]
    found: list[Group]
    labels: list[Label]
    _space: Space
    _data: Any
    _weights: np.ndarray
    _rows: list[np.ndarray]
    _library: Any

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.groups)

    def __getitem__(self, key: Any) -> Fit:
        """The fit of one group, with all that a fit can do; begun at what was found."""
        if key not in self.groups:
            raise ParameterError(f"there is no group {key!r}; there are {listed(self.groups)}")
        i = self.groups.index(key)
        problem = Problem(self.model, _part(self._data, self._rows[i]), self._weights[self._rows[i]])
        start = self._space.unflat(self.found[i].values)
        known = np.isfinite(self.found[i].values).all()
        return Fit(*solve_one(problem, start={n: np.asarray(v) for n, v in start.items()} if known else None))

    @property
    def params(self) -> dict[str, np.ndarray]:
        """name → (groups, ...) estimates, NaN where there are none."""
        each = [self._space.unflat(group.values) for group in self.found]
        return {name: np.stack([np.asarray(one[name]) for one in each]) for name in self._space.shapes}

    def tidy(self, level: float = 0.95) -> Any:
        """A row for each group and scalar, as a frame like that of `Fit.tidy`.

        Its key, `term`, `component`, `estimate`, `std_error`, `conf_low`, `conf_high`, and in `note` the reason where
        there is no standard error.
        """
        shown = np.flatnonzero(self._space.distinct)
        parts = [parted(self.model, self.labels[i]) for i in shown]
        values, errors = (np.stack([getattr(g, name)[shown] for g in self.found]) for name in ("values", "errors"))
        links = np.tile(self._space.links[shown], len(self))
        with np.errstate(invalid="ignore"):
            ends = wald(values.ravel(), errors.ravel(), links, level)
        ends = np.where(np.isfinite(errors.ravel())[:, None], ends, np.nan)
        return self._table(
            len(shown),
            {
                "term": [str(term) for term, _ in parts] * len(self),
                "component": [component for _, component in parts] * len(self),
                "estimate": values.ravel(),
                "std_error": errors.ravel(),
                "conf_low": ends[:, 0],
                "conf_high": ends[:, 1],
                "note": [g.note if np.isnan(error) else "" for g in self.found for error in g.errors[shown]],
            },
        )

    def glance(self) -> Any:
        """A row for each group: its key, `n`, `log_likelihood`, `df`, `aic`, `bic`, `converged`, `status`, `note`.

        `distance` is that to the maximum, in standard errors.
        """
        df = self._space.size
        ell, n = (np.array([getattr(group, name) for group in self.found]) for name in ("log_likelihood", "n"))
        status = [group.status for group in self.found]
        return self._table(
            1,
            {
                "n": n,
                "log_likelihood": ell,
                "df": np.full(len(self), df),
                "aic": 2 * df - 2 * ell,
                "bic": np.log(np.maximum(n, 1e-300)) * df - 2 * ell,
                "converged": [each == Status.CONVERGED.value for each in status],
                "status": status,
                "distance": np.array([group.distance for group in self.found]),
                "note": [group.note for group in self.found],
            },
        )

    def _table(self, times: int, columns: dict[str, Any]) -> Any:
        """The key of each group so many times, and the columns beside it; these are called otherwise if a key is so."""
        keys = [key if len(self.by) > 1 else (key,) for key in self.groups for _ in range(times)]
        told = {name: [key[j] for key in keys] for j, name in enumerate(self.by)}
        aside = ASIDE if told.keys() & columns.keys() else ""
        return framed(told | {f"{aside}{name}": column for name, column in columns.items()}, self._library)

    def __repr__(self) -> str:
        done = sum(group.status == Status.CONVERGED.value for group in self.found)
        return f"<{len(self)} fits of {type(self.model).__name__}, {done} converged>"


@double
def fit_many(
    model: AbstractModel,
    data: Any,
    by: Any,
    *,
    weights: Any = None,
    starts: int = STARTS,
    seed: int = 0,
    sort: str | None = None,
) -> Many:
    """One model fitted to each of many groups of rows, thousands side by side in one program.

    Small fits cost more to begin than to compute. Here groups of like size run together, each in coordinates of its
    own; Newton's method finishes them, and the curvature that it takes is the observed information, so every estimate
    has its standard error. A group that is not certainly at a maximum then (an estimate on a boundary, say) is fitted
    by `lt.fit`, with its status and reasons.

    **Arguments:** `model`: an `IID` or a `Mixture`, for which it is fast, or any other; `data`: as in `lt.fit`; `by`:
    the column that says which group a row belongs to, or several, or an array (n,) of that; `weights` (n,): frequency
    weights, or their column; `starts`: how many each group tries, with `seed`; `sort`: put the components of every
    group in the order of one of their numbers, as `Fit.sorted` does.
    **Returns:** a `Many`.
    **Raises:** as `lt.fit` for what is wrong with all rows; what is wrong with one group is its `note`.
    **Example:**
        >>> import latens as lt
        >>> calls = {"site": ["a", "a", "b", "b", "b"], "calls": [1, 3, 8, 9, 13]}
        >>> many = lt.fit_many(lt.IID(lt.Poisson()), calls, by="site")
        >>> [(site, round(rate, 6)) for site, rate in many.tidy().select("site", "estimate").rows()]
        [('a', 2.0), ('b', 10.0)]
    """
    whole(starts, "fit_many: starts", 1)
    whole(seed, "fit_many: seed", 0)
    data, weights = aside(data, weights=weights)
    names, groups, rows, rest = _split(data, by)
    read = bind(model, rest, weights, None, enough=True)
    space = Space(read.model.constraints)
    own = np.zeros(read.rows_read)
    own[read.rows_used] = read.weights
    found: list[Group | None] = Abreast(read, rows, starts, seed).together()
    for i, group in enumerate(found):
        if group is None:
            found[i] = _alone(read.model, _part(rest, rows[i]), own[rows[i]], seed, len(space.distinct))
    labels = space.labels(read.model.axes(read.columns))
    done = [group for group in found if group is not None]
    if sort is not None:
        done = _sorted(read.model, space, labels, done, sort)
    return Many(read.model, names, groups, done, labels, space, rest, own, rows, library_of(data))


def _split(data: Any, by: Any) -> tuple[tuple[str, ...], list[Any], list[np.ndarray], Any]:
    """Names of the columns that tell groups, keys, the rows of each, and the data without those columns."""
    named = columns_of(data)
    names = (by,) if isinstance(by, str) else tuple(by) if isinstance(by, list | tuple) else None
    if names is not None and all(isinstance(name, str) for name in names) and named is not None:
        for name in names:
            if name not in named:
                raise DataError(
                    f"fit_many: there is no column '{name}' to group by; there are {listed(list(named))} "
                    "(give keys that are no column as an array)"
                )
        told = [_keys_of(named[name], name) for name in names]
        rest: Any = {name: column for name, column in named.items() if name not in names}
        if not rest:
            raise DataError("fit_many: there are no columns but those to group by")
    else:
        names = ("group",)
        told, rest = [_keys_of(by, "by")], data if named is None else named
    if len({len(each) for each in told}) > 1:
        raise DataError("fit_many: the columns to group by have different lengths")
    groups: dict[Any, int] = {}
    keys = told[0] if len(told) == 1 else zip(*told, strict=True)
    codes = np.fromiter((groups.setdefault(key, len(groups)) for key in keys), int, len(told[0]))
    n = len(told[0])
    first = next(iter(rest.values())) if isinstance(rest, dict) else rest
    rows = rows_in(first) if are_cells(first) else len(first)
    if rows != n:
        raise DataError(f"fit_many: {n} keys for {rows} rows: give one for each row")
    ends = np.cumsum(np.bincount(codes, minlength=len(groups)))
    return names, list(groups), np.split(np.argsort(codes, kind="stable"), ends[:-1]), rest


def _keys_of(column: Any, name: str) -> list[Any]:
    array = np.asarray(column)
    if array.ndim != 1:
        raise DataError(f"fit_many: '{name}' must be one key for each row, (n,); got shape {array.shape}")
    keys: list[Any] = array.tolist()
    gone = (
        None
        if array.dtype.kind in "biuU"
        else next((i for i, key in enumerate(keys) if key is None or key != key), None)
    )
    if gone is not None:
        raise DataError(f"fit_many: row {gone} has no '{name}' to group by: drop the row, or name its group")
    return keys


def _part(data: Any, rows: np.ndarray) -> Any:
    """Some of the rows, as users hand them over."""
    if isinstance(data, Mapping):
        return {name: _part(column, rows) for name, column in data.items()}
    if are_cells(data):
        return taken(data, rows)
    # by place, whatever index a series has; a masked array keeps its mask
    return data[rows] if isinstance(data, np.ndarray) else np.asarray(data)[rows]


def _alone(model: AbstractModel, data: Any, weights: np.ndarray, seed: int, scalars: int) -> Group:
    """A group by itself, with its reasons."""
    nothing = np.full(scalars, np.nan)
    try:
        fit = Fit(*solve_one(Problem(model, data, weights), seed=seed))
    except LatensError as error:
        return Group(nothing, nothing, float(weights.sum()), np.nan, "not fitted", np.nan, str(error))
    errors, note = nothing, "" if fit.converged else fit.message
    try:
        errors = np.sqrt(np.diag(errors_by("observed", fit._estimate).covariance))
        note = note or "; ".join(f"{name}: {reason}" for name, reason in fit.held.items())
    except InferenceError as error:
        note = note or str(error)
    return Group(fit.estimates, errors, fit.n, fit.log_likelihood, fit.status.value, fit.last.distance, note)


def _sorted(model: AbstractModel, space: Space, labels: list[Label], found: list[Group], by: str) -> list[Group]:
    """With the components of every group in the order of one of their numbers."""
    symmetry: Symmetry = symmetry_of(model)
    columns = symmetry.columns(labels)
    if by not in columns:
        raise ParameterError(f"fit_many: sort must be one of {listed(list(columns))}; got {by!r}")
    places: dict[tuple[int, ...], np.ndarray] = {}
    done = []
    for group in found:
        order = tuple(np.argsort(group.values[columns[by]], kind="stable").tolist())
        if order not in places:
            numbers = {name: np.asarray(each) for name, each in space.unflat(np.arange(len(labels))).items()}
            moved = symmetry.permuted(numbers, np.array(order))
            places[order] = np.concatenate([np.ravel(moved[name]) for name in space.shapes]).astype(int)
        place = places[order]
        done.append(group._replace(values=group.values[place], errors=group.errors[place]))
    return done
