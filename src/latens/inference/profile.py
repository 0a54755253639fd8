"""Profile-likelihood intervals: EM constrained along the profile of a scalar."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.engine.accelerators.auto import Auto
from latens.engine.blocks import cores
from latens.engine.loop import run
from latens.engine.stop import UNFOUND, Status, Stop
from latens.errors import InferenceError
from latens.families.frame import AbstractFrame
from latens.inference.errors import LINKS, AbstractMethod, Errors, from_link, quantile, to_link
from latens.inference.estimate import Estimate
from latens.inference.information import CLOSE, FIXED, Held, Information, information, nothing_left
from latens.models.base import AbstractModel
from latens.numerics.compiling import double, once
from latens.numerics.constraints import EDGE
from latens.numerics.space import Constraints, Params, Space
from latens.numerics.special import TINY

PULL = 4.0  # strength of the pull, in units of the information about the parameter
WIDE = 10.0  # standard error on a log or logit scale at most
END = 36.0  # logit of the probability nearest to 1 that a double holds
LONGER = 3  # times as many steps as a parabola takes, where a profile falls slowly
FAR = 200.0  # standard errors beyond which a profile that has not fallen far enough is open
NEAR = Stop(tolerance=1e-4, max_steps=5000)  # the deviance is flat in what is left to go: exact to 1e-8


class Scalar(eqx.Module):
    """One number g(θ): of the scalars that a report shows, or of what a function of one's own gives."""

    frame: AbstractFrame
    index: Any
    function: Callable[[Params], Any] | None = eqx.field(static=True, default=None)

    def value(self, space: Space, params: Params) -> Array:
        """g(θ), from params in the frame."""
        given = self.frame.leave(params)
        entries = space.flat(given) if self.function is None else jnp.ravel(jnp.asarray(self.function(given)))
        return entries[self.index]


class Pulled(AbstractModel):
    """A model whose log-likelihood is pulled towards a value of one scalar g(θ), on its link's scale:

        ℓ(θ) − ½κ (g(θ) − target)²

    The pull is one more potential, whose statistic is 1 for every observation, so EM needs nothing new.
    Wherever the pull balances ℓ, its gradient is along ∇g: that is a point of the profile of g.
    """

    model: AbstractModel
    scalar: Scalar
    link: Any  # which of LINKS
    target: Any
    strength: Any  # κ by the total weight of the data

    @property
    def constraints(self) -> Constraints:
        return self.model.constraints

    @property
    def finite(self) -> bool:
        return self.model.finite

    def linked(self, params: Params) -> Array:
        """g(θ) on its link's scale, from params in the frame."""
        value = self.scalar.value(Space(self.constraints), params)
        positive = jnp.where(self.link == 0, 0.5, jnp.maximum(value, TINY))  # a branch not taken must not spoil
        inside = jnp.where(self.link >= 2, jnp.clip(value, TINY, 1 - EDGE), 0.5)  # the gradient
        rest = jnp.log1p(-inside)
        scales = [value, jnp.log(positive), jnp.log(inside) - rest, jnp.log(-rest)]
        return jnp.select([self.link == i for i in range(len(LINKS))], scales)

    def _pull(self, params: Params) -> Array:
        return -0.5 * self.strength * (self.linked(params) - self.target) ** 2

    def potentials(self, params: Params) -> dict[str, Any]:
        return {"model": self.model.potentials(params), "pull": self._pull(params)} if self.finite else params

    def about(self, params: Params) -> "Pulled":
        return eqx.tree_at(lambda pulled: pulled.model, self, self.model.about(params))

    def sum_of_terms(self, potentials: dict[str, Any], stats: dict[str, Any], n: Array) -> Array:
        return self.model.sum_of_terms(potentials["model"], stats["model"], n) if self.finite else jnp.zeros(())

    def mean_statistics(self, params: Params, like: Any) -> dict[str, Any]:
        return {"model": self.model.mean_statistics(params, like), "pull": jnp.zeros(())}

    def log_evidence(self, potentials: dict[str, Any], x: Any) -> Array:
        return self.model.log_evidence(potentials["model"], x) + potentials["pull"]

    def row_potentials(self, params: Params, x: Any, at: Params) -> dict[str, Any]:
        return {"model": self.model.row_potentials(params, x, at), "pull": self._pull(params)}

    def evidence(self, params: Params, x: Any) -> Array:
        return self.model.evidence(params, x) + self._pull(params)

    def health(self, params: Params, n: Array) -> Array:
        return self.model.health(params, n)

    def ailment(self, part: int) -> str:
        return self.model.ailment(part)


