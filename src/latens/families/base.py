"""What a family is, and everything that follows from its formula."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.data.reader import AbstractReader
from latens.errors import ModelError
from latens.families.frame import AbstractFrame, Identity
from latens.families.roles import Roles, axes_by
from latens.numerics.compiling import double
from latens.numerics.constraints import AbstractConstraint
from latens.numerics.space import Params


class AbstractFamily(AbstractReader):
    """A distribution of one complete datum, as a flat row of potentials φ against statistics S:

        log f(y | θ) = <φ(θ), S(y)> + log h(y)

    Most families should subclass `AbstractExponentialFamily`, which asks for less. This class is what
    models talk to:

    1. `constraints`: parameter name → constraint.
    2. `potential(params)`: (1 + p,) flat row of potentials.
    3. `log_kernel(potential, x)`: log-density of ONE datum, from the row of potentials.
    4. `maximise(totals)`: (1 + p,) expected totals → params: the M-step.
    5. `sample(params, key, like)`: one draw.
    6. `read`, `observe`, `frame`: from users' data to arrays.
    """

    @property
    @abstractmethod
    def constraints(self) -> Mapping[str, AbstractConstraint]:
        """Parameter name → constraint."""

    @abstractmethod
    def potential(self, params: Params) -> Array:
        """params → (1 + p,) potentials [−A(η), η]."""

    @abstractmethod
    def log_kernel(self, potential: Array, x: Any) -> Array:
        """log f(x) of one datum, the whole integral (0 when normalised) where it was not seen."""

    @abstractmethod
    def maximise(self, totals: Array) -> Params:
        """(1 + p,) totals of the complete statistic → the params that maximise <φ(params), totals>."""

    @abstractmethod
    def sample(self, params: Params, key: Array, like: Any = None) -> Any:
        """One draw; `like` is a datum whose size (trials, exposure) the draw takes over."""

    def suited(self, data: Any) -> "AbstractFamily":
        """The family with what users' data say of it filled in, such as the names of categories."""
        return self

    @abstractmethod
    def features(self, x: Any) -> Array:
        """(q,) what distances between data are measured on when starts are sought."""

    @property
    def linear(self) -> bool:
        """Whether `log_kernel` is linear in the potentials of a complete datum, so that `maximise` is the M-step.

        If not, models maximise by damped Newton over the rows, and `maximise` says where that starts.
        """
        return True

    def row_potential(self, params: Params, x: Any, at: Params) -> Any:
        """Potentials for ONE datum, which may be its own: where no finite statistic serves all.

        Then the densities of the values that x leaves possible, laid out where they count at the params `at`.
        """
        return self.potential(params)

    def row_kernel(self, potential: Any, x: Any) -> Array:
        """`log_kernel` from the potentials of that one datum."""
        return self.log_kernel(potential, x)

    @property
    def proxy(self) -> "AbstractFamily":
        """The family whose expected totals `maximise` takes: this one, if it is linear."""
        return self

    def about(self, params: Params) -> "AbstractFamily":
        """The same family with its statistic and potentials reckoned from the distribution at these params.

        Densities near that keep their digits where <φ, S> about any one origin would lose them; else this one.
        """
        return self

    @property
    def apart(self) -> bool:
        """Whether it is reckoned from a distribution of its own."""
        return False

    @property
    def title(self) -> str:
        """What reports call it."""
        return type(self).__name__

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        """Coordinates to fit in; the data as given unless a family knows better."""
        return Identity()

    @abstractmethod
    def expected(self, params: Params, x: Any) -> Any:
        """What ONE datum is expected to be given what was seen of it: `Moments` or `Chances`, or a dict of such."""

    @abstractmethod
    def fill(self, params: Params, key: Array, x: Any) -> Any:
        """A draw of ONE datum given what was seen of it: what was seen stays."""

    def mean_totals(self, params: Params, like: Any) -> Array:
        """(1 + p,) E[S(Y)] of one complete datum of the size (trials, exposure) of `like`."""
        raise ModelError(f"{self.title} has no expected totals of a complete datum, so no prior of that kind")

    def framed(self, frame: AbstractFrame) -> "AbstractFamily":
        """The family as it is for data in the frame, where the family holds numbers in units of the data."""
        return self

    def spread(self, params: Params) -> Array:
        """How far the distribution is from a single point, in the frame: 0 there; 1 when it has none."""
        return jnp.ones(())

    @property
    def roles(self) -> Roles:
        """Parameter → what it is to the data: frames, names of entries and reports follow."""
        return {}

    def axes(self, columns: Sequence[str]) -> dict[str, tuple[Sequence[str], ...]]:
        """Parameter name → names of the entries of its trailing axes, for labels: here those of its role."""
        return axes_by(self.roles, self.constraints, columns)

    @double
    def log_density(self, params: Params, y: Any) -> np.ndarray:
        """log f(y | params) of each row of `y`: (n,).

        **Arguments:** `params` as in `constraints`; `y` anything `lt.fit` would take.
        **Raises:** `DataError` for values outside the support.
        **Example:**
            >>> import latens as lt
            >>> float(lt.Poisson().log_density({"rate": 2.0}, [0]).round(6)[0])
            -2.0
        """
        given = {name: np.asarray(value, dtype=np.float64) for name, value in params.items()}
        return self.log_densities(given, self.read(y).xs)

    def log_densities(self, params: Params, rows: Any) -> np.ndarray:
        """The same of rows as read: in the coordinates in which this distribution is the standard one."""
        frame, inside = self.standard(params)
        family, moved = self.framed(frame), frame.apply(rows)
        return np.asarray(_log_densities(family, inside, family.observe(moved)) + frame.log_jacobian(rows))

    def standard(self, params: Params) -> tuple[AbstractFrame, Params]:
        """The frame in which the distribution at these params is the standard one, and its params there."""
        return Identity(), params


def no_family(what: str, given: Any) -> ModelError:
    """What to raise where a family is wanted, and something else given."""
    instead = f"the class {given.__name__}: write {given.__name__}(...)" if isinstance(given, type) else repr(given)
    return ModelError(f"{what} takes a family such as lt.Normal(), got {instead}")


@jax.jit
def _log_densities(family: AbstractFamily, params: Params, xs: Any) -> Array:
    about = family.about(params)
    return jax.vmap(about.log_kernel, (None, 0))(about.potential(params), xs)
