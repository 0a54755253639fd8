"""A family of which values outside a range could never have been seen."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.cells import Interval, Partial, cells_of
from latens.errors import DataError, ModelError
from latens.families.base import AbstractFamily
from latens.families.datum import AbstractDatum, Support
from latens.families.frame import AbstractFrame
from latens.families.trials import number
from latens.families.within import AbstractOver
from latens.numerics.space import Params
from latens.numerics.special import logsumexp


class Truncated(AbstractOver):
    """A family cut off outside [lower, upper], where values could never have been seen.

        f(y | lower ≤ y ≤ upper) = f(y) / P(lower ≤ Y ≤ upper)

    The complete data hold, for every value seen, a geometric number of values that were not: with
    m = 1 − ∫ outside h e^<φ,S>, the log-evidence is <φ, S(y)> + log h(y) − log m. Its gradient counts the
    unseen ones, and the family's own M-step serves. Values may be censored within the range as well.

    **Arguments:** `family`: of one number per datum; `lower`, `upper`: the ends, in units of the data,
    either of them perhaps infinite.
    **Parameters:** those of the family, before truncation.
    **Raises:** `ModelError` for lower ≥ upper, or a family whose datum is not one number.
    **Example:** lifetimes that are recorded only when longer than 1:
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Truncated(lt.Exponential(), lower=1.0)), [1.5, 2.0, 4.0, 2.5])
        >>> round(float(fit.params["rate"]), 6)  # 1 / mean(y − 1)
        0.666667

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1, §4.2.
    """

    family: AbstractDatum
    lower: float
    upper: float
    ends: tuple[bool, bool] = eqx.field(static=True)

    def __init__(self, family: AbstractDatum, lower: float = -np.inf, upper: float = np.inf) -> None:
        if not isinstance(family, AbstractDatum) or family.shape != () or isinstance(family, Truncated):
            raise ModelError(f"Truncated takes a family of one number per datum, got {family!r}")
        lower, upper = number(lower), number(upper)
        if not lower < upper:
            raise ModelError(f"Truncated: lower ({lower:g}) must be below upper ({upper:g})")
        if family.whole:
            if np.ceil(lower) > np.floor(upper):
                raise ModelError(f"Truncated: there is no whole number from {lower:g} to {upper:g}")
            lower, upper = np.ceil(lower), np.floor(upper)
        self.family, self.lower, self.upper = family, float(lower), float(upper)
        self.ends = (bool(np.isfinite(lower)), bool(np.isfinite(upper)))

    @property
    def title(self) -> str:
        return f"{self.family.title} truncated to [{self.lower:g}, {self.upper:g}]"

    @property
    def proxy(self) -> AbstractFamily:
        return self.family.proxy

    def about(self, params: Params) -> "Truncated":
        return eqx.tree_at(lambda truncated: truncated.family, self, self.family.about(params))

    def standard(self, params: Params) -> tuple[AbstractFrame, Params]:
        return self.family.standard(params)

    @property
    def _range(self) -> tuple[Array, Array]:
        return jnp.asarray(self.lower), jnp.asarray(self.upper)

    @property
    def _beyond(self) -> list[Interval]:
        """The sets in which nothing could have been seen."""
        end, step = jnp.asarray(jnp.inf), 1.0 if self.family.whole else 0.0
        below = Interval(-end, jnp.asarray(self.lower) - step)
        above = Interval(jnp.asarray(self.upper) + step, end)
        return [gone for gone, there in zip((below, above), self.ends, strict=True) if there]

    def _parts(self, potential: Array) -> tuple[Array, Array]:
        """log ∫ inside, and −log m, where m = P(inside) − (e^δ − 1) P(outside), and δ is 0 but for its gradient."""
        whole = self.family.whole_kernel(potential, jnp.zeros(()))
        if not self._beyond:
            return whole, jnp.zeros(())
        # all at once, which is compiled once
        sets = jax.tree.map(lambda *ends: jnp.stack(ends), Interval(*self._range), *self._beyond)
        masses = jax.vmap(lambda each: self.family.set_kernel(potential, each.lower, each.upper))(sets)
        inside = masses[0] - whole
        odds = jnp.exp(logsumexp(masses[1:]) - whole - inside)
        # written so that a range far out in a tail keeps its digits: P(inside) is never 1 − P(outside)
        return masses[0], -inside - jnp.log1p(-jnp.expm1(whole - jax.lax.stop_gradient(whole)) * odds)

    def missing_kernel(self, potential: Array, x: Partial) -> Array:
        inside, unseen = self._parts(potential)
        return jnp.where(x.seen, self.family.exact_kernel(potential, x.value), inside) + unseen

    def interval_kernel(self, potential: Array, x: Interval) -> Array:
        return self._parts(potential)[1] + self.family.interval_kernel(potential, self._within(x))

    def exact_kernel(self, potential: Array, y: Array) -> Array:
        return self._parts(potential)[1] + self.family.exact_kernel(potential, y)

    def whole_kernel(self, potential: Array, y: Array) -> Array:
        inside, unseen = self._parts(potential)
        return inside + unseen

    def set_kernel(self, potential: Array, lower: Array, upper: Array) -> Array:
        lower, upper = jnp.maximum(lower, self.lower), jnp.minimum(upper, self.upper)
        return self.family.set_kernel(potential, lower, upper) + self._parts(potential)[1]

    def row_potential(self, params: Params, x: Any, at: Params) -> Any:
        if self.linear:
            return self.potential(params)
        outside = [self.family.row_potential(params, gone, at) for gone in self._beyond]
        return self.family.row_potential(params, self._within(x), at), outside

    def row_kernel(self, potential: Any, x: Any) -> Array:
        if self.linear:
            return self.log_kernel(potential, x)
        within, outside = potential
        inside = self.family.row_kernel(within, self._within(x))
        if not outside:
            return inside
        pairs = zip(outside, self._beyond, strict=True)
        logs = jnp.stack([self.family.row_kernel(each, gone) for each, gone in pairs])
        return inside - jnp.log1p(-jnp.exp(logsumexp(logs)))

    def _within(self, x: Any) -> Any:
        """What the family sees of a datum: what lies in the range."""
        cells = cells_of(x)
        if cells.complete:
            return x
        lower, upper = cells.ends
        return Interval(jnp.maximum(lower, self.lower), jnp.minimum(upper, self.upper))

    def set_moments(self, params: Params, lower: Array, upper: Array) -> tuple[Array, Array]:
        return self.family.set_moments(params, jnp.maximum(lower, self.lower), jnp.minimum(upper, self.upper))

    def whole_moments(self, params: Params, y: Array) -> tuple[Array, Array]:
        return self.family.set_moments(params, *self._range)

    @property
    def support(self) -> Support:
        inside: Support = self.family.support
        low: Any = self.lower
        top: Any = self.upper
        ends = "" if isinstance(low, jax.Array) else f" from {low:g} to {top:g}"  # in a computation they are not known
        return Support(inside.words + ends, lambda y: inside(y) & (y >= low) & (y <= top), inside.whole)

    def features_of(self, y: Array) -> Array:
        return self.family.features_of(y)

    def frame(self, xs: Any, weights: np.ndarray, columns: Sequence[str]) -> AbstractFrame:
        return self.family.frame(xs, weights, columns)

    def framed(self, frame: AbstractFrame) -> "Truncated":
        lower, upper = frame.apply(np.array([self.lower, self.upper]))
        inside = self.family.framed(frame)
        assert isinstance(inside, AbstractDatum)
        return Truncated(inside, float(lower), float(upper))

    def require(self, xs: Any, columns: Sequence[str]) -> None:
        super().require(xs, columns)
        values = np.concatenate(cells_of(xs).ends)
        if np.ptp(values[~np.isnan(values)]) == 0 and len(self.constraints) > 1:
            raise DataError(f"column '{columns[0]}': all values are equal, so a truncated family cannot be estimated")

    def sample(self, params: Params, key: Array, like: Any = None) -> Array:
        """Drawn again until inside; after 10,000 draws, the nearer end."""

        def again(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            key, times, _ = state
            key, own = jax.random.split(key)
            return key, times + 1, self.family.sample(params, own, like)

        def outside(state: tuple[Array, Array, Array]) -> Array:
            _, times, y = state
            return ((y < self.lower) | (y > self.upper)) & (times < 10_000)

        first = again((key, jnp.zeros((), dtype=int), jnp.zeros(())))
        return jnp.clip(jax.lax.while_loop(outside, again, first)[2], self.lower, self.upper)
