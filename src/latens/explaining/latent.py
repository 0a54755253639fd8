"""What is told of a joint density of one's own."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from latens.cells import taken
from latens.errors import counted, listed
from latens.explaining.blocks import Block, Equation, Rows, Words
from latens.explaining.formulas import At, shown, symbol, symbols, tidied
from latens.explaining.law import LONG
from latens.explaining.reading import NoFormula, read
from latens.explaining.story import FEW, SHOWN, Story, several
from latens.models.latent import Latent

Z = sp.Symbol("z")


class OfLatent(Story):
    """A joint density of the user's own."""

    model: Latent

    def _first(self) -> int:
        """The first row of which nothing is missing, and of numbers that are not 0, if there is one."""
        leaves = [np.asarray(leaf, dtype=float).reshape(len(self.weights), -1) for leaf in jax.tree.leaves(self.rows)]
        whole = np.all([np.isfinite(leaf).all(1) for leaf in leaves], axis=0)
        moving = whole & np.all([(leaf != 0).all(1) for leaf in leaves], axis=0)
        return int(np.argmax(moving if moving.any() else whole))

    def _joint(self, params: dict[str, np.ndarray], row: int, at: At) -> list[Any] | None:
        """log f(x, z) for each z, as formulas of the params and of the columns of a row."""
        x = jax.tree.map(lambda leaf: np.asarray(leaf)[row], self.rows)
        letters = {n: symbols(n, v, at) for n, v in x.items()} if isinstance(x, dict) else symbols("x", x, at)
        own = {name: symbols(name, value, at) for name, value in params.items()}
        found = []
        for z in self.model.support:
            try:
                joint = read(lambda p, x: self.model.log_joint(p, x, jnp.asarray(z)), own, letters, at=at)  # noqa: B023
            except NoFormula:
                return None
            formula = tidied(np.asarray(joint).item(), at)
            found.append(-sp.oo if sp.sympify(formula).has(-sp.oo) else formula)
        return found

    def law(self) -> Iterator[Block]:
        names = self.model.hidden
        row = self._first()
        yield Words(
            f"The complete data are what was seen, x, and a hidden z, one of {listed(list(names))}. With z, as the "
            f"code decides for row {row}:"
        )
        found = self._joint(self.path[0].params, row, {})
        if found is None or any(sp.sympify(each).count_ops() > 2 * LONG for each in found):
            yield Words(
                "log f(x, z) as the function log_joint says, in which no formula in single numbers can be read."
            )
        else:
            for name, formula in list(zip(names, found, strict=True))[:FEW]:
                yield Equation(sp.log(sp.Function("f")(sp.Symbol("x"), sp.Symbol(name))), formula)
        yield Words("z was not seen, so it is summed out (marginalised), and the sum stands inside the logarithm:")
        terms = [sp.Function("f")(sp.Symbol("x"), sp.Symbol(name)) for name in names]
        yield Equation(sp.log(sp.Function("f")(sp.Symbol("x"))), sp.log(several(terms)))

    def expectation(self) -> Iterator[Block]:
        terms = [sp.Function("f")(sp.Symbol("x"), sp.Symbol(name)) for name in self.model.hidden]
        yield Words("The E-step is Bayes' rule: the posterior probability of each z,")
        yield Equation(sp.Symbol("γ[i,z]"), sp.Function("f")(sp.Symbol("x[i]"), Z) / several(terms))
        yield Words("and Q the sum over rows and z of γ times log f(x, z).")

    def worked(self, params: dict[str, np.ndarray]) -> Iterator[Block]:
        rows = np.arange(min(SHOWN, len(self.weights)))
        some = taken(self.xs, rows)
        own = {name: jnp.asarray(value) for name, value in params.items()}
        gamma = np.asarray(jax.vmap(lambda x: self.model.posterior(own, x))(some))
        logs = np.asarray(jax.vmap(lambda x: self.model.row_potentials(own, x, own))(some))
        names, at = self.model.hidden, dict[Any, float]()
        fs = [symbol(f"f[{name}]", float(np.exp(v)), at) for name, v in zip(names, logs[0], strict=True)]
        yield Words("E-step, for row 0:")
        if np.exp(logs[0]).any() and len(fs) <= FEW:
            for j, name in enumerate(names):
                yield Equation(sp.Symbol(f"γ[0,{name}]"), fs[j] / sp.Add(*fs, evaluate=False), at, float(gamma[0, j]))
        shown_k = range(min(len(names), FEW))
        yield Rows(
            ["row", *(f"γ[{names[j]}]" for j in shown_k)],
            [[str(r), *(shown(gamma[i, j]) for j in shown_k)] for i, r in enumerate(rows)],
        )
        if len(self.weights) > len(rows):
            yield Words(f"and so on for the other {counted(len(self.weights) - len(rows), 'row')}.")
