"""Stepwise EM: rows that are seen once move the statistics, and with them the point, a little."""

from dataclasses import dataclass
from math import exp
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from latens.engine.batches import Batch
from latens.engine.derivatives import curvature, outer_product, turned
from latens.engine.emmap import update
from latens.engine.problem import Problem
from latens.inference.information import FLAT
from latens.models.base import AbstractModel
from latens.numerics.compiling import double, once
from latens.numerics.space import Space

UNLIKELY = 1e-6  # how rarely rows of one law seem to be of two
LITTLE, MARGIN = 0.2, 3.0  # of the complete information; how much more than it the scores may say
FAR = 0.2  # standard deviations of a complete row
SINGULAR = 1e-12  # of the largest eigenvalue
BLURRED = 1e12  # terms of a row's log-evidence beyond which statistics have lost what the estimates need


@dataclass(frozen=True)
class Pace:
    """How much a row weighs: a share γ = t^(−α) / unit of the statistics, t the rows seen so far in units.

    Of a batch of weight w after n the statistics before it keep what the rows one after the other would leave of them,
    exp(−∫ γ) over n .. n + w: two batches of 50 weigh what one of 100 does. With α = 1 that is n/(n + w), a plain mean.
    """

    alpha: float
    unit: float

    def kept(self, seen: float, more: float) -> float:
        """1 − γ of a batch."""
        before, after = seen / self.unit, (seen + more) / self.unit
        power = 1.0 - self.alpha
        return exp((before**power - after**power) / power) if power > 0 else before / after

    def memory(self, seen: float) -> float:
        """1/γ: of how many rows the statistics are about a mean."""
        return self.unit * (seen / self.unit) ** self.alpha


class Record(NamedTuple):
    """Sums over rows, each taken at the point it was met at.

    Of their weights w, and of w²; of w θ, the params of the point, in the frame; of w E[S given x], what the row was
    expected to be there; of the informations −∂²Q and −∂²ℓ about θ; and of w s sᵀ, s its score.
    """

    n: float
    squares: float
    points: np.ndarray  # (P,)
    expected: np.ndarray  # (q,)
    complete: np.ndarray  # (p, p)
    observed: np.ndarray  # (p, p)
    products: np.ndarray  # (p, p)

    def with_rows(self, other: "Record") -> "Record":
        """Of the rows of both."""
        sums = (mine + theirs for mine, theirs in zip(self[2:], other[2:], strict=True))
        return Record(self.n + other.n, self.squares + other.squares, *sums)

    def nothing(self) -> "Record":
        """The same of no rows."""
        return Record(0.0, 0.0, *(np.zeros_like(each) for each in self[2:]))


class Stream(NamedTuple):
    """Where a stream has come to.

    `early`, `late`: the rows until the last time their number had doubled, and those since.
    """

    free: np.ndarray  # (p,)
    stats: np.ndarray  # (q,) expected statistics of a row
    n: float  # the weight of the rows of which something was seen
    unseen: float  # and of the others
    mark: float  # n when it had last doubled
    early: Record
    late: Record
    reason: str = ""  # why the stream has ended, if it has

    @property
    def record(self) -> Record:
        """Of all rows that the estimate rests on."""
        return self.early.with_rows(self.late)


class Stepped(NamedTuple):
    """What a batch does to a point."""

    stats: Array  # (q,)
    free: Array
    health: Array  # (m,) of the new point
    size: Array


def _tree(model: AbstractModel, free: Array, flat: Array) -> Any:
    """Statistics in one vector as the model takes them."""
    return ravel_pytree(model.potentials(Space(model.constraints).params(free)))[1](flat)


@jax.jit
def stepped(model: AbstractModel, free: Array, stats: Array, mean: Array, kept: Array, rows: Array) -> Stepped:
    """s̄ ← (1 − γ) s̄ + γ s̄(batch)/n, and the M-step from there; `rows`: that s̄ is about a mean of."""
    mixed = kept * stats + (1.0 - kept) * mean
    move = update(model, free, _tree(model, free, rows * mixed), rows)
    health = model.health(Space(model.constraints).params(move.free), rows)
    return Stepped(mixed, move.free, health, move.size)


@double
def begun(problem: Problem, free: np.ndarray, unseen: float) -> Stream:
    """A stream at the maximum of its first rows, of each of which something was seen."""
    n, early = problem.n, _record(problem, free, problem.n, float(problem.weights @ problem.weights))
    return Stream(free, early.expected / n, n, unseen, n, early, early.nothing())


