"""Arithmetic in parameter names, from a whitelist of syntax: numbers, names, + − * / **, parentheses."""

import ast
import operator
import sys
from collections.abc import Callable, Collection, Mapping, Set
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
_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}


def parse(text: str, names: Set[str], where: str) -> ast.expr:
    """The syntax tree of an expression, or a `ModelError` saying what in it is not allowed."""
    try:
        tree = ast.parse(str(text).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ModelError(f"{where}: the expression {text!r} does not parse") from None
    _check(tree, names, f"{where}: the expression {text!r}")
    return tree


def _check(node: ast.expr, names: Set[str], where: str) -> None:
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
            _check(operand, names, where)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            _check(left, names, where)
            _check(right, names, where)
        case _:
            raise ModelError(
                f"{where} may hold numbers, parameter names, + - * / ** and parentheses; found {ast.unparse(node)!r}"
            )


def evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    """The value of a parsed expression."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            inside = evaluate(operand, values)
            return -inside if isinstance(op, ast.USub) else inside
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](evaluate(left, values), evaluate(right, values))
    raise AssertionError(ast.dump(node))


def pattern(node: ast.expr, leaves: list[Any]) -> str:
    """The expression with a blank "_0", "_1", ... for every name and number but an exponent; these go to `leaves`.

    Expressions of one pattern are evaluated together.
    """
    match node:
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=exponent)):
            return f"({pattern(left, leaves)}**{exponent!r})"
        case ast.BinOp(left=left, op=op, right=right):
            return f"({pattern(left, leaves)}{_SIGNS[type(op)]}{pattern(right, leaves)})"
        case ast.UnaryOp(op=op, operand=operand):
            return f"({'-' if isinstance(op, ast.USub) else '+'}{pattern(operand, leaves)})"
        case ast.Name(id=leaf) | ast.Constant(value=leaf):
            leaves.append(leaf)
    return f"_{len(leaves) - 1}"


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
