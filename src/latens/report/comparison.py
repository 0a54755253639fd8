"""The table of several fits side by side."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from latens.inference.criteria import HEADINGS

if TYPE_CHECKING:
    from latens.comparison import Comparison

WIDTH = 160


def render_comparison(comparison: Comparison) -> str:
    """One line per fit; `*` marks the best by each criterion."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model")
    heads = list(next(iter(comparison.table.values())))
    for head in heads:
        table.add_column(HEADINGS.get(head, head.replace("_", " ")), justify="right", no_wrap=True)
    for name, row in comparison.table.items():
        cells = [_cell(row[head], best=comparison.best.get(head) == name) for head in heads]
        status = "" if comparison.fits[name].converged else f" ({comparison.fits[name].status.value})"
        table.add_row(Text(name + status), *cells)
    out = StringIO()
    Console(file=out, width=WIDTH, highlight=False, color_system=None, force_terminal=False).print(table)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join([*lines, "* best of the converged fits; smaller is better, but for the log-likelihood"])


def _cell(value: float | None, *, best: bool) -> str:
    if value is None:
        return ""
    number = str(value) if isinstance(value, int) else f"{value:.3f}"
    return number + ("*" if best else " ")
