"""Several fits side by side: criteria, likelihood ratios, and the choice of a number of components."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from latens.data.source import source_of
from latens.engine.accelerators.auto import Auto
from latens.engine.blocks import cores
from latens.engine.loop import Iterate, run
from latens.engine.problem import Problem
from latens.engine.same_data import same_data
from latens.engine.solve import solve
from latens.engine.sourced import engine_of, problem_of
from latens.engine.stop import Status, Stop
from latens.errors import DataError, LatensError, ModelError, ParameterError
from latens.inference.estimate import CRITERIA, Estimate, criteria
from latens.markup import html_table
from latens.models.base import AbstractModel
from latens.numerics.asked import whole
from latens.report.tidy import framed, glance
from latens.result import Fit

BRIEF = Stop(tolerance=1e-2, max_steps=5)


@dataclass(frozen=True)
class Comparison:
    """Fits of different models to the same data.

    `fits`: name → fit; `table`: name → column → number (log-likelihood, free parameters and criteria;
    None where a model has no such number); `best`: criterion → name of the fit it prefers among those
    that converged.
    """

    fits: dict[str, Fit]
    table: dict[str, dict[str, float | None]]
    best: dict[str, str]

    def _lines(self) -> list[list[str]]:
        from latens.report.text import compared  # rich is slow to load

        return compared(self.table, self.best, {name: each.status for name, each in self.fits.items()})

    def __str__(self) -> str:
        from latens.report.text import render_comparison

        return render_comparison(self._lines())

    def _repr_html_(self) -> str:
        from latens.report.text import BEST

        head, *rows = self._lines()
        return f"{html_table(head, rows)}\n<p>{BEST}</p>"

    def frame(self) -> Any:
        """The table as a data frame, a row for each fit, of the library that the data came in, else of polars."""
        rows = [glance(Estimate(each.last)) for each in self.fits.values()]
        columns = {name: [row[name][0] for row in rows] for name in rows[0]}
        more = {name: [row[name] for row in self.table.values()] for name in CRITERIA if name not in columns}
        library = next(iter(self.fits.values())).last.problem.library
        return framed(
            {"fit": list(self.fits)} | columns | {n: np.array(v, dtype=float) for n, v in more.items()}, library
        )

    def plot(self, criteria: Sequence[str] | str | None = None, *, ax: Any = None) -> Any:
        """Criteria (by default AIC, BIC and ICL) of every fit, those that did not converge crossed.

        **Returns:** the matplotlib `Axes`.
        **Raises:** `ParameterError` for an unknown criterion.
        """
        from latens.plots.canvas import axes  # loaded when a picture is asked for
        from latens.plots.comparison import compare as drawn
        from latens.plots.comparison import compare_table

        sound = [name for name, each in self.fits.items() if each.converged]
        return drawn(compare_table(self.table, sound, criteria), axes(ax))

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, ready for JSON."""
        return {"table": self.table, "best": self.best, "status": {n: f.status.value for n, f in self.fits.items()}}


def compare(fits: Sequence[Fit] | Mapping[str, Fit]) -> Comparison:
    """Criteria of several fits to the same data, side by side, the best marked.

        AIC = −2ℓ + 2p           AICc = AIC + 2p(p + 1)/(n − p − 1)    BIC = −2ℓ + p log n
        CAIC = −2ℓ + p(log n + 1)    SABIC = −2ℓ + p log((n + 2)/24)   ICL = BIC + 2·entropy

    Entropy is −Σ w Σ_z P(z given x) log P(z given x), of the hidden labels. Smaller is better.

    **Arguments:** a list of fits, or name → fit.
    **Raises:** `DataError` if they are not of the same data; `ParameterError` for fewer than one.
    **Example:**
        >>> import latens as lt
        >>> data = [0, 1, 1, 2, 2, 9, 10, 11, 12, 9]
        >>> fits = {str(k): lt.fit(lt.Mixture(lt.Poisson(), k), data) for k in (1, 2)}
        >>> lt.compare(fits).best["bic"]
        '2'

    **Source:** Akaike (1974); Hurvich & Tsai (1989); Schwarz (1978); Bozdogan (1987); Sclove (1987);
    McLachlan & Peel (2000), Finite Mixture Models, §6.10 (ICL-BIC).
    """
    named = dict(fits) if isinstance(fits, Mapping) else _named(list(fits))
    if not named:
        raise ParameterError("compare: there are no fits to compare")
    first = next(iter(named.values()))
    for name, other in named.items():
        if not isinstance(other, Fit):
            raise ParameterError(f"compare takes fits, got {other!r}")
        if not same_data(first.last.problem, other.last.problem):
            raise DataError(f"'{name}' was fitted to other data than '{next(iter(named))}': compare fits of the same")
    table = {name: _row(Estimate(each.last)) for name, each in named.items()}
    sound = [name for name, each in named.items() if each.converged]
    best: dict[str, str] = {}
    for criterion in CRITERIA:
        known = [(v, name) for name in sound if (v := table[name][criterion]) is not None]
        if known:
            best[criterion] = min(known)[1]
    return Comparison(named, table, best)


def _named(fits: list[Fit]) -> dict[str, Fit]:
    titles = [each.model.title if isinstance(each, Fit) else repr(each) for each in fits]
    return {t if titles.count(t) == 1 else f"{t} ({i})": f for i, (t, f) in enumerate(zip(titles, fits, strict=True))}


def _row(estimate: Estimate) -> dict[str, float | None]:
    facts = {"log_likelihood": estimate.log_likelihood, "free_parameters": estimate.free_parameters}
    return {**facts, **criteria(estimate), "entropy": estimate.entropy}