@once
def _there(model: AbstractModel, free: Array) -> tuple[Array, Array]:
    """(P,) params at a point, and (q, p) ∂φ/∂θ."""
    space = Space(model.constraints)

    def flat(u: Array) -> Array:
        return ravel_pytree(model.potentials(space.params(u)))[0]

    return space.flat(space.params(free)), jax.jacfwd(flat)(free)


def _record(problem: Problem, free: np.ndarray, n: float, squares: float) -> Record:
    """Of rows of weight n that are met at a point."""
    model, point, p = problem.model, jnp.asarray(free), len(free)
    params, slopes = _there(model, point)
    products = problem.rows.add(outer_product, model, point, width=p)
    stats, moved = problem.rows.add(turned, model, point, slopes, width=p)
    complete = np.asarray(curvature(model, point, stats))
    with np.errstate(invalid="ignore"):  # what is no number ends the stream, with a reason
        missing = np.asarray(slopes).T @ np.asarray(moved)
    expected = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(stats)])
    return Record(n, squares, n * np.asarray(params), expected, complete, complete - missing, np.asarray(products))


@double
def advanced(stream: Stream, batch: Batch, pace: Pace) -> Stream:
    """The stream after a batch; as it was, with a reason, if that would degenerate.

    After a doubling it stays at the estimate from which it goes on until there are statistics of enough rows there.
    """
    problem, w, n = batch.problem, batch.n, stream.n + batch.n
    if not w > 0:
        return stream._replace(unseen=stream.unseen + batch.unseen)
    met = _record(problem, stream.free, w, batch.squares)
    before, enough = stream.late.n, pace.memory(stream.mark)
    afresh = stream.mark > pace.unit and before < enough
    kept = before / (before + w) if afresh else pace.kept(stream.n, w)
    given = map(np.asarray, (stream.free, stream.stats, met.expected / w, kept, pace.memory(n)))
    step = jax.device_get(stepped(problem.model, *given))
    stays = afresh and before + w < enough
    if reason := _ailment(problem, step, met, moves=not stays):
        return stream._replace(reason=reason)
    after = stream._replace(
        free=stream.free if stays else step.free,
        stats=step.stats,
        n=n,
        unseen=stream.unseen + batch.unseen,
        late=stream.late.with_rows(met),
    )
    return _doubled(problem, after) if n >= 2 * stream.mark else after


def _ailment(problem: Problem, step: Stepped, met: Record, *, moves: bool) -> str:
    """Why the new point is none to go on from, or nothing; `moves`: whether it is gone to."""
    ill = ~(step.health >= 1) & moves
    if ill.any():
        return problem.model.ailment(int(np.argmax(ill)))
    if not (all(np.isfinite(each).all() for each in met) and np.isfinite(step.free).all() >= moves):
        return "the rows lead to estimates that are no numbers"
    if moves and not step.size <= BLURRED:
        return (
            "rounding hides what the rows tell: they are too far from the first ones, or columns are nearly collinear; "
            "begin a stream with rows like those to come, or leave out a column"
        )
    return ""


def _doubled(problem: Problem, stream: Stream) -> Stream:
    """Early rows put together with the late ones, or left out if the two disagree; it goes on from the estimate."""
    one, other = (averaged(problem, stream.free, each) for each in (stream.early, stream.late))
    early = stream.late if _disagree(one, other) else stream.record
    free = averaged(problem, stream.free, early).free
    return stream._replace(free=free, early=early, late=early.nothing(), mark=stream.n)


class Averaged(NamedTuple):
    """The estimate that a record of rows gives."""

    free: np.ndarray  # (p,)
    inside: np.ndarray  # (P,) of the reported scalars, which the rows tell from a boundary
    directions: np.ndarray  # (p, m) in which those move
    inverse: np.ndarray | None  # (m, m) of the observed information about these; None if it has none
    products: np.ndarray  # (m, m)
    size: float = 1.0  # Σ w² / Σ w: how many rows one of weight 1 stands for, were weights no repetitions

    @property
    def robust(self) -> np.ndarray | None:
        """(m, m) covariance in these directions, right for a model that is wrong, too."""
        return None if self.inverse is None else self.inverse @ self.products @ self.inverse


