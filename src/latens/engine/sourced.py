"""Rows of a source, gone over in every evaluation; a problem made of them."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

from latens.cells import taken
from latens.data.parts import Part
from latens.data.reader import Tally, unseen
from latens.data.source import AbstractSource, source_of
from latens.data.survey import Some, Survey, joined
from latens.engine.accelerators.auto import Auto
from latens.engine.accelerators.base import AbstractAccelerator
from latens.engine.blocks import Load, rows_together
from latens.engine.dask import Dask, cluster_at
from latens.engine.dealer import Dealer, Facts, frequencies_of, labels_in
from latens.engine.emmap import entropies, posteriors
from latens.engine.engines import AbstractEngine, Threads, shards_of
from latens.engine.growing import Growing
from latens.engine.jobs import AbstractJob, Clustered, Densities, Each, Look, Settle, Sum, Take
from latens.engine.kept import MEMORY
from latens.engine.prior import Prior
from latens.engine.problem import Problem
from latens.engine.ray import Ray, ray_at
from latens.engine.rows import AbstractRows, Program, RowsInMemory
from latens.engine.workers import Processes
from latens.errors import DataError, LatensError, ModelError, ParameterError, counted
from latens.families.frame import Identity
from latens.models.base import AbstractModel
from latens.numerics.compiling import double

MUCH = 1e11  # operations of a pass, some seconds, from which one saved is worth the programs that samples take
OF_ROWS = ("weights", "informative", "row_jacobian", "rows_used", "sample")
ROOM = 1 << 30  # bytes that what is asked of every row may take


class SourcedRows(AbstractRows):
    """The rows of a source, wherever an engine computes with them."""

    def __init__(self, dealer: Dealer, engine: AbstractEngine, some: RowsInMemory, n: int) -> None:
        """`some` of the rows stand for all where only a few are asked for."""
        self.dealer, self.engine, self.some, self.n = dealer, engine, some, n
        self.draw: int | None = None  # the seed of other weights
        self.passes = 0

    @cached_property
    def shards(self) -> list[tuple[Part, ...]]:
        return shards_of(self.dealer.source.parts)

    def evaluate(self, job: AbstractJob[Any]) -> Any:
        """One pass: what the job gives for all rows."""
        self.passes += 1
        return summed(job, self.engine.evaluate(job, self.dealer, self.shards))

    @double
    def add(self, program: Program, *args: Any, width: int = 1, **settings: Any) -> Any:
        return self.evaluate(Sum(program, args, width, settings, self.draw))

    @double
    def each(self, program: Program, *args: Any) -> Any:
        sample = self.some.each(program, *args)
        self.check_room(sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(sample)) / self.some.n)
        parts = self.evaluate(Each(program, args))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    @double
    def clustered(self, column: str, model: AbstractModel, free: Any) -> np.ndarray:
        """(G, p) the sums of scores over the rows that have the same in a column."""
        source = self.dealer.source.grouped(self.dealer.columns, column)
        # which rows a stream gives is known by other columns
        beside = replace(self.dealer, source=source, counts=())
        shards = shards_of(source.parts)
        job = Clustered((model, free), len(free))
        self.passes += 1
        found = summed(job, self.engine.evaluate(job, beside, shards))
        return np.stack([found[kind] for kind in sorted(found)])

    def check_room(self, wide: float) -> None:
        """Raises `DataError` if so many bytes of every row are more than may be held."""
        if wide * self.n > ROOM:
            raise DataError(
                f"what is asked of {self.n} rows takes {wide * self.n / 1e9:.1f} GB: give some of the rows, or have it "
                "written to files, fit.predict_to(FOLDER)"
            )

    def take(self, rows: np.ndarray | slice) -> Any:
        raise DataError("the rows of a source are not held in memory: give some of them")

    def arrays(self) -> list[Any]:
        if self.dealer.source.stamps:
            return [np.frombuffer(self.dealer.key.encode(), np.uint8)]
        return [*self.some.arrays(), np.array(self.dealer.counts)]  # a stream has no name that it goes by elsewhere

    def operations(self, program: jax.stages.Wrapped, *args: Any) -> float:
        return self.some.operations(program, *args) * self.n / self.some.n

    def reweighted(self, weights: np.ndarray) -> AbstractRows:
        raise DataError("the rows of a source take no other weights: name a column, lt.Source(..., weights=...)")

    def drawn(self, seed: int) -> "SourcedRows":
        """The same rows with Poisson weights, drawn by their places."""
        other = copy(self)
        other.draw = seed
        return other

    def beside(self, values: np.ndarray, weights: np.ndarray) -> AbstractRows:
        raise DataError("nothing can be put beside the rows of files")


def summed(job: AbstractJob[Any], found: list[Any]) -> Any:
    """What shards gave (None of those without rows), added up in their order."""
    some = [value for value in found if value is not None]
    total = some[0]
    for value in some[1:]:
        total = job.plus(total, value)
    return total


class Placed(Problem):
    """Some rows of a source, which are called by their places there, if these are known."""

    def __init__(self, sample: Some | None, *args: Any) -> None:
        self.sample = sample
        super().__init__(*args)

    def where(self, row: int) -> str:
        return super().where(row) if self.sample is None else self.sample.where(int(self.numbers[row]))


class Sourced(Problem):
    """A model and the rows of a source. What a model asks of data before it is fitted, it asks of `some` of them."""

    rows: SourcedRows
    facts: Facts
    engine: AbstractEngine

    def __init__(
        self,
        model: AbstractModel,
        source: AbstractSource,
        prior: Prior | float | None = None,
        precision: str = "double",
        engine: AbstractEngine | None = None,
    ) -> None:
        self.engine = Threads() if engine is None else engine
        self.source = source
        survey = self._looked(model)
        sample = survey.table(source)
        cells = sample.read()
        given = cells.pop(source.weights) if source.weights else np.ones(1)
        weights = sample.located(lambda: frequencies_of(given))
        named = source.labels
        labels = None if named is None else sample.located(lambda: labels_in(cells.pop(named), named))
        weights = weights * sample.shares
        self.some_rows = sample.located(lambda: Placed(sample, model, cells, weights, labels, prior, precision))
        # but for what is of these rows alone
        vars(self).update({name: value for name, value in vars(self.some_rows).items() if name not in OF_ROWS})
        self.library = "polars"
        held: Any = self.some_rows.rows
        together = rows_together(self.some.xs, held.load.size)
        dealer = Dealer(source, sample.named, tuple(cells), self.columns, self.given, self.frame, held.load, together)
        counts = tuple(survey.counts.get(i, 0) for i in range(len(source.parts)))
        dealer = replace(dealer, counts=counts, imprint=survey.sums.total() % 2**64)
        self.facts = self._settled(dealer, survey, sample.holes)
        self.rows = self.quick = SourcedRows(dealer, self.engine, held, self.facts.rows)
        if self.single:
            self.quick = SourcedRows(replace(dealer, single=True), self.engine, held, self.facts.rows)
        self.n, self.offset, self._total = self.facts.weight, self.facts.offset, np.array(self.facts.weight)
        self.rows_read = survey.n

    def _looked(self, model: AbstractModel) -> Survey:
        """The first pass."""
        nothing = Dealer(self.source, frozenset(), (), (), model, Identity(), Load(1, 1), None)
        shards = shards_of(self.source.parts)
        if not shards:
            raise DataError(f"{self.source.title}: there is no row, so nothing to fit")
        total = Survey()
        for found in self.engine.evaluate(Look(), nothing, shards):
            total = total if found is None else total.merge(found)
        return total

    def _settled(self, dealer: Dealer, survey: Survey, holes: bool) -> Facts:
        """What all rows add up to: known, where all are numbers of weight 1; else from another pass."""
        jacobian = self.some.row_jacobian
        if not (holes or self.source.beside or np.ndim(jacobian)):
            return Facts(survey.n, float(survey.n), float(survey.n), survey.n * float(jacobian), {})
        facts: Facts = summed(Settle(), self.engine.evaluate(Settle(), dealer, shards_of(self.source.parts)))
        if not facts.weight > 0:
            raise DataError("all weights are zero: there is nothing to fit")
        return facts

    @property
    def some(self) -> Problem:
        return self.some_rows

    @property
    def at_once(self) -> int:
        return 1  # all workers take part in every pass, and keep the rows of few fits

    @property
    def height(self) -> int:
        return self.facts.rows

    @property
    def rows_seen(self) -> int:
        return self.facts.rows  # about: it is said where starts were tried on fewer

    @property
    def observations(self) -> float:
        return self.facts.observations

    @property
    def unseen(self) -> float:
        return self.n - self.facts.observations

    @property
    def half_seen(self) -> Tally:
        found = self.facts.half_seen or {}
        return {name: found[name] for name in (*self.columns, *found) if name in found}

    def part(self, rows: np.ndarray) -> Problem:
        raise DataError("the rows of a source are not held in memory: take some of problem.some")

    @property
    def usual(self) -> AbstractAccelerator:
        return Growing() if self.operations > MUCH else Auto()

    @double
    def sampled(self, size: int, seed: int) -> Problem | None:
        if size * (len(self.columns) + 1) * 8 > MEMORY // 4:
            return None
        drawn = self.rows.evaluate(Take(size / self.facts.rows, seed + 1))
        cells = {name: joined([each[name] for each in drawn]) for name in drawn[0]}
        read = self.rows.dealer.read_columns(cells)
        seen = ~unseen(read.xs, read.told) & (read.weights > 0)
        if not seen.any():
            return None
        xs, told = taken(read.xs, np.flatnonzero(seen)), None if read.told is None else read.told[seen]
        weights = read.weights[seen] * (self.observations / read.weights[seen].sum())
        part = self.some.but(
            sample=None,
            weights=weights,
            rows_read=len(weights),
            rows_used=slice(None),
            row_jacobian=self.frame.log_jacobian(xs),
            informative=np.ones(len(weights), dtype=bool),
        )
        part._store(self.given.labelled(self.given.reader.observe(self.frame.apply(xs)), told))
        return part

    def elsewhere(self, data: Any) -> Problem:
        return self.some.but(sample=None).elsewhere(data)

    def resampled(self, seed: int, replicate: int) -> Problem:
        drawn = self.rows.drawn(int(np.random.default_rng([seed, replicate]).integers(2**31)))
        return self.but(rows=drawn, quick=drawn, spare=0)

    @property
    def origin(self) -> Any:
        return self.source, self.source.stamps

    @property
    def story(self) -> str:  # type: ignore[override]
        rows = counted(self.facts.rows, "row")
        return f"{rows} of {self.source.title}; by {self.engine.story}"

    @double
    def log_densities(self, free: np.ndarray) -> np.ndarray:
        self.rows.check_room(8)
        return np.concatenate(self.rows.evaluate(Densities((self.about(free).model, free))))

    @double
    def entropy(self, free: np.ndarray) -> float:
        found = float(self.rows.add(entropies, self.about(free).model, free))
        if not self.unseen:
            return found + 0.0
        # one of the rows of which nothing was seen is among them; what is known of its label is that of all such
        nothing = self.some.each(posteriors, free)[~self.some.informative][0]
        return found + self.unseen * float((nothing * np.log(np.where(nothing > 0, nothing, 1.0))).sum())

    def unusable(self, free: np.ndarray) -> LatensError:
        return self.some.unusable(free)


def problem_of(
    model: AbstractModel,
    data: Any,
    weights: Any = None,
    labels: Any = None,
    prior: Prior | float | None = None,
    precision: str = "double",
    engine: Any = None,
) -> Problem:
    """The model and the data, in memory or wherever they are; arguments and errors as in `lt.fit`."""
    source = source_of(data)
    if source is None:
        if engine is not None:
            raise ParameterError("engine= is for the rows of files and streams (lt.Source, lt.Batches); leave it out")
        return Problem(model, data, weights, labels, prior, precision)
    for name, given in (("weights", weights), ("labels", labels)):
        if given is None:
            continue
        if not isinstance(given, str):
            raise DataError(f"the rows are those of files: name the column of {name}, {name}='...'")
        source = replace(source, **{name: given})  # type: ignore[arg-type]
    if not isinstance(model, AbstractModel):
        raise ModelError(f"expected a model such as lt.IID(...) or lt.Mixture(...), got {model!r}")
    return Sourced(model, source, prior, precision, engine_of(engine))


def engine_of(given: Any) -> AbstractEngine:
    """An engine; a Dask client, the module `ray`, or "dask://HOST:PORT", "ray", "threads:4", as one; None: threads."""
    if given is None:
        return Threads()
    if isinstance(given, AbstractEngine):
        return given
    if isinstance(given, str):
        kind, _, number = given.partition(":")
        if kind == "dask":
            return cluster_at(given)
        if kind == "ray":
            return ray_at(given)
        if kind in ENGINES and (not number or number.isdigit()):
            return ENGINES[kind](int(number) if number else None)
    if type(given).__module__.split(".")[0] == "distributed":
        return Dask(given)
    if getattr(given, "__name__", "") == "ray":
        return Ray(given)
    raise ParameterError(
        f"engine must be lt.Threads(), lt.Processes(), a Dask client, the module ray, 'dask://HOST:PORT' or "
        f"'ray://HOST:PORT', got {given!r}"
    )


ENGINES: dict[str, Callable[[int | None], AbstractEngine]] = {"threads": Threads, "processes": Processes}
