"""What is told of mixtures."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from latens.cells import labels_of, taken
from latens.engine.emmap import posteriors
from latens.errors import DataError, counted
from latens.explaining.blocks import Block, Equation, Rows, Words
from latens.explaining.formulas import At, line, shown, symbol
from latens.explaining.law import Law
from latens.explaining.rows import FIRST, LAST, I, OfRows, Y, density_of, lettered, over_rows, unseen
from latens.explaining.story import AWAY, FEW, SHOWN, product, several
from latens.families.base import AbstractFamily
from latens.models.components import Alike
from latens.models.different import Different
from latens.models.mixture import Mixture

J, Z = sp.Symbol("j"), sp.Symbol("z")
LARGEST = 600.0  # a logarithm of which the exponential can be taken


def f(j: Any, y: Any = Y) -> Any:
    """The density of component j."""
    return sp.Function(f"f[{j}]")(y)


class OfMixture(OfRows):
    """Rows of which a hidden label says which component made them."""

    model: Mixture

    @property
    def k(self) -> int:
        return self.model.components.k

    def family(self, j: int) -> AbstractFamily:
        parts = self.model.components
        if isinstance(parts, Alike):
            return parts.family
        assert isinstance(parts, Different)
        return parts.families[j]

    def own(self, params: dict[str, Any], j: int) -> dict[str, Any]:
        """The params of component j."""
        each = self.model.components.each(lambda _, own: own, [params])
        return each[j] if isinstance(each, tuple) else {name: value[j] for name, value in each.items()}

    def laws(self, params: dict[str, np.ndarray]) -> list[Law]:
        like, columns = self.like(), self.problem.columns
        return [Law(self.family(j), self.own(params, j), like, columns) for j in range(self.k)]

    @cached_property
    def first(self) -> list[Law]:
        """Where the steps begin."""
        return self.laws(self.path[0].params)

    def w(self, params: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(params["weights"] if self.model.known is None else self.model.known)

    def law(self) -> Iterator[Block]:
        alike = isinstance(self.model.components, Alike)
        yield Words(
            f"A label z, hidden, says which of {self.k} components made a row. With it, the logarithm of the density "
            "is a sum:"
        )
        yield Equation(sp.log(sp.Function("f")(Y, Z)), sp.log(sp.Symbol("w[z]")) + sp.log(f("z")))
        for j in [0] if alike else range(min(self.k, FEW)):
            own = self.own(self.path[0].params, j)
            yield from density_of(self.family(j), own, self.like(), f"[{'z' if alike else j}]")
        if self.model.known is not None:
            yield Words(f"The weights are known: w = ({', '.join(map(shown, self.model.known))}).")
        yield Words("z was not seen, so it is summed out (marginalised):")
        mixed = several([product(sp.Symbol(f"w[{j}]"), f(j)) for j in range(self.k)])
        yield Equation(sp.Function("f")(Y), mixed)
        yield Words(
            "The log-likelihood is the sum over rows of its logarithm. The sum inside the logarithm ties all "
            "parameters together: setting its slope to 0 gives no formula for them. With z known it would."
        )
        if not self.seen.all():
            yield Words(
                f"{counted(int((~self.seen).sum()), 'row')} are half seen; their densities are integrals "
                "over what is possible."
            )

    def expectation(self) -> Iterator[Block]:
        gamma, w = sp.Symbol("γ[i,j]"), sp.Symbol("w[j]")
        yield Words("The E-step is Bayes' rule: the posterior probability that component j made row i,")
        below = several([product(sp.Symbol(f"w[{j}]"), f(j, sp.Symbol("y[i]"))) for j in range(self.k)])
        yield Equation(gamma, product(w, f("j", sp.Symbol("y[i]")), 1 / below))
        base = self.first[0].base if isinstance(self.model.components, Alike) else None
        if base is not None and base != 0:
            yield Words(
                "No parameter stands in log h(y), which is the same for all components, so h cancels in γ; g = f/h:"
            )
            yield Equation(sp.log(sp.Function("h")(Y)), base)
        if not self.seen.all():
            yield Words(
                "Of a row that is half seen, f[j] is integrated over what is possible, and instead of a statistic T(y) "
                "stands E(T(y)), given what was seen and component j: the mean over the set that y is known to lie in, "
                "which is, where nothing was seen,"
            )
            for formula, mean in unseen(self.first[0]):
                yield Equation(sp.Function("E")(formula), mean)
        yield Words("and with it Q is a sum over rows and components:")
        yield Equation(
            sp.Symbol("Q"),
            sp.Sum(
                self.counted(gamma) * (sp.log(w) + sp.log(f("j", sp.Symbol("y[i]")))),
                (I, FIRST, LAST),
                (J, 0, self.k - 1),
            ),
        )

    def names(self, stats: Any, at: At) -> Any:
        parts = stats["components"]
        made = [
            lettered(law, np.asarray(own), f"[{j}]", at)
            for j, (own, law) in enumerate(zip(parts, self.first, strict=True))
        ]
        w = np.array([symbol(f"n[{j}]", float(value), at) for j, value in enumerate(stats["weights"])], dtype=object)
        return {"weights": w, "components": np.stack(made) if isinstance(parts, np.ndarray) else tuple(made)}

    def meaning(self, names: Any) -> Iterator[Block]:
        yield Equation(sp.Symbol("n[j]"), over_rows(self.counted(sp.Symbol("γ[i,j]"))))
        alike = isinstance(self.model.components, Alike)
        for j, law in enumerate(self.first[: 1 if alike else FEW]):
            if law.statistics is None:
                yield Words("s are the sums of the components' expected statistics, weighted by γ.")
                return
            place = "j" if alike else str(j)
            for letter, formula in dict(zip(law.letters(law.size), law.statistics, strict=True)).items():
                if letter != "n":
                    own = self.of_row(formula, law)
                    own = own if self.seen.all() else sp.Function("E")(own)
                    term = product(sp.Symbol(f"γ[i,{place}]"), own)
                    yield Equation(sp.Symbol(f"{letter}[{place}]"), over_rows(self.counted(term)))

    def worked(self, params: dict[str, np.ndarray]) -> Iterator[Block]:
        if not self.model.finite:
            return
        rows = np.flatnonzero(self.seen)[:SHOWN]
        if not len(rows):
            return
        parts, xs = self.model.components, taken(self.xs, rows)
        phi = parts.potentials({n: jnp.asarray(v) for n, v in params.items()})
        zero = jax.tree.map(jnp.zeros_like, phi)
        plain = xs if labels_of(xs) is None else xs.x
        logs = np.asarray(jax.vmap(lambda x: parts.log_kernels(phi, x))(plain))
        linear = (
            all(law.base is not None for law in self.first) and isinstance(parts, Alike) and self.first[0].base != 0
        )
        gamma = np.asarray(self.problem.each(posteriors, self.here.free))[rows]
        if linear and not np.allclose(gamma, np.asarray(self.statistics(params, rows)["weights"]), atol=1e-6):
            raise DataError(AWAY)
        letter = "g" if linear else "f"
        if linear:
            logs = logs - np.asarray(jax.vmap(lambda x: parts.log_kernels(zero, x))(plain))
        if linear and not (np.abs(logs) < LARGEST).all():  # h alone would overflow
            linear, letter = False, "f"
            logs = np.asarray(jax.vmap(lambda x: parts.log_kernels(phi, x))(plain))
        g, w = np.exp(logs), self.w(params)
        at: At = {}
        ws = [symbol(f"w[{j}]", float(w[j]), at) for j in range(self.k)]
        gs = [symbol(f"{letter}[{j}]", float(g[0, j]), at) for j in range(self.k)]
        yield Words(
            f"E-step, for row {rows[0]}, of which {self.told(rows[0])} was seen"
            + ("" if labels_of(xs) is None else " (and its label, if it is known)")
            + ":"
        )
        if g[0].any() and labels_of(xs) is None and self.k <= FEW:
            below = sp.Add(*(product(a, b) for a, b in zip(ws, gs, strict=True)), evaluate=False)
            for j in range(self.k):
                yield Equation(sp.Symbol(f"γ[{rows[0]},{j}]"), product(ws[j], gs[j], 1 / below), at, float(gamma[0, j]))
        shown_k = range(min(self.k, FEW))
        head = ["row", "seen", *(f"{letter}[{j}]" for j in shown_k), *(f"γ[{j}]" for j in shown_k)]
        columns = [*g.T[: len(shown_k)], *gamma.T[: len(shown_k)]]
        first = self.first[0].statistics
        if linear and first is not None and self.k * (len(first) - 1) <= FEW:  # what each row adds to the sums
            sums = np.asarray(self.statistics(params, rows)["components"])
            for m, formula in list(enumerate(first))[1:]:
                head += [f"γ[{j}]·{line(formula)}" for j in shown_k]
                columns += [*sums[:, :, m].T]
        yield Rows(head, [[str(r), self.told(r), *(shown(c[i]) for c in columns)] for i, r in enumerate(rows)])
        if len(self.weights) > len(rows):
            half = "" if self.seen.all() else ", the half-seen ones among them"
            yield Words(f"and so on for the other {counted(len(self.weights) - len(rows), 'row')}{half}.")
