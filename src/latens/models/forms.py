"""Probabilities of cells as arrays, however many there are: products of powers, or any expressions."""

import ast
from abc import abstractmethod
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.models.expressions import Leaf, Monomial, Pattern, evaluate, monomial, pattern
from latens.numerics.space import Key
from latens.numerics.special import safe_log


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
