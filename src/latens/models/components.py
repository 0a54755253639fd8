"""The components of a mixture: what any are, and k copies of one family."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
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

    `each` does something under every component; what follows from that is written once.
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
    def kinds(self) -> tuple[AbstractFamily, ...]:
        """The families that there are; the first stands for all where the data alone matter."""

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
    def linear(self) -> bool:
        """Whether every family is linear in its potentials."""
        return all(family.linear for family in self.kinds)

    @property
    def closed(self) -> bool:
        """Whether `maximise` is the exact M-step."""
        return self.linear

    @property
    @abstractmethod
    def proxy(self) -> "AbstractComponents":
        """The same with the families whose totals `maximise` takes."""

    @abstractmethod
    def about(self, params: Params) -> "AbstractComponents":
        """The same, each component reckoned from its own distribution at these params; see `AbstractFamily.about`."""

    @property
    @abstractmethod
    def apart(self) -> bool:
        """Whether it is that already."""

    @abstractmethod
    def each(self, function: Callable[..., Any], params: Sequence[Params], *along: Any) -> Any:
        """A function of (family, its own of the params ..., its own of what is `along` the components ...), of each."""

    def stacked(self, each: Any) -> Any:
        """What `each` gave, with the component as first axis."""
        return each

    @abstractmethod
    def maximise(self, stats: Any) -> Params:
        """Expected totals, shaped like the potentials → params."""

    @property
    @abstractmethod
    def blocks(self) -> np.ndarray:
        """(p,) of each free coordinate the component whose it is, or 0 for all where some are shared."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What users should know before they read the estimates."""
        return ()

    @property
    def exchangeable(self) -> tuple[str, ...]:
        """Parameters that go with a component when components change places."""
        return ()

    @abstractmethod
    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        """Coordinates that suit every component."""

    @abstractmethod
    def framed(self, frame: AbstractFrame) -> "AbstractComponents":
        """The components as they are for data in the frame."""

    @property
    @abstractmethod
    def roles(self) -> Roles:
        """What the families' parameters are to the data."""

    @abstractmethod
    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        """Names of the entries of the parameters' trailing axes."""

    # -- derived ------------------------------------------------------------------------------------

    def potentials(self, params: Params) -> Any:
        """params → potentials of all components."""
        return self.each(lambda family, own: family.potential(own), [params])

    def log_kernels(self, potentials: Any, x: Any) -> Array:
        """(k,) log-densities of one datum."""
        return self.stacked(self.each(lambda family, own: family.log_kernel(own, x), [], potentials))

    def row_potentials(self, params: Params, x: Any, at: Params) -> Any:
        """Potentials for one datum, of all components; see `AbstractFamily.row_potential`."""
        return self.each(lambda family, own, there: family.row_potential(own, x, there), [params, at])

    def row_kernels(self, potentials: Any, x: Any) -> Array:
        """(k,) log-densities from those."""
        return self.stacked(self.each(lambda family, own: family.row_kernel(own, x), [], potentials))

    def mean_totals(self, params: Params, shares: Array, like: Any) -> Any:
        """Expected totals of `shares` (k,) complete data like this one, of each component; as the potentials are."""
        return self.each(lambda family, own, share: share * family.mean_totals(own, like), [params], shares)

    def sizes(self, potentials: Any, stats: Any) -> Array:
        """(k,) Σ |φ S̄| of each component: how large the terms are that its log-density is the sum of."""
        return self.stacked(self.each(lambda _, phi, totals: jnp.abs(phi * totals).sum(), [], potentials, stats))

    def spread(self, params: Params) -> Array:
        """(k,) the families' spreads."""
        return self.stacked(self.each(lambda family, own: family.spread(own), [params]))

    def expected(self, params: Params, x: Any) -> Any:
        """What one datum is expected to be under every component, stacked."""
        return self.stacked(self.each(lambda family, own: family.expected(own, x), [params]))

    def fill(self, params: Params, key: Array, x: Any) -> Any:
        """One datum with its unseen parts drawn from every component, stacked."""
        keys = jax.random.split(key, self.k)
        return self.stacked(self.each(lambda family, own, key: family.fill(own, key, x), [params], keys))

    def sample(self, params: Params, key: Array, like: Any) -> Any:
        """One draw from every component, stacked."""
        keys = jax.random.split(key, self.k)
        return self.stacked(self.each(lambda family, own, key: family.sample(own, key, like), [params], keys))


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
    def kinds(self) -> tuple[AbstractFamily, ...]:
        return (self.family,)

    @property
    def closed(self) -> bool:
        return self.linear and set(self.shared) <= squared(self.family.roles)

    @property
    def proxy(self) -> "Alike":
        return Alike(self.family.proxy, self.number)

    @property
    def reader(self) -> AbstractReader:
        return self.family

    def suited(self, data: Any) -> "Alike":
        return Alike(self.family.suited(data), self.number, self.shared)

    def about(self, params: Params) -> "Alike":
        plain = Alike(self.family, self.number, self.shared)
        members = plain.each(lambda family, own: family.about(own), [params])
        return self if same_kind(members, self.family) else Alike(self.family, self.number, self.shared, members)

    @property
    def apart(self) -> bool:
        return self.members is not None and bool(self.members.apart)

    def each(self, function: Callable[..., Any], params: Sequence[Params], *along: Any) -> Any:
        names = self.family.constraints
        own = [{n: given[n] for n in names} for given in params]
        over = [{n: None if n in self.shared else 0 for n in names} for _ in params]
        family, axis = (self.family, None) if self.members is None else (self.members, 0)
        return jax.vmap(function, (axis, *over, *(0 for _ in along)), axis_size=self.k)(family, *own, *along)

    def maximise(self, stats: Array) -> Params:
        separate = self.each(lambda family, totals: family.maximise(totals), [], stats)
        share = stats[:, 0] / stats[:, 0].sum()
        return {n: jnp.tensordot(share, v, 1) if n in self.shared else v for n, v in separate.items()}

    def spread(self, params: Params) -> Array:
        # in the units of the data, whatever the components are reckoned from
        return AbstractComponents.spread(Alike(self.family, self.number, self.shared), params)

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        return self.family.frame(xs, weights, columns).sharing(self.shared)

    def framed(self, frame: AbstractFrame) -> "Alike":
        return Alike(self.family.framed(frame), self.number, self.shared)

    @property
    def roles(self) -> Roles:
        return self.family.roles

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        return self.family.axes(columns)
