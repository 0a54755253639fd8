"""`fit` and `iterate`."""

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from os import PathLike
from typing import Any

import numpy as np

from latens.engine.accelerators.auto import Auto
from latens.engine.accelerators.base import AbstractAccelerator
from latens.engine.checkpoint import Checkpoint
from latens.engine.loop import Iterate, Run, drive, run
from latens.engine.prior import Prior
from latens.engine.problem import Problem
from latens.engine.starts import USUAL, Met, Starts, among, search
from latens.engine.status import Status
from latens.engine.stop import Stop
from latens.errors import ParameterError
from latens.models.base import AbstractModel
from latens.numerics.asked import instance, whole
from latens.numerics.space import Params
from latens.result import Fit


def iterate(
    model: AbstractModel,
    data: Any,
    *,
    weights: Any = None,
    labels: Any = None,
    prior: Prior | float | None = None,
    precision: str = "double",
    start: Params | Sequence[Params] | None = None,
    starts: int | Starts | None = None,
    seed: int = 0,
    accelerate: AbstractAccelerator | None = None,
    stop: Stop | None = None,
) -> Iterator[Iterate]:
    """The iterations that `lt.fit` exhausts, one by one: stop, look or record as you like.

    **Arguments:** as in `lt.fit`. **Returns:** a generator of `Iterate` (`params`, `log_likelihood` at
    them, `evaluations`, `distance`, `status`).
    **Raises:** as `lt.fit`.
    **Example:**
        >>> import latens as lt
        >>> moths = lt.HardyWeinberg("C > I > T", {"black": "C", "mottled": "I", "light": "T"})
        >>> steps = lt.iterate(moths, [85, 196, 341], start={"C": 1/3, "I": 1/3, "T": 1/3},
        ...                    accelerate=lt.Plain(), stop=lt.Stop(max_steps=2))
        >>> [round(float(s.params["I"]), 5) for s in steps]
        [0.33333, 0.23741, 0.19787]
    """
    problem = Problem(model, data, weights, labels, prior, precision)
    accelerate, stop = _rules(accelerate, stop)
    return run(problem, _beginning(problem, start, starts, seed).reach(problem)[0], accelerate, stop)


def fit(
    model: AbstractModel,
    data: Any,
    *,
    weights: Any = None,
    labels: Any = None,
    prior: Prior | float | None = None,
    precision: str = "double",
    start: Params | Sequence[Params] | None = None,
    starts: int | Starts | None = None,
    seed: int = 0,
    accelerate: AbstractAccelerator | None = None,
    stop: Stop | None = None,
    progress: bool = False,
    checkpoint: str | PathLike[str] | None = None,
) -> Fit:
    """Maximum likelihood by EM.

        θ ← argmax Q(θ | θ),  repeated;  the log-likelihood never falls

    **Arguments:** `model`: see `lt.IID`, `lt.Mixture`, `lt.Cells`, `lt.Latent`; `data`: a NumPy array,
    list, dict of columns, data frame, or counts (`Cells`); NaN where a datum or cell was not seen, and
    `lt.interval`, `lt.right_censored`, `lt.one_of`, `lt.grouped` for what is known only as a set; `weights`
    (n,): frequency weights; `labels` (n,): the hidden label where it is known (a code, or a set of codes),
    None where it is not; `prior`: `lt.Prior(...)`, or its weight in observations: estimates are then maximum a
    posteriori; `start`: params to begin at, or a list of such to try; or else `starts`: how many
    to draw and try (a number or `lt.Starts(...)`; default: `lt.Starts(30, finished=3)` for a mixture, of which 10 do if
    they agree, 10 for other models with several maxima, 1 for `IID`), with `seed`. Many
    starts are tried side by side by short runs, the better ones go on longer, and the best is finished;
    `accelerate`: `lt.Auto()` (default), `lt.Anderson()`, `lt.Squarem()`, `lt.QuasiNewton()`, `lt.ParabolicEM()` or
    `lt.Plain()`; `stop`: `lt.Stop(...)`;
    `progress`: show a progress line; `checkpoint`: a file to keep the iteration in, every few seconds and at the end,
    so that the same call after an interruption goes on from there to the identical result, and one with a tighter
    `stop` from where the looser one ended; `precision`: "single" for steps of EM from rows and densities in
    32 bits (faster; all that is reported comes from the rows in 64).
    **Returns:** a `Fit`. Ctrl-C ends the iteration and returns the best so far, status "interrupted".
    **Raises:** `DataError`, `ModelError`, `ParameterError`; each names what is wrong and the remedy.
    **Example:** two normals with a common known variance:
        >>> import latens as lt
        >>> fit = lt.fit(lt.Mixture(lt.Normal(variance=1.0), 2), [-2.0, -1.5, -2.5, 1.0, 2.0, 3.0, 2.0])
        >>> sorted(fit.params["mean"].round(3).tolist())
        [-1.986, 2.0]

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1.
    """
    problem = Problem(model, data, weights, labels, prior, precision)
    accelerate, stop = _rules(accelerate, stop)
    beginning = _beginning(problem, start, starts, seed)
    kept = None if checkpoint is None else Checkpoint(checkpoint, problem, beginning.plain())
    if kept is not None and kept.state is not None:
        met = kept.met
        under_way = kept.restore(Run(problem, np.zeros(problem.space.size), accelerate, stop))
    else:
        free, met = beginning.reach(problem)
        under_way = Run(problem, free, accelerate, stop)
    steps = drive(under_way)
    if kept is not None:
        steps = kept.keep(under_way, steps, met)
    if progress:
        from latens.report.progress import shown

        steps = shown(steps, stop)
    status = None
    try:
        deque(steps, maxlen=0)
    except KeyboardInterrupt:
        if under_way.best is None:
            raise
        status = Status.INTERRUPTED
    last = under_way.best
    assert last is not None
    last = last if status is None else last.ended(status)
    assert isfinite(last.log_likelihood)
    if problem.single:  # what is reported is summed in double precision
        last = replace(last, log_likelihood=problem.log_likelihood(last.free) + problem.log_prior(last.free))
    return Fit(last, tuple(under_way.path), met)