@dataclass(frozen=True, eq=False)
class Profile(AbstractMethod):
    """Profile-likelihood intervals, which follow the likelihood where it is not quadratic.

        {v : 2[ℓ(θ̂) − max over g(θ) = v of ℓ(θ)] ≤ z²}

    An end where the profile never falls so far is the end of the parameter's range.

    **Source:** Venzon & Moolgavkar (1988), Appl. Stat. 37, 87; by a pulled EM here.
    """

    name: ClassVar[str] = "profile"

    def evaluations(self, estimate: Estimate) -> float:
        # about 7 runs for each end; the M-step of a pulled model is a Newton iteration
        ends = 2 * int(estimate.problem.space.distinct.sum())
        return 7.0 * ends * max(estimate.at.evaluations, 10)

    def errors(self, estimate: Estimate) -> Errors:
        raise InferenceError(
            "method 'profile' gives intervals, not standard errors: use fit.confidence_intervals(method='profile')"
        )

    @double
    def intervals(self, estimate: Estimate, level: float) -> np.ndarray:
        problem = estimate.problem
        found = information(problem, estimate.at.free)
        moving = (found.jacobian != 0).any(1)
        if not moving.any():
            raise nothing_left((Held(np.zeros(len(moving)), ~moving, FIXED),), problem.names)
        shown = np.flatnonzero(problem.space.distinct & moving)
        out = np.full((len(moving), 2), np.nan)
        out[shown], unfollowed = profiled(estimate, _wanted(estimate, shown), level)
        estimate.unfollowed.update(unfollowed)
        for i in np.flatnonzero(~problem.space.distinct):
            # a scalar that is not shown repeats one that is
            out[i] = out[min(shown, key=lambda j: np.abs(found.jacobian[j] - found.jacobian[i]).max())]
        return out


@dataclass(frozen=True)
class Wanted:
    """A scalar whose interval is wanted: its name, estimate, rough standard error, and the scale to go along."""

    scalar: Scalar
    name: str
    value: float
    spread: float
    link: str


def _wanted(estimate: Estimate, scalars: np.ndarray) -> list[Wanted]:
    """Reported scalars by their indices."""
    problem = estimate.problem
    found = information(problem, estimate.at.free)
    inside, directions = problem.space.interior(estimate.at.free, found.complete)
    spreads = np.where(inside, _spreads(found.along(directions)), np.inf)  # how far a boundary is nothing says
    names, values, links = problem.names, estimate.values, problem.space.links
    reported = [Scalar(problem.frame, np.asarray(i)) for i in scalars]
    pairs = zip(reported, scalars, strict=True)
    return [Wanted(scalar, names[i], values[i], spreads[i], links[i]) for scalar, i in pairs]


@double
def profiled(estimate: Estimate, wanted: Sequence[Wanted], level: float) -> tuple[np.ndarray, dict[str, str]]:
    """(m, 2) the ends of the profile-likelihood intervals of scalars, NaN where one cannot be followed; and why.

    **Raises:** `InferenceError` if none can, or the fit turns out not to be the maximum.
    """
    z = quantile(level)
    unfollowed: dict[str, str] = {}

    def end(wanted: Wanted, side: float) -> float:
        try:
            return _end(estimate, wanted, side, z)
        except _Unfollowed as error:
            unfollowed[wanted.name] = str(error)
            return np.nan

    ends = [(each, side) for each in wanted for side in (-1.0, 1.0)]
    with ThreadPoolExecutor(cores()) as pool:
        found = np.array(list(pool.map(lambda each: end(*each), ends))).reshape(-1, 2)
    if len(unfollowed) == len(wanted):
        raise InferenceError("; ".join(unfollowed.values()))
    return np.where(np.isnan(found).any(1, keepdims=True), np.nan, found), unfollowed


@once
def _linked(pulled: Pulled, free: Array) -> Array:
    """The scalar at free coordinates, on its link's scale."""
    return pulled.linked(Space(pulled.constraints).params(free))


def _spreads(information: Information) -> np.ndarray:
    """(P,) roughly the standard errors, to know how far to look: complete-data ones where others fail."""
    observed = np.linalg.eigvalsh(information.observed)
    sound = np.isfinite(observed).all() and (observed > 1e-10 * observed.max(initial=0.0)).all()
    covariance = np.linalg.pinv(information.observed if sound else information.complete)
    return np.sqrt(np.diag(information.delta(covariance)))


