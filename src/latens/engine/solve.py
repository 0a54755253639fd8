"""One run of EM on one problem, from where it begins to its end: what every fit is."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from latens.engine.accelerators.base import AbstractAccelerator, Plain, Sampled
from latens.engine.checkpoint import Checkpoint
from latens.engine.loop import Iterate, Passed, Run, drive, exhaust
from latens.engine.problem import Problem
from latens.engine.starts import USUAL, Met, Starts, Stopped, among, search
from latens.engine.stop import Status, Stop
from latens.errors import ParameterError
from latens.numerics.asked import instance, whole
from latens.numerics.space import Params

Watch = Callable[[Iterator[Iterate], Stop], Iterator[Iterate]]
"""Iterations → the same iterations, shown to somebody on the way."""


@dataclass(frozen=True)
class Beginning:
    """Where a run begins: at params, at the best of several, or at the best of those drawn."""

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
        return json.loads(json.dumps(asdict(self), default=lambda value: value.tolist()))


class Solution(NamedTuple):
    """Where a run ended, the points it went on from, what its starts met, where it was asked to begin, and the runs on
    samples before it."""

    last: Iterate
    path: tuple[Passed, ...]
    starts: Met | None
    begun: Beginning
    samples: tuple[Sampled, ...]


def beginning(
    problem: Problem, start: Params | Sequence[Params] | None, starts: int | Starts | None, seed: int
) -> Beginning:
    """What the arguments of `lt.fit` say of it; raises `ParameterError`."""
    seed = whole(seed, "seed", 0)
    if start is None:
        usual = Starts(problem.model.usual_starts, finished=USUAL)
        wanted = usual if starts is None else starts
        if not isinstance(wanted, Starts):
            wanted = Starts(whole(wanted, "starts", 1))
        return Beginning(None, wanted, seed)
    if starts is not None:
        raise ParameterError("give either start (params to begin at) or starts (how many to try), not both")
    if isinstance(start, Mapping):
        return Beginning(problem.space.check(start), None, seed)
    if not isinstance(start, list | tuple) or not all(isinstance(params, Mapping) for params in start):
        raise ParameterError(f"start must be params, a dict, or a list of such, got {start!r}")
    points = [problem.space.check(params, f"start {i}") for i, params in enumerate(start)]
    if not points:
        raise ParameterError("start: the list of params to begin at is empty")
    return Beginning(points, None, seed)


def rules(
    problem: Problem, accelerate: AbstractAccelerator | None, stop: Stop | None
) -> tuple[AbstractAccelerator, Stop]:
    """Those given, or the usual ones."""
    accelerate, stop = problem.usual if accelerate is None else accelerate, Stop() if stop is None else stop
    instance(accelerate, AbstractAccelerator, "accelerate", "lt.Auto() or lt.Plain()")
    return accelerate, instance(stop, Stop, "stop", "lt.Stop(tolerance=1e-8)")


def solve(
    problem: Problem,
    *,
    start: Params | Sequence[Params] | None = None,
    starts: int | Starts | None = None,
    seed: int = 0,
    accelerate: AbstractAccelerator | None = None,
    stop: Stop | None = None,
    checkpoint: str | PathLike[str] | None = None,
    watch: Watch | None = None,
) -> Solution:
    """Take a run to its end, by Ctrl-C to the best so far; arguments and errors as in `lt.fit`."""
    accelerate, stop = rules(problem, accelerate, stop)
    begun = beginning(problem, start, starts, seed)
    kept = None if checkpoint is None else Checkpoint(checkpoint, problem, begun.plain())
    if kept is not None and kept.state is not None:
        free, met = np.zeros(problem.space.size), kept.met
        under_way = kept.restore(Run(problem, free, accelerate, stop))
    else:
        try:
            free, met = begun.reach(problem)
        except Stopped as stopped:
            here = Run(problem, stopped.free, Plain(), Stop(tolerance=0, max_steps=0))
            last = exhaust(here, drive(here)).ended(Status.INTERRUPTED)
            return Solution(_told(problem, last), tuple(here.path), None, begun, ())
        under_way = Run(problem, free, accelerate.prepared(problem, free, begun.seed), stop)
    steps = drive(under_way)
    steps = steps if kept is None else kept.keep(under_way, steps, met)
    last = _told(problem, exhaust(under_way, steps if watch is None else watch(steps, stop)))
    return Solution(last, tuple(under_way.path), met, begun, accelerate.samples(under_way.memory))


def _told(problem: Problem, last: Iterate) -> Iterate:
    """An end with the log-likelihood that is reported of it."""
    assert isfinite(last.log_likelihood)
    if not problem.single:
        return last
    # what is reported is summed in double precision
    return replace(last, log_likelihood=problem.log_likelihood(last.free) + problem.log_prior(last.free))
