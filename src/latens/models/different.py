"""The components of a mixture when each has a family of its own."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import cells_of
from latens.data.reader import AbstractReader, Rows
from latens.errors import DataError
from latens.families.base import AbstractFamily
from latens.families.frame import AbstractFrame, Identity
from latens.families.parts import ByComponent
from latens.families.roles import Roles
from latens.families.within import Moved
from latens.models.components import AbstractComponents
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.space import Params, Space


class Common(AbstractReader):
    """Reads rows that each of several families can take."""

    families: tuple[AbstractFamily, ...]

    def read(self, data: Any) -> Rows:
        try:
            read = [(family.whole, family.read(data)) for family in self.families]
            # ends of intervals as they are given, of which counts take the whole numbers, and sets if none takes ends
            return min(read, key=lambda each: (not cells_of(each[1].xs).ordered, each[0]))[1]
        except DataError as error:
            raise DataError(f"every component must be able to take every row: {error}") from None

    @property
    def whole(self) -> bool:
        return any(family.whole for family in self.families)

    def labels(self, columns: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        return self.families[0].labels(columns)

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        self.families[0].require(xs, columns)

    def observe(self, xs: Any) -> Any:
        return self.families[0].observe(xs)


class Different(AbstractComponents):
    """A list of families over the same kind of datum; parameters are called "0.name", "1.name", ..."""

    families: tuple[AbstractFamily, ...]

    @property
    def apart(self) -> bool:
        return any(family.apart for family in self.families)

    def _own(self, params: Params, j: int) -> Params:
        return {n: params[f"{j}.{n}"] for n in self.families[j].constraints}

    @property
    def k(self) -> int:
        return len(self.families)

    @property
    def constraints(self) -> dict[str, AbstractConstraint]:
        return {f"{j}.{n}": c for j, f in enumerate(self.families) for n, c in f.constraints.items()}

    @property
    def title(self) -> str:
        return " + ".join(family.title for family in self.families)

    @property
    def notes(self) -> tuple[str, ...]:
        whole = [str(j) for j, family in enumerate(self.families) if family.whole]
        others = [str(j) for j in range(self.k) if str(j) not in whole]
        if not (whole and others):
            return ()
        return (
            f"component {' and '.join(whole)} gives whole numbers probabilities, {' and '.join(others)} densities: the "
            "weights and the log-likelihood depend on the unit of the data",
        )

    @property
    def lead(self) -> AbstractFamily:
        return self.families[0]

    @property
    def reader(self) -> AbstractReader:
        return Common(self.families)

    def suited(self, data: Any) -> "Different":
        return Different(tuple(family.suited(data) for family in self.families))

    @property
    def blocks(self) -> np.ndarray:
        return np.repeat(np.arange(self.k), [Space(family.constraints).size for family in self.families])

    @property
    def closed(self) -> bool:
        return self.linear

    @property
    def linear(self) -> bool:
        return all(family.linear for family in self.families)

    @property
    def proxy(self) -> "Different":
        return Different(tuple(family.proxy for family in self.families))

    def potentials(self, params: Params) -> tuple[Array, ...]:
        return tuple(f.potential(self._own(params, j)) for j, f in enumerate(self.families))

    def mean_totals(self, params: Params, shares: Array, like: Any) -> tuple[Array, ...]:
        return tuple(shares[j] * f.mean_totals(self._own(params, j), like) for j, f in enumerate(self.families))

    def about(self, params: Params) -> "Different":
        return Different(tuple(f.about(self._own(params, j)) for j, f in enumerate(self.families)))

    def sizes(self, potentials: tuple[Array, ...], stats: tuple[Array, ...]) -> Array:
        return jnp.stack([jnp.abs(p * s).sum() for p, s in zip(potentials, stats, strict=True)])

    def log_kernels(self, potentials: tuple[Array, ...], x: Any) -> Array:
        return jnp.stack([f.log_kernel(p, x) for f, p in zip(self.families, potentials, strict=True)])

    def row_potentials(self, params: Params, x: Any, at: Params) -> tuple[Any, ...]:
        return tuple(f.row_potential(self._own(params, j), x, self._own(at, j)) for j, f in enumerate(self.families))

    def row_kernels(self, potentials: tuple[Any, ...], x: Any) -> Array:
        return jnp.stack([f.row_kernel(p, x) for f, p in zip(self.families, potentials, strict=True)])

    def maximise(self, stats: tuple[Array, ...]) -> Params:
        pairs = enumerate(zip(self.families, stats, strict=True))
        return {f"{j}.{n}": v for j, (f, s) in pairs for n, v in f.maximise(s).items()}

    def spread(self, params: Params) -> Array:
        return jnp.stack([f.spread(self._own(params, j)) for j, f in enumerate(self.families)])

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        parts = tuple(str(j) for j in range(self.k))
        names = tuple(tuple(family.constraints) for family in self.families)
        frames = tuple(family.frame(xs, weights, columns) for family in self.families)
        return ByComponent(parts, names, frames, frames[0] if all(map(frames[0].equals, frames)) else Identity())

    def framed(self, frame: AbstractFrame) -> "Different":
        assert isinstance(frame, ByComponent)
        inside = [family.framed(own) for family, own in zip(self.families, frame.frames, strict=True)]
        if isinstance(frame.data, Identity):
            inside = [f if isinstance(w, Identity) else Moved(f, w) for f, w in zip(inside, frame.frames, strict=True)]
        return Different(tuple(inside))

    def expected(self, params: Params, x: Any) -> Any:
        return _stacked([f.expected(self._own(params, j), x) for j, f in enumerate(self.families)])

    def fill(self, params: Params, key: Array, x: Any) -> Any:
        keys = jax.random.split(key, self.k)
        return _stacked([f.fill(self._own(params, j), keys[j], x) for j, f in enumerate(self.families)])

    def sample(self, params: Params, key: Array, like: Any) -> Any:
        keys = jax.random.split(key, self.k)
        return _stacked([f.sample(self._own(params, j), keys[j], like) for j, f in enumerate(self.families)])

    @property
    def roles(self) -> Roles:
        return {f"{j}.{n}": role for j, f in enumerate(self.families) for n, role in f.roles.items()}

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return {f"{j}.{n}": a for j, f in enumerate(self.families) for n, a in f.axes(columns).items()}


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
