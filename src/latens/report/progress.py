"""A progress line for long fits."""

from collections.abc import Iterator

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from latens.engine.loop import Iterate
from latens.engine.stop import Stop


def shown(steps: Iterator[Iterate], stop: Stop) -> Iterator[Iterate]:
    """The same iterations, with a line on standard error that says how far they are."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting")
        for state in steps:
            progress.update(
                task,
                description=f"evaluation {state.evaluations} of at most {stop.max_steps + 1}, "
                f"log-likelihood {state.log_likelihood:.6f}, {state.distance:.2g} standard errors to go",
            )
            yield state
