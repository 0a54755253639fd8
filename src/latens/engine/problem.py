"""Rows bound to a model, in the coordinates the computation runs in."""

from typing import Any

import jax
import numpy as np

from latens.cells import lengths_of, padded, rows_in, without_labels
from latens.data.reader import Tally, tally
from latens.data.table import aside, frequencies, library_of, ordered, ungroup, without
from latens.data.text import Table
from latens.engine import ends
from latens.engine.accelerators.auto import Auto
from latens.engine.accelerators.base import AbstractAccelerator
from latens.engine.binding import Bound, bind, check_held, tried, written_elsewhere
from latens.engine.blocks import Load, cores
from latens.engine.emmap import Care, evidences, posteriors, potentials_at
from latens.engine.ends import Doubt
from latens.engine.evaluation import AbstractEvaluation
from latens.engine.prior import Floor, Prior, Seen, prior_of, statistics_of
from latens.engine.rows import AbstractRows, RowsInMemory
from latens.engine.stop import Status, Step, noise
from latens.engine.symmetry import Symmetry, symmetry_of
from latens.errors import DataError, ModelError, ParameterError, listed
from latens.families.frame import AbstractFrame
from latens.families.units import Units, disagreement
from latens.models.base import AbstractModel
from latens.models.latent import Latent
from latens.numerics.compiling import double
from latens.numerics.space import Space

SINGLE = 1e6  # times as much rounding as in double precision, about


