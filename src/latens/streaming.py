"""`online`: rows of a stream, each seen once."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from latens.cells import OneOf, one_of, taken
from latens.cells.base import as_array
from latens.data.joining import joined
from latens.data.reader import unseen
from latens.data.table import aside, columns_of, frequencies, ungroup
from latens.engine.batches import batch_of
from latens.engine.binding import Bound, bind, read_weighed, told
from latens.engine.problem import Problem
from latens.engine.solve import solve
from latens.engine.starts import Starts
from latens.engine.stop import Status
from latens.errors import DataError, InferenceError, ModelError
from latens.inference.stepwise import Pace, advanced, begun
from latens.inference.streamfile import Kept, read, write
from latens.models.base import AbstractModel
from latens.numerics.asked import number, whole
from latens.numerics.compiling import double
from latens.numerics.space import Params
from latens.streamed import Streamed, streamed

WARMUP, ALPHA = 5_000, 0.6
FEW = 8  # rows that are kept, to know by what rows are like


class First:
    """The rows that a stream begins with, as they come in."""

    def __init__(self) -> None:
        self.data: list[Any] = []
        self.weights: list[np.ndarray] = []
        self.labels: list[OneOf] = []
        self.n = 0.0  # the weight of those of which something was seen

    def with_batch(self, model: AbstractModel, data: Any, weights: Any, labels: Any) -> "First":
        """These and more; raises `DataError` for what the model cannot read."""
        data, counts = ungroup(data, whole=model.reader.whole)
        if self.data:
            joined([self.data[0], data])  # raises what is wrong with the columns
        try:
            suited = model.suited(data)
        except DataError:  # too few rows to say what the categories are: all of them will
            if not (rows := _length(data)):
                raise
            given = frequencies(weights, rows) * (1.0 if counts is None else frequencies(counts, rows))
            n = float(given.sum())
            allowed = None
        else:
            found, given = read_weighed(suited, data, weights, counts)
            allowed = None if labels is None else told(suited, labels, len(given))
            n = float(given[~unseen(found.xs, allowed)].sum())
            if found.weights is not None:  # counts, which a later batch has for the same groups
                given, n = frequencies(weights, len(given)), float("inf")
        other = First()
        other.data, other.weights = [*self.data, data], [*self.weights, given]
        sets = OneOf((None,) * len(given)) if labels is None else one_of(labels)
        other.labels, other.n = [*self.labels, sets], self.n + n
        return other

    def bound(self, model: AbstractModel) -> Bound:
        """All of them, as the model reads them."""
        sets = tuple(members for each in self.labels for members in each.sets)
        labels = OneOf(sets) if any(members is not None for members in sets) else None
        data = self.data[0] if len(self.data) == 1 else joined(self.data)
        return bind(model, data, np.concatenate(self.weights), labels, enough=False)


def _length(data: Any) -> int:
    named = columns_of(data)
    column = data if named is None else next(iter(named.values()), [])
    return len(column) if isinstance(column, OneOf) else len(np.atleast_1d(as_array(column)))


class Online:
    """A stream of rows and what is estimated from them: `update` takes rows, `estimate` says what they tell so far.

    `n`: the weight of the rows that something was seen of; `status`, `reason`: "running" while the first rows are
    collected, then "online estimate, no certificate"; "degenerate" with the reason if it has come to an end.
    An update is not to be called while another one of the same stream runs, in another thread say; streams of their
    own may run side by side. Pickling keeps all of a stream, `save` all but the first rows while they are collected.
    """

    def __init__(self, model: AbstractModel, alpha: float, warmup: int, begin: dict[str, Any]) -> None:
        self.model, self._alpha, self._warmup, self._begin = model, alpha, warmup, begin
        self._first = First()
        self._kept: Kept | None = None
        self._known: Problem | None = None  # a few of the first rows, in their frame

    @property
    def n(self) -> float:
        """The weight of the rows of which something was seen."""
        return self._first.n if self._kept is None else self._kept.stream.n

    @property
    def status(self) -> Status:
        """Whether it goes on."""
        if self._kept is None:
            return Status.RUNNING
        return Status.DEGENERATE if self.reason else Status.ONLINE

    @property
    def reason(self) -> str:
        """Why it has ended, if it has."""
        return "" if self._kept is None else self._kept.stream.reason

    def update(self, data: Any, *, weights: Any = None, labels: Any = None) -> None:
        """Take rows, which are then forgotten; what raises an error leaves the stream as it was.

        **Arguments:** `data`: rows as in `lt.fit`, in the form of the first ones; `weights` (n,) and `labels` (n,) of
        them, or their columns, as there.
        **Raises:** `DataError` for other columns, a category that the first rows did not have, and what `lt.fit`
        refuses; `InferenceError` if the stream has ended.
        """
        if self.reason:
            raise InferenceError(f"the stream has ended ({self.reason}): begin another one")
        data, weights, labels = aside(data, weights=weights, labels=labels)
        if self._kept is not None and self._known is not None:
            batch = batch_of(self._known, data, weights, labels)
            self._kept = self._kept._replace(stream=advanced(self._kept.stream, batch, self._kept.pace))
            return
        first = self._first.with_batch(self.model, data, weights, labels)
        if first.n >= self._warmup:
            self._take(self._started(first))
            first = First()
        self._first = first

    @double
    def _started(self, first: First) -> Kept:
        """The first rows fitted."""
        read = first.bound(self.model)
        seen = _some(read, np.flatnonzero(read.informative))
        # a later row may have unseen cells, which a frame that mixes columns could not take
        frame = read.model.frame(seen.xs, seen.weights, seen.columns).separate
        problem = Problem.within(seen, frame)
        last = solve(problem, **self._begin).last
        stream = begun(problem, last.free, float(read.weights.sum() - seen.weights.sum()))
        if last.status is Status.DEGENERATE:
            stream = stream._replace(reason=last.reason)
        return Kept(_some(seen, np.arange(min(FEW, len(seen.weights)))), frame, Pace(self._alpha, stream.n), stream)

    def _take(self, kept: Kept) -> None:
        """Go on from there."""
        problem, n = Problem.within(kept.few, kept.frame), kept.pace.unit
        self._kept, self._known = kept, problem.but(n=n, _total=np.array(n))

    def _state(self) -> tuple[Problem, Kept]:
        if self._known is None or self._kept is None:
            raise InferenceError(
                f"the stream has {self.n:g} of the {self._warmup} rows that it begins with: before it has all there "
                "is no estimate, and nothing to save; ask for fewer, lt.online(model, warmup=100)"
            )
        return self._known, self._kept

    @property
    def estimate(self) -> Streamed:
        """What the rows tell so far, as a `Streamed`; `InferenceError` while the first rows are collected."""
        known, kept = self._state()
        return streamed(known, kept.stream, self.status)

    def save(self, path: str | PathLike[str]) -> None:
        """Keep the stream in a file, from which `Online.load` goes on to the identical result. It holds 8 rows at most.

        **Raises:** `DataError` if it cannot be written; `InferenceError` while the first rows are collected.
        """
        known, kept = self._state()
        write(path, self.model, kept, known)

    @classmethod
    def load(cls, path: str | PathLike[str], model: AbstractModel) -> "Online":
        """A stream that was saved, with the model that it had.

        **Raises:** `DataError` for a file that cannot be read, of another model, or of another version.
        **Example:**
            >>> import latens as lt, tempfile, os
            >>> model, file = lt.IID(lt.Poisson()), os.path.join(tempfile.mkdtemp(), "calls.npz")
            >>> stream = lt.online(model, warmup=4)
            >>> stream.update([2, 4, 3, 3])
            >>> stream.save(file)
            >>> again = lt.Online.load(file, model)
            >>> again.update([1, 5])
            >>> again.n, float(again.estimate.params["rate"].round(6))
            (6.0, 3.0)
        """
        _check(model)
        kept = read(path, model)
        made = cls(model, kept.pace.alpha, 0, {})
        made._take(kept)
        return made

    def __repr__(self) -> str:
        return f"<Online of {type(self.model).__name__}: {self.n:g} rows, {self.status.value}>"


def _some(read: Bound, rows: np.ndarray) -> Bound:
    """Some of the rows; all of these are of use."""
    return read._replace(
        xs=taken(read.xs, rows),
        weights=np.asarray(read.weights)[rows],
        labels=None if read.labels is None else read.labels[rows],
        informative=read.informative[rows],
        rows_read=len(rows),
        rows_used=slice(None),
    )


def _check(model: Any) -> None:
    """Raises `ModelError` for what no stream can be estimated by."""
    if not isinstance(model, AbstractModel):
        raise ModelError(f"expected a model such as lt.IID(...) or lt.Mixture(...), got {model!r}")
    if not model.finite:
        raise ModelError(
            f"{model.title}: rows have potentials of their own, so no statistic of theirs adds up to stand for rows "
            "that are gone: use lt.fit, on a part of the rows if they are too many"
        )


def online(
    model: AbstractModel,
    *,
    alpha: float = ALPHA,
    warmup: int = WARMUP,
    start: Params | Sequence[Params] | None = None,
    starts: int | Starts | None = None,
    seed: int = 0,
) -> Online:
    """Maximum likelihood from a stream: rows that are seen once, batch by batch, and forgotten. Stepwise EM.

        s̄ ← (1 − γ) s̄ + γ E[S given a row, θ],   θ ← argmax <φ(θ), s̄>,   γ = t^(−α) / m,   t = n / m

    with n the weight of the rows seen, and m that of the first ones, which are collected and fitted as `lt.fit` does;
    the rows of a batch share one θ. The estimate averages over all rows (Polyak & Ruppert), of the statistics: with θ̄
    from the mean of s̄ and Ψ from the mean of what rows were expected to be, it is where EM leads from there,
    θ̄ + (I − R)⁻¹ (Ψ − θ̄). Whenever the number of rows has doubled, those before are left out of it if they disagree
    with those since by Wald's test (at 1e-6), as where a stream has changed or has begun badly.

    **Arguments:** `model`: one of which a finite statistic is known; `alpha`: α in (1/2, 1], how fast early rows are
    forgotten; `warmup`: m, at least; `start`, `starts`, `seed`: for the fit of the first rows, as in `lt.fit`.
    **Returns:** an `Online`: `update(rows)`, `estimate`, `save(file)`.
    **Raises:** `ModelError` for a model without a finite statistic; `ParameterError` for numbers that cannot be.
    **Example:**
        >>> import latens as lt, numpy as np
        >>> draws = np.random.default_rng(0)
        >>> stream = lt.online(lt.Mixture(lt.Poisson(), 2), warmup=500)
        >>> for _ in range(20):
        ...     stream.update(draws.poisson(np.where(draws.random(250) < 0.3, 2.0, 12.0)))
        >>> np.sort(stream.estimate.params["rate"]).round().tolist()
        [2.0, 12.0]

    **Source:** Cappé & Moulines (2009), JRSS B 71, 593; Polyak & Juditsky (1992), SIAM J. Control Optim. 30, 838; the
    step to the limit: Louis (1982), JRSS B 44, 226, §4.
    """
    _check(model)
    number(alpha, "online: alpha", "a number above 1/2 and at most 1", 0.5, float(np.nextafter(1.0, 2.0)))
    whole(warmup, "online: warmup", 1)
    return Online(model, float(alpha), int(warmup), {"start": start, "starts": starts, "seed": seed})
