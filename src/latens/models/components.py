"""The components of a mixture: what any are, and k copies of one family."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.data.reader import AbstractReader
from latens.errors import ModelError
from latens.families.base import AbstractFamily
from latens.families.frame import AbstractFrame
from latens.families.roles import Roles, squared
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.modules import same_kind
from latens.numerics.space import Params, Space
from latens.numerics.stacked import Stacked


class AbstractComponents(eqx.Module):
    """Distributions a hidden label chooses from. One datum is compared with all of them at once.

    To write your own: `k`, `constraints`, `potentials`, `log_kernels`, `maximise`, `closed`, and what a
    family says of its data (`lead`, `reader`, `frame`), a draw (`sample`) and degeneration (`spread`).
    """

    @property
    @abstractmethod
    def k(self) -> int:
        """How many components."""

    @property
    @abstractmethod
    def constraints(self) -> dict[str, AbstractConstraint]:
        """Parameter name → constraint."""

    @property
    @abstractmethod
    def lead(self) -> AbstractFamily:
        """The family that stands for all where the data alone matter."""

    @property
    @abstractmethod
    def reader(self) -> AbstractReader:
        """Reads rows that every component can take."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What reports call them."""

    @abstractmethod
    def suited(self, data: Any) -> "AbstractComponents":
        """The components with what users' data say of them filled in; see `AbstractFamily.suited`."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether `maximise` is the exact M-step."""

    @property
    @abstractmethod
    def linear(self) -> bool:
        """Whether every family is linear in its potentials."""

    @property
    @abstractmethod
    def proxy(self) -> "AbstractComponents":
        """The same with the families whose totals `maximise` takes."""

    @abstractmethod
    def potentials(self, params: Params) -> Any:
        """params → potentials of all components."""

    @abstractmethod
    def mean_totals(self, params: Params, shares: Array, like: Any) -> Any:
        """Expected totals of `shares` (k,) complete data like this one, of each component; as the potentials are."""

    @abstractmethod
    def about(self, params: Params) -> "AbstractComponents":
        """The same, each component reckoned from its own distribution at these params; see `AbstractFamily.about`."""

    @property
    @abstractmethod
    def apart(self) -> bool:
        """Whether it is that already."""

    @abstractmethod
    def sizes(self, potentials: Any, stats: Any) -> Array:
        """(k,) Σ |φ S̄| of each component: how large the terms are that its log-density is the sum of."""

    @abstractmethod
    def log_kernels(self, potentials: Any, x: Any) -> Array:
        """(k,) log-densities of one datum."""

    @abstractmethod
    def row_potentials(self, params: Params, x: Any, at: Params) -> Any:
        """Potentials for one datum, of all components; see `AbstractFamily.row_potential`."""

    @abstractmethod
    def row_kernels(self, potentials: Any, x: Any) -> Array:
        """(k,) log-densities from those."""

    @abstractmethod
    def maximise(self, stats: Any) -> Params:
        """Expected totals, shaped like the potentials → params."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What users should know before they read the estimates."""
        return ()

    @property
    @abstractmethod
    def blocks(self) -> np.ndarray:
        """(p,) of each free coordinate the component whose it is, or 0 for all where some are shared."""

    @property
    def exchangeable(self) -> tuple[str, ...]:
        """Parameters that go with a component when components change places."""
        return ()

    @abstractmethod
    def spread(self, params: Params) -> Array:
        """(k,) the families' spreads."""

    @abstractmethod
    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        """Coordinates that suit every component."""

    @abstractmethod
    def framed(self, frame: AbstractFrame) -> "AbstractComponents":
        """The components as they are for data in the frame."""

    @abstractmethod
    def expected(self, params: Params, x: Any) -> Any:
        """What one datum is expected to be under every component, stacked."""

    @abstractmethod
    def fill(self, params: Params, key: Array, x: Any) -> Any:
        """One datum with its unseen parts drawn from every component, stacked."""

    @abstractmethod
    def sample(self, params: Params, key: Array, like: Any) -> Any:
        """One draw from every component, stacked."""

    @property
    @abstractmethod
    def roles(self) -> Roles:
        """What the families' parameters are to the data."""

    @abstractmethod
    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        """Names of the entries of the parameters' trailing axes."""


