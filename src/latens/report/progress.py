"""A progress line for long fits."""

import time
from collections import deque
from collections.abc import Iterator
from math import isfinite, log

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from latens.engine.loop import Iterate
from latens.engine.stop import Stop

LOOK_BACK = 30  # iterations that the remaining time is judged by


def shown(steps: Iterator[Iterate], stop: Stop) -> Iterator[Iterate]:
    """The same iterations, with a line on standard error that says how far they are."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    seen: deque[tuple[float, Iterate]] = deque(maxlen=LOOK_BACK)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting")
        for state in steps:
            seen.append((time.monotonic(), state))
            left = remaining(list(seen), stop)
            progress.update(
                task,
                description=f"evaluation {state.evaluations} of at most {stop.max_steps + 1}, "
                f"log-likelihood {state.log_likelihood:.6f}, {state.distance:.2g} standard errors to go"
                + (f", about {duration(left)} left" if isfinite(left) else ""),
            )
            yield state


def remaining(seen: list[tuple[float, Iterate]], stop: Stop) -> float:
    """Seconds left, if the logarithm of the distance goes on falling as it did, and at most to the last step."""
    (began, first), (now, last) = seen[0], seen[-1]
    done = last.evaluations - first.evaluations
    if done <= 0 or now <= began:
        return float("inf")
    pace = (now - began) / done
    most = pace * (stop.max_steps + 1 - last.evaluations)
    distances = [state.distance for _, state in seen if 0 < state.distance < float("inf")]
    if stop.tolerance <= 0 or len(distances) < 2:
        return most
    fall = log(distances[0] / distances[-1]) / done
    return most if fall <= 0 else min(most, pace * max(log(distances[-1] / stop.tolerance) / fall, 0.0))


def duration(seconds: float) -> str:
    """In the unit that matters."""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
