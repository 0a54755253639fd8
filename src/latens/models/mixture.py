"""Finite mixtures: a hidden label says which component made a row."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import labelled, labels_of, ruled_out, taken, without_labels
from latens.data.reader import AbstractReader
from latens.errors import DataError, ModelError, counted
from latens.families.base import AbstractFamily, no_family
from latens.families.datum import is_expected
from latens.families.frame import AbstractFrame
from latens.families.roles import Roles
from latens.models.base import FEWEST, AbstractModel, collapsed, least_spread, per_row
from latens.models.components import AbstractComponents, Alike
from latens.models.different import Different
from latens.models.seeding import distinct_rows, from_groups, guided, partition
from latens.numerics.asked import whole
from latens.numerics.compiling import by_size, evened
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.memory import frozen
from latens.numerics.space import Constraints, Params
from latens.numerics.special import logsumexp, safe_log
from latens.numerics.stacked import Composition


class Mixture(AbstractModel):
    """Finite mixture: f(x | θ) = Σ_j w_j f_j(x | θ_j).

    The E-step's responsibilities γ_ij ∝ w_j f_j(x_i) are the gradient of log f in log w.

    **Arguments:** `family`: one family for all components, or a list of families, one each;
    `k`: the number of components (with a list: may be left out); `weights`: known w (k,), or None to
    estimate them; `shared`: names of parameters that are one for all components.
    **Parameters:** `weights` (k,) unless known; each parameter of the family with the component as
    first axis, without it if shared; with a list "0.name", "1.name", ...
    **Raises:** `ModelError` for k below 1, known weights that are no probabilities, unknown `shared`.
    **Example:**
        >>> import latens as lt
        >>> coins = lt.Mixture(lt.Binomial(), 2, weights=(0.5, 0.5))
        >>> tosses = [[5, 10], [9, 10], [8, 10], [4, 10], [7, 10]]
        >>> fit = lt.fit(coins, tosses, start={"probability": [0.6, 0.5]})
        >>> fit.params["probability"].round(5).tolist()
        [0.79679, 0.51958]

    **Source:** McLachlan & Peel (2000), Finite Mixture Models, §2.8.
    """

    components: AbstractComponents
    known: np.ndarray | None

    def __init__(
        self,
        family: AbstractFamily | Sequence[AbstractFamily],
        k: int | None = None,
        *,
        weights: Any = None,
        shared: Sequence[str] = (),
    ) -> None:
        several = not isinstance(family, AbstractFamily)
        families = (family,) if isinstance(family, AbstractFamily | type) else tuple(family)
        for member in families:
            if not isinstance(member, AbstractFamily):
                raise no_family("Mixture", member)
        k = len(families) if k is None else k
        whole(k, "Mixture: k", 1, ModelError)
        if several and len(families) != k:
            raise ModelError(f"Mixture: {len(families)} families for k = {k} components; give one for each")
        if several and shared:
            raise ModelError("Mixture: parameters can be shared by components of one family only")
        shared = (shared,) if isinstance(shared, str) else tuple(shared)
        self.components = Different(families) if several else Alike(families[0], int(k), shared)
        self.known = None if weights is None else frozen(np.asarray(weights, dtype=np.float64))
        if self.known is not None and (
            self.known.shape != (k,) or not (self.known > 0).all() or abs(self.known.sum() - 1) > 1e-8
        ):
            raise ModelError(f"Mixture: known weights must be {k} positive numbers that sum to one, got {self.known}")

    def resized(self, k: int) -> "Mixture":
        """The same mixture with k components; `ModelError` if each has a family or a known weight of its own."""
        if not isinstance(self.components, Alike) or self.known is not None:
            raise ModelError("the number of components can change only with one family for all and no known weights")
        return Mixture(self.components.family, k, shared=self.components.shared)

    @property
    def title(self) -> str:
        return f"Mixture: {self.components.title}{'' if self.known is None else ', weights known'}"

    @property
    def constraints(self) -> Constraints:
        free: dict[str, AbstractConstraint] = self.components.constraints
        return free if self.known is not None else {"weights": Composition(self.components.k), **free}

    def potentials(self, params: Params) -> dict[str, Any]:
        return self._shared(params) if self.finite else params

    def _shared(self, params: Params) -> dict[str, Any]:
        """Potentials that say what all rows are evidence of, exactly."""
        return {"weights": safe_log(self._weights(params)), "components": self.components.potentials(params)}

    def _weights(self, params: Params) -> Array:
        return params["weights"] if self.known is None else jnp.asarray(self.known)

    def log_evidence(self, potentials: dict[str, Any], x: Any) -> Array:
        if self.finite:
            return logsumexp(potentials["weights"] + self._log_kernels(potentials, x))
        own = self.components.row_kernels(potentials["components"], without_labels(x))
        return logsumexp(potentials["weights"] + ruled_out(own, x))

    def evidence(self, params: Params, x: Any) -> Array:
        shared = self._shared(params)
        return logsumexp(shared["weights"] + self._log_kernels(shared, x))

    def log_evidences(self, potentials: dict[str, Any], xs: Any) -> Array:
        potentials = potentials if self.finite else self._shared(potentials)
        # components first: what is done for all rows of a component then runs along them, in vector registers
        logs = per_row(lambda x: self._log_kernels(potentials, x), xs, 1)
        return logsumexp(jnp.expand_dims(potentials["weights"], range(1, logs.ndim)) + logs, 0)

    def _log_kernels(self, potentials: dict[str, Any], x: Any) -> Array:
        """(k,) log f_j(x), −inf for a component that the label rules out."""
        return ruled_out(self.components.log_kernels(potentials["components"], without_labels(x)), x)

    @property
    def notes(self) -> tuple[str, ...]:
        return self.components.notes

    @property
    def finite(self) -> bool:
        return self.components.linear

    def row_potentials(self, params: Params, x: Any, at: Params) -> dict[str, Any]:
        if self.finite:
            return self._shared(params)
        own = self.components.row_potentials(params, without_labels(x), at)
        return {"weights": safe_log(self._weights(params)), "components": own}

    def maximise(self, stats: dict[str, Any]) -> Params:
        """The M-step, exact if the components' is."""
        free = {} if self.known is not None else {"weights": stats["weights"] / stats["weights"].sum()}
        return free | self.components.maximise(stats["components"])

    def estimate(self, stats: dict[str, Any]) -> Params | None:
        return self.maximise(stats) if self.components.closed else None

    @property
    def blocks(self) -> np.ndarray:
        own = self.components.blocks
        return own if self.known is not None else np.concatenate([np.full(self.components.k - 1, -1), own])

    @property
    def counted(self) -> frozenset[str]:
        return frozenset() if self.known is not None else frozenset({"weights"})

    def posterior(self, potentials: dict[str, Any], x: Any) -> Array:
        """(k,) probability of each component."""
        return super().posterior(potentials, x)["weights"]

    @property
    def hidden(self) -> tuple[str, ...]:
        return tuple(str(j) for j in range(self.components.k))

    def suited(self, data: Any) -> "Mixture":
        return eqx.tree_at(lambda model: model.components, self, self.components.suited(data))

    @property
    def reader(self) -> AbstractReader:
        return self.components.reader

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        super().require(xs, columns)
        k = self.components.k
        distinct = distinct_rows(xs, k)
        if distinct < k:
            raise DataError(
                f"{k} components for data with {counted(distinct, 'distinct row')}: choose k of at most {distinct}"
            )

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        return self.components.frame(xs, weights, columns)

    def framed(self, frame: AbstractFrame) -> "Mixture":
        return eqx.tree_at(lambda model: model.components, self, self.components.framed(frame))

    def start(self, xs: Any, weights: Array, frame: AbstractFrame, rng: np.random.Generator) -> Params:
        """k-means++ seeds; every row goes to its nearest; each group a little shrunk towards all."""
        return self._grouped(xs, weights, frame, rng, apart=True)

    def random_start(self, xs: Any, weights: Array, frame: AbstractFrame, rng: np.random.Generator) -> Params:
        """The same from seeds that are any rows."""
        return self._grouped(xs, weights, frame, rng, apart=False)

    def _grouped(
        self, xs: Any, weights: Array, frame: AbstractFrame, rng: np.random.Generator, *, apart: bool
    ) -> Params:
        # in the columns as given: a frame that whitens them would hide what sets the groups apart
        rows = without_labels(xs)
        features = np.asarray(_features(self, frame, taken(rows, evened(len(weights)))))[: len(weights)]
        k = self.components.k
        groups = partition(features, np.asarray(weights), k, rng.random(k), apart=apart)
        if (labels := labels_of(xs)) is not None:
            groups = guided(groups, np.asarray(labels))
        return from_groups(self, rows, groups * np.asarray(weights)[:, None])

    def about(self, params: Params) -> "Mixture":
        return eqx.tree_at(lambda model: model.components, self, self.components.about(params))

    def sum_of_terms(self, potentials: dict[str, Any], stats: dict[str, Any], n: Array) -> Array:
        if not self.finite:
            return jnp.zeros(())
        sizes, rows = self.components.sizes(potentials["components"], stats["components"]), stats["weights"]
        return jnp.where(rows > FEWEST, sizes / jnp.maximum(rows, FEWEST), 0.0).max()

    def mean_statistics(self, params: Params, like: Any) -> dict[str, Any]:
        shares = self._weights(params)
        return {"weights": shares, "components": self.components.mean_totals(params, shares, without_labels(like))}

    def pooled(self, xs: Any, weights: Array) -> Params:
        """Every component as all rows together, all equally likely."""
        k = self.components.k
        return from_groups(self, without_labels(xs), jnp.repeat(weights[:, None] / k, k, 1))

    def labelled(self, xs: Any, labels: np.ndarray | None) -> Any:
        return labelled(xs, labels)

    @property
    def exchangeable(self) -> tuple[str, ...]:
        """None where known weights tell the components apart."""
        own = self.components.exchangeable
        if self.known is None:
            return ("weights", *own) if own else ()
        return own if np.ptp(self.known) == 0 else ()

    @property
    def usual_starts(self) -> int:
        return 1 if self.components.k == 1 else 30

    def health(self, params: Params, n: Array) -> Array:
        rows = n * self._weights(params)
        alive = rows / FEWEST if self.known is None else jnp.full(self.components.k, jnp.inf)
        spread = self.components.spread(params) / least_spread(self.components.apart or not self.finite, rows)
        return jnp.concatenate([alive, spread])

    def ailment(self, part: int) -> str:
        k = self.components.k
        if part >= k:
            remedy = (
                "try other starts (starts=20), fewer components, a shared variance (shared=...) or a prior (prior=1)"
            )
            return collapsed(f"component {part - k}", remedy)
        return (
            f"component {part} has died: it expects fewer than {FEWEST:g} rows; "
            "fit fewer components or try other starts (starts=20)"
        )

    @property
    def roles(self) -> Roles:
        return self.components.roles

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return self.components.axes(columns)

    def expected(self, params: Params, given: Array, x: Any) -> Any:
        """The components' expectations, mixed by the responsibilities."""
        each = self.components.expected(params, x)
        return jax.tree.map(lambda leaf: leaf.mixed(given), each, is_leaf=is_expected)

    def fill(self, params: Params, given: Array, key: Array, x: Any) -> Any:
        first, second = jax.random.split(key)
        label = jax.random.categorical(first, safe_log(given))
        return jax.tree.map(lambda leaf: leaf[label], self.components.fill(params, second, x))

    def sample(self, params: Params, key: Array, like: Any = None) -> Any:
        first, second = jax.random.split(key)
        label = jax.random.categorical(first, jnp.log(self._weights(params)))
        return jax.tree.map(lambda v: v[label], self.components.sample(params, second, without_labels(like)))


@by_size()
def _features(model: Mixture, frame: AbstractFrame, xs: Any) -> Array:
    return jax.vmap(model.components.kinds[0].features)(frame.unmixed(xs))
