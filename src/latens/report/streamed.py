"""The printed report of a stream: what `print(stream.estimate)` shows."""

import numpy as np

from latens.errors import counted
from latens.inference.estimate import Estimate
from latens.report.text import MOST_ROWS, headed, printed, reasons_of, ruled, table_of, wrapped


def render_stream(
    estimate: Estimate,
    n: float,
    errors: np.ndarray | None,
    intervals: np.ndarray | None,
    held: dict[int, str],
    facts: dict[str, str],
) -> str:
    """Estimates of a stream of weight n with what is known of their errors, and facts by their heads."""
    head, rows = table_of(estimate, (errors, intervals, None), held, None, MOST_ROWS)
    lines = [headed(name, text) for name, text in facts.items() if text]
    if len(estimate.shown) > MOST_ROWS:
        lines.insert(0, f"... and {len(estimate.shown) - MOST_ROWS} more: params, standard_errors()\n")
    title = f"{estimate.model.title}    a stream of {counted(n, 'row')}"
    return printed(wrapped(title), ruled(head, rows), *lines, *reasons_of(held))
