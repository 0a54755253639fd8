"""What was seen, column by column in the units of the data, and what the fitted model says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import Interval, are_cells, as_read
from latens.data.reader import AbstractReader
from latens.engine.loop import Passed
from latens.engine.starts import Met
from latens.families.base import AbstractFamily
from latens.families.categorical import Categorical
from latens.families.datum import AbstractDatum
from latens.families.product import Product
from latens.families.trials import Bernoulli
from latens.inference.estimate import Estimate
from latens.models.different import Common
from latens.numerics.compiling import double

Table = dict[str, np.ndarray]
"""Name → column (rows,): what a picture shows, and nothing else."""

WIDE = 300.0  # ratio of the ends of a range that is better seen on a log scale
FROM_EDGE = 0.25  # of the range: an edge of the support so near the data is shown
MOST_WHOLE = 400  # whole numbers looked at
SIZES, FEWEST = (
    50,
    256,
)  # distinct sizes (trials, exposures) at most over which probabilities are averaged; and rows at least
KINDS = ("right-censored", "left-censored", "interval")


def stacked(*parts: Mapping[str, Any]) -> Table:
    """Tables one below the other; a single value is one for all rows of its part, what a part lacks is NaN or ""."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    texts = {name for part in parts for name, value in part.items() if np.asarray(value).dtype.kind in "USO"}
    lengths = [max((len(value) for value in part.values() if np.ndim(value)), default=1) for part in parts]
    out: Table = {}
    for name in names:
        empty: Any = "" if name in texts else np.nan
        pieces = [np.broadcast_to(np.asarray(p.get(name, empty)), (n,)) for p, n in zip(parts, lengths, strict=True)]
        out[name] = np.concatenate([piece.astype(object if name in texts else float) for piece in pieces])
    return out


def only(table: Table, **wanted: str) -> Table:
    """The rows in which these columns have these values."""
    keep = np.ones(len(next(iter(table.values()))), dtype=bool)
    for name, value in wanted.items():
        keep &= table[name] == value
    return {name: column[keep] for name, column in table.items()}


