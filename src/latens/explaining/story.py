"""What is told of any model: the likelihood, Q, steps of EM with the numbers of these data, and the information."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from latens.cells import labels_of, taken
from latens.engine.emmap import posteriors
from latens.engine.loop import Iterate
from latens.engine.problem import Problem
from latens.errors import DataError, InferenceError, counted, listed
from latens.explaining.blocks import Block, Equation, Heading, Rows, Words
from latens.explaining.formulas import SIGNS, At, shown, symbol, symbols, tidied
from latens.explaining.reading import MOST_SYMBOLS, NoFormula, read
from latens.inference.estimate import Estimate
from latens.inference.methods import errors_by
from latens.models.base import AbstractModel, per_row
from latens.numerics.compiling import double
from latens.numerics.space import Label

AWAY = (
    "explain: the data lie so far from 0, beside their spread, that sums in their units lose the digits they are "
    "about: take a round number off them first"
)
FEW = 4  # components, hidden values, cells that are written out; of more the first, and dots
DOTS = sp.Symbol("...")
SHOWN, SCALARS = 5, 12  # rows, and scalars, that are told one by one
PICTURED = 8  # rows of which the E-step is drawn
BLOCK = 4096  # rows looked at together
NOTHING = 1e-9  # what is left of larger numbers, and may be their rounding
FAR = 1e-5  # standard errors from the limit, where steps are no rounding yet


class Expected(NamedTuple):
    """What the E-step gives for some rows: numbers (rows, series), and what they are called."""

    what: str
    rows: list[str]
    series: list[str]
    values: np.ndarray


@jax.jit
def _statistics(model: AbstractModel, params: Any, xs: Any) -> Any:
    potentials = model.potentials(params)
    return per_row(lambda x: jax.grad(model.log_evidence)(potentials, x), xs)


class Story:
    """A model with data, some steps of plain EM on them, and where they lead."""

    @double
    def __init__(self, problem: Problem, path: Sequence[Iterate], steps: int, end: Estimate) -> None:
        self.problem, self.path, self.steps, self.end = problem, path, steps, end
        self.model = problem.given
        self.rows = problem.as_given
        self.xs = jax.tree.map(jnp.asarray, self.model.labelled(self.rows, labels_of(problem.xs)))
        self.weights = problem.weights
        self._read: dict[int, tuple[dict[str, np.ndarray], At]] = {}

    # -- what models tell in their own way ------------------------------------------------------------

    def law(self) -> Iterator[Block]:
        """The complete data, what is hidden of them, and the likelihood of what is left."""
        yield Words(
            f"A {type(self.model).__name__} of your own: complete data have log f(y) = <φ(θ), S(y)> + log h(y), and "
            "the logarithm of the integral over all y that a row leaves possible is its log-evidence."
        )

    def expectation(self) -> Iterator[Block]:
        """The E-step in formulas."""
        yield Words("The E-step is the gradient of the log-evidence in φ: the expected statistic of every row.")

    def worked(self, params: dict[str, np.ndarray]) -> Iterator[Block]:
        """The E-step at these params, with numbers."""
        return iter(())

    def expected(self, here: Iterate) -> Expected | None:
        """The E-step at a point, for the first rows; None where nothing in it can be shown."""
        if self.model.hidden is None:
            return None
        given = np.asarray(self.problem.each(posteriors, here.free))
        if given.shape != (len(self.weights), len(self.model.hidden)):
            return None
        given = given[self._pictured]
        told = [f"{i}: {self.told(int(i))}".removesuffix(": ") for i in self._pictured]
        return Expected("posterior probability", told, list(map(str, self.model.hidden)), given)

    @cached_property
    def _pictured(self) -> np.ndarray:
        """Rows whose posterior is drawn: those least sure at the two ends of the way, in their order."""
        ends = [np.asarray(self.problem.each(posteriors, each.free)) for each in (self.path[0], self.path[-1])]
        unsure = sum(1 - given.max(1) for given in ends) + np.abs(ends[1] - ends[0]).max(1)
        return np.sort(np.argsort(-np.asarray(unsure), kind="stable")[:PICTURED])

    def told(self, row: int) -> str:
        """What was seen of a row."""
        return ""

    def names(self, stats: Any, at: At) -> Any:
        """Symbols of the expected statistics, shaped like them."""
        leaves, tree = jax.tree.flatten(stats)
        several = len(leaves) > 1
        return jax.tree.unflatten(tree, [symbols(f"s{i}" if several else "s", x, at) for i, x in enumerate(leaves)])

    def meaning(self, names: Any) -> Iterator[Block]:
        """What those symbols stand for."""
        yield Words("The letters s stand for the sums over the rows of the expected statistics.")

    # -- what follows ---------------------------------------------------------------------------------

    @double
    def blocks(self) -> tuple[Block, ...]:
        """All of it."""
        return tuple(self._all())

    def _all(self) -> Iterator[Block]:
        yield from self.theory()
        for number in range(min(self.steps, len(self.path) - 1)):
            yield Heading(f"3. Step {number + 1} of EM")
            yield from self.iteration(number)
        yield Heading("4. The end, and how much was missing")
        yield from self._end()

    def theory(self) -> Iterator[Block]:
        """The model, and EM for it, in formulas."""
        rows = counted(float(self.weights.sum()), "observation")
        yield Heading(f"1. The model: {self.model.title}, {rows}")
        if not (self.weights == 1).all():
            yield Words("Row i stands for m[i] observations, its weight.")
        yield from self.law()
        yield from self._letters()
        yield Heading("2. Q, the E-step and the M-step")
        yield Words(
            "Q(θ | θₜ) = E[log f(Y | θ) given x, θₜ]: of the log-likelihood of the complete data the expectation "
            "given what was seen, at the parameters θₜ where a step begins."
        )
        yield from self.expectation()
        yield from self._maximisation()

    def _letters(self) -> Iterator[Block]:
        """What the letters stand for, and the numbers of categories."""
        names = dict.fromkeys(name.rpartition(".")[2] for name in self.problem.space.shapes)
        told = [f"{SIGNS[name]} is {name}" for name in names if name in SIGNS]
        if told:
            yield Words(f"Here {listed(told)}.")
        for column, labels in self.problem.given.reader.labels(self.problem.columns).items():
            yield Words(f"Values of {column} are numbered: {listed([f'{i} {each}' for i, each in enumerate(labels)])}.")

    def label(self, label: Label, value: float | None = None) -> Any:
        """A scalar as a symbol: the letter of its parameter, and its place."""
        *column, name = label.name.split(".")
        sign = ".".join([*column, SIGNS.get(name, name)])
        return symbol(f"{sign}[{','.join(label.entry)}]" if label.entry else sign, value)

    def statistics(self, params: dict[str, np.ndarray], rows: Any = slice(None)) -> Any:
        """E[S | x] of some rows."""
        return jax.tree.map(np.asarray, _statistics(self.model, _arrays(params), taken(self.xs, rows)))

    def totals(self, params: dict[str, np.ndarray]) -> Any:
        """Σ w E[S | x]."""
        found = None
        for first in range(0, len(self.weights), BLOCK):
            rows = slice(first, first + BLOCK)
            part = jax.tree.map(lambda leaf: np.tensordot(self.weights[rows], leaf, 1), self.statistics(params, rows))  # noqa: B023
            found = part if found is None else jax.tree.map(np.add, found, part)
        return found

    def mapped(self, params: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], At]:
        """The M-step after these params as formulas of the sums; and what these are."""
        at: At = {}
        names = self.names(self.totals(params), at)
        return read(self.model.estimate, names, at=at), at

    def step(self, number: int) -> tuple[dict[str, np.ndarray], At]:
        """The same after a point of the path, read once, each formula as short as it gets."""
        if number not in self._read:
            found, at = self.mapped(self.path[number].params)
            self._read[number] = {name: each_tidied(formulas, at) for name, formulas in found.items()}, at
        return self._read[number]

    @cached_property
    def formulas(self) -> bool:
        """Whether the M-step has formulas."""
        if not self.problem.closed or self.problem.prior is not None:
            return False
        if self.problem.space.size > MOST_SYMBOLS:
            return False
        try:
            self.step(0)
        except NoFormula:
            return False
        return True

    def _maximisation(self) -> Iterator[Block]:
        if not self.formulas:
            how = self.problem.m_step if not self.problem.closed else "a search for the params that fit the sums"
            if self.problem.closed and self.problem.space.size > MOST_SYMBOLS:
                yield Words(
                    f"The M-step is a formula for each of {self.problem.space.size} parameters, too many to write."
                )
            elif self.problem.prior is not None:
                yield Words("The M-step maximises Q and the logarithm of the prior's density together.")
            else:
                yield Words(f"The M-step has no formula: {how}.")
            return
        yield Words("The M-step maximises Q, for which it needs the sums of expected statistics only:")
        at: At = {}
        yield from self.meaning(self.names(self.totals(self.path[0].params), at))
        found, _ = self.step(0)
        for label, formula, _ in self._scalars(found):
            yield Equation(self.label(label), formula)
        yield from self._more()

    def _scalars(self, params: dict[str, np.ndarray]) -> Iterator[tuple[Label, Any, int]]:
        """Of a tree like the params the scalars that a report shows, up to some."""
        space = self.problem.space
        flat = np.concatenate([np.ravel(np.asarray(params[name], dtype=object)) for name in space.shapes])
        for i in self.end.shown[:SCALARS]:
            yield self.problem.labels[i], flat[i], int(i)

    def _more(self) -> Iterator[Block]:
        left = len(self.end.shown) - SCALARS
        if left > 0:
            yield Words(f"and so on for {counted(left, 'more scalar')}.")

    def iteration(self, number: int) -> Iterator[Block]:
        """A step of the path, with its numbers."""
        here, there = self.path[number : number + 2]
        ell = "ℓ" if self.problem.prior is None else "ℓ and the prior's part"
        at = ", ".join(f"{self.label(label)} = {shown(value)}" for label, value, _ in self._scalars(here.params))
        dots = ", ..." if len(self.end.shown) > SCALARS else ""
        yield Words(f"At {at}{dots}, where {ell} = {here.log_likelihood:.6f}.")
        self.here = here
        yield from self.worked(here.params)
        new = {label: value for label, value, _ in self._scalars(there.params)}
        if self.formulas:
            found, values = self.step(number)
            yield Words("M-step:")
            for label, formula, _ in self._scalars(found):
                if not _agree(formula, values, float(new[label])):
                    raise DataError(AWAY)
                yield Equation(self.label(label), formula, values, float(new[label]))
        else:
            yield Words("The M-step leads to")
            for label, value in new.items():
                yield Equation(self.label(label), sp.Float(value))
        bound = self.problem.bound(here.free, here.log_likelihood)(there.free)
        yield Words(
            f"{ell} rises from {here.log_likelihood:.6f} to {there.log_likelihood:.6f}. Jensen's bound, which touched "
            f"ℓ where the step began, is {bound:.6f} here, {there.log_likelihood - bound:.3g} below it."
        )

    def _end(self) -> Iterator[Block]:
        yield Words(self.end.message)
        for label, value, _ in self._scalars(self.end.at.params):
            yield Equation(self.label(label), sp.Float(value))
        yield Equation(sp.Symbol("ℓ"), sp.Float(self.end.log_likelihood))
        try:
            found = self.end.scalar_information()
        except InferenceError as error:
            yield Words(f"The information says nothing here: {error}.")
            return
        yield Words("What was observed is the complete information less what the unseen part would have told:")
        complete, observed, missing = (np.diag(each) for each in (found.complete, found.observed, found.missing))
        names = ("complete", "missing", "observed")
        labels = {str(label): label for label in self.problem.labels}
        for name, *numbers in list(zip(found.labels, complete, missing, observed, strict=True))[:SCALARS]:
            own = {symbol(word): number for word, number in zip(names, numbers, strict=True)}
            left = sp.Function("observed")(self.label(labels[name]))
            right = sp.Add(symbol("complete"), -symbol("missing"), evaluate=False)
            yield Equation(left, right, own, numbers[2])
        yield from self._rate(found.fraction_missing)
        errors = np.sqrt(np.diag(found.covariance))
        told: list[tuple[str, ...]] = [("", "standard error", "by SEM")]
        try:
            sem = np.sqrt(np.diag(errors_by("sem", self.end).covariance))
        except InferenceError:
            sem = np.full(len(errors), np.nan)
        for label, _, i in self._scalars(self.end.at.params):
            told.append(
                (str(self.label(label)), *(shown(each[i]) if np.isfinite(each[i]) else "" for each in (errors, sem)))
            )
        yield Words(
            "So V = observed⁻¹, or by the supplemented EM algorithm from the map's own steps, "
            "V = (1 − rate)⁻¹ complete⁻¹:"
        )
        yield Rows(told[0], told[1:])

    def _rate(self, share: float) -> Iterator[Block]:
        far = [each.free for each in self.path if each.distance > FAR]
        steps = [np.linalg.norm(there - here) for here, there in pairwise(far)]
        told = f"The largest fraction of missing information is {shown(share)}: that is EM's rate of convergence."
        if len(steps) > 1:
            last = steps[-1] / steps[-2]
            told += (
                f" In the run of plain EM from here, step {len(steps)} was {shown(float(last))} times as long as the"
            )
            told += " one before it, which comes to that rate as the run nears its limit."
        yield Words(told)


def each_tidied(formulas: Any, at: At) -> np.ndarray:
    return np.vectorize(lambda each: tidied(each, at), otypes=[object])(formulas)


def _agree(formula: Any, at: At, value: float) -> bool:
    """Whether a formula has the value that EM found about an origin of its own; nothing is asked of what is 0."""
    return abs(value) < NOTHING or abs(float(formula.subs(at)) - value) <= 1e-3 * abs(value)


def _arrays(params: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: jnp.asarray(value) for name, value in params.items()}


def several(terms: list[Any]) -> Any:
    """The sum of some terms, of many the first ones and dots."""
    return sp.Add(*(terms if len(terms) <= FEW else [*terms[: FEW - 1], DOTS]), evaluate=False)


def product(*factors: Any) -> Any:
    """In this order."""
    return sp.Mul(*factors, evaluate=False)