class Problem(AbstractEvaluation):
    """A model, its data in shards, and the map between what users see and what is computed."""

    leaps = True
    edge, plateau, unusable = ends.edge, ends.plateau, ends.unusable
    origin: Any = None  # what rows that are not at hand are read from
    engine: Any = None  # who goes over these
    story = "in memory"  # where the rows are
    beside: tuple[str, ...] = ()  # columns of the data that told weights and labels

    @double
    def __init__(
        self,
        model: AbstractModel,
        data: Any,
        weights: Any = None,
        labels: Any = None,
        prior: Prior | float | None = None,
        precision: str = "double",
    ) -> None:
        if precision not in ("double", "single"):
            raise ParameterError(f"precision must be 'double' or 'single', got {precision!r}")
        self.single = precision == "single"
        self.prior = prior_of(prior)
        enough = self.prior is not None and self.prior.params is not None
        self.beside = tuple(name for name in (weights, labels) if isinstance(name, str))
        data, weights, labels = aside(data, weights=weights, labels=labels)
        read = bind(model, data, weights, labels, enough=enough)
        self.notes = data.notes if isinstance(data, Table) else ()
        self.library = library_of(data)  # of whose frames results are
        self._hold(read, read.model.frame(read.xs, read.weights, read.columns), enough=enough)

    @classmethod
    @double
    def within(cls, read: Bound, frame: AbstractFrame) -> "Problem":
        """Rows that have been read, in a frame that need not be made from them."""
        made = cls.__new__(cls)
        made.single, made.prior, made.notes, made.library = False, None, (), None
        made._hold(read, frame, enough=False)
        return made

    def _hold(self, read: Bound, frame: AbstractFrame, *, enough: bool) -> None:
        """Put rows and model in the frame; `enough`, however little the rows tell."""
        model = self.given = read.model
        self.columns, self.weights = read.columns, read.weights
        self.rows_read, self.rows_used = read.rows_read, read.rows_used
        self.frame: AbstractFrame = frame
        if self.frame.lack and not enough:
            raise DataError(self.frame.lack)
        self.base = self.model = model.framed(self.frame)
        self.row_jacobian = self.frame.log_jacobian(read.xs)
        self.space = Space(model.constraints)
        known = read.labels
        # labels, or params of a prior, tell components apart
        alike = (known is None or known.all()) and not (self.prior is not None and self.prior.apart)
        self.symmetry = symmetry_of(model) if alike else Symmetry({})
        self._store(model.labelled(model.reader.observe(self.frame.apply(read.xs)), known))
        self.informative, self.lengths = read.informative, lengths_of(read.xs)
        before = self.prior and self.prior.bound(self.model, self.frame, self.xs, self.weights)
        self.before: Seen | Floor | None = jax.device_get(
            before
        )  # arrays of JAX would lose half of their bits when pickled
        self.pseudo = jax.device_get(before and statistics_of(before, self.model))
        if isinstance(model, Latent) or written_elsewhere(model):
            tried(self.model, self.xs)
        if isinstance(self.frame, Units) and (wrong := disagreement(self.model, self.frame, self.xs)):
            raise ModelError(f"{type(model).__name__}: {wrong}")
        if not model.finite:
            self.care = Care(about=self.recentres)  # no statistics would tell

    def _store(self, moved: Any) -> None:
        """Put rows in the frame where they are computed with."""
        self.rows = self.quick = RowsInMemory(moved, self.weights, self.load(moved))
        if self.single:
            rounded = jax.tree.map(lambda leaf: leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf, moved)
            self.quick = RowsInMemory(rounded, self.weights, self.load(rounded))
        self._weigh(self.weights)

    def stored(self, rows: AbstractRows) -> "Problem":
        """The same rows, in the same frame, held elsewhere."""
        return self.but(rows=rows, quick=rows)

    def _weigh(self, weights: np.ndarray) -> None:
        self.weights, self.n = weights, float(weights.sum())
        jacobian = self.row_jacobian
        self.offset = float(np.sum(weights * jacobian)) if np.ndim(jacobian) else self.n * float(jacobian)
        self._total: Any = np.array(self.n)

    @double
    def part(self, rows: np.ndarray) -> "Problem":
        """The same problem on some of its rows, in the same frame."""
        part = self.but(
            weights=self.weights[rows],
            rows_used=self.numbers[rows],
            lengths=None if self.lengths is None else self.lengths[rows],
            row_jacobian=np.broadcast_to(self.row_jacobian, self.weights.shape)[rows],
            informative=self.informative[rows],
        )
        part._store(jax.tree.map(np.asarray, self.rows.take(rows)))
        return part

    @double
    def sampled(self, size: int, seed: int) -> "Problem | None":
        """So many of the rows that something was seen of, weighted up to all of them; None if they take too much."""
        rows = np.flatnonzero(self.informative)
        part = self.part(np.sort(np.random.default_rng([seed]).choice(rows, size, replace=False)))
        return part.reweighted(part.weights * (self.weights[rows].sum() / part.weights.sum()))

    @double
    def elsewhere(self, data: Any) -> "Problem":
        """Other rows, each of weight 1; `carried` takes free coordinates there."""
        check_held(data)
        data = without(data, self.beside) if self.beside else data
        rows = self.given.reader.read(ungroup(ordered(data, self.columns), whole=self.given.reader.whole)[0])
        absent = [name for name in self.columns if isinstance(rows.xs, dict) and name not in rows.xs]
        if absent:
            raise DataError(f"column '{absent[0]}' is not in these rows, which have {listed(list(rows.xs))}")
        self.check_form(rows.xs)
        frame, n = self.frame.suiting(rows.xs), rows_in(rows.xs)
        model = self.given.framed(frame)
        other = self.but(frame=frame, base=model, model=model, weights=frequencies(None, n), rows_read=n)
        other.rows_used, other.informative, other.lengths = slice(None), np.ones(n, dtype=bool), lengths_of(rows.xs)
        other.row_jacobian = frame.log_jacobian(rows.xs)
        other._store(model.reader.observe(frame.apply(rows.xs)))
        return other

    def check_form(self, xs: Any) -> None:
        """Raises `DataError` for rows that a user's own model could not be handed."""
        if not (isinstance(self.given, Latent) or written_elsewhere(self.given)):
            return  # families have looked at their columns
        here, there = (padded(rows, np.zeros(1, int), 1) for rows in (self.rows.take(slice(0, 1)), xs))
        shapes = [jax.tree.map(np.shape, rows) for rows in (here, there)]
        if shapes[0] != shapes[1]:
            kind = "sequences" if self.lengths is not None else "rows"
            raise DataError(f"the fit is of {kind} with the columns {listed(self.columns)}: give {kind} like those")

    def load(self, xs: Any) -> Load:
        """What one row takes, by the shapes of the potentials."""
        leaves = jax.tree.leaves(jax.eval_shape(potentials_at, self.model, self.centre))
        own = sum(leaf.size // len(leaf) for leaf in jax.tree.leaves(xs))
        products = sum(leaf.size for leaf in leaves) * (1 if self.model.finite else self.space.size)
        return Load(own + sum(sum(leaf.shape) for leaf in leaves), products)

    @double
    def reweighted(self, weights: np.ndarray) -> "Problem":
        """The same rows with other weights, in the same frame."""
        rows = self.rows.reweighted(weights)
        # no program is spared for many points: there are many fits, each with few steps
        other = self.but(rows=rows, quick=self.quick.reweighted(weights) if self.single else rows, spare=0)
        other._weigh(weights)
        return other

    @double
    def modelled(self, model: AbstractModel) -> "Problem":
        """The same rows and prior under another model with the same parameters."""
        pseudo = self.before and statistics_of(self.before, model)
        return self.but(base=model, model=model, pseudo=pseudo, spare=0)  # nothing has been compiled for it

    @property
    @double
    def as_given(self) -> Any:
        """Rows in the units of the data, without labels."""
        return self.frame.undo(without_labels(self.xs))

    @property
    def usual(self) -> AbstractAccelerator:
        """What a run is accelerated by if nothing is said."""
        return Auto()

    @property
    def some(self) -> "Problem":
        """The same on rows that are at hand: here, all."""
        return self

    @property
    def at_once(self) -> int:
        """How many fits to go on with side by side."""
        return cores()

    @property
    def height(self) -> int:
        """The number of rows of positive weight."""
        return len(self.weights)

    @property
    def rows_seen(self) -> int:
        """The number of those of which something was seen."""
        return int(self.informative.sum())

    @property
    def unseen(self) -> float:
        """The total weight of the others."""
        return float(self.weights @ ~self.informative)

    @property
    def half_seen(self) -> Tally:
        """Column → kind → how much of the data was half seen."""
        return tally(self.xs, self.columns, self.weights)

    @double
    def log_densities(self, free: np.ndarray) -> np.ndarray:
        """(n,) log-likelihood of each row, in the units of the data."""
        return np.asarray(self.each(evidences, free) + self.row_jacobian)

    @double
    def entropy(self, free: np.ndarray) -> float:
        """Of the hidden labels of the rows of which something was seen."""
        p, weights = self.each(posteriors, free), np.where(self.informative, self.weights, 0.0)
        return float((weights[:, None] * p * -np.log(np.where(p > 0, p, 1.0))).sum()) + 0.0

    def resampled(self, seed: int, replicate: int) -> "Problem":
        """As many rows drawn from these with replacement: other weights."""
        counts = np.random.default_rng([seed, replicate]).multinomial(max(round(self.n), 1), self.weights / self.n)
        return self.reweighted(counts.astype(float))

    @property
    def observations(self) -> float:
        """The total weight of rows of which something was seen."""
        return float(self.weights @ (self.informative if self.lengths is None else self.informative * self.lengths))

    @property
    def rounding(self) -> float:
        return noise(self.n) * (SINGLE if self.single else 1.0)

    def slack(self, best: float) -> float:
        # in units in which densities are about 1 it is a small sum of many terms
        return super().slack(max(abs(best), self.n)) * (SINGLE / 1e2 if self.single else 1.0)

    def ailment(self, free: np.ndarray, health: np.ndarray | None = None) -> str:
        ill = ~((self.health(free) if health is None else health) >= 1)
        return self.model.ailment(int(np.argmax(ill))) if ill.any() else ""

    def fallen(self, best: float, free: np.ndarray, step: Step) -> tuple[Status, str] | Exception:
        reason = self.ailment(free)
        if not reason and (lost := best - step.log_likelihood) <= self.blur(best):
            reason = f"rounding hides {lost:.1g} of the log-likelihood, as near a variance of 0; try other starts"
        if not reason and not written_elsewhere(self.given):
            left = max(int(np.log10((1.0 + abs(best)) / lost)), 0) if 0 < lost < np.inf else 0
            reason = (
                f"rounding hides {lost:.1g} of the log-likelihood, of which {left} digits are left: give the data in "
                "other units or from another origin, or try other starts"
            )
        reason = reason or self.doubt(free)
        if reason or not np.isfinite(step.log_likelihood):
            return Status.DEGENERATE, reason or "the log-likelihood is not finite after the next EM step"
        return ModelError(
            f"the log-likelihood fell from {best:.10g} to {step.log_likelihood:.10g} in a plain EM "
            "step, which cannot happen if estimate(stats) maximises <potentials(params), stats>: check the "
            "model with lt.testing.check_model"
        )

    @double
    def doubt(self, free: np.ndarray) -> str:
        return "" if type(self.given).health is not AbstractModel.health else Doubt(self, free).reason()
