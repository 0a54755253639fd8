"""The laws every family and every model obeys, for yours too.

`check_family` and `check_model` raise `ModelError` naming the law that does not hold.
"""

from collections.abc import Callable
from copy import copy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.cells import Partial, taken
from latens.engine.accelerators.base import Plain
from latens.engine.blocks import CACHE, Load, flat
from latens.engine.emmap import Care, expect, expect_shard, one_step, surrogate, update, weighted
from latens.engine.loop import run
from latens.engine.problem import Problem
from latens.engine.rows import RowsInMemory
from latens.engine.stop import Status, Stop
from latens.errors import InferenceError, ModelError
from latens.families.exponential import AbstractExponentialFamily
from latens.inference.errors import Louis, Oakes, Observed
from latens.inference.estimate import Estimate
from latens.inference.sem import ExactSEM
from latens.models.base import AbstractModel
from latens.numerics.compiling import double, once
from latens.numerics.space import Params, Space


@double
def check_family(
    family: AbstractExponentialFamily, params: Params, *, like: Any = None, draws: int = 20_000, seed: int = 0
) -> None:
    """Put an exponential family through its laws at the given params.

    The natural round trip, ∇A against the mean statistic of draws, draws inside the support, a density
    that integrates to one (for a datum that is one number), the unseen datum, the M-step as a maximum, and digits:
    the same densities and estimates with statistics reckoned from the distribution itself.

    **Arguments:** `like`: a datum with the sizes (trials, exposure) that draws should have.
    **Raises:** `ModelError` naming the law.
    **Example:**
        >>> import latens as lt
        >>> lt.testing.check_family(lt.Exponential(), {"rate": 2.0})
    """
    space = Space(family.constraints)
    params = {n: jnp.asarray(v) for n, v in space.check(params, "params").items()}
    mean, here = once(lambda p: (family.mean(p), family.potential(p)))(params)
    back = once(lambda m: space.flat(family.estimate(m)))(mean)
    _law("estimate(mean(params)) gives back params", back, space.flat(params))
    example = None if like is None else jnp.asarray(like, dtype=float)
    keys = jax.random.split(jax.random.key(seed), draws)
    ys = once(jax.vmap(family.sample, (None, 0, None)))(params, keys, example)
    inside, counts, statistics = once(jax.vmap(lambda y: (family.support(y), family.count(y), family.statistic(y))))(ys)
    if not inside.all():
        raise ModelError(f"{family.title}: a draw lies outside the support")
    counts, statistics = np.asarray(counts), np.asarray(statistics)
    _within("∇A is the mean statistic", statistics - np.asarray(mean) * counts[:, None])
    if family.shape == ():
        _integrates_to_one(family, here, np.asarray(ys))
    unseen = Partial(ys[0], jnp.asarray(False))
    value, gradient = once(jax.value_and_grad(family.log_kernel))(here, unseen)
    filled = counts[0] * np.r_[1.0, mean]
    law = "an unseen datum has evidence 1 and the family's mean as its statistic"
    _law(law, np.r_[value, gradient], np.r_[0.0, filled])
    totals = jnp.asarray(np.concatenate([[counts.sum()], statistics.sum(0)]))
    best = once(lambda t: space.free(family.maximise(t)))(totals)
    slope = once(jax.grad(lambda u: family.potential(space.params(u)) @ totals))(best)
    _law("the M-step is stationary", slope / counts.sum(), jnp.zeros_like(best), 1e-7)
    if family.about(params) is not family:
        _digits(family, params, ys, totals)


