"""The density of one family, read off its code."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from latens.errors import ModelError
from latens.explaining.formulas import At, symbol, symbols, tidied
from latens.explaining.reading import MOST_SYMBOLS, NoFormula, read
from latens.families.base import AbstractFamily
from latens.families.full_normal import FullNormal
from latens.families.truncated import Truncated

LONG = 60  # operations in a formula that can still be taken in
SQUARE = sp.Symbol("D²")


def square_of(d: int) -> Any:
    """D² = (y − μ)ᵀ Σ⁻¹ (y − μ), of d columns."""
    y, mean, covariance = sp.MatrixSymbol("y", d, 1), sp.MatrixSymbol("μ", d, 1), sp.MatrixSymbol("Σ", d, d)
    away = sp.MatAdd(y, -mean, evaluate=False)
    return sp.MatMul(sp.Transpose(away), sp.Inverse(covariance), away, evaluate=False)


class Law:
    """Formulas of a family at params, for a complete datum `like` those there are."""

    def __init__(
        self, family: AbstractFamily, params: dict[str, Any], like: Any, columns: Sequence[str] = ("y",)
    ) -> None:
        """`columns`: names for the entries of the datum."""
        self.family, self.columns = family, columns
        self.at: At = {}
        self.params = {name: symbols(name, params[name], self.at) for name in family.constraints}
        self.datum = self._datum(like)
        shapes = {name: jax.ShapeDtypeStruct(np.shape(value), float) for name, value in self.params.items()}
        self.size = int(jax.eval_shape(family.potential, shapes).shape[0])

    def _datum(self, like: Any) -> Any:
        if isinstance(like, dict):
            return {name: symbols(name, value, self.at) for name, value in like.items()}
        fields = getattr(getattr(self.family, "support", None), "fields", ())
        array = np.asarray(like, dtype=float)
        names = fields or (self.columns if not all(name.isdigit() for name in self.columns) else ())
        if array.ndim == 1 and len(names) == len(array):
            pairs = zip(names, array, strict=True)
            return np.array([symbol(name, value, self.at) for name, value in pairs], dtype=object)
        return symbols(names[0] if array.ndim == 0 and names else "y", array, self.at)

    def read(self, function: Any, *given: Any) -> list[Any] | None:
        """What a function gives, entry by entry, or None where it is a procedure, or too long to be taken in."""
        if isinstance(self.family, Truncated):  # whose integrals are no formulas
            return None
        if sum(np.size(leaf) for leaf in jax.tree.leaves((self.params, given))) > MOST_SYMBOLS:
            return None
        try:
            found = np.ravel(read(function, *given, at=self.at)).tolist()
        except (NoFormula, ModelError):  # a family need not say all that is asked
            return None
        if sum(sp.sympify(each).count_ops() for each in found) > LONG:
            return None
        return [tidied(each, self.at) for each in found]

    @cached_property
    def density(self) -> Any:
        """log f(y)."""
        if isinstance(self.family, FullNormal):  # whose code goes through a factor of the matrix
            d = len(np.ravel(self.datum))
            return -(sp.log(sp.Determinant(2 * sp.pi * sp.MatrixSymbol("Σ", d, d))) + SQUARE) / 2
        found = self.read(lambda p, y: self.family.log_kernel(self.family.potential(p), y), self.params, self.datum)
        return found and found[0]

    @cached_property
    def base(self) -> Any:
        """log h(y), what no parameter stands in, if that is all there is at potentials of 0."""
        found = self.statistics and self.read(lambda y: self.family.log_kernel(jnp.zeros(self.size), y), self.datum)
        return found and found[0]

    @cached_property
    def statistics(self) -> list[Any] | None:
        """c(y) and T(y): what the potentials are multiplied by, where log f is linear in them."""
        phi = symbols("φ", np.zeros(self.size), self.at)
        found = self.read(lambda p, y: jax.grad(self.family.log_kernel)(p, y), phi, self.datum)
        if found is None or {s for each in found for s in sp.sympify(each).free_symbols} & set(phi):
            return None
        return found if self._holds(found) else None

    def _holds(self, found: list[Any]) -> bool:
        """Whether the statistics are these at other potentials, too: not where they count what could not be seen."""
        values = {name: jnp.asarray(self._values(letters)) for name, letters in self.params.items()}
        datum = jax.tree.map(lambda letters: jnp.asarray(self._values(letters)), self.datum)
        expected = jax.grad(self.family.log_kernel)(self.family.potential(values), datum)
        flags = [each for each in found if not sp.sympify(each).free_symbols <= set(self.at)]
        told = [np.nan if each in flags else float(sp.sympify(each).subs(self.at)) for each in found]
        return bool(np.allclose(expected, np.where(np.isnan(told), expected, told), rtol=1e-6))

    def _values(self, letters: np.ndarray) -> np.ndarray:
        return np.vectorize(lambda letter: self.at[letter], otypes=[float])(letters)

    @cached_property
    def mean(self) -> list[Any] | None:
        """E[c(Y)] and E[T(Y)] of a datum of which nothing was seen."""
        return self.read(lambda p, y: self.family.mean_totals(p, y), self.params, self.datum)

    def letters(self, size: int) -> list[str]:
        """Of so many sums of statistics: n of what is 1 for every row, c of other counts, s of the rest."""
        known = self.statistics if self.statistics is not None and len(self.statistics) == size else [0] * size
        rest = ["s"] if size == 2 else [f"s{m}" for m in range(1, size)]
        return ["n" if formula == 1 else letter for formula, letter in zip(known, ["c", *rest], strict=True)]
