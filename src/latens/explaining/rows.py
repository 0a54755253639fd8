"""What is told of rows of a family."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from latens.cells import as_read, complete_like, taken
from latens.engine.loop import Iterate
from latens.errors import counted
from latens.explaining.blocks import Block, Equation, Rows, Words
from latens.explaining.formulas import At, line, shown, symbol
from latens.explaining.law import SQUARE, Law, square_of
from latens.explaining.story import PICTURED, SHOWN, Expected, Story
from latens.families.base import AbstractFamily
from latens.families.full_normal import FullNormal
from latens.families.product import Product
from latens.families.truncated import Truncated
from latens.models.iid import IID

I, N, Y = sp.Symbol("i"), sp.Symbol("n"), sp.Symbol("y")
FIRST, LAST = 0, sp.Add(N, -1, evaluate=False)  # rows are numbered as Python has them
MOST_CODES = 64  # categories told one by one


def over_rows(term: Any) -> Any:
    """Σ_i of a term."""
    return sp.Sum(term, (I, FIRST, LAST))


class OfRows(Story):
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

    @property
    def gone(self) -> np.ndarray:
        """(n,) of which rows nothing was seen."""
        return ~self.problem.informative

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


class OfIID(OfRows):
    """Rows of one family."""

    model: IID

    def _law(self, params: dict[str, np.ndarray]) -> Law:
        return Law(self.model.family, params, self.like(), self.problem.columns)

    @cached_property
    def first(self) -> Law:
        """Where the steps begin."""
        return self._law(self.path[0].params)

    def law(self) -> Iterator[Block]:
        yield Words(
            "Rows are independent, each with the density f(y; θ). Were all seen, the log-likelihood would be a sum of"
        )
        yield from density_of(self.model.family, self.path[0].params, self.like())
        gone = int((~self.seen).sum())
        if gone:
            yield Words(
                f"{counted(gone, 'row')} half seen: y is known to lie in a set x, of all values if nothing was seen. "
                "The density is integrated (of counts: added up) over that set, f(x) = ∫ f(y) dy: this is the "
                "marginalisation of EM."
            )
        elif isinstance(self.model.family, Truncated):
            yield Words(
                f"Values outside {self.model.family.lower:g} to {self.model.family.upper:g} could never have been "
                "seen: the complete data hold those, too, as many as are expected beside the ones that were."
            )
        elif self.first.statistics is not None:
            yield Words("Nothing is hidden, so the first M-step ends at the maximum.")

    def expectation(self) -> Iterator[Block]:
        law = self.first
        if not self.problem.base.finite:
            yield Words(
                "No statistic of the data alone suffices for this family. Q of a half-seen row is the integral of "
                "log f(y; θ) over the set that y lies in, weighted by f(y; θₜ), computed at nodes of a quadrature."
            )
            return
        yield Words(
            "Q holds the data only in the statistics T(y) that the parameters multiply, so the E-step is their "
            "expectation given what was seen: T(y) itself of a row that was seen, E[T(Y) | Y in x] of another."
        )
        if not self.seen.all():
            yield from self._means(law, None)

    def names(self, stats: Any, at: At) -> Any:
        if not isinstance(stats, np.ndarray):
            return super().names(stats, at)
        return lettered(self.first, stats, "", at)

    def meaning(self, names: Any) -> Iterator[Block]:
        law = self.first
        if law.statistics is None or len(law.statistics) != len(names):
            yield from super().meaning(names)
            return
        for name, formula in dict(zip(names, law.statistics, strict=True)).items():
            term = self.of_row(formula, law)
            expected = term if self.seen.all() or term.is_number else sp.Function("E")(term)
            yield Equation(sp.Symbol(name.name), over_rows(self.counted(expected)))

    def worked(self, params: dict[str, np.ndarray]) -> Iterator[Block]:
        hidden = np.flatnonzero(~self.seen)[:SHOWN]
        if not len(hidden) or not self.problem.base.finite:
            return
        law = self._law(params)
        yield Words("E-step:")
        yield from self._means(law, law.at)
        stats = np.asarray(self.statistics(params, hidden))
        formulas = law.statistics or [sp.Symbol(f"T{m}") for m in range(stats.shape[1])]
        told = [m for m, formula in enumerate(formulas) if m and not formula.is_number]
        head = ["row", "seen", *(f"E[{line(formulas[m])}]" for m in told)]
        table = zip(hidden, stats[:, told], strict=True)
        yield Rows(head, [[str(r), self.told(r), *map(shown, own)] for r, own in table])

    def _means(self, law: Law, at: At | None) -> Iterator[Block]:
        """What statistics are expected to be where nothing was seen; of other sets in words."""
        if self.gone.any():
            for formula, mean in unseen(law):
                value = None if at is None else float(sp.sympify(mean).subs(at))
                yield Equation(sp.Function("E")(formula), mean, at, value)
        if (~self.seen & ~self.gone).any() and at is None:
            yield Words(
                "Of a row that is known to lie in a set, the expectation is the mean of T over that set, an integral."
            )

    def expected(self, here: Iterate) -> Expected | None:
        hidden = np.flatnonzero(~self.seen)[:PICTURED]
        if not len(hidden) or not self.problem.base.finite:
            return None
        stats = np.asarray(self.statistics(here.params, hidden))
        formulas = self.first.statistics or [sp.Symbol(f"T{m}") for m in range(stats.shape[1])]
        moving = [m for m in range(1, len(formulas)) if not sp.sympify(formulas[m]).is_number]
        if not moving:
            return None
        m = moving[0]
        told = [f"{i}: {self.told(int(i))}" for i in hidden]
        return Expected("expectation", told, [f"E[{line(formulas[m])}]"], stats[:, [m]])


def lettered(law: Law, stats: np.ndarray, place: str, at: At) -> np.ndarray:
    """Symbols for the sums of statistics."""
    names = [f"{letter}{place}" for letter in law.letters(len(stats))]
    return np.array([symbol(name, float(value), at) for name, value in zip(names, stats, strict=True)], dtype=object)


def density_of(family: AbstractFamily, params: dict[str, Any], like: Any, place: str = "") -> Iterator[Block]:
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


def unseen(law: Law) -> list[tuple[Any, Any]]:
    """Of a row that was not seen the statistics, and what they are expected to be, where there are formulas."""
    if law.statistics is None or law.mean is None:
        return []
    pairs = zip(law.statistics, law.mean, strict=True)
    return [(formula, mean) for formula, mean in pairs if not sp.sympify(formula).is_number]
