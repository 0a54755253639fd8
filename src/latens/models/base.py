"""What a model is, and everything that follows from its three functions."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import are_cells
from latens.data.reader import AbstractReader, Numbers
from latens.errors import ModelError
from latens.families.frame import AbstractFrame, Identity
from latens.families.roles import Roles, axes_by
from latens.families.units import units_of
from latens.numerics.modules import Module
from latens.numerics.space import Constraints, Params, Space

# a spread (variance where the data have 1) below which a component is a point: far above rounding
# of the second moments, and reached within a few steps once a likelihood is unbounded
POINT = 1e-11
# where statistics are reckoned from the component itself, rounding begins far below; but so narrow a component of
# fewer rows than this has found some that happen to lie close together
POINT_ABOUT, SEVERAL = 1e-24, 10.0
FEWEST = 1e-3  # expected rows below which a component has died


def inner(a: Any, b: Any) -> Array:
    """<a, b> of two trees of arrays; a potential of −inf against a statistic of 0 counts as 0."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return sum(((jnp.where(y == 0, 0.0, x) * y).sum() for x, y in pairs), jnp.zeros(()))


class AbstractModel(Module):
    """A model for which EM, its accelerators, Q, the informations and standard errors are derived.

    Complete data y have log f(y | θ) = <φ(θ), S(y)> + log h(y). To write your own:

    1. `constraints`: a dict, parameter name → `Real`, `Positive`, `Unit`, `Simplex`, ...
       (a tuple of scalar names may share one `Simplex`).
    2. `potentials(params)`: φ, an array or any tree of arrays. Where no finite statistic serves all observations, as
       with covariates, `row_potentials(params, x, at)` instead: those of ONE observation.
    3. `log_evidence(potentials, x)`: log ∫ h(y) exp<φ, S(y)> dy over the y that ONE observation x
       leaves possible: a scalar, written with `jax.numpy`. Its gradient in φ is the E-step.
    4. `estimate(stats)`: expected statistics, shaped like φ and summed over observations → the params
       that maximise <φ(params), stats>. Leave it out and damped Newton finds them.

    What you then get: `lt.fit` and everything a `Fit` does, frequency weights, blocks, cores, starts,
    `lt.q_function`, `lt.h_function`, `lt.lower_bound`, and the laws in `lt.testing.check_model`.

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1; Sundberg (1974), Scand. J. Stat. 1, 49.
    """

    @property
    @abstractmethod
    def constraints(self) -> Constraints:
        """Parameter name (or tuple of names) → constraint."""

    def potentials(self, params: Params) -> Any:
        """params → φ, a tree of arrays, where all observations share it; else the params themselves."""
        return params

    @abstractmethod
    def log_evidence(self, potentials: Any, x: Any) -> Array:
        """log-probability or density of ONE observation, from its potentials: a scalar."""

    def estimate(self, stats: Any) -> Params | None:
        """Expected statistics → params; None means that there is no closed form."""
        return None

    # -- may be refined -----------------------------------------------------------------------------

    def log_evidences(self, potentials: Any, xs: Any) -> Array:
        """The same of the rows of a block, from what `potentials` gives: refine it only where that is faster."""
        return per_row(lambda x: (self.log_evidence if self.finite else self.evidence)(potentials, x), xs)

    @property
    def title(self) -> str:
        """What reports call it."""
        return type(self).__name__

    @property
    def notes(self) -> tuple[str, ...]:
        """What users should know before they read its estimates."""
        return ()

    @property
    def finite(self) -> bool:
        """Whether one finite statistic serves all rows, so that Q(θ) = <φ(θ), s̄> with s̄ summed once.

        If not, each row has potentials of its own, and the M-step passes over the rows.
        """
        return type(self).row_potentials is AbstractModel.row_potentials

    def row_potentials(self, params: Params, x: Any, at: Params) -> Any:
        """φ of ONE observation, where rows have potentials of their own.

        Those of a continuous hidden part are its densities at points laid out where they count at the params `at`.
        """
        return self.potentials(params)

    def evidence(self, params: Params, x: Any) -> Array:
        """`log_evidence` of ONE observation at params: exact, where its own potentials are those of a quadrature."""
        return self.log_evidence(self.row_potentials(params, x, params), x)

    def surrogate(self, params: Params, at: Params, x: Any) -> Array:
        """Q of ONE observation: E[log f(Y | params) given x, at], up to a term free of params."""
        expected = jax.grad(self.log_evidence)(self.row_potentials(at, x, at), x)
        return inner(self.row_potentials(params, x, at), expected)

    def posterior(self, potentials: Any, x: Any) -> Any:
        """What is known of the hidden part of ONE observation, from what `potentials` gives: E[S given x], like φ."""
        own = potentials if self.finite else self.row_potentials(potentials, x, potentials)
        return jax.grad(self.log_evidence)(own, x)

    @property
    def hidden(self) -> tuple[str, ...] | None:
        """Names of the hidden values that `posterior` gives probabilities for, if it does."""
        return None

    def suited(self, data: Any) -> "AbstractModel":
        """The model with what users' data say of it filled in, such as the names of categories."""
        return self

    @property
    def reader(self) -> AbstractReader:
        """What it takes for data, and how they are read."""
        return Numbers()

    @property
    def blocks(self) -> np.ndarray:
        """(p,) of each free coordinate the block it belongs to, where Q is a sum over blocks: here all one."""
        return np.zeros(Space(self.constraints).size, dtype=int)

    @property
    def counted(self) -> frozenset[str]:
        """Shares whose M-step is closed where that of others is not: Q holds Σ n_j log p_j, Σ n_j the rows."""
        return frozenset()

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        """Raises `DataError` where the rows do not suffice to estimate from."""
        self.reader.require(xs, columns)

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        """Coordinates of the data to compute in: those that the roles of the parameters allow."""
        return units_of(self.roles, self.constraints, xs, weights, columns) if self.roles else Identity()

    @property
    def roles(self) -> Roles:
        """Parameter → what it is to the data, so that their units and origin do not matter to the computation."""
        return {}

    def framed(self, frame: AbstractFrame) -> "AbstractModel":
        """The model as it is for data in the frame, where it holds numbers in units of the data."""
        return self

    def start(self, xs: Any, weights: Array, frame: AbstractFrame, rng: np.random.Generator) -> Params:
        """Params in the frame where EM may begin: here, free coordinates drawn from N(0, 1)."""
        space = Space(self.constraints)
        return space.params(jnp.asarray(rng.normal(size=space.size)))

    def about(self, params: Params) -> "AbstractModel":
        """The same model, its statistics and potentials reckoned from these params; see `AbstractFamily.about`."""
        return self

    def sum_of_terms(self, potentials: Any, stats: Any, n: Array) -> Array:
        """How large the terms are, for a row, that its log-evidence is the sum of: what rounding is measured by."""
        return jnp.zeros(())

    def mean_statistics(self, params: Params, like: Any) -> Any:
        """E[S(Y)] of one complete observation of the size of `like`, shaped like φ: a conjugate prior is made of it."""
        raise ModelError(f"{type(self).__name__} does not say what its statistics are expected to be: no prior for it")

    def pooled(self, xs: Any, weights: Array) -> Params:
        """Params of all rows taken together, as if nothing were hidden."""
        raise ModelError(f"{type(self).__name__} has no usual prior: give the params of one, lt.Prior(weight, params)")

    def random_start(self, xs: Any, weights: Array, frame: AbstractFrame, rng: np.random.Generator) -> Params:
        """Another way to draw a start, which spreads wider, if the model has one."""
        return self.start(xs, weights, frame, rng)

    def labelled(self, xs: Any, labels: np.ndarray | None) -> Any:
        """Rows as observed, together with what is known of their hidden label: (n, k) booleans."""
        if labels is None:
            return xs
        raise ModelError(f"{type(self).__name__} hides no label that labels= could tell")

    @property
    def exchangeable(self) -> Sequence[str] | Mapping[str, tuple[int, ...]]:
        """Parameters whose first axis is a label that could be any permutation of itself; or parameter → such axes."""
        return ()

    @property
    def signs(self) -> tuple[str, ...]:
        """Parameters that could all change their signs, such as the loadings of a factor."""
        return ()

    @property
    def usual_starts(self) -> int:
        """How many starts to try when the user does not say."""
        return 10

    def health(self, params: Params, n: Array) -> Array:
        """(m,) for each part that can degenerate, how far it is from that: below 1 it has."""
        return jnp.full(1, jnp.inf)

    def ailment(self, part: int) -> str:
        """What the degeneration of that part means, and the remedy."""
        return "the model degenerated"

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        """Parameter name → names of the entries of its trailing axes, for labels: here those of their columns."""
        return axes_by(self.roles, self.constraints, columns)

    def expected(self, params: Params, given: Any, x: Any) -> Any:
        """What the parts of ONE observation are expected to be, `given` its posterior: `Moments` or `Chances`."""
        raise ModelError(f"{type(self).__name__} does not say what unseen parts of its data are: nothing to impute")

    def fill(self, params: Params, given: Any, key: Array, x: Any) -> Any:
        """ONE observation with its unseen parts drawn, `given` its posterior."""
        raise ModelError(f"{type(self).__name__} does not say what unseen parts of its data are: nothing to impute")

    def sample(self, params: Params, key: Array, like: Any = None) -> Any:
        """One observation drawn from the model."""
        raise ModelError(f"{type(self).__name__} does not say how to sample; give it a `sample` method")


