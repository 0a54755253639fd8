"""What is told of cells that were seen as groups."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from latens.engine.loop import Iterate
from latens.explaining.blocks import Block, Equation, Words
from latens.explaining.formulas import At, symbol
from latens.explaining.reading import read
from latens.explaining.story import Expected, Story, product, several
from latens.models.gene_counting import Cells


class OfCells(Story):
    """Cells of a table, of which only groups were counted."""

    model: Cells

    def _symbols(self, params: dict[str, np.ndarray], at: At) -> np.ndarray:
        return np.array([symbol(name, float(params[name]), at) for name in self.problem.space.shapes], dtype=object)

    def _cells(self, params: dict[str, np.ndarray], at: At) -> list[Any]:
        return list(read(self.model.form.probabilities, self._symbols(params, at), at=at))

    def _groups(self) -> list[tuple[str, list[int], float]]:
        """Of each group its name, its cells, and how many were seen."""
        counts = np.bincount(np.asarray(self.rows).astype(int), self.weights, minlength=len(self.model.seen))
        names = list(self.model.hidden)
        return [
            (group, [names.index(cell) for cell in dict.fromkeys(cells)], float(count))
            for (group, cells), count in zip(self.model.seen, counts, strict=True)
        ]

    def law(self) -> Iterator[Block]:
        at: At = {}
        cells, names = self._cells(self.path[0].params, at), self.model.hidden
        yield Words("Each individual is in one of these cells, whose probabilities are")
        for name, formula in list(zip(names, cells, strict=True))[:12]:
            yield Equation(sp.Function("P")(sp.Symbol(name)), formula)
        yield Words(
            "The cell was not seen, but a group that it belongs to. The probability of a group is the sum over its "
            "cells:"
        )
        for group, members, _ in self._groups()[:12]:
            yield Equation(
                sp.Function("P")(sp.Symbol(group)), several([sp.Function("P")(sp.Symbol(names[c])) for c in members])
            )
        yield Words(
            "The log-likelihood is the sum over groups of the number seen times the logarithm of that: of a sum, "
            "wherever a group has several cells. Were the cells counted, it would be a sum of logarithms."
        )

    def expectation(self) -> Iterator[Block]:
        cell, group = sp.Symbol("n[cell]"), sp.Symbol("n[group]")
        yield Words("The E-step shares out what was counted of each group among its cells, as these are likely:")
        yield Equation(cell, group * sp.Function("P")(sp.Symbol("cell")) / sp.Function("P")(sp.Symbol("group")))

    def _expected(self, params: dict[str, np.ndarray], at: At) -> list[tuple[str, int, Any, float]]:
        """Of each group and cell in it, the formula and the number expected."""
        cells = self._cells(params, at)
        values = [float(each.subs(at)) for each in cells]
        found = []
        for group, members, count in self._groups():
            total = sum(values[c] for c in members)
            n = symbol(f"n[{group}]", count, at)
            ps = {c: symbol(f"P[{self.model.hidden[c]}]", values[c], at) for c in members}
            below = sp.Add(*ps.values(), evaluate=False) if len(members) > 1 else ps[members[0]]
            for c in members:
                formula = n if len(members) == 1 else product(n, ps[c], 1 / below)
                found.append((group, c, formula, count * values[c] / total if total > 0 else 0.0))
        return found

    def worked(self, params: dict[str, np.ndarray]) -> Iterator[Block]:
        at: At = {}
        yield Words("E-step:")
        cells = self._cells(params, at)
        for name, formula in list(zip(self.model.hidden, cells, strict=True))[:12]:
            yield Equation(sp.Symbol(f"P[{name}]"), formula, at, float(formula.subs(at)))
        for group, c, formula, value in self._expected(params, at)[:24]:
            yield Equation(sp.Symbol(f"n[{self.model.hidden[c]}|{group}]"), formula, at, value)

    def expected(self, here: Iterate) -> Expected:
        values = np.zeros((len(self.model.seen), len(self.model.hidden)))
        groups = [group for group, _ in self.model.seen]
        for group, c, _, value in self._expected(here.params, {}):
            values[groups.index(group), c] += value
        return Expected("expected number", groups, list(self.model.hidden), values)

    def mapped(self, params: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], At]:
        at: At = {}
        counts = np.zeros(len(self.model.hidden))
        for _, c, _, value in self._expected(params, {}):
            counts[c] += value
        n = np.array(
            [symbol(f"n[{name}]", float(v), at) for name, v in zip(self.model.hidden, counts, strict=True)],
            dtype=object,
        )
        phi = jnp.asarray(self.model.potentials({name: jnp.asarray(v) for name, v in params.items()}))

        def estimated(counts: Any) -> Any:
            stats = jax.grad(lambda potentials: counts @ self.model.form.logs(potentials))(phi)
            return self.model.estimate(stats)

        return read(estimated, n, at=at), at

    def meaning(self, names: Any) -> Iterator[Block]:
        yield Words("n[cell] are the expected numbers, added up over the groups.")
