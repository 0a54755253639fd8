"""Formulas in SymPy: their symbols, and how they are written in a line, in LaTeX, and with numbers in their place."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

DIGITS = 6
LONG = 150  # operations in a formula that is still looked at for a shorter way to write it
SIGNS = {
    "mean": "μ", "variance": "σ²", "covariance": "Σ", "rate": "λ", "probability": "p", "probabilities": "p",
    "weights": "w", "shape": "α", "scale": "β",
}  # fmt: skip
LATEX = {
    "μ": r"\mu", "σ²": r"\sigma^2", "Σ": r"\Sigma", "λ": r"\lambda", "α": r"\alpha", "β": r"\beta", "γ": r"\gamma",
    "ℓ": r"\ell", "θ": r"\theta", "φ": r"\varphi", "η": r"\eta",
}  # fmt: skip
RAISED, LOWERED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"), str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
At = dict[Any, float]
"""Symbol → its value at a point."""


def symbol(name: str, value: float | None = None, at: At | None = None) -> Any:
    """A symbol, of which nothing is assumed: SymPy would ponder over signs for minutes."""
    found = sp.Symbol(name)
    if at is not None and value is not None:
        at[found] = float(value)
    return found


def symbols(name: str, values: Any, at: At) -> np.ndarray:
    """Symbols for the entries of an array: a letter for a parameter that has one, and the place in brackets."""
    array = np.asarray(values, dtype=float)
    sign = SIGNS.get(name, name)
    out = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        place = f"[{','.join(map(str, index))}]" if index else ""
        out[index] = symbol(sign + place, float(array[index]), at)
    return out


def shown(value: float, digits: int = DIGITS) -> str:
    """A number as it stands in a formula."""
    return f"{float(value):.{digits}g}"


class _Line(StrPrinter):
    """In a line of text; with the numbers of some symbols in their place."""

    def __init__(self, at: Mapping[Any, float] | None, digits: int) -> None:
        super().__init__({"order": "none"})
        self.at, self.digits = at or {}, digits

    def _print_Symbol(self, expr: Any) -> str:
        return _number(self.at[expr], self.digits) if expr in self.at else str(expr.name)

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:
        if expr.exp.is_Integer and expr.exp > 1:
            base = self.parenthesize(expr.base, sp.printing.precedence.PRECEDENCE["Pow"])
            return base + str(expr.exp).translate(RAISED)
        return str(super()._print_Pow(expr, rational=rational)).replace("**", "^")

    def _print_loggamma(self, expr: Any) -> str:
        return f"logΓ({self._print(expr.args[0])})"

    def _print_Sum(self, expr: Any) -> str:
        letters = "".join(str(limit[0]) for limit in expr.limits)
        return f"Σ_{letters} {self.parenthesize(expr.function, sp.printing.precedence.PRECEDENCE['Mul'])}"

    def _print_Determinant(self, expr: Any) -> str:
        return f"|{self._print(expr.arg)}|"

    def _print_Transpose(self, expr: Any) -> str:
        return f"{self.parenthesize(expr.arg, sp.printing.precedence.PRECEDENCE['Pow'])}ᵀ"

    def _print_Inverse(self, expr: Any) -> str:
        return f"{self.parenthesize(expr.arg, sp.printing.precedence.PRECEDENCE['Pow'])}⁻¹"

    def _print_MatrixSymbol(self, expr: Any) -> str:
        return str(expr.name)

    def _print_NegativeInfinity(self, expr: Any) -> str:
        return "-∞"

    def _print_Pi(self, expr: Any) -> str:
        return "π"

    def _print_Float(self, expr: Any) -> str:
        return shown(float(expr))


def line(formula: Any, at: Mapping[Any, float] | None = None, digits: int = DIGITS) -> str:
    """A formula in a line of text; with numbers in the place of its symbols, if they are given."""
    return str(_Line(at, digits).doprint(sp.sympify(formula))).replace("*", "·")


def parsed(text: str) -> float:
    """What a line of numbers comes to: `line` read again."""
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda found: f"**({found[0].translate(LOWERED)})", text)
    return float(sp.sympify(text.replace("·", "*").replace("^", "**").replace("logΓ", "loggamma").replace("π", "pi")))


class _Tex(LatexPrinter):
    """The same in LaTeX."""

    def __init__(self, at: Mapping[Any, float] | None, digits: int) -> None:
        super().__init__({"order": "none"} | ({"mul_symbol": "dot"} if at else {}))
        self.at, self.digits = at or {}, digits

    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:
        return _number(self.at[expr], self.digits) if expr in self.at else _tex_name(expr.name)

    def _print_MatrixSymbol(self, expr: Any) -> str:
        return _tex_name(str(expr.name))

    def _print_loggamma(self, expr: Any) -> str:
        return rf"\log\Gamma\left({self._print(expr.args[0])}\right)"

    def _print_Float(self, expr: Any) -> str:
        return shown(float(expr))

    def _print_Function(self, expr: Any, exp: Any = None) -> str:
        if exp is not None or not isinstance(expr, sp.core.function.AppliedUndef):
            return str(super()._print_Function(expr, exp=exp))
        inside = ", ".join(self._print(arg) for arg in expr.args)
        return rf"{_tex_name(expr.func.__name__)}\left({inside}\right)"


def latex(formula: Any, at: Mapping[Any, float] | None = None, digits: int = DIGITS) -> str:
    """The same in LaTeX."""
    return str(_Tex(at, digits).doprint(sp.sympify(formula)))


def _number(value: float, digits: int) -> str:
    told = shown(value, digits)
    return f"({told})" if told.startswith("-") or "e" in told else told


def _tex_name(name: str) -> str:
    if name.startswith("["):  # 1 where it is so
        return rf"\left[\mathrm{{{_upright(name[1:-1])}}}\right]"
    base, _, place = name.partition("[")
    index, _, rest = place.partition("]")
    if number := re.fullmatch(r"([sT])(\d+)", base):  # one of several statistics
        base, index = number[1], ",".join(part for part in (number[2], index) if part)
    root = LATEX.get(base, base if len(base) == 1 and base.isalpha() else rf"\mathrm{{{_upright(base)}}}")
    return root + (f"_{{{_upright(index)}}}" if index else "") + _upright(rest)


def _upright(text: str) -> str:
    """A text within a formula."""
    signs = {"<": r"\lt ", ">": r"\gt ", r"\textbackslash{}": r"\backslash ", " ": r"\ "}
    found = escaped(text)
    for sign, instead in signs.items():
        found = found.replace(sign, instead)
    return found


def escaped(text: str) -> str:
    """A text as LaTeX reads it."""
    signs = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}"} | {sign: "\\" + sign for sign in "&%$#_{}"}
    return "".join(signs.get(letter, letter) for letter in str(text))


def tidied(formula: Any, at: At) -> Any:
    """The shortest of some ways to write it: as it is, fractions put together, logarithms of quotients apart."""
    formula = sp.sympify(formula)
    if formula.count_ops() > LONG:
        return formula

    def apart(inside: Any) -> Any:
        above, below = sp.fraction(sp.cancel(sp.together(inside)))
        if float(above.subs(at)) < 0:
            above, below = -above, -below
        return sp.log(above) - sp.log(below)

    found = [formula]
    for way in (sp.cancel, lambda given: given.replace(sp.log, apart)):
        with suppress(TypeError, sp.PolynomialError):  # of flags there is no value
            found.append(way(formula))
    return min(found, key=lambda each: each.count_ops())
