"""Arithmetic in parameter names, from a whitelist of syntax: numbers, names, + − * / **, parentheses."""

import ast
import operator
import sys
from collections.abc import Callable, Collection, Iterable, Set
from typing import Any, NamedTuple

import numpy as np

from latens.errors import ModelError, listed

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