@dataclass(frozen=True)
class _Beginning:
    """Where a fit begins: at params, at the best of several, or at the best of those drawn."""

    start: Params | list[Params] | None
    starts: Starts | None
    seed: int

    def reach(self, problem: Problem) -> tuple[np.ndarray, Met | None]:
        """Free coordinates, and what was met in finding them."""
        if self.starts is not None:
            return search(problem, self.starts, self.seed)
        if isinstance(self.start, list):
            return among(problem, [problem.free(params) for params in self.start], self.seed)
        assert self.start is not None
        return problem.free(self.start), None

    def plain(self) -> dict[str, Any]:
        """The same as JSON gives it back."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self), default=lambda value: value.tolist()))
        return found


def _rules(accelerate: AbstractAccelerator | None, stop: Stop | None) -> tuple[AbstractAccelerator, Stop]:
    accelerate, stop = Auto() if accelerate is None else accelerate, Stop() if stop is None else stop
    instance(accelerate, AbstractAccelerator, "accelerate", "lt.Auto() or lt.Plain()")
    return accelerate, instance(stop, Stop, "stop", "lt.Stop(tolerance=1e-8)")


def _beginning(
    problem: Problem, start: Params | Sequence[Params] | None, starts: int | Starts | None, seed: int
) -> _Beginning:
    seed = whole(seed, "seed", 0)
    if start is None:
        usual = Starts(problem.model.usual_starts, finished=USUAL)
        wanted = usual if starts is None else starts
        if not isinstance(wanted, Starts):
            wanted = Starts(whole(wanted, "starts", 1))
        return _Beginning(None, wanted, seed)
    if starts is not None:
        raise ParameterError("give either start (params to begin at) or starts (how many to try), not both")
    if isinstance(start, Mapping):
        return _Beginning(problem.space.check(start), None, seed)
    if not isinstance(start, list | tuple) or not all(isinstance(params, Mapping) for params in start):
        raise ParameterError(f"start must be params, a dict, or a list of such, got {start!r}")
    points = [problem.space.check(params, f"start {i}") for i, params in enumerate(start)]
    if not points:
        raise ParameterError("start: the list of params to begin at is empty")
    return _Beginning(points, None, seed)
