"""Probabilities of cells, read from expressions and held as arrays, however many there are."""

import ast
import operator
import sys
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.errors import ModelError, listed
from latens.numerics.space import Key
from latens.numerics.special import safe_log

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
LONGEST = 80  # characters of an expression in a message
DEEPEST = 500  # Python ends at 1000


def parse(text: str, names: Set[str], where: str) -> ast.expr:
    """The syntax tree of an expression, or a `ModelError` saying what in it is not allowed."""
    where = f"{where}: the expression {text if len(text) <= LONGEST else text[:LONGEST] + '...'!r}"
    try:
        tree = ast.parse(str(text).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ModelError(f"{where} does not parse") from None
    _check(tree, names, where)
    return tree


def _check(node: ast.expr, names: Set[str], where: str, deep: int = 0) -> None:
    if deep > DEEPEST:
        raise ModelError(f"{where} is nested more than {DEEPEST} deep")
    match node:
        case ast.Constant(value=bool() | complex()):
            raise ModelError(f"{where} may hold numbers only")
        case ast.Constant(value=int() | float() as value):
            if not value <= sys.float_info.max:
                raise ModelError(f"{where} holds a number that is too large")
        case ast.Name(id=name):
            if name not in names:
                raise ModelError(f"{where} uses '{name}', which is no parameter; there are {listed(sorted(names))}")
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _check(operand, names, where, deep + 1)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            _check(left, names, where, deep + 1)
            _check(right, names, where, deep + 1)
        case _:
            raise ModelError(
                f"{where} may hold numbers, parameter names, + - * / ** and parentheses; found {ast.unparse(node)!r}"
            )


Leaf = str | float
Token = type[ast.operator] | type[ast.USub] | float | None
Pattern = tuple[Token, ...]


def pattern(node: ast.expr, leaves: list[Leaf]) -> Pattern:
    """The expression in postfix: None for every name and number, which go to `leaves`, but a known exponent itself.

    Expressions of one pattern are evaluated together.
    """
    match node:
        case ast.BinOp(left=left, op=ast.Pow(), right=right) if (exponent := _known(right)) is not None:
            return (*pattern(left, leaves), exponent)
        case ast.BinOp(left=left, op=op, right=right):
            return (*pattern(left, leaves), *pattern(right, leaves), type(op))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return (*pattern(operand, leaves), ast.USub)
        case ast.UnaryOp(operand=operand):
            return pattern(operand, leaves)
        case ast.Name(id=leaf) | ast.Constant(value=int() | float() as leaf):
            leaves.append(leaf)
    return (None,)


def _known(exponent: ast.expr) -> float | None:
    """Its value, if there is no name in it: powers of negative numbers have derivatives then."""
    found = monomial(exponent, ())
    if found is None or found.powers:
        return None
    value = float(found.constant)
    return int(value) if value.is_integer() else value


def evaluate(tokens: Pattern, leaves: Iterable[Any]) -> Any:
    """The values of expressions of one pattern."""
    rest, stack = iter(leaves), []
    for token in tokens:
        if token is None:
            stack.append(next(rest))
        elif isinstance(token, int | float):
            stack.append(stack.pop() ** token)
        elif issubclass(token, ast.operator):
            right = stack.pop()
            stack.append(_OPERATORS[token](stack.pop(), right))
        else:
            stack.append(-stack.pop())
    return stack.pop()


class Monomial(NamedTuple):
    """constant · ∏ factor^power; a factor is a parameter's name or, as "1-t", its complement."""

    constant: np.float64
    powers: dict[str, float]


def monomial(node: ast.expr, complements: Collection[str]) -> Monomial | None:
    """The expression as a product of powers of parameters and complements, or None if it is not one."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return Monomial(np.float64(value), {})
        case ast.Name(id=name):
            return Monomial(np.float64(1.0), {name: 1.0})
        case ast.UnaryOp(op=op, operand=operand):
            inside = monomial(operand, complements)
            sign = -1.0 if isinstance(op, ast.USub) else 1.0
            return inside and Monomial(sign * inside.constant, inside.powers)
        case ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=ast.Name(id=name)) if name in complements:
            return Monomial(np.float64(1.0), {f"1-{name}": 1.0})
        case ast.BinOp(left=left, op=op, right=right):
            a, b = monomial(left, complements), monomial(right, complements)
            return None if a is None or b is None else _combine(a, op, b)
    return None


def _combine(a: Monomial, op: ast.operator, b: Monomial) -> Monomial | None:
    match op:
        case ast.Mult():
            powers = {n: a.powers.get(n, 0.0) + b.powers.get(n, 0.0) for n in a.powers | b.powers}
            return Monomial(a.constant * b.constant, powers)
        case ast.Div() if not b.powers and b.constant != 0:
            return Monomial(a.constant / b.constant, a.powers)
        case ast.Pow() if not b.powers and b.constant >= 0:
            return Monomial(a.constant**b.constant, {n: p * b.constant for n, p in a.powers.items()})
        case ast.Add() | ast.Sub() if a.powers == b.powers:
            return Monomial(_OPERATORS[type(op)](a.constant, b.constant), a.powers)
    return None


class AbstractForm(eqx.Module):
    """P(c | θ) of all cells c. `values` (p,) are the parameters, in order; φ are the potentials."""

    @abstractmethod
    def probabilities(self, values: Array) -> Array:
        """(cells,) of any sign, as the expressions say."""

    @abstractmethod
    def potentials(self, values: Array) -> Array:
        """values → φ."""

    @abstractmethod
    def logs(self, potentials: Array) -> Array:
        """φ → (cells,) log P(c)."""

    @abstractmethod
    def estimate(self, stats: Array) -> Array | None:
        """Expected statistics, shaped like φ → the values that maximise <φ, stats>, if there is a closed form."""


class Monomials(AbstractForm):
    """Each cell is a product: a constant, powers of parameters and of complements 1 − t.

        P(c) = a_c ∏_f f^{k_cf},    φ_f = log f,    S_f = Σ_c y_c k_cf

    The factors f are all parameters, then the complements; entry e says that the power of `factors[e]` in
    `cells[e]` is `powers[e]`. The M-step is gene counting: a parameter's share of the factors of its block.
    """

    constants: np.ndarray  # (cells,)
    cells: np.ndarray  # (entries,) rising
    factors: np.ndarray  # (entries,)
    powers: np.ndarray  # (entries,)
    singles: np.ndarray  # the parameters that have a complement
    blocks: np.ndarray  # (factors,) which sum to one together

    def probabilities(self, values: Array) -> Array:
        return jnp.exp(self._products(self.potentials(values))) * self.constants

    def potentials(self, values: Array) -> Array:
        return safe_log(jnp.concatenate([values, 1 - values[self.singles]]))

    def logs(self, potentials: Array) -> Array:
        return safe_log(jnp.asarray(self.constants)) + self._products(potentials)

    def estimate(self, stats: Array) -> Array:
        totals = jax.ops.segment_sum(stats, self.blocks, len(stats))
        return (stats / totals[self.blocks])[: len(self.blocks) - len(self.singles)]

    def _products(self, potentials: Array) -> Array:
        terms = self.powers * potentials[self.factors]
        return jax.ops.segment_sum(terms, self.cells, len(self.constants), indices_are_sorted=True)


class Alike(eqx.Module):
    """Cells whose expressions differ in names and numbers only."""

    pattern: Pattern = eqx.field(static=True)
    leaves: np.ndarray  # (n, leaves) indices into values, then numbers

    def __call__(self, values: Array) -> Array:
        """(n,) values of the expressions."""
        return jnp.asarray(evaluate(self.pattern, values[self.leaves.T]))


class Expressions(AbstractForm):
    """Cells of any form, those of one pattern evaluated together; φ = log P(c), S = counts of the cells."""

    parts: tuple[Alike, ...]
    numbers: np.ndarray  # all that the expressions hold
    order: np.ndarray  # (cells,) where each stands in the parts laid end to end

    def probabilities(self, values: Array) -> Array:
        filled = jnp.concatenate([values, self.numbers])
        return jnp.concatenate([each(filled) for each in self.parts])[self.order]

    def potentials(self, values: Array) -> Array:
        return safe_log(self.probabilities(values))

    def logs(self, potentials: Array) -> Array:
        return potentials

    def estimate(self, stats: Array) -> None:
        return None


def form_of(trees: Sequence[ast.expr], parameters: Sequence[Key]) -> AbstractForm:
    """Parsed expressions of all cells → their form."""
    singles = {key for key in parameters if isinstance(key, str)}
    with np.errstate(all="ignore"):  # what is not a number is found when the cells are summed
        products = [product for tree in trees if (product := monomial(tree, singles)) is not None]
        return _monomials(products, parameters) if len(products) == len(trees) else _expressions(trees, parameters)


def _monomials(products: Sequence[Monomial], parameters: Sequence[Key]) -> Monomials:
    names = names_of(parameters)
    singles = [i for i, name in enumerate(names) if name in parameters]
    at = {name: i for i, name in enumerate([*names, *(f"1-{names[i]}" for i in singles)])}
    blocks = np.repeat(np.arange(len(parameters)), [1 if isinstance(key, str) else len(key) for key in parameters])
    entries = [(c, at[f], power) for c, each in enumerate(products) for f, power in each.powers.items()]
    cells, factors, powers = np.array(entries, dtype=float).reshape(-1, 3).T
    return Monomials(
        np.array([each.constant for each in products]),
        cells.astype(np.int32),
        factors.astype(np.int32),
        powers,
        np.array(singles, dtype=np.int32),
        np.concatenate([blocks, blocks[singles]]).astype(np.int32),
    )


def _expressions(trees: Sequence[ast.expr], parameters: Sequence[Key]) -> Expressions:
    at: dict[Leaf, int] = {name: i for i, name in enumerate(names_of(parameters))}
    known = len(at)
    alike: dict[Pattern, list[tuple[int, list[int]]]] = {}
    for c, tree in enumerate(trees):
        leaves: list[Leaf] = []
        alike.setdefault(pattern(tree, leaves), []).append((c, [at.setdefault(leaf, len(at)) for leaf in leaves]))
    laid = [c for members in alike.values() for c, _ in members]
    return Expressions(
        tuple(Alike(same, np.array([own for _, own in members], np.int32)) for same, members in alike.items()),
        np.array(list(at)[known:], dtype=float),
        np.argsort(laid).astype(np.int32),
    )


def names_of(parameters: Sequence[Key]) -> list[str]:
    """All names, in order."""
    return [name for key in parameters for name in ([key] if isinstance(key, str) else key)]
