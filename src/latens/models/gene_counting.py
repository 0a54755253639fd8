"""Multinomial cells seen through groups: gene counting."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells.base import numbers
from latens.data.reader import AbstractReader, Rows
from latens.data.table import columns_of
from latens.errors import DataError, ModelError, listed
from latens.models.base import AbstractModel
from latens.models.forms import AbstractForm, form_of, names_of, parse
from latens.numerics.compiling import double, once
from latens.numerics.constraints import Unit
from latens.numerics.memory import own, sealed
from latens.numerics.space import Constraints, Key, Params, Space, unstacked
from latens.numerics.special import logsumexp, segment_logsumexp
from latens.numerics.stacked import Probabilities

NEVER = -600.0  # a log-probability that is that of 0
POINTS = 5  # at which cells are checked


class Table(tuple[Any, ...]):
    """A tuple that is hashed by its length: programs are looked up by it at every call, however long it is."""

    def __hash__(self) -> int:
        return len(self)


class Counts(AbstractReader):
    """How many individuals were seen as members of each group."""

    groups: tuple[str, ...]

    def read(self, data: Any) -> Rows:
        groups = self.groups
        named = columns_of(data)
        if named is None:
            counted = numbers(data, "counts")
            if counted.shape != (len(groups),):
                raise DataError(f"counts have shape {counted.shape}; give one for each group: {listed(groups)}")
            named = dict(zip(groups, counted, strict=True))
        counts = dict.fromkeys(groups, 0.0)
        for group, column in named.items():
            if group not in counts:
                raise DataError(f"group '{group}' is not in the model, which has {listed(groups)}")
            given = np.atleast_1d(numbers(column, group))
            bad = ~np.isfinite(given) | (given < 0) | (given != np.floor(given))
            if bad.any():
                row = f"row {int(np.argmax(bad))}, " if len(given) > 1 else ""
                wrong = f"{given[bad][0]:g} is not a count (0, 1, 2, ...)"
                missing = "the count is missing; give 0 if none was seen"
                raise DataError(f"{row}group '{group}': {missing if np.isnan(given[bad][0]) else wrong}")
            counts[group] = float(given.sum())
        if not sum(counts.values()) > 0:
            raise DataError("all counts are zero: there is nothing to fit")
        return Rows(np.arange(len(groups)), groups, np.array(list(counts.values())))

    def collect(self, draws: Any, columns: Sequence[str]) -> dict[str, int]:
        counts = np.bincount(np.asarray(draws), minlength=len(columns))
        return {group: int(count) for group, count in zip(columns, counts, strict=True)}


class Cells(AbstractModel):
    """Independent individuals in cells of known form, each seen only as a member of a group of cells.

        P(seen as g | θ) = Σ_{c in g} P(c | θ)

    Groups may overlap (some individuals may be known less precisely). If every cell is a product of
    constants, powers of parameters and complements 1 − t, the M-step is gene counting; otherwise it is
    damped Newton. The log-likelihood is Σ n_g log P(g), without the multinomial coefficient.

    **Arguments:** `cells`: name → expression ("C*C", "2*C*I", "0.25*(1-t)"; numbers, names, + − * / **
    and parentheses), the probabilities of all cells, which sum to one; `seen`: group → the cells it
    may have come from; `parameters`: tuples of names that sum to one (("C", "I", "T")), and names of
    single probabilities ("t").
    **Data:** {group: count}, counts in the order of `seen`, or a table with the groups as columns.
    **Raises:** `ModelError` for an expression that does not parse, cells that do not sum to one or are
    negative, a group that names an unknown cell.
    **Example:**
        >>> import latens as lt
        >>> linkage = lt.Cells(
        ...     {"a": "1/2", "b": "t/4", "c": "(1-t)/4", "d": "(1-t)/4", "e": "t/4"},
        ...     seen={"AB": ["a", "b"], "Ab": ["c"], "aB": ["d"], "ab": ["e"]},
        ...     parameters=["t"],
        ... )
        >>> fit = lt.fit(linkage, {"AB": 125, "Ab": 18, "aB": 20, "ab": 34})
        >>> float(fit.params["t"].round(8))
        0.6268215

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1, §1; Smith (1957), Ann. Hum. Genet. 21, 254.
    """

    cells: tuple[tuple[str, str], ...] = eqx.field(static=True)
    seen: tuple[tuple[str, tuple[str, ...]], ...] = eqx.field(static=True)
    parameters: tuple[Key, ...] = eqx.field(static=True)
    form: AbstractForm
    members: np.ndarray  # cells of all groups, end to end
    owners: np.ndarray  # the group of each

    def __init__(
        self,
        cells: Mapping[str, str],
        *,
        seen: Mapping[str, str | Sequence[str]],
        parameters: Sequence[str | Sequence[str]],
    ) -> None:
        if not (isinstance(cells, Mapping) and isinstance(seen, Mapping)):
            raise ModelError("Cells takes two dicts, cells: name → expression, and seen: group → its cells")
        self.cells = Table((str(name), str(expression)) for name, expression in cells.items())
        self.seen = Table((str(g), (c,) if isinstance(c, str) else tuple(map(str, c))) for g, c in seen.items())
        for given in parameters if isinstance(parameters, list | tuple) else (None,):
            names = [given] if isinstance(given, str) else given
            if not isinstance(names, list | tuple) or not names or not all(isinstance(n, str) for n in names):
                raise ModelError(f"Cells: parameters are names, or tuples of names that sum to one; got {parameters!r}")
            if not isinstance(given, str) and len(names) < 2:
                raise ModelError(f"Cells: '{names[0]}' alone sums to one, so it is 1: write that in the cells")
        self.parameters = tuple(p if isinstance(p, str) else tuple(p) for p in parameters)
        self._check_names()
        names = set(self._names)
        trees = [parse(text, names, f"cell '{name}'") for name, text in self.cells]
        arrays = form_of(trees, self.parameters), *self._membership()
        self.form, self.members, self.owners = jax.tree.map(lambda array: sealed(own(array)), arrays)
        self._check_probabilities()

    @property
    def title(self) -> str:
        return f"Cells: {len(self.cells)} cells seen as {len(self.seen)} groups"

    @property
    def constraints(self) -> Constraints:
        return {key: Unit() if isinstance(key, str) else Probabilities(len(key)) for key in self.parameters}

    @property
    def _names(self) -> list[str]:
        return names_of(self.parameters)

    @property
    def hidden(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.cells)

    def potentials(self, params: Params) -> Array:
        return self.form.potentials(jnp.stack([params[name] for name in self._names]))

    def mean_statistics(self, params: Params, like: Any) -> Array:
        # the E-step of an individual that may be in any cell
        return jax.grad(lambda phi: logsumexp(self.form.logs(phi)))(self.potentials(params))

    def log_evidence(self, potentials: Array, x: Array) -> Array:
        return self._log_sum(self.form.logs(potentials), x)

    def _log_sum(self, logs: Array, x: Array) -> Array:
        # of all groups: a block does it once, and wide groups beside narrow ones need no padding
        return segment_logsumexp(logs[self.members], self.owners, len(self.seen))[x]

    def estimate(self, stats: Array) -> Params | None:
        values = self.form.estimate(stats)
        return None if values is None else dict(zip(self._names, unstacked(values), strict=True))

    @property
    def reader(self) -> "Counts":
        return Counts(tuple(group for group, _ in self.seen))

    @double
    def require(self, xs: Any, columns: Sequence[str]) -> None:
        centre = Space(self.constraints).centre
        logs = np.asarray(jax.vmap(lambda x: self.log_evidence(self.potentials(centre), x))(jnp.asarray(xs)))
        if (logs < NEVER).any():
            group = self.seen[int(xs[np.argmax(logs < NEVER)])][0]
            raise DataError(f"group '{group}' was seen, but its cells have probability 0 whatever the parameters are")

    def posterior(self, potentials: Any, x: Any) -> Array:
        """(cells,) probability of each cell, given the group."""
        return jax.grad(self._log_sum)(self.form.logs(potentials), x)

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        where = [cell for _, group in self.seen for cell in set(group)]
        if not len(where) == len(set(where)) == len(self.cells):
            raise ModelError(
                "groups overlap or leave cells out, and nothing says how an individual came to be seen as "
                "which: write a model without the overlapping groups to sample from"
            )
        group = jnp.zeros(len(self.cells), int).at[self.members].set(self.owners)
        return group[jax.random.categorical(key, self.form.logs(self.potentials(params)))]

    def _check_names(self) -> None:
        groups = [group for group, _ in self.seen]
        for what, names in (("cell", self.hidden), ("group", groups), ("parameter", self._names)):
            if not names:
                raise ModelError(f"Cells: no {what}s")
            twice = [name for name, times in Counter(names).items() if times > 1]
            if twice and what == "parameter":
                raise ModelError(f"Cells: parameter '{twice[0]}' is listed twice")
            if twice:
                raise ModelError(f"Cells: two {what}s are called '{twice[0]}', as texts: rename one of them")

    def _membership(self) -> tuple[np.ndarray, np.ndarray]:
        """Cells of all groups end to end, each once, and the group of each."""
        at = {cell: i for i, cell in enumerate(self.hidden)}
        members = []
        for group, cells in self.seen:
            unknown = [cell for cell in cells if cell not in at]
            if unknown:
                raise ModelError(f"group '{group}' names the cell '{unknown[0]}'; there are {listed(self.hidden)}")
            if not cells:
                raise ModelError(f"group '{group}' has no cells")
            members.append(np.unique(np.array([at[cell] for cell in cells], dtype=np.int32)))
        owners = np.repeat(np.arange(len(members), dtype=np.int32), [len(each) for each in members])
        return np.concatenate(members), owners

    @double
    def _check_probabilities(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(POINTS):
            drawn = [[rng.uniform()] if isinstance(k, str) else rng.dirichlet(np.ones(len(k))) for k in self.parameters]
            params = np.concatenate(drawn)
            values = np.asarray(_probabilities(self.form, params))
            at = listed([f"{name} = {value:.3g}" for name, value in zip(self._names, params, strict=True)])
            if (values < 0).any():
                cell = self.hidden[int(np.argmax(values < 0))]
                raise ModelError(f"cell '{cell}' is negative ({values.min():.4g}) at {at}")
            if not abs(values.sum() - 1) < 1e-9:
                raise ModelError(f"the cells sum to {values.sum():.6g}, not to one, at {at}")


@once
def _probabilities(form: AbstractForm, values: Array) -> Array:
    return form.probabilities(values)


def HardyWeinberg(alleles: str | Sequence[str], phenotypes: Mapping[str, str | Sequence[str]] | None = None) -> Cells:
    """Gene counting: genotypes in Hardy–Weinberg proportions, seen as phenotypes.

        P(aa) = p_a²,   P(ab) = 2 p_a p_b

    **Arguments:** `alleles`: names, or their order of dominance: "C > I > T"; "A = B > O" makes A and B
    codominant. `phenotypes`: name → what it may have come from: an allele or several codominant ones
    that show ("C", "AB"), a genotype ("CI"), or a list of these ("insularia or typica": ["I", "T"]).
    Left out, each appearance is a phenotype of its own.
    **Parameters:** the frequency of each allele, by its name.
    **Raises:** `ModelError` for fewer than two alleles or an unknown phenotype.
    **Example:** the peppered moths:
        >>> import latens as lt
        >>> moths = lt.HardyWeinberg("C > I > T", {"carbonaria": "C", "insularia": "I", "typica": "T"})
        >>> fit = lt.fit(moths, {"carbonaria": 85, "insularia": 196, "typica": 341})
        >>> {allele: round(float(p), 6) for allele, p in fit.params.items()}
        {'C': 0.070837, 'I': 0.188737, 'T': 0.740427}

    **Source:** Givens & Hoeting (2013), Computational Statistics, ex. 4.2.
    """
    if not isinstance(alleles, str | Sequence):
        raise ModelError(
            f"HardyWeinberg: alleles must be a text such as 'C > I > T' or a list of names, got {alleles!r}"
        )
    ranks = _ranks(alleles)
    names = list(ranks)
    if len(names) < 2 or len(set(names)) < len(names) or not all(n.isidentifier() for n in names):
        raise ModelError(f"HardyWeinberg: give at least two alleles, different names like C or A1; got {alleles!r}")
    join = "" if all(len(n) == 1 for n in names) else "/"
    cells: dict[str, str] = {}
    looks: dict[str, list[str]] = {}  # what shows → the genotypes that may be behind it
    for a, b in combinations_with_replacement(names, 2):
        genotype = join.join((a, b))
        cells[genotype] = f"{a}*{a}" if a == b else f"2*{a}*{b}"
        top = min(ranks[a], ranks[b])
        looks.setdefault(join.join(dict.fromkeys(n for n in (a, b) if ranks[n] == top)), []).append(genotype)
    order = {genotype: i for i, genotype in enumerate(cells)}
    phenotypes = {look: look for look in looks} if phenotypes is None else phenotypes
    seen = {}
    for phenotype, given in phenotypes.items():
        wanted = [given] if isinstance(given, str) else list(given)
        for w in wanted:
            if w not in looks and w not in cells:
                raise ModelError(
                    f"phenotype '{phenotype}': '{w}' is neither what a genotype shows ({listed(list(looks))}) "
                    f"nor a genotype ({listed(list(cells))})"
                )
        behind = {g for w in wanted for g in (*looks.get(w, ()), *([w] if w in cells else ()))}
        seen[phenotype] = sorted(behind, key=order.__getitem__)
    return Cells(cells, seen=seen, parameters=[tuple(names)])


def _ranks(alleles: str | Sequence[str]) -> dict[str, int]:
    """allele → rank of dominance; without any order all are codominant."""
    if not isinstance(alleles, str):
        return dict.fromkeys(map(str, alleles), 0)
    levels = [[name.strip() for name in level.split("=")] for level in alleles.split(">")]
    return {name: rank for rank, level in enumerate(levels) for name in level}