def _digits(family: AbstractExponentialFamily, params: Params, ys: jax.Array, totals: jax.Array) -> None:
    """Reckoned from its own distribution a family is the same, and potentials there are all but 0."""
    about, here = family.about(params), family.potential(params)
    own = about.potential(params)
    plain = once(jax.vmap(family.log_kernel, (None, 0)))(here, ys)

    def whole(phi: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = jax.vmap(about.log_kernel, (None, 0))(phi, ys)
        return found.sum(), found

    moved, found = once(jax.grad(whole, has_aux=True))(own)
    _law("densities about the distribution itself are the same", found, plain)
    space = Space(family.constraints)
    apart, right = once(lambda m, t: (space.flat(about.maximise(m)), space.flat(family.maximise(t))))(moved, totals)
    _law("so is the M-step", apart, right, 1e-6)


def _integrates_to_one(family: AbstractExponentialFamily, potential: jax.Array, ys: np.ndarray) -> None:
    """Sum or trapezoids, well beyond where the draws lie."""
    low, high = ys.min() - np.ptp(ys) - 1, ys.max() + np.ptp(ys) + 1
    whole = bool((ys == np.floor(ys)).all())
    grid = np.arange(np.floor(low), high) if whole else np.linspace(low, high, 1_000_001)
    inside = grid[np.asarray(once(jax.vmap(family.support))(jnp.asarray(grid)))]
    density = np.exp(np.asarray(once(jax.vmap(family.log_kernel, (None, 0)))(potential, jnp.asarray(inside))))
    total = density.sum() if whole else np.trapezoid(density, inside)
    _law("the density integrates to one", total, 1.0, 1e-3)


@double
def check_model(model: AbstractModel, data: Any, start: Params, *, weights: Any = None, seed: int = 0) -> None:
    """Put a model through the laws of EM, on its own data.

    The log-likelihood never falls; the evidence of a block is that of its rows; Jensen's bound touches at its
    point and stays below; the M-step is stationary on Q; weights are repetitions; order and blocks of rows
    change nothing, nor does what statistics are reckoned from; the rate of EM at the optimum is complete⁻¹ · missing
    information; the covariances by the observed information, Louis, Oakes and supplemented EM are one; a second call
    does not compile again.

    **Arguments:** as in `lt.fit`; `start` should lead to a maximum inside the constraints.
    **Raises:** `ModelError` naming the law.
    **Example:**
        >>> import latens as lt
        >>> model = lt.Mixture(lt.Poisson(), 2)
        >>> lt.testing.check_model(model, [0, 1, 1, 2, 6, 7, 8, 9], {"weights": [0.5, 0.5], "rate": [1.0, 6.0]})
    """
    problem = Problem(model, data, weights)
    free = problem.free(start)
    # a few steps first, so that all further laws are looked at from a point EM has made
    *_, reached = run(problem, free, Plain(), Stop(tolerance=0, max_steps=20))
    if reached.status is Status.DEGENERATE:
        raise ModelError(f"this start degenerates: {reached.reason}")
    _bound(problem, free, seed)
    _stationary(problem, free)
    _sums(problem, free, seed)
    _reckoned_apart(problem, free)
    _no_recompilation(problem, free)
    *_, last = run(problem, reached.free, Plain(), Stop(tolerance=1e-9, max_steps=50_000))
    if last.status is not Status.CONVERGED:
        raise ModelError(f"plain EM did not converge from this start: {last.status.sentence}")
    try:
        _rate(Estimate(last))
        _covariances(Estimate(last))
    except InferenceError as error:
        raise ModelError(f"there are no standard errors at the limit from this start: {error}") from error


def _bound(problem: Problem, at: np.ndarray, seed: int) -> None:
    """ℓ(θ) − ℓ(θ′) is at least Q(θ|θ′) − Q(θ′|θ′), for θ far and near."""
    rng = np.random.default_rng(seed)
    ell, score = _ell(problem, at)
    q, slope = _q(problem, at, at)
    whole = problem.log_likelihood(at) - problem.offset
    _law("the log-evidences of a block are those of its rows, one by one", whole, ell)
    slack = 1e-9 * (1 + abs(ell))
    for scale in (1e-2, 0.3, 1.0):
        other = at + scale * rng.normal(size=at.shape)
        gain = _ell(problem, other)[0] - ell
        if np.isfinite(gain) and gain < _q(problem, other, at)[0] - q - slack:
            raise ModelError(
                "law broken: Jensen's bound stays below the log-likelihood (is log_evidence an integral of exp<φ, S>?)"
            )
    _law("the score is the gradient of Q (Fisher's identity)", slope, score, 1e-7)


def _ell(problem: Problem, free: np.ndarray) -> tuple[float, np.ndarray]:
    """The log-likelihood and its gradient, without blocks."""
    value, gradient = _score(problem.model, jnp.asarray(free), _rows(problem))
    return float(value), np.asarray(gradient)


def _q(problem: Problem, free: np.ndarray, at: np.ndarray) -> tuple[float, np.ndarray]:
    """Q(free | at) and its gradient, without blocks."""
    value, gradient = _q_slope(problem.model, jnp.asarray(free), jnp.asarray(at), _rows(problem))
    return float(value), np.asarray(gradient)


def _rows(problem: Problem) -> list[tuple[Any, jax.Array]]:
    """All rows with their weights, those of one shape end to end."""
    return [(flat(shard), shard.weights.reshape(-1)) for shard in problem.rows.at_hand]


@once
def _score(model: AbstractModel, free: jax.Array, rows: Any) -> tuple[jax.Array, jax.Array]:
    def ell(u: jax.Array) -> jax.Array:
        params = Space(model.constraints).params(u)
        return jnp.stack([weighted(jax.vmap(model.evidence, (None, 0))(params, xs), w) for xs, w in rows]).sum()

    return jax.value_and_grad(ell)(free)


@once
def _q_slope(model: AbstractModel, free: jax.Array, at: jax.Array, rows: Any) -> tuple[jax.Array, jax.Array]:
    def q(u: jax.Array) -> jax.Array:
        return jnp.stack([surrogate(model, u, at, xs, w) for xs, w in rows]).sum()

    return jax.value_and_grad(q)(free)


def _differences(function: Callable[[np.ndarray], np.ndarray], free: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """(m, p) Jacobian of a function to (m,), by central differences of fourth order."""
    columns = []
    for i, h in enumerate(steps):
        move = np.zeros_like(free)
        move[i] = h
        near, far = (function(free + c * move) - function(free - c * move) for c in (1, 2))
        columns.append((8 * near - far) / (12 * h))
    return np.array(columns).T


def _stationary(problem: Problem, free: np.ndarray) -> None:
    """Of a model with a finite statistic; where there is none, one step of Newton's raises Q."""
    level, slope = _q(problem, problem.step(free).free, free)
    if not problem.model.finite:
        if level < _q(problem, free, free)[0] - 1e-9 * (1 + abs(level)):
            raise ModelError("law broken: the M-step raises Q")
        return
    law = "the M-step is stationary on Q (does estimate maximise <φ, stats>?)"
    _law(law, slope / problem.n, np.zeros_like(slope), 1e-7)


def _sums(problem: Problem, free: np.ndarray, seed: int) -> None:
    """Weights are repetitions; order and blocks change nothing."""
    rng, n = np.random.default_rng(seed), len(problem.weights)
    times = rng.integers(1, 4, n)
    xs = jax.tree.map(np.asarray, problem.xs)
    repeated = rng.permutation(np.repeat(np.arange(n), times))
    # in lots of n rows, as many as there are, so that one program serves; what fills the last one up weighs nothing
    padded = np.resize(repeated, -(-len(repeated) // n) * n).reshape(-1, n)
    counted = (np.arange(padded.size) < len(repeated)).astype(float).reshape(-1, n)

    def flat(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        lot = RowsInMemory(taken(xs, rows), weights, Load(CACHE // max(n // 3, 1), 1))
        found = lot.add(expect, problem.model, jnp.asarray(free))
        return np.concatenate([np.ravel(v) for v in jax.tree.leaves(found)])

    lots = sum(map(flat, padded, counted))
    _law("weights are repetitions, in any order and blocks", flat(np.arange(n), times.astype(float)), lots)


def _reckoned_apart(problem: Problem, free: np.ndarray) -> None:
    """Reckoned from the point itself, the map is the same."""
    if problem.recentres:
        apart = copy(problem)
        apart.care = Care(about=True)
        one, other = problem.step(free), apart.step(free)
        found, right = (np.r_[each.log_likelihood, each.free] for each in (other, one))
        _law("a step is the same with statistics reckoned from its own point", found, right)


def _no_recompilation(problem: Problem, free: np.ndarray) -> None:
    def programs() -> int:
        """All that a step may run: one program for rows in one shard, two for more."""
        return one_step.programs + expect_shard.programs + int(update._cache_size())  # type: ignore[attr-defined]

    problem.step(free)
    before = programs()
    problem.step(free + 1e-3)
    if programs() != before:
        raise ModelError("law broken: a second call does not compile again (keep arrays out of static fields)")


def _rate(estimate: Estimate) -> None:
    problem, found = estimate.problem, estimate.information
    steps = 1e-2 / np.sqrt(np.diag(found.complete))

    def image(moves: np.ndarray) -> np.ndarray:
        moved: np.ndarray = problem.step(estimate.at.free + found.directions @ moves).free - estimate.at.free
        return found.coordinates @ moved

    rate = _differences(image, np.zeros(len(steps)), steps)
    _law("the rate of EM is complete⁻¹ · missing information", rate, found.rate, 1e-5)


def _covariances(estimate: Estimate) -> None:
    information = estimate.information
    covariance = np.nan_to_num(Observed().once(estimate).covariance)
    units = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    scale = np.sqrt(np.diag(information.observed))

    def score(moves: np.ndarray) -> np.ndarray:
        here = estimate.at.free + information.directions @ moves
        return information.directions.T @ _ell(estimate.problem, here)[1]

    curvature = -_differences(score, np.zeros(len(scale)), 1e-2 / scale)
    each = np.outer(scale, scale)
    _law("the information is −∇²ℓ", curvature / each, information.observed / each, 1e-6)
    for method in (Louis(), Oakes(), ExactSEM()):
        found = np.nan_to_num(method.once(estimate).covariance)
        law = f"the covariance by the method '{method.name}' is the inverse observed information"
        _law(law, found / np.outer(units, units), covariance / np.outer(units, units), 1e-6)


def _law(law: str, found: Any, expected: Any, tolerance: float = 1e-8) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    scale = 1.0 + np.abs(expected).max(initial=0.0)
    if not np.abs(found - expected).max(initial=0.0) <= tolerance * scale:
        raise ModelError(f"law broken: {law}; found {_short(found)}, expected {_short(expected)}")


def _within(law: str, deviations: np.ndarray) -> None:
    """Means of (n, p) deviations that should be 0, within 6 of their standard errors."""
    error = deviations.std(0) / np.sqrt(len(deviations))
    if not (np.abs(deviations.mean(0)) <= 6 * error + 1e-9).all():
        raise ModelError(f"law broken: {law}; off by {_short(deviations.mean(0))}, standard error {_short(error)}")


def _short(values: np.ndarray) -> str:
    return np.array2string(np.ravel(values)[:6], precision=6)
