"""The components of a mixture when each has a family of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import cells_of
from latens.data.reader import AbstractReader, Rows
from latens.errors import DataError
from latens.families.base import AbstractFamily
from latens.families.frame import AbstractFrame, ByComponent, Identity
from latens.families.roles import Roles
from latens.families.within import Moved
from latens.models.components import AbstractComponents
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.space import Params, Space


class Different(AbstractComponents):
    """A list of families over the same kind of datum; parameters are called "0.name", "1.name", ..."""

    families: tuple[AbstractFamily, ...]

    @property
    def apart(self) -> bool:
        return any(family.apart for family in self.families)

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
    def kinds(self) -> tuple[AbstractFamily, ...]:
        return self.families

    @property
    def reader(self) -> AbstractReader:
        return Common(self.families)

    def suited(self, data: Any) -> "Different":
        return Different(tuple(family.suited(data) for family in self.families))

    @property
    def blocks(self) -> np.ndarray:
        return np.repeat(np.arange(self.k), [Space(family.constraints).size for family in self.families])

    @property
    def proxy(self) -> "Different":
        return Different(tuple(family.proxy for family in self.families))

    def about(self, params: Params) -> "Different":
        return Different(self.each(lambda family, own: family.about(own), [params]))

    def each(self, function: Callable[..., Any], params: Sequence[Params], *along: Any) -> tuple[Any, ...]:
        def of(j: int, family: AbstractFamily) -> Any:
            own = ({n: given[f"{j}.{n}"] for n in family.constraints} for given in params)
            return function(family, *own, *(given[j] for given in along))

        return tuple(of(j, family) for j, family in enumerate(self.families))

    def stacked(self, each: Any) -> Any:
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)

    def maximise(self, stats: tuple[Array, ...]) -> Params:
        separate = self.each(lambda family, totals: family.maximise(totals), [], stats)
        return {f"{j}.{n}": v for j, own in enumerate(separate) for n, v in own.items()}

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        parts = tuple(str(j) for j in range(self.k))
        names = tuple(tuple(family.constraints) for family in self.families)
        frames = tuple(family.frame(xs, weights, columns) for family in self.families)
        alike = all(bool(eqx.tree_equal(frames[0], frame)) for frame in frames)
        return ByComponent(parts, names, frames, frames[0] if alike else Identity())

    def framed(self, frame: AbstractFrame) -> "Different":
        assert isinstance(frame, ByComponent)
        inside = [family.framed(own) for family, own in zip(self.families, frame.frames, strict=True)]
        if isinstance(frame.data, Identity):
            inside = [f if isinstance(w, Identity) else Moved(f, w) for f, w in zip(inside, frame.frames, strict=True)]
        return Different(tuple(inside))

    @property
    def roles(self) -> Roles:
        return {f"{j}.{n}": role for j, f in enumerate(self.families) for n, role in f.roles.items()}

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return {f"{j}.{n}": a for j, f in enumerate(self.families) for n, a in f.axes(columns).items()}


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
