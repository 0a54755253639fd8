"""The report as HTML: what notebooks show of a fit."""

from html import escape

from latens.engine.accelerators.base import Sampled
from latens.engine.starts import Met
from latens.inference.estimate import Estimate
from latens.markup import html_table
from latens.report.text import title, told


def html(estimate: Estimate, starts: Met | None, samples: tuple[Sampled, ...] = ()) -> str:
    """The report of a fit."""
    head, rows, lines = told(estimate, starts, samples=samples)
    below = escape("\n".join(lines))
    return f"<h4>{escape(title(estimate))}</h4>\n{html_table(head, rows)}\n<pre>{below}</pre>"
