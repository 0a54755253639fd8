"""Profile-likelihood intervals: EM constrained along the profile of each parameter."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from latens.engine.accelerators.auto import Auto
from latens.engine.blocks import cores
from latens.engine.loop import run
from latens.engine.status import Status
from latens.engine.stop import Stop
from latens.errors import InferenceError
from latens.families.frame import AbstractFrame
from latens.inference.errors import AbstractMethod, Errors, Optimum
from latens.inference.information import Information, information
from latens.inference.intervals import from_link, quantile, to_link
from latens.models.base import AbstractModel
from latens.numerics.precision import double
from latens.numerics.space import Constraints, Params, Space

LINKS = ("identity", "log", "logit")
PULL = 4.0  # strength of the pull, in units of the information about the parameter
WIDE = 10.0  # standard error on a log or logit scale at most
EDGE = 36.0  # logit of the probability nearest to 1 that a double holds
FAR = 200.0  # standard errors beyond which a profile that has not fallen far enough is open
NEAR = Stop(tolerance=1e-4, max_steps=5000)  # the deviance is flat in what is left to go: exact to 1e-8


class Pulled(AbstractModel):
    """A model whose log-likelihood is pulled towards a value of one scalar g(θ), on its link's scale:

        ℓ(θ) − ½κ (g(θ) − target)²

    The pull is one more potential, whose statistic is 1 for every observation, so EM needs nothing new.
    Wherever the pull balances ℓ, its gradient is along ∇g: that is a point of the profile of g.
    """

    model: AbstractModel
    moved: AbstractFrame
    index: Any  # which scalar
    link: Any  # which of LINKS
    target: Any
    strength: Any  # κ by the total weight of the data

    @property
    def constraints(self) -> Constraints:
        return self.model.constraints

    @property
    def finite(self) -> bool:
        return self.model.finite

    def scalar(self, params: Params) -> Array:
        """g(θ), from params in the frame."""
        value = Space(self.constraints).flat(self.moved.leave(params))[self.index]
        positive = jnp.where(self.link == 0, 0.5, value)  # a branch not taken must not spoil the gradient
        inside = jnp.where(self.link == 2, value, 0.5)
        odds = jnp.log(inside) - jnp.log1p(-inside)
        return jnp.select([self.link == 0, self.link == 1], [value, jnp.log(positive)], odds)

    def _pull(self, params: Params) -> Array:
        return -0.5 * self.strength * (self.scalar(params) - self.target) ** 2

    def potentials(self, params: Params) -> dict[str, Any]:
        return {"model": self.model.potentials(params), "pull": self._pull(params)}

    def log_evidence(self, potentials: dict[str, Any], x: Any) -> Array:
        return self.model.log_evidence(potentials["model"], x) + potentials["pull"]

    def row_potentials(self, params: Params, x: Any, at: Params) -> dict[str, Any]:
        return {"model": self.model.row_potentials(params, x, at), "pull": self._pull(params)}

    def row_evidence(self, potentials: dict[str, Any], x: Any) -> Array:
        return self.model.row_evidence(potentials["model"], x) + potentials["pull"]

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

    def evaluations(self, optimum: Optimum) -> float:
        # about 7 runs for each end; the M-step of a pulled model is a Newton iteration
        ends = 2 * int(optimum.problem.space.distinct.sum())
        return ends * 7 * max(optimum.at.evaluations, 10) / cores()

    def errors(self, optimum: Optimum) -> Errors:
        raise InferenceError(
            "method 'profile' gives intervals, not standard errors: use fit.confidence_intervals(method='profile')"
        )

    @double
    def intervals(self, optimum: Optimum, level: float) -> np.ndarray:
        z, problem = quantile(level), optimum.problem
        found = information(problem, optimum.at.free)
        spreads = _spreads(found)
        shown = np.flatnonzero(problem.space.distinct)
        ends = [(i, side) for i in shown for side in (-1.0, 1.0)]
        with ThreadPoolExecutor(cores()) as pool:
            bounds = list(pool.map(lambda end: _end(optimum, end[0], end[1], z, float(spreads[end[0]])), ends))
        out = np.full((len(optimum.values), 2), np.nan)
        out[shown] = np.reshape(bounds, (-1, 2))
        for i in np.flatnonzero(~problem.space.distinct):
            # a scalar that is not shown repeats one that is
            twin = next(j for j in shown if np.allclose(found.jacobian[j], found.jacobian[i]))
            out[i] = out[twin]
        return out


def _spreads(information: Information) -> np.ndarray:
    """(P,) roughly the standard errors, to know how far to look: complete-data ones where others fail."""
    observed = np.linalg.eigvalsh(information.observed)
    sound = np.isfinite(observed).all() and observed[0] > 1e-10 * observed[-1]
    covariance = np.linalg.pinv(information.observed if sound else information.complete)
    found: np.ndarray = np.sqrt(np.diag(information.delta(covariance)))
    return found


def _end(optimum: Optimum, index: int, side: float, z: float, spread: float) -> float:
    """One end of the interval of one scalar."""
    problem, links = optimum.problem, optimum.problem.space.links[[index]]
    centre, slope = to_link(optimum.values[[index]], links)
    if not np.isfinite(centre[0]):
        raise InferenceError(f"method 'profile': {problem.names[index]} = {optimum.values[index]:g} is an extreme")
    bounded = links[0] != "identity"
    scale = float(np.clip(spread * slope[0], 1e-12, WIDE if bounded else np.inf))
    if links[0] == "logit" and abs(centre[0]) > EDGE / 2:
        scale = WIDE  # on the boundary the curvature says nothing of how far to look
    best = problem.log_likelihood(optimum.at.free) + problem.log_prior(optimum.at.free)
    link, strength = np.asarray(LINKS.index(links[0])), np.asarray(PULL / scale**2 / problem.n)
    free, ends = optimum.at.free, {0.0: (-z, float(centre[0]))}

    def excess(pull: float) -> float:
        """√deviance − z where the target is `pull` standard errors away."""
        nonlocal free
        if pull in ends:
            return ends[pull][0]
        target = np.asarray(centre[0] + side * pull * scale)
        pulled = Pulled(problem.model, problem.frame, np.asarray(index), link, target, strength)
        *_, last = run(problem.modelled(pulled), free, Auto(), NEAR)
        if last.status not in (Status.CONVERGED, Status.DEGENERATE):
            raise InferenceError(f"the profile of {problem.names[index]} cannot be followed: {last.status.sentence}")
        free = last.free
        deviance = 2 * (best - problem.log_likelihood(free) - problem.log_prior(free))
        if deviance < -1e-4:
            raise InferenceError(
                f"the profile of {problem.names[index]} leads to a log-likelihood higher by {-deviance / 2:.4g}: the "
                "fit is not the maximum; fit again with more starts (starts=20)"
            )
        if last.status is Status.DEGENERATE:
            raise _Open
        reached = float(to_link(optimum.scalars(free)[[index]], links)[0][0])
        ends[pull] = (float(np.sqrt(max(deviance, 0.0))) - z, reached)
        return ends[pull][0]

    try:
        low, high = 0.0, z * (1 + 1 / PULL)
        while excess(high) < 0:
            low, high = high, 1.5 * high
            if high > FAR or (bounded and abs(centre[0] + side * high * scale) > 4 * EDGE):
                raise _Open
        from scipy.optimize import brentq  # half a second that other methods need not wait for

        root = high if excess(high) == 0 else brentq(excess, low, high, xtol=1e-8 * high, rtol=1e-8)
        end = ends[min(ends, key=lambda pull: abs(pull - root))][1]
    except _Open:
        end = side * np.inf
    return float(from_link(np.array([end]), links)[0])


class _Open(Exception):
    """The profile does not fall far enough on this side."""
