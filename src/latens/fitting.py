"""`fit` and `iterate`."""

from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any

from latens.engine.accelerators.base import AbstractAccelerator
from latens.engine.loop import Iterate, run
from latens.engine.prior import Prior
from latens.engine.solve import Watch, beginning, rules, solve
from latens.engine.sourced import problem_of
from latens.engine.starts import Starts
from latens.engine.stop import Stop
from latens.models.base import AbstractModel
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
    engine: Any = None,
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
    problem = problem_of(model, data, weights, labels, prior, precision, engine)
    accelerate, stop = rules(problem, accelerate, stop)
    free = beginning(problem, start, starts, seed).reach(problem)[0]
    return run(problem, free, accelerate.prepared(problem, free, seed), stop)


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
    engine: Any = None,
) -> Fit:
    """Maximum likelihood by EM.

        θ ← argmax Q(θ | θ),  repeated;  the log-likelihood never falls

    **Arguments:** `model`: see `lt.IID`, `lt.Mixture`, `lt.Cells`, `lt.Latent`; `data`: a NumPy array,
    list, dict of columns, data frame, or counts (`Cells`); NaN where a datum or cell was not seen, and
    `lt.interval`, `lt.right_censored`, `lt.one_of`, `lt.grouped` for what is known only as a set; or a path, a pattern
    ("rides/*.parquet"), `lt.Source(...)` or `lt.Batches(...)` for more rows than memory takes; `weights`
    (n,): frequency weights; `labels` (n,): the hidden label where it is known (a code, or a set of codes),
    None where it is not (both by name where they are columns of the data, as those of files must be);
    `prior`: `lt.Prior(...)`, or its weight in observations: estimates are then maximum a posteriori; `start`: params
    to begin at, or a list of such to try; or else `starts`: how many to draw and try (a number or `lt.Starts(...)`;
    default: `lt.Starts(30, finished=3)` for a mixture, of which 10 do if they agree, 10 for other models with several
    maxima, 1 for `IID`), with `seed`. Many starts are tried side by side by short runs, the better ones go on longer,
    and the best is finished; `accelerate`: `lt.Auto()` (default), `lt.Anderson()`, `lt.Squarem()`,
    `lt.QuasiNewton()` or `lt.Plain()`; `stop`: `lt.Stop(...)`;
    `progress`: show a progress line; `checkpoint`: a file to keep the iteration in, every few seconds and at the end,
    so that the same call after an interruption goes on from there to the identical result, and one with a tighter
    `stop` from where the looser one ended; `precision`: "single" for steps of EM from rows and densities in
    32 bits (faster; all that is reported comes from the rows in 64); `engine`: who goes over the rows of files:
    `lt.Threads()` (default), `lt.Processes()`, a Dask client or its address "dask://HOST:PORT", `ray`.
    **Returns:** a `Fit`. Ctrl-C ends starts or iteration and returns the best so far, status "interrupted".
    **Raises:** `DataError`, `ModelError`, `ParameterError`; each names what is wrong and the remedy.
    **Example:** two normals with a common known variance:
        >>> import latens as lt
        >>> fit = lt.fit(lt.Mixture(lt.Normal(variance=1.0), 2), [-2.0, -1.5, -2.5, 1.0, 2.0, 3.0, 2.0])
        >>> sorted(fit.params["mean"].round(3).tolist())
        [-1.986, 2.0]

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1.
    """
    watch: Watch | None = None
    if progress:
        from latens.report.progress import shown as watch  # rich is slow to load
    return Fit(
        *solve(
            problem_of(model, data, weights, labels, prior, precision, engine),
            start=start,
            starts=starts,
            seed=seed,
            accelerate=accelerate,
            stop=stop,
            checkpoint=checkpoint,
            watch=watch,
        )
    )
