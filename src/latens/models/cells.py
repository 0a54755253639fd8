"""Multinomial cells seen through groups: gene counting."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.data.column import numbers
from latens.data.table import columns_of
from latens.errors import DataError, ModelError
from latens.models.base import AbstractModel, Rows
from latens.models.expressions import Monomial, evaluate, monomial, parse
from latens.numerics.constraints import Unit
from latens.numerics.precision import double
from latens.numerics.simplex import Probabilities
from latens.numerics.space import Constraints, Key, Params, Space
from latens.numerics.special import logsumexp, safe_log


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

    def __init__(
        self,
        cells: Mapping[str, str],
        *,
        seen: Mapping[str, str | Sequence[str]],
        parameters: Sequence[str | Sequence[str]],
    ) -> None:
        self.cells = tuple((str(name), str(expression)) for name, expression in cells.items())
        self.seen = tuple((str(g), (c,) if isinstance(c, str) else tuple(c)) for g, c in seen.items())
        self.parameters = tuple(p if isinstance(p, str) else tuple(p) for p in parameters)
        self._check()

    @property
    def title(self) -> str:
        return f"Cells: {len(self.cells)} cells seen as {len(self.seen)} groups"

    @property
    def constraints(self) -> Constraints:
        return {key: Unit() if isinstance(key, str) else Probabilities(len(key)) for key in self.parameters}

    @property
    def _names(self) -> list[str]:
        return [n for key in self.parameters for n in ([key] if isinstance(key, str) else key)]

    @property
    def hidden(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.cells)

    def _probabilities(self, params: Params) -> Array:
        trees = [parse(text, self._names, f"cell '{name}'") for name, text in self.cells]
        return jnp.stack([jnp.asarray(evaluate(tree, params), dtype=float) for tree in trees])

    @property
    def _monomials(self) -> list[Monomial] | None:
        singles = [key for key in self.parameters if isinstance(key, str)]
        found = [monomial(parse(text, self._names, name), singles) for name, text in self.cells]
        return None if None in found else [m for m in found if m is not None]

    def _powers(self, factors: Sequence[str]) -> np.ndarray:
        return np.array([[m.powers.get(f, 0.0) for f in factors] for m in self._monomials or []])

    @property
    def _factors(self) -> dict[Key, tuple[str, ...]]:
        return {key: (key, f"1-{key}") if isinstance(key, str) else key for key in self.parameters}

    def potentials(self, params: Params) -> Array:
        monomials = self._monomials
        if monomials is None:
            return safe_log(self._probabilities(params))
        logs = {n: safe_log(v) for n, v in params.items()} | {f"1-{n}": safe_log(1 - v) for n, v in params.items()}
        factors = [f for key in self._factors.values() for f in key]
        constants = jnp.array([m.constant for m in monomials])
        return safe_log(constants) + self._powers(factors) @ jnp.stack([logs[f] for f in factors])

    def mean_statistics(self, params: Params, like: Any) -> Array:
        return self._probabilities(params)

    def log_evidence(self, potentials: Array, x: Array) -> Array:
        members = [[cell in group for cell in self.hidden] for _, group in self.seen]
        return logsumexp(jnp.where(jnp.asarray(members)[x], potentials, -jnp.inf))

    def estimate(self, stats: Array) -> Params | None:
        if self._monomials is None:
            return None
        params: Params = {}
        for key, factors in self._factors.items():
            counts = stats @ self._powers(factors)
            shares = counts / counts.sum()
            params |= {key: shares[0]} if isinstance(key, str) else dict(zip(key, shares, strict=True))
        return params

    def read(self, data: Any) -> Rows:
        groups = tuple(group for group, _ in self.seen)
        named = columns_of(data)
        if named is None:
            listed = numbers(data, "counts")
            if listed.shape != (len(groups),):
                raise DataError(f"counts have shape {listed.shape}; give one for each group: {', '.join(groups)}")
            named = dict(zip(groups, listed, strict=True))
        unknown = [g for g in named if g not in groups]
        if unknown:
            raise DataError(f"group '{unknown[0]}' is not in the model, which has {', '.join(groups)}")
        counts = np.zeros(len(groups))
        for group, column in named.items():
            given = np.atleast_1d(numbers(column, group))
            bad = ~np.isfinite(given) | (given < 0) | (given != np.floor(given))
            if bad.any():
                row = f"row {int(np.argmax(bad))}, " if len(given) > 1 else ""
                raise DataError(f"{row}group '{group}': {given[bad][0]:g} is not a count (0, 1, 2, ...)")
            counts[groups.index(group)] = given.sum()
        if not counts.sum() > 0:
            raise DataError("all counts are zero: there is nothing to fit")
        return Rows(np.arange(len(groups)), groups, counts)

    def posterior(self, potentials: Any, x: Any) -> Array:
        """(cells,) probability of each cell, given the group."""
        given: Array = jax.grad(self.log_evidence)(potentials, x)
        return given

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        members = np.array([[cell in group for cell in self.hidden] for _, group in self.seen])
        if (members.sum(0) != 1).any():
            raise ModelError(
                "groups overlap or leave cells out, and nothing says how an individual came to be seen as "
                "which: write a model without the overlapping groups to sample from"
            )
        return jnp.asarray(members.argmax(0))[jax.random.categorical(key, self.potentials(params))]

    def collect(self, draws: Any, columns: Sequence[str]) -> dict[str, int]:
        counts = np.bincount(np.asarray(draws), minlength=len(columns))
        return {group: int(count) for group, count in zip(columns, counts, strict=True)}

    @double
    def _check(self) -> None:
        for what, names in (("cell", self.hidden), ("group", [group for group, _ in self.seen])):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ModelError(f"Cells: two {what}s are called '{twice[0]}', as texts: rename one of them")
        repeated = [n for n in self._names if self._names.count(n) > 1]
        if repeated or not self.parameters:
            raise ModelError(
                f"Cells: parameter '{repeated[0]}' is listed twice" if repeated else "Cells: no parameters"
            )
        for group, members in self.seen:
            for cell in members:
                if cell not in self.hidden:
                    raise ModelError(f"group '{group}' names the cell '{cell}'; there are {', '.join(self.hidden)}")
            if not members:
                raise ModelError(f"group '{group}' has no cells")
        points = jnp.asarray(np.random.default_rng(0).normal(size=(5, Space(self.constraints).size)))
        all_params, all_values = jax.tree.map(np.asarray, _cells_at(self, points))
        for i, values in enumerate(all_values):
            params = {n: v[i] for n, v in all_params.items()}
            at = ", ".join(f"{n} = {float(v):.3g}" for n, v in params.items())
            if (values < 0).any():
                cell = self.hidden[int(np.argmax(values < 0))]
                raise ModelError(f"cell '{cell}' is negative ({values.min():.4g}) at {at}")
            if not abs(values.sum() - 1) < 1e-9:
                raise ModelError(f"the cells sum to {values.sum():.6g}, not to one, at {at}")


@jax.jit
def _cells_at(model: Cells, points: Array) -> tuple[Params, Array]:
    """Params and probabilities of the cells at several points (m, p) of the free coordinates."""

    def at(free: Array) -> tuple[Params, Array]:
        params = Space(model.constraints).params(free)
        return params, model._probabilities(params)

    found: tuple[Params, Array] = jax.vmap(at)(points)
    return found