@dataclass(frozen=True, eq=False)
class Column:
    """One column: the set that each entry lies in, by its ends (n,), equal where it was seen."""

    name: str
    kind: str  # "continuous", "whole" or "category"
    lower: np.ndarray
    upper: np.ndarray
    flags: Mapping[str, np.ndarray]  # kind of half-seen → (n,)
    weights: np.ndarray
    categories: tuple[Any, ...] = ()
    family: AbstractDatum | None = None

    @cached_property
    def exact(self) -> np.ndarray:
        """(n,) which were seen."""
        return np.asarray((self.lower == self.upper) & np.isfinite(self.lower))

    @property
    def missing(self) -> np.ndarray:
        """(n,) of which nothing was seen."""
        return np.asarray(self.flags["missing"])

    @property
    def total(self) -> float:
        """The weight of all of which something was seen."""
        return float(self.weights @ ~self.missing)

    @property
    def ends(self) -> np.ndarray:
        """All finite ends, each once, in order."""
        found = np.unique(np.concatenate([self.lower, self.upper]))
        return found[np.isfinite(found)]

    @cached_property
    def range(self) -> tuple[float, float]:
        """From the least to the largest number that is told."""
        if self.kind == "category":
            return 0.0, float(len(self.categories) - 1)
        ends = self.ends
        return (float(ends[0]), float(ends[-1])) if len(ends) else (0.0, 1.0)

    def grid(self, points: int, beyond: float = 0.06) -> np.ndarray:
        """Where to look at the density: through the range and a little beyond, inside the support."""
        low, high = self.range
        if self.kind == "category":
            return np.arange(len(self.categories), dtype=float)
        if self.kind == "whole":
            around = np.ceil(beyond * (high - low)) + 1
            low, high = max(np.floor(low) - around, 0.0), np.ceil(high) + around
            wide = np.arange(low, high + 1, max((high - low) // MOST_WHOLE, 1))
            return np.array([value for value in wide if value >= 0 and self.holds(value)])
        if self.log:
            ends = np.log([low, high])
            around = beyond * np.ptp(ends)
            return np.asarray(np.exp(np.linspace(ends[0] - around, ends[1] + around, points)))
        around = beyond * (high - low) or abs(high) or 1.0
        middle = 0.5 * (low + high)
        begin = self._edge(middle, low - around)
        near = low - FROM_EDGE * (high - low)
        if not self.holds(near):  # 0, say, is so near that the density is shown from there
            begin = min(begin, self._edge(middle, near))
        return np.linspace(begin, self._edge(middle, high + around), points)

    @cached_property
    def log(self) -> bool:
        """Whether its values, all positive, are so unlike in size that they are better seen on a log scale."""
        low, high = self.range
        half_line = self.kind == "continuous" and self.holds(WIDE * high) and not self.holds(-high)
        return bool(half_line and high > WIDE * low > 0 and self.holds(low / WIDE))

    def _edge(self, inside: float, wanted: float) -> float:
        """How far from a value inside the support towards another the support reaches."""
        if self.holds(wanted) or not self.holds(inside):
            return wanted
        begin = inside
        for _ in range(50):
            middle = 0.5 * (inside + wanted)
            inside, wanted = (middle, wanted) if self.holds(middle) else (inside, middle)
        return inside + 1e-3 * (begin - inside)  # a density may be infinite at the edge

    def holds(self, value: float) -> bool:
        if self.family is None or self.family.shape != ():
            return True  # a normal's
        return bool(self.family.support(jnp.asarray(value)))


class Densities(NamedTuple):
    """Of a query: the densities (m,), and what hidden values contribute to them (k, m)."""

    total: np.ndarray
    parts: np.ndarray


class Seen:
    """The data of a fit as columns, and densities of any of them under it."""

    def __init__(self, estimate: Estimate) -> None:
        self.estimate, self.problem = estimate, estimate.problem

    @property
    def reader(self) -> AbstractReader:
        return self.problem.given.reader

    def family(self, column: str) -> AbstractDatum | None:
        """Of one number, the one that stands for the column, if there is one."""
        reader: Any = self.reader
        if isinstance(reader, Product):
            reader = reader.families[column]
        if isinstance(reader, Common):
            reader = reader.families[0]
        return reader if isinstance(reader, AbstractDatum) else None

    @property
    def sizes(self) -> tuple[str, ...]:
        """Columns that say how large a datum is, such as its trials, and nothing of it."""
        columns = self.problem.columns
        family = self.family(columns[0]) if columns else None
        # a table of columns has each in a family of its own
        return () if family is None or isinstance(self.reader, Product) else columns[1 : len(family.support.fields)]

    @cached_property
    def _rows(self) -> Any:
        return self.problem.some.as_given

    @cached_property
    @double
    def columns(self) -> dict[str, Column]:
        """By name, in the order of the data, without sizes."""
        problem = self.problem
        rows = self._rows
        leaves = jax.tree.leaves(rows, is_leaf=are_cells) if not isinstance(rows, dict) else None
        labels = self.reader.labels(problem.columns)
        found: dict[str, Column] = {}
        for j, name in enumerate(problem.columns):
            cells = as_read(rows[name] if leaves is None else leaves[0])
            lower, upper = (_one(np.asarray(end), j) for end in cells.ends)
            flags = {kind: _one(flag, j) for kind, flag in cells.kinds.items()}
            family = self.family(name)
            kind, categories = _kind(family), tuple(labels.get(name, ()))
            if kind == "category" and not categories:
                categories = tuple(range(getattr(family, "k", None) or 2))
            if name not in self.sizes:
                found[name] = Column(name, kind, lower, upper, flags, problem.some.weights, categories, family)
        return found

    @double
    def densities(self, *queries: Mapping[str, np.ndarray]) -> list[Densities]:
        """For each query, column → values (m,), their density, and the parts (k, m) of it that hidden values have.

        The other columns are integrated out: they are cells of which nothing was seen. All are looked up at once.
        """
        names, lengths = self.reader.labels(self.problem.columns), [len(next(iter(q.values()))) for q in queries]
        most = 2 ** int(np.ceil(np.log2(max(sum(lengths), FEWEST))))  # few shapes, each of which is compiled anew
        data: dict[str, Any] = {}
        for column in self.problem.columns:
            pieces = [
                np.asarray(q.get(column, np.full(m, np.nan)), float) for q, m in zip(queries, lengths, strict=True)
            ]
            values = np.concatenate(pieces)
            values = np.append(values, np.repeat(values[-1:], most - len(values)))
            if column in names:
                told = np.array([*names[column], None], dtype=object)
                values = told[np.where(np.isnan(values), len(told) - 1, values).astype(int)]
            data[column] = values
        asked = data if self._named else data[self.problem.columns[0]]
        total = np.exp(self.estimate.log_density(asked))
        given = np.ones((1, most)) if self.problem.given.hidden is None else self.estimate.posterior(asked).T
        cuts = np.cumsum(lengths)
        wholes, parts = np.split(total, cuts)[:-1], np.split(total * given, cuts, axis=1)[:-1]
        return [Densities(*each) for each in zip(wholes, parts, strict=True)]

    @property
    def _named(self) -> bool:
        return isinstance(self.problem.some.xs, dict) or isinstance(self.reader, AbstractFamily | Common)

    @cached_property
    def distinct_sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """(s, fields) the sizes there are, and (s,) the shares of the rows that have them."""
        sizes, which = np.unique(self._rows[:, 1:], axis=0, return_inverse=True)
        return sizes, np.bincount(which.ravel(), self.problem.some.weights) / self.problem.some.weights.sum()

    def sized(self, column: str, values: np.ndarray) -> Densities:
        """The densities of a column whose data have sizes, on average over those of the rows."""
        sizes, shares = self.distinct_sizes
        able = [self._able(values, size) for size in sizes]
        queries = [
            {column: values[some], **{name: np.full(some.sum(), size[f]) for f, name in enumerate(self.sizes)}}
            for size, some in zip(sizes, able, strict=True)
        ]
        found = self.densities(*queries)
        total, parts = np.zeros(len(values)), np.zeros((len(found[0].parts), len(values)))
        for share, some, each in zip(shares, able, found, strict=True):
            total[some] += share * each.total
            parts[:, some] += share * each.parts
        return Densities(total, parts)

    @double
    def below(self, column: str, values: np.ndarray) -> np.ndarray:
        """(m,) P(Y ≤ value) of a column of numbers that vary continuously, the others integrated out."""
        family = self.family(column)
        if family is None or family.shape != ():
            heights = self.densities({column: values})[0].total
            steps = 0.5 * (heights[1:] + heights[:-1]) * np.diff(values)
            return np.concatenate([[0.0], np.cumsum(steps)])
        # nothing is below the edge of the support
        some = np.array([self.columns[column].holds(value) for value in values - 1e-9 * np.ptp(values)])
        sets = Interval(np.full(some.sum(), -np.inf), values[some])
        gone = np.full(some.sum(), np.nan)
        data = {name: sets if name == column else gone for name in self.problem.columns}
        found = np.zeros(len(values))
        found[some] = np.exp(self.estimate.log_density(data if isinstance(self.problem.some.xs, dict) else sets))
        return found

    def chances_of_groups(self) -> np.ndarray:
        """(groups,) of cells seen as groups, the probability of each group."""
        return np.exp(self.estimate.log_density(dict.fromkeys(self.problem.columns, 1.0)))

    def _able(self, values: np.ndarray, size: np.ndarray) -> np.ndarray:
        family = self.family(self.problem.columns[0])
        assert family is not None
        return np.array([bool(family.support(jnp.asarray([value, *size]))) for value in values])

    def posterior(self) -> np.ndarray:
        """(n, k) of every row of the fit."""
        return np.asarray(self.estimate.some.posterior())


def _one(array: np.ndarray, j: int) -> np.ndarray:
    """Column j of rows of numbers."""
    return array if array.ndim == 1 else array[:, min(j, array.shape[1] - 1)]


def _kind(family: AbstractDatum | None) -> str:
    if isinstance(family, Categorical | Bernoulli):
        return "category"
    return "whole" if family is not None and family.whole else "continuous"


def called(name: Any) -> str:
    """A hidden value, or a component by its number."""
    return f"component {name}" if str(name).isdigit() else str(name)


@dataclass(frozen=True, eq=False)
class Subject:
    """What pictures are of: the end of a run, the way there, and what its starts met."""

    estimate: Estimate
    path: tuple[Passed, ...]
    starts: Met | None

    @cached_property
    def seen(self) -> Seen:
        return Seen(self.estimate)

    @property
    def called(self) -> list[str]:
        """What pictures call them."""
        return [called(name) for name in self.hidden]

    @property
    def hidden(self) -> tuple[str, ...]:
        """Names of the hidden values, or none."""
        return self.estimate.model.hidden or ()
