"""Tables of mixed types: every column its own family."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.data.reader import Rows
from latens.data.table import columns_of
from latens.errors import DataError, ModelError
from latens.families.base import AbstractFamily
from latens.families.frame import AbstractFrame, AbstractParts
from latens.families.roles import Roles
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.space import Params


class Product(AbstractFamily):
    """Independent columns, each with its own family: f(y) = ∏_c f_c(y_c).

    S(y) and φ are those of the columns, one after the other; a cell that is NaN is missing.

    **Arguments:** `families`: column → family of one number per datum.
    **Parameters:** `"column.name"` for each parameter of each column's family.
    **Raises:** `ModelError` for an empty table or a family whose datum is not one number.
    **Example:**
        >>> import latens as lt
        >>> both = lt.Product({"size": lt.Normal(), "red": lt.Bernoulli()})
        >>> fit = lt.fit(lt.IID(both), {"size": [1.0, 3.0], "red": [0, 1]})
        >>> {n: float(v.round(6)) for n, v in fit.params.items()}
        {'size.mean': 2.0, 'size.variance': 1.0, 'red.probability': 0.5}

    **Source:** McLachlan & Peel (2000), Finite Mixture Models, §5.
    """

    # two tuples, not a dict: JAX sorts the keys of a dict, and the order of columns is the user's
    columns: tuple[str, ...] = eqx.field(static=True)
    members: tuple[AbstractFamily, ...]

    def __init__(self, families: Mapping[str, AbstractFamily]) -> None:
        if not isinstance(families, Mapping):
            raise ModelError(f"Product takes a dict, column → family, got {families!r}")
        self.columns, self.members = tuple(map(str, families)), tuple(families.values())
        if len(set(self.columns)) < len(self.columns):
            raise ModelError(f"Product: two columns have the same name as text: {', '.join(self.columns)}")

    @property
    def families(self) -> dict[str, AbstractFamily]:
        """Column → family."""
        return dict(zip(self.columns, self.members, strict=True))

    def __check_init__(self) -> None:
        if not self.families:
            raise ModelError("Product: give at least one column")
        for column, family in self.families.items():
            if not isinstance(family, AbstractFamily) or getattr(family, "shape", None) != ():
                raise ModelError(f"Product: column '{column}' needs a family of one number per datum, got {family!r}")

    @property
    def title(self) -> str:
        return "Product (" + ", ".join(f"{c}: {f.title}" for c, f in self.families.items()) + ")"

    @property
    def linear(self) -> bool:
        return all(family.linear for family in self.members)

    @property
    def proxy(self) -> "Product":
        return Product({c: family.proxy for c, family in self.families.items()})

    @property
    def whole(self) -> bool:
        return any(family.whole for family in self.members)

    def _own(self, params: Params, column: str) -> Params:
        return {n: params[f"{column}.{n}"] for n in self.families[column].constraints}

    def _split(self, row: Array) -> dict[str, Array]:
        sizes = [self._size(family) for family in self.families.values()]
        return dict(zip(self.families, jnp.split(row, np.cumsum(sizes)[:-1]), strict=True))

    @staticmethod
    def _size(family: AbstractFamily) -> int:
        like = {n: jax.ShapeDtypeStruct(c.shape, float) for n, c in family.constraints.items()}
        return int(jax.eval_shape(family.potential, like).shape[0])

    @property
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        return {f"{c}.{n}": k for c, family in self.families.items() for n, k in family.constraints.items()}

    def potential(self, params: Params) -> Array:
        return jnp.concatenate([f.potential(self._own(params, c)) for c, f in self.families.items()])

    def mean_totals(self, params: Params, like: Any) -> Array:
        return jnp.concatenate([f.mean_totals(self._own(params, c), like[c]) for c, f in self.families.items()])

    def log_densities(self, params: Params, rows: dict[str, Any]) -> np.ndarray:
        each = [family.log_densities(self._own(params, c), rows[c]) for c, family in self.families.items()]
        return np.asarray(np.sum(each, axis=0))

    def about(self, params: Params) -> "Product":
        return Product({c: family.about(self._own(params, c)) for c, family in self.families.items()})

    @property
    def apart(self) -> bool:
        return any(family.apart for family in self.members)

    def log_kernel(self, potential: Array, x: Any) -> Array:
        own = self._split(potential)
        return jnp.stack([f.log_kernel(own[c], x[c]) for c, f in self.families.items()]).sum()

    def row_potential(self, params: Params, x: Any, at: Params) -> dict[str, Any]:
        return {c: f.row_potential(self._own(params, c), x[c], self._own(at, c)) for c, f in self.families.items()}

    def row_kernel(self, potential: dict[str, Any], x: Any) -> Array:
        return jnp.stack([f.row_kernel(potential[c], x[c]) for c, f in self.families.items()]).sum()

    def maximise(self, totals: Array) -> Params:
        own = self.proxy._split(totals)
        return {f"{c}.{n}": v for c, f in self.families.items() for n, v in f.maximise(own[c]).items()}

    def expected(self, params: Params, x: Any) -> dict[str, Any]:
        return {c: f.expected(self._own(params, c), x[c]) for c, f in self.families.items()}

    def fill(self, params: Params, key: Array, x: Any) -> dict[str, Array]:
        keys = jax.random.split(key, len(self.families))
        pairs = zip(self.families.items(), keys, strict=True)
        return {c: f.fill(self._own(params, c), k, x[c]) for (c, f), k in pairs}

    def sample(self, params: Params, key: Array, like: Any = None) -> dict[str, Array]:
        keys = jax.random.split(key, len(self.families))
        return {
            c: f.sample(self._own(params, c), k, None if like is None else like[c])
            for (c, f), k in zip(self.families.items(), keys, strict=True)
        }

    def _named(self, data: Any) -> dict[str, Any]:
        """Its columns, by name."""
        named = columns_of(data)
        if named is None:
            array = np.asarray(data, dtype=object)
            if array.ndim != 2 or array.shape[1] != len(self.families):
                raise DataError(
                    f"a Product takes a dict or data frame with the columns {', '.join(self.families)}, "
                    f"or an array (n, {len(self.families)}) in that order; got shape {array.shape}"
                )
            named = dict(zip(self.families, array.T, strict=True))
        absent = [c for c in self.families if c not in named]
        if absent:
            raise DataError(f"column '{absent[0]}' is not in the data, which have {', '.join(named)}")
        return {c: named[c] for c in self.families}

    def suited(self, data: Any) -> "Product":
        named = self._named(data)
        return Product({c: family.suited({c: named[c]}) for c, family in self.families.items()})

    def labels(self, columns: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        return {c: names for c, family in self.families.items() for names in family.labels([c]).values()}

    def read(self, data: Any) -> Rows:
        named = self._named(data)
        xs = {c: family.read({c: named[c]}).xs for c, family in self.families.items()}
        lengths = {c: len(jax.tree.leaves(x)[0]) for c, x in xs.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"the columns have different lengths: {lengths}")
        return Rows(xs, tuple(self.families))

    def require(self, xs: dict[str, Any], columns: Sequence[str]) -> None:
        for column, family in self.families.items():
            family.require(xs[column], [column])

    def observe(self, xs: dict[str, np.ndarray]) -> dict[str, Any]:
        return {c: family.observe(xs[c]) for c, family in self.families.items()}

    def features(self, x: Any) -> Array:
        return jnp.concatenate([f.features(x[c]) for c, f in self.families.items()])

    def frame(self, xs: dict[str, np.ndarray], weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        names = tuple(tuple(family.constraints) for family in self.members)
        frames = tuple(f.frame(xs[c], weights, [c]) for c, f in self.families.items())
        return ByColumn(self.columns, names, frames)

    def framed(self, frame: AbstractFrame) -> "Product":
        assert isinstance(frame, ByColumn)
        return Product({c: f.framed(own) for (c, f), own in zip(self.families.items(), frame.frames, strict=True)})

    def spread(self, params: Params) -> Array:
        return jnp.stack([f.spread(self._own(params, c)) for c, f in self.families.items()]).min()

    @property
    def roles(self) -> Roles:
        return {f"{c}.{n}": role for c, f in self.families.items() for n, role in f.roles.items()}

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return {f"{c}.{n}": names for c, family in self.families.items() for n, names in family.axes([c]).items()}


class ByColumn(AbstractParts):
    """One frame for each column of a table."""

    def _pairs(self) -> Iterator[tuple[str, AbstractFrame]]:
        return zip(self.parts, self.frames, strict=True)

    def apply(self, xs: dict[str, Any]) -> dict[str, Any]:
        return {c: frame.apply(xs[c]) for c, frame in self._pairs()}

    def undo(self, xs: dict[str, Any]) -> dict[str, Any]:
        return {c: frame.undo(xs[c]) for c, frame in self._pairs()}

    def unmixed(self, xs: dict[str, Any]) -> dict[str, Any]:
        return {c: frame.unmixed(xs[c]) for c, frame in self._pairs()}

    def move(self, x: dict[str, Any]) -> dict[str, Any]:
        return {c: frame.move(x[c]) for c, frame in self._pairs()}

    def log_slope(self, x: dict[str, Any]) -> Array:
        return jnp.stack([frame.log_slope(x[c]) for c, frame in self._pairs()]).sum()

    def at_home(self, xs: dict[str, Any], begins: np.ndarray) -> np.ndarray:
        return np.all([frame.at_home(xs[c], begins) for c, frame in self._pairs()], axis=0)

    def log_jacobian(self, xs: dict[str, Any]) -> np.ndarray | float:
        return sum((frame.log_jacobian(xs[c]) for c, frame in self._pairs()), start=0.0)