class _Side:
    """The profile of one scalar on one side of its estimate, followed outwards."""

    def __init__(self, estimate: Estimate, wanted: Wanted, side: float) -> None:
        self.problem, self.wanted, self.side = estimate.problem, wanted, side
        centre, slope = to_link(np.array([wanted.value]), np.array([wanted.link]))
        self.centre, self.bounded = float(centre[0]), wanted.link != "identity"
        self.scale = float(np.clip(wanted.spread * slope[0], *((1e-12, WIDE) if self.bounded else (1e-150, np.inf))))
        self.free = estimate.at.free
        self.best = self._height()
        self.strength = np.asarray(PULL / self.scale**2 / self.problem.n)

    def _height(self) -> float:
        return self.problem.log_likelihood(self.free) + self.problem.log_prior(self.free)

    def at(self, pull: float) -> tuple[float, float]:
        """√deviance, and the scalar on its link's scale, where the target is `pull` standard errors away."""
        problem, wanted = self.problem, self.wanted
        target = np.asarray(self.centre + self.side * pull * self.scale)
        pulled = Pulled(problem.base, wanted.scalar, np.asarray(LINKS.index(wanted.link)), target, self.strength)
        # off the boundary, which EM would not leave though the profile may
        *_, last = run(problem.modelled(pulled), problem.space.inward(self.free), Auto(), NEAR)
        near = last.distance <= CLOSE  # rounding alone may have kept it from the end
        if last.status not in (Status.CONVERGED, Status.DEGENERATE) and not near:
            raise _Unfollowed(f"the profile of {wanted.name} cannot be followed: {last.status.sentence}")
        self.free = last.free
        deviance = 2 * (self.best - self._height())
        if deviance < -1e-4:
            raise InferenceError(
                f"the profile of {wanted.name} leads to a log-likelihood higher by {-deviance / 2:.4g}: the "
                "fit is not the maximum; fit again with more starts (starts=20)"
            )
        if last.status is Status.DEGENERATE and not near:
            if problem.ailment(self.free) or not last.reason.startswith(UNFOUND):
                raise _Open
            raise _Unfollowed(f"the profile of {wanted.name} cannot be followed: {last.reason}")
        return float(np.sqrt(max(deviance, 0.0))), float(_linked(pulled, self.free))


@double
def _end(estimate: Estimate, wanted: Wanted, side: float, z: float) -> float:
    """One end of the interval of one scalar."""
    along = _Side(estimate, wanted, side)
    ends = {0.0: (-z, along.centre)}

    def excess(pull: float) -> float:
        """√deviance − z where the target is `pull` standard errors away."""
        if pull not in ends:
            root, value = along.at(pull)
            ends[pull] = (root - z, value)
        return ends[pull][0]

    try:
        low, high = 0.0, z * (1 + 1 / PULL)
        while excess(high) < 0:
            if high > FAR or (along.bounded and high * along.scale > 4 * END + abs(along.centre)):
                raise _Open
            low, high = high, 1.5 * high
        from scipy.optimize import brentq  # half a second that other methods need not wait for

        root = high if excess(high) == 0 else brentq(excess, low, high, xtol=1e-8 * high, rtol=1e-8)
        end = ends[min(ends, key=lambda pull: abs(pull - root))][1]
    except _Open:
        end = side * np.inf
    return float(from_link(np.array([end]), np.array([wanted.link]))[0])


@double
def followed(estimate: Estimate, i: int, z: float, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of a reported scalar, and their deviance 2[ℓ(θ̂) − max over g(θ) = v of ℓ(θ)], to about z² on each side.

    **Raises:** `InferenceError` if the profile cannot be followed.
    """
    wanted = _wanted(estimate, np.array([i]))[0]
    links = np.array([wanted.link])
    found = [(wanted.value, 0.0)]
    for side in (-1.0, 1.0):
        along = _Side(estimate, wanted, side)
        try:
            for step in range(1, LONGER * points + 1):
                root, value = along.at(1.6 * z * step / points)
                found.append((float(from_link(np.array([value]), links)[0]), root**2))
                if root > 1.2 * z:
                    break
        except _Open:
            pass
    values, deviances = np.array(sorted(found)).T
    return values, deviances


class _Unfollowed(InferenceError):
    """One scalar has no interval."""


class _Open(Exception):
    """The profile does not fall far enough on this side."""