@dataclass(frozen=True)
class Choice:
    """Fits over a range of sizes: `fits`: k → fit; `criterion`; `k`: the chosen one; `comparison`."""

    fits: dict[int, Fit]
    criterion: str
    k: int
    comparison: Comparison

    @property
    def fit(self) -> Fit:
        """The chosen fit."""
        return self.fits[self.k]

    def plot(self, criteria: Sequence[str] | str | None = None, *, ax: Any = None) -> Any:
        """Criteria over the number of components; see `Comparison.plot`."""
        return self.comparison.plot(criteria, ax=ax)

    def _repr_html_(self) -> str:
        return f"{self.comparison._repr_html_()}\n<p>Chosen by {self.criterion.upper()}: {self.k}</p>"

    def __str__(self) -> str:
        return f"{self.comparison}\nChosen by {self.criterion.upper()}: {self.k}"

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, ready for JSON."""
        return {"criterion": self.criterion, "chosen": self.k, **self.comparison.to_dict()}


def choose(
    model_of: Callable[[int], AbstractModel],
    data: Any,
    sizes: Iterable[int],
    *,
    criterion: str = "bic",
    weights: Any = None,
    **options: Any,
) -> Choice:
    """Fit models of a range of sizes and choose one by a criterion.

    Each size is fitted from its own starts, in parallel; then again from the fit one size smaller with
    each of its components split in two, and the better of all is kept.

    **Arguments:** `model_of`: size → model; `data`, `weights`, further `options` as in `lt.fit` (of which `progress`
    shows nothing, as fits go side by side); `sizes`: such as `range(1, 6)`; `criterion`: one of "aic", "aicc", "bic",
    "caic", "sabic", "icl".
    **Raises:** `ParameterError` for an unknown criterion or no sizes; as `lt.fit`.
    **Example:**
        >>> import latens as lt
        >>> data = [0, 1, 1, 2, 2, 9, 10, 11, 12, 9]
        >>> lt.choose(lambda k: lt.Mixture(lt.Poisson(), k), data, range(1, 4)).k
        2
    """
    if not callable(model_of):
        raise ParameterError(
            f"choose takes a function, number of components → model, such as lambda k: lt.Mixture(lt.Normal(), k); got "
            f"{model_of!r}"
        )
    if criterion not in CRITERIA:
        raise ParameterError(f"choose: unknown criterion {criterion!r}; there are {', '.join(CRITERIA)}")
    wanted = sorted({whole(k, "choose: sizes", 1) for k in sizes})
    if not wanted:
        raise ParameterError("choose: no sizes to choose from; give some, such as range(1, 6)")
    options.pop("progress", None)  # fits go side by side: one line has nothing to show
    models = {k: model_of(k) for k in wanted}
    reading = {name: options.pop(name) for name in ("labels", "prior", "precision", "engine") if name in options}
    if source_of(data) is not None:
        reading["engine"] = engine_of(reading.get("engine"))  # one for all: each would keep rows of its own

    def fitted(k: int) -> Fit:
        return Fit(*solve(problem_of(models[k], data, weights, **reading), **options))

    rules = {name: value for name, value in options.items() if name not in ("starts", "seed")}
    fits: dict[int, Fit] = {}
    with ThreadPoolExecutor(cores()) as pool:
        # of a source one after the other: all threads go over its rows, and keep them for one fit
        each = map(fitted, wanted) if reading.get("engine") else pool.map(fitted, wanted)
        for smaller, k, fit in zip((None, *wanted[:-1]), wanted, each, strict=True):
            fits[k] = fit
            start = None if smaller is None else _split_start(fits[smaller], fit)
            if start is not None:
                again = Fit(*solve(fit.last.problem, start=start, **rules))
                if again.converged and again.log_likelihood > fit.log_likelihood + 1e-8 * abs(again.log_likelihood):
                    fits[k] = again
    comparison = compare({str(k): each for k, each in fits.items()})
    if criterion not in comparison.best:
        raise ModelError(f"choose: no fit converged and has a {criterion.upper()}; see the fits one by one")
    return Choice(fits, criterion, int(comparison.best[criterion]), comparison)


def _split_start(small: Fit, large: Fit) -> dict[str, np.ndarray] | None:
    """The best end of short runs from the smaller fit with one of its components split in two."""
    problem = large.last.problem
    axes = problem.symmetry.axes
    if not axes or axes != small.last.problem.symmetry.axes or not small.converged:
        return None
    if any(each != (0,) for each in axes.values()):
        return None
    had, has = (len(each.params[next(iter(axes))]) for each in (small, large))
    if has != had + 1:
        return None
    ends = [_short_run(problem.some, small.params, list(axes), c) for c in range(had)]
    sound = [end for end in ends if end is not None]
    return max(sound, key=lambda end: end.log_likelihood).params if sound else None


def _short_run(problem: Problem, params: dict[str, np.ndarray], names: Sequence[str], c: int) -> Iterate | None:
    grown = dict(params)
    for name in names:
        grown[name] = np.concatenate([params[name], params[name][[c]]])
        if name == "weights":
            grown[name][[c, -1]] /= 2
    try:
        # twins would stay twins: the frame has unit spread, so this is a fraction of one
        free = problem.free(grown) + np.random.default_rng(c).normal(scale=0.3, size=problem.space.size)
        *_, last = run(problem, free, Auto(), BRIEF)
    except LatensError:
        return None
    return None if last.status is Status.DEGENERATE else last
