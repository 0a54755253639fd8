"""Plain EM, step by step from where a fit began: the numbers that the panels of the page show."""

from collections.abc import Iterator
from functools import cached_property
from itertools import islice

import numpy as np

from latens.engine.accelerators.base import Plain
from latens.engine.loop import Iterate, run
from latens.engine.problem import Problem
from latens.engine.solve import Beginning, solve
from latens.engine.starts import draw
from latens.engine.stop import Status, Stop
from latens.errors import LatensError, counted
from latens.explaining.story import Expected
from latens.explaining.telling import story_of
from latens.inference.estimate import Estimate
from latens.models.gene_counting import Cells
from latens.plots.columns import Column, Subject
from latens.plots.density_table import no_density
from latens.plots.groups import no_hidden

MOST, FEWEST = 300, 2  # steps gone at most, and at least, or there is nothing to see
TOLD, TOLD_OF_MANY = 30, 12  # steps with a place on the slider
MANY, CROWD = 20_000, 4  # rows, and hidden values, of which fewer steps have one
TRIED, SAME, NEAR = 10, 1e-5, 1e-2  # starts drawn until one leads to the fit; how near, in height and standard errors
MOST_CELLS = 24


class Walk:
    """The way, and what is told of it. Raises `LatensError` saying why there is none that could be shown."""

    def __init__(self, estimate: Estimate, begun: Beginning) -> None:
        given = estimate.at.problem
        # in 32 bits what is told would not be so to the digits that are shown
        self.estimate, self.problem = estimate, given.but(single=False, quick=given.rows) if given.single else given
        if given.origin is not None:
            raise LatensError("the rows are those of files, each step a pass over them")
        if self.problem.lengths is not None:
            raise LatensError("steps of EM are not shown of sequences")
        self.cells = isinstance(self.problem.given, Cells)
        if not self.cells and len(self.problem.columns) > 2 and self.problem.space.size > 2:
            raise LatensError(
                "steps of EM are shown of rows with one or two columns, and of models with one or two parameters"
            )
        self.path, self.end, self._way = self._gone(begun)
        if len(self.path) <= FEWEST:
            raise LatensError(f"plain EM is at its end after {counted(len(self.path) - 1, 'step')}")
        if self.cells and max(len(self.problem.given.seen), len(self.problem.given.hidden or ())) > MOST_CELLS:
            raise LatensError(f"steps of EM are shown of {MOST_CELLS} cells and groups at most")
        last = len(self.path) - 1
        crowd = max(len(self.problem.given.hidden or ()), 1)
        most = TOLD if len(self.problem.weights) <= MANY and crowd <= CROWD else TOLD_OF_MANY
        early = np.arange(min(most // 2, last))
        later = np.geomspace(max(len(early), 1), last - 1, most - len(early))
        self.told = np.arange(last) if last <= most else np.unique(np.r_[early, later.round().astype(int)])
        self.story = story_of(self.problem, self.path, 0, Estimate(self.end))

    # -- the way --------------------------------------------------------------------------------------

    def _gone(self, begun: Beginning) -> tuple[list[Iterate], Iterate, str]:
        """The path from the first beginning that leads to the fit, its end, and what is to be said of it."""
        fit, first, symmetry = self.estimate.at, None, self.problem.symmetry
        for whence, free in self._beginnings(begun):
            path, end = _followed(self.problem, free)
            if symmetry.axes:  # labels as the fit has them
                order = symmetry.order(fit.params, end.params)
                if (order != np.arange(len(order))).any():
                    path, end = _followed(self.problem, self.problem.free(symmetry.permuted(path[0].params, order)))
            if self._same(end, fit):
                return path, end, self._summary(whence, path, end, "where the fit ended, too")
            if first is None:
                elsewhere = f"while the fit itself ended elsewhere, at {fit.log_likelihood:.6f}"
                first = path, end, self._summary(whence, path, end, elsewhere)
        if first is None:
            raise LatensError("no start could be drawn")
        return first

    def _same(self, end: Iterate, fit: Iterate) -> bool:
        """Whether they are one point: as high, and no part of a standard error of the complete data apart."""
        level = max(SAME, fit.problem.slack(fit.log_likelihood))
        if abs(end.log_likelihood - fit.log_likelihood) > level:
            return False
        apart = self.problem.surrogate(fit.free, fit.free) - self.problem.surrogate(end.free, fit.free)
        return bool(2 * apart <= max(NEAR**2, 2 * level))

    def _beginnings(self, begun: Beginning) -> Iterator[tuple[str, np.ndarray]]:
        if begun.start is None:
            for i in range(TRIED):
                try:
                    yield "a drawn start", draw(self.problem, begun.seed, i)
                except LatensError:
                    continue
            return
        several = isinstance(begun.start, list)
        for params in begun.start if isinstance(begun.start, list) else [begun.start]:
            whence = "one of the starts" if several else "the start"
            yield f"{whence} that the fit was given", self.problem.free(params)

    @property
    def summary(self) -> str:
        """Where it begins and leads, and how much of it is shown."""
        fewer = len(self.told) < len(self.path) - 1
        return self._way + (f" {len(self.told)} of the steps are shown." if fewer else "")

    def _summary(self, whence: str, path: list[Iterate], end: Iterate, rest: str) -> str:
        """Where it begins and leads."""
        steps, to = counted(len(path) - 1, "step"), f"{self.height} {end.log_likelihood:.6f}"
        if path[-1].status is Status.RUNNING:
            return f"These are the first {steps} of plain EM from {whence}, on a long way to {to}, {rest}."
        return f"From {whence}, plain EM comes in {steps} to {to}, {rest}."

    def thin(self, every: int) -> None:
        """Tell fewer of the steps: the first, the last, and some between."""
        self.told = np.unique(np.r_[self.told[::every], self.told[-1]])

    @property
    def height(self) -> str:
        return "log-likelihood" if self.problem.prior is None else "log-posterior"

    @property
    def steps(self) -> list[Iterate]:
        """Those that are told."""
        return [self.path[i] for i in self.told]

    @cached_property
    def subject(self) -> Subject:
        return Subject(self.estimate, (), None)

    @cached_property
    def columns(self) -> list[Column]:
        """Those whose density is shown: two of numbers that vary continuously, else the first; or none."""
        if self.cells or no_density(self.subject):
            return []
        found = list(self.subject.seen.columns.values())
        pair = len(found) == 2 and all(column.kind == "continuous" for column in found)
        return found if pair else found[:1]

    @property
    def names(self) -> list[str]:
        """Of the components, where there are several."""
        return self.subject.called if len(self.subject.hidden) > 1 and not no_hidden(self.subject) else []

    @cached_property
    def expectation(self) -> Expected | None:
        return self.story.expected(self.path[0])

    @property
    def single(self) -> str:
        """The only parameter, if there is one."""
        return self.problem.names[self._moving] if self.problem.space.size == 1 else ""

    def only(self, free: np.ndarray) -> float:
        """The first scalar that moves, in the units of the data."""
        values = self.problem.space.flat(self.problem.params(free))
        return float(np.asarray(values)[self._moving])

    @cached_property
    def _moving(self) -> int:
        flat = [np.asarray(self.problem.space.flat(each.params)) for each in (self.path[0], self.path[-1])]
        return int(np.argmax(np.abs(flat[1] - flat[0])))


def _followed(problem: Problem, free: np.ndarray) -> tuple[list[Iterate], Iterate]:
    """Plain EM from there, and where it ends."""
    path = list(islice(run(problem, free, Plain(), Stop()), MOST + 1))
    running = path[-1].status is Status.RUNNING
    return path, solve(problem, start=path[-1].params).last if running else path[-1]