@once
def _ends(model: AbstractModel, free: Array, points: Array, expected: Array, n: Array) -> tuple[Array, Array, Any]:
    """The point of averaged params, the image that expected statistics lead to, and these as the model takes them."""
    space = Space(model.constraints)
    cuts = np.cumsum([int(np.prod(shape)) for shape in space.shapes.values()])[:-1]
    parts = zip(space.shapes.items(), jnp.split(points, cuts), strict=True)
    mean = space.free({name: part.reshape(shape) for (name, shape), part in parts})
    stats = _tree(model, free, expected)
    return mean, update(model, free, stats, n).free, stats


@once
def _health(model: AbstractModel, free: Array, n: Array) -> Array:
    return model.health(Space(model.constraints).params(free), n)


@double
def averaged(problem: Problem, free: np.ndarray, record: Record) -> Averaged:
    """The limit of EM projected from the average point θ̄ and its image Ψ, by the rate R of EM.

        θ̂ = θ̄ + (I − R)⁻¹ (Ψ − θ̄),   θ̄ = mean θ,   Ψ = M(mean E[S given x]),   I − R = I_com⁻¹ I_obs

    To first order that is where Σ s = 0, wherever the rows were met, so every row counts in full; where nothing is
    hidden it is Ψ, the fit of all rows. `free`: where a search for Ψ may begin.
    """
    model, n = problem.model, np.asarray(record.n)
    ends = _ends(model, jnp.asarray(free), record.points / record.n, record.expected, n)
    mean, image = map(np.asarray, ends[:2])
    # on a boundary there is no information, whatever there was at the points on the way
    inside, directions = problem.space.interior(image, np.asarray(curvature(model, *ends[1:])))
    complete, observed, products = (directions.T @ each @ directions for each in record[4:])
    least = inverted(complete)
    inverse = None if least is None else _inverse(observed, least, products)
    found = Averaged(image, inside, directions, inverse, products, record.squares / record.n)
    if inverse is None or least is None:
        return found
    step = directions @ (inverse - least) @ directions.T @ record.complete @ (image - mean)
    # farther than this a slope says little of where it will be 0: the next doubling takes another step
    length = np.sqrt(max(float(step @ record.complete @ step), 0.0) / record.n)
    ahead = image + step * min(1.0, FAR / length) if length > 0 else image
    sound = (np.asarray(_health(model, jnp.asarray(ahead), n)) >= 1).all()
    return found._replace(free=ahead) if sound else found


def _inverse(observed: np.ndarray, least: np.ndarray, products: np.ndarray) -> np.ndarray | None:
    """Of the observed information; None where it tells nothing of a direction. `least`: that of the complete one.

    Where most is missing, curvatures at points off the maximum may seem to vanish: there they count as what the scores
    say, less a margin for models that are wrong.
    """
    half = np.linalg.cholesky((least + least.T) / 2)
    shares, vectors = np.linalg.eigh(half.T @ observed @ half)
    by_scores = np.einsum("ij,ik,kj->j", half @ vectors, products, half @ vectors)
    shares = np.where(shares < LITTLE, np.maximum(shares, by_scores / MARGIN), shares)
    if shares.min(initial=1.0) <= FLAT:
        return None
    along = half @ vectors
    return np.asarray((along / shares) @ along.T)


def inverted(matrix: np.ndarray) -> np.ndarray | None:
    """Of a symmetric matrix about coordinates in any units; None if it is not positive definite but for rounding."""
    units = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    if not (np.isfinite(matrix).all() and (units > 0).all()):
        return None
    alike = matrix / np.outer(units, units)
    values, vectors = np.linalg.eigh((alike + alike.T) / 2)
    if values.min(initial=1.0) <= SINGULAR * values.max(initial=1.0):
        return None
    return (vectors / values) @ vectors.T / np.outer(units, units)


def _disagree(one: Averaged, other: Averaged) -> bool:
    """Whether two estimates differ by more than chance, by Wald's test, where both tell of the same."""
    from scipy.special import chdtrc  # slow to load

    if one.robust is None or other.robust is None or one.directions.shape != other.directions.shape:
        return False
    # rows of weight w that are seen once vary as w² of weight 1 do
    parts = ((each.directions, max(each.size, 1.0) * each.robust) for each in (one, other) if each.robust is not None)
    spread = sum(directions @ robust @ directions.T for directions, robust in parts)
    way = one.directions
    inverse = inverted(way.T @ spread @ way)
    apart = way.T @ (one.free - other.free)
    return inverse is not None and bool(chdtrc(len(apart), float(apart @ inverse @ apart)) < UNLIKELY)