def per_row(function: Callable[[Any], Any], xs: Any, axis: int = 0) -> Any:
    """The results with their rows from `axis` on; what the rows of a group share is done once for them."""

    def shared(leaf: Any) -> bool:
        return are_cells(leaf) and leaf.patterns is not None and leaf.value.ndim > leaf.seen.ndim

    if not any(shared(leaf) for leaf in jax.tree.leaves(xs, is_leaf=are_cells)):
        return jax.vmap(function, 0, axis)(xs)
    axes = jax.tree.map(lambda leaf: replace(leaf, value=0, seen=None) if shared(leaf) else 0, xs, is_leaf=are_cells)
    return jax.vmap(jax.vmap(function, (axes,), axis), 0, axis)(xs)


def least_spread(precise: bool, rows: Array) -> Array:
    """Below which a component that expects so many rows is a point; `precise` if no second moments are subtracted."""
    return jnp.where(rows >= SEVERAL, POINT_ABOUT, POINT) if precise else jnp.full_like(rows, POINT)


def collapsed(what: str, remedy: str, *, alone: bool = False) -> str:
    """Why a likelihood without bound is no estimate, and the remedy; `alone` of a datum that is one number."""
    where = "" if alone else ", in some direction"
    return (
        f"{what} has collapsed (its variance goes to zero{where}), where the likelihood is unbounded and no maximum "
        f"exists: {remedy}"
    )