class Alike(AbstractComponents):
    """k components of one family; parameters named in `shared` are one for all."""

    family: AbstractFamily
    number: int = eqx.field(static=True)
    shared: tuple[str, ...] = eqx.field(static=True, default=())
    members: Any = None  # the family about every component, its arrays stacked; None where one serves all

    def __check_init__(self) -> None:
        try:
            own = self.family.constraints if self.shared else {}
        except ModelError:  # before the data are known, which tell the number of categories
            return
        for name in self.shared:
            if name not in own:
                known = ", ".join(self.family.constraints)
                raise ModelError(f"shared=('{name}',): the family has no such parameter; it has {known}")

    @property
    def k(self) -> int:
        return self.number

    @property
    def constraints(self) -> dict[str, AbstractConstraint]:
        each = self.family.constraints
        return {n: c if n in self.shared else Stacked(c, self.k) for n, c in each.items()}

    @property
    def blocks(self) -> np.ndarray:
        if self.shared:
            return np.zeros(Space(self.constraints).size, dtype=int)
        sizes = [constraint.size for constraint in self.family.constraints.values()]
        return np.concatenate([np.zeros(0, int), *(np.repeat(np.arange(self.k), size) for size in sizes)])

    @property
    def exchangeable(self) -> tuple[str, ...]:
        return tuple(n for n in self.family.constraints if n not in self.shared)

    @property
    def title(self) -> str:
        shared = f", {' and '.join(self.shared)} shared" if self.shared else ""
        return f"{self.k} × {self.family.title}{shared}"

    @property
    def lead(self) -> AbstractFamily:
        return self.family

    @property
    def closed(self) -> bool:
        return self.linear and set(self.shared) <= squared(self.family.roles)

    @property
    def linear(self) -> bool:
        return self.family.linear

    @property
    def proxy(self) -> "Alike":
        return Alike(self.family.proxy, self.number)

    @property
    def reader(self) -> AbstractReader:
        return self.family

    def suited(self, data: Any) -> "Alike":
        return Alike(self.family.suited(data), self.number, self.shared)

    def _over(self, params: Mapping[str, Any]) -> dict[str, int | None]:
        return {n: None if n in self.shared else 0 for n in params}

    def about(self, params: Params) -> "Alike":
        own = {n: params[n] for n in self.family.constraints}
        members = jax.vmap(self.family.about, (self._over(own),), axis_size=self.k)(own)
        if same_kind(members, self.family):
            return self
        return Alike(self.family, self.number, self.shared, members)

    @property
    def apart(self) -> bool:
        return self.members is not None and bool(self.members.apart)

    def sizes(self, potentials: Array, stats: Array) -> Array:
        return jnp.abs(potentials * stats).sum(1)

    def _members(self, function: Callable[..., Any], axes: tuple[Any, ...], *arguments: Any) -> Any:
        """A function of (family, arguments ...) under every component."""
        if self.members is None:
            return jax.vmap(lambda *given: function(self.family, *given), axes, axis_size=self.k)(*arguments)
        return jax.vmap(function, (0, *axes), axis_size=self.k)(self.members, *arguments)

    def potentials(self, params: Params) -> Array:
        own = {n: params[n] for n in self.family.constraints}
        return self._members(lambda family, p: family.potential(p), (self._over(own),), own)

    def mean_totals(self, params: Params, shares: Array, like: Any) -> Array:
        own = {n: params[n] for n in self.family.constraints}
        each = self._members(lambda family, p: family.mean_totals(p, like), (self._over(own),), own)
        return shares[:, None] * each

    def log_kernels(self, potentials: Array, x: Any) -> Array:
        return self._members(lambda family, p: family.log_kernel(p, x), (0,), potentials)

    def row_potentials(self, params: Params, x: Any, at: Params) -> Any:
        here, there = ({n: p[n] for n in self.family.constraints} for p in (params, at))
        over = self._over(here)
        return self._members(lambda family, p, q: family.row_potential(p, x, q), (over, over), here, there)

    def row_kernels(self, potentials: Any, x: Any) -> Array:
        return self._members(lambda family, p: family.row_kernel(p, x), (0,), potentials)

    def maximise(self, stats: Array) -> Params:
        separate = self._members(lambda family, totals: family.maximise(totals), (0,), stats)
        share = stats[:, 0] / stats[:, 0].sum()
        return {n: jnp.tensordot(share, v, 1) if n in self.shared else v for n, v in separate.items()}

    def spread(self, params: Params) -> Array:
        own = {n: params[n] for n in self.family.constraints}
        return jax.vmap(self.family.spread, (self._over(own),))(own)

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        return self.family.frame(xs, weights, columns).sharing(self.shared)

    def framed(self, frame: AbstractFrame) -> "Alike":
        return Alike(self.family.framed(frame), self.number, self.shared)

    def _each(self, function: Callable[..., Any], params: Params, x: Any, *keys: Array) -> Any:
        """A function of (params, keys ..., x) under every component."""
        own = {n: params[n] for n in self.family.constraints}
        return jax.vmap(function, (self._over(own), *[0] * len(keys), None))(own, *keys, x)

    def expected(self, params: Params, x: Any) -> Any:
        return self._each(self.family.expected, params, x)

    def fill(self, params: Params, key: Array, x: Any) -> Any:
        return self._each(self.family.fill, params, x, jax.random.split(key, self.k))

    def sample(self, params: Params, key: Array, like: Any) -> Any:
        return self._each(self.family.sample, params, like, jax.random.split(key, self.k))

    @property
    def roles(self) -> Roles:
        return self.family.roles

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return self.family.axes(columns)
