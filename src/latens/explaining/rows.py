"""What is told of rows of a family, alone and in mixtures."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from latens.cells import as_read, complete_like, labels_of, taken
from latens.engine.emmap import posteriors
from latens.errors import DataError, counted
from latens.explaining.blocks import Block, Equation, Rows, Words
from latens.explaining.formulas import At, line, shown, symbol
from latens.explaining.law import SQUARE, Law, square_of
from latens.explaining.story import AWAY, FEW, SHOWN, Story, product, several
from latens.families.base import AbstractFamily
from latens.families.full_normal import FullNormal
from latens.families.product import Product
from latens.families.truncated import Truncated
from latens.models.components import Alike
from latens.models.iid import IID
from latens.models.mixture import Mixture

I, J, N = sp.Symbol("i"), sp.Symbol("j"), sp.Symbol("n")
Z, Y = sp.Symbol("z"), sp.Symbol("y")


def over_rows(term: Any) -> Any:
    """Σ_i of a term."""
    return sp.Sum(term, (I, 1, N))


def f(j: Any, y: Any = Y) -> Any:
    """The density of component j."""
    return sp.Function(f"f[{j}]")(y)


MOST_CODES, LARGEST = 64, 600.0  # categories told one by one; and a logarithm of which the exponential can be taken


class _Rows(Story):
    """Rows of a family, alone or in a mixture."""

    def complete(self, row: int) -> Any:
        """A row with stand-ins for what was not seen."""
        return jax.tree.map(lambda leaf: np.asarray(leaf)[0], complete_like(taken(self.rows, np.array([row]))))

    @property
    def seen(self) -> np.ndarray:
        """(n,) which rows were seen exactly."""
        leaves = self.rows.values() if isinstance(self.rows, dict) else [self.rows]
        ends = [tuple(map(np.asarray, as_read(leaf).ends)) for leaf in leaves]
        flags = [(lower == upper) & np.isfinite(lower) for lower, upper in ends]
        return np.asarray(np.stack([flag.reshape(len(flag), -1).all(1) for flag in flags]).all(0))

    def like(self) -> Any:
        """The first row that was seen, or a stand-in."""
        return self.complete(int(np.argmax(self.seen)))

    def counted(self, term: Any) -> Any:
        """A term of row i, times how often the row counts if that is not once."""
        return term if (self.weights == 1).all() else sp.Symbol("m[i]") * term

    def told(self, row: int) -> str:
        """What was seen of a row."""
        names = self.problem.columns
        words = []
        for name, leaf in (self.rows if isinstance(self.rows, dict) else {"": self.rows}).items():
            if not as_read(leaf).ordered:
                codes, one = jnp.arange(MOST_CODES), taken(leaf, np.array([row]))
                held = np.asarray(jax.vmap(lambda x: as_read(x).holds(codes))(one))  # noqa: B023
                words.append(f"{name} {'|'.join(map(str, np.flatnonzero(held[0])))}")
                continue
            lower, upper = (np.ravel(np.asarray(end)[row]) for end in as_read(leaf).ends)
            own = [_set(a, b) for a, b in zip(lower, upper, strict=True)]
            several = len(own) > 1 and len(names) == len(own)
            words += (
                [f"{n} {told}" for n, told in zip(names, own, strict=True)] if several else [f"{name} {', '.join(own)}"]
            )
        return ", ".join(words).strip()

    def of_row(self, formula: Any, law: Law) -> Any:
        """A formula of y as one of y[i]."""
        letters = [each for leaf in jax.tree.leaves(law.datum) for each in np.ravel(leaf)]
        return sp.sympify(formula).subs({each: sp.Symbol(f"{each.name}[i]") for each in letters})


def _set(low: float, high: float) -> str:
    if low == high:
        return shown(low)
    if np.isneginf(low):
        return "not seen" if np.isposinf(high) else f"at most {shown(high)}"
    return f"at least {shown(low)}" if np.isposinf(high) else f"{shown(low)} to {shown(high)}"


class OfIID(_Rows):
    """Rows of one family."""

    model: IID

    def _law(self, params: dict[str, np.ndarray]) -> Law:
        return Law(self.model.family, params, self.like(), self.problem.columns)

    def law(self) -> Iterator[Block]:
        yield Words(
            "Rows are independent, each with the density f(y; θ). Were all seen, the log-likelihood would be a sum of"
        )
        yield from _density(self.model.family, self.path[0].params, self.like())
        gone = int((~self.seen).sum())
        if gone:
            yield Words(
                f"Of {counted(gone, 'row')} only a set x is known in which y lies: all values, if nothing was seen. "
                "The density is integrated over that set, f(x) = ∫ f(y) dy, which is the marginalisation of EM."
            )
        elif isinstance(self.model.family, Truncated):
            yield Words(
                f"Values outside {self.model.family.lower:g} to {self.model.family.upper:g} could never have been "
                "seen: the complete data hold those, too, as many as are expected beside the ones that were."
            )
        elif self._law(self.path[0].params).statistics is not None:
            yield Words("Nothing is hidden, so the first M-step ends at the maximum.")

    def expectation(self) -> Iterator[Block]:
        law = self._law(self.path[0].params)
        yield Words(
            "Q holds the data only in the statistics T(y) that the parameters multiply, so the E-step is their "
            "expectation given what was seen: T(y) itself of a row that was seen, E[T(Y) | Y in x] of another."
        )
        if not self.seen.all() and law.mean is not None and law.statistics is not None:
            for formula, mean in _unseen(law):
                yield Equation(sp.Function("E")(formula), mean)

    def names(self, stats: Any, at: At) -> Any:
        if not isinstance(stats, np.ndarray):
            return super().names(stats, at)
        return _letters(stats, "", at, self._law(self.path[0].params).statistics)

    def meaning(self, names: Any) -> Iterator[Block]:
        statistics = self._law(self.path[0].params).statistics
        if statistics is None or len(statistics) != len(names):
            yield from super().meaning(names)
            return
        law = self._law(self.path[0].params)
        for name, formula in dict(zip(names, statistics, strict=True)).items():
            term = self.of_row(formula, law)
            expected = term if self.seen.all() or term.is_number else sp.Function("E")(term)
            yield Equation(sp.Symbol(name.name), over_rows(self.counted(expected)))

    def worked(self, params: dict[str, np.ndarray]) -> Iterator[Block]:
        hidden = np.flatnonzero(~self.seen)[:SHOWN]
        if not len(hidden) or not self.problem.base.finite:
            return
        law = self._law(params)
        yield Words("E-step:")
        if law.mean is not None and law.statistics is not None:
            for formula, mean in _unseen(law):
                value = float(sp.sympify(mean).subs(law.at))
                yield Equation(sp.Function("E")(formula), mean, law.at, value)
        stats = np.asarray(self.statistics(params, hidden))
        formulas = law.statistics or [sp.Symbol(f"T{m}") for m in range(stats.shape[1])]
        told = [m for m, formula in enumerate(formulas) if m and not formula.is_number]
        head = ["row", "seen", *(f"E[{line(formulas[m])}]" for m in told)]
        table = zip(hidden, stats[:, told], strict=True)
        yield Rows(head, [[str(r), self.told(r), *map(shown, own)] for r, own in table])


def _letters(stats: np.ndarray, place: str, at: At, statistics: list[Any] | None) -> np.ndarray:
    """n for how much was counted, s for the sums."""
    out = np.empty(stats.shape, dtype=object)
    known = statistics if statistics is not None and len(statistics) == len(stats) else [0 for _ in stats]
    for m, value in enumerate(stats):
        letter = "n" if known[m] == 1 else "c" if m == 0 else "s" if len(stats) == 2 else f"s{m}"
        out[m] = symbol(letter + place, float(value), at)
    return out


def _density(family: AbstractFamily, params: dict[str, Any], like: Any, place: str = "") -> Iterator[Block]:
    """log f(y), of a table that of each column."""
    if isinstance(family, Truncated):
        yield Words(f"log f(y) = log g(y) − log P({family.lower:g} ≤ Y ≤ {family.upper:g}), P under g as well, with")
        yield from _one(Law(family.family, params, like), sp.log(sp.Function(f"g{place}")(Y)))
        return
    if isinstance(family, Product):
        if len(family.columns) > 1:
            more = f" (the first {SHOWN} of {len(family.columns)})" if len(family.columns) > SHOWN else ""
            yield Words(f"The columns are independent, so log f(y) is the sum over them{more} of")
        for column, own in list(family.families.items())[:SHOWN]:
            mine = {name: params[f"{column}.{name}"] for name in own.constraints}
            law = Law(own, mine, like[column], (column,))
            yield from _one(law, sp.log(sp.Function(f"f{place}")(sp.Symbol(column))))
        return
    yield from _one(Law(family, params, like), sp.log(sp.Function(f"f{place}")(Y)))


def _one(law: Law, left: Any) -> Iterator[Block]:
    density = law.density
    if density is None:
        yield Words(f"{line(left)}: {law.family.title}, in whose code no formula in single numbers can be read.")
        return
    yield Equation(left, density)
    if isinstance(law.family, FullNormal):
        yield Equation(SQUARE, square_of(len(np.ravel(law.datum))))


def _unseen(law: Law) -> list[tuple[Any, Any]]:
    """Of a row that was not seen the statistics, and what they are expected to be."""
    pairs = zip(law.statistics or [], law.mean or [], strict=True)
    return [(formula, mean) for formula, mean in pairs if not sp.sympify(formula).is_number]


class OfMixture(_Rows):
    """Rows of which a hidden label says which component made them."""

    model: Mixture

    @property
    def k(self) -> int:
        return self.model.components.k

    def family(self, j: int) -> AbstractFamily:
        parts = self.model.components
        return parts.family if isinstance(parts, Alike) else parts.families[j]  # type: ignore[attr-defined]

    def own(self, params: dict[str, Any], j: int) -> dict[str, Any]:
        """The params of component j."""
        parts = self.model.components
        if isinstance(parts, Alike):
            return {n: params[n] if n in parts.shared else params[n][j] for n in parts.family.constraints}
        return {n: params[f"{j}.{n}"] for n in self.family(j).constraints}

    def laws(self, params: dict[str, np.ndarray]) -> list[Law]:
        like, columns = self.like(), self.problem.columns
        return [Law(self.family(j), self.own(params, j), like, columns) for j in range(self.k)]

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
            yield from _density(self.family(j), own, self.like(), f"[{'z' if alike else j}]")
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
        base = self.laws(self.path[0].params)[0].base if isinstance(self.model.components, Alike) else None
        if base is not None and base != 0:
            yield Words(
                "No parameter stands in log h(y), which is the same for all components, so h cancels in γ; g = f/h:"
            )
            yield Equation(sp.log(sp.Function("h")(Y)), base)
        yield Words("and with it Q is a sum over rows and components:")
        yield Equation(
            sp.Symbol("Q"),
            sp.Sum(
                self.counted(gamma) * (sp.log(w) + sp.log(f("j", sp.Symbol("y[i]")))), (I, 1, N), (J, 0, self.k - 1)
            ),
        )

    def names(self, stats: Any, at: At) -> Any:
        parts, laws = stats["components"], self.laws(self.path[0].params)
        made = [
            _letters(np.asarray(own), f"[{j}]", at, law.statistics)
            for j, (own, law) in enumerate(zip(parts, laws, strict=True))
        ]
        w = np.array([symbol(f"n[{j}]", float(value), at) for j, value in enumerate(stats["weights"])], dtype=object)
        return {"weights": w, "components": np.stack(made) if isinstance(parts, np.ndarray) else tuple(made)}

    def meaning(self, names: Any) -> Iterator[Block]:
        laws = self.laws(self.path[0].params)
        gamma = sp.Symbol("γ[i,j]")
        yield Equation(sp.Symbol("n[j]"), over_rows(self.counted(gamma)))
        for j, law in enumerate(laws[: 1 if isinstance(self.model.components, Alike) else FEW]):
            if law.statistics is None:
                yield Words("s are the sums of the components' expected statistics, weighted by γ.")
                return
            place = "j" if isinstance(self.model.components, Alike) else str(j)
            for letter, formula in zip(names["components"][j], law.statistics, strict=True):
                name = letter.name.split("[")[0]
                if name != "n" and not (isinstance(self.model.components, Alike) and sp.sympify(formula).is_number):
                    weight = sp.Symbol(f"γ[i,{place}]")
                    term = self.counted(product(weight, self.of_row(formula, law)))
                    yield Equation(sp.Symbol(f"{name}[{place}]"), over_rows(term))

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
        linear = all(law.base is not None for law in self.laws(params)) and isinstance(parts, Alike)
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
        first = self.laws(params)[0].statistics
        if linear and first is not None and self.k * (len(first) - 1) <= FEW:  # what each row adds to the sums
            sums = np.asarray(self.statistics(params, rows)["components"])
            for m, formula in list(enumerate(first))[1:]:
                head += [f"γ[{j}]·{line(formula)}" for j in shown_k]
                columns += [*sums[:, :, m].T]
        yield Rows(head, [[str(r), self.told(r), *(shown(c[i]) for c in columns)] for i, r in enumerate(rows)])
        if len(self.weights) > len(rows):
            yield Words(f"and so on for the other {counted(len(self.weights) - len(rows), 'row')}.")
