"""The printed report: what `print(fit)` shows."""

from __future__ import annotations

import textwrap
from io import StringIO
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from latens.errors import InferenceError
from latens.report.numbers import alone, decimals, with_error

if TYPE_CHECKING:
    from latens.engine.starts import Starts
    from latens.fitting import Fit

MOST_ROWS = 60
WIDTH = 96
TABLE_WIDTH = 160  # a row of a table is never broken


def render(fit: Fit, *, published: dict[str, str] | None = None) -> str:
    """The report as plain text; `published` adds a column of numbers to compare with, by label."""
    with_errors, reason = True, ""
    try:
        fit.covariance()
    except InferenceError as error:
        with_errors, reason = False, str(error)
    out = StringIO()
    console = Console(file=out, width=TABLE_WIDTH, highlight=False, color_system=None, force_terminal=False)
    console.print(Text(wrapped(f"{fit.model.title}    {fit.n:g} observations")))
    console.print(_table(fit, with_errors, published))
    if len(fit.shown) > MOST_ROWS:
        console.print(Text(f"... and {len(fit.shown) - MOST_ROWS} more: fit.params, fit.standard_errors()\n"))
    for line in _facts(fit):
        console.print(Text(line))
    if not with_errors:
        console.print(Text(_wrapped("Standard errors", f"not given: {reason}.")))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _table(fit: Fit, with_errors: bool, published: dict[str, str] | None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("parameter")
    heads = ["estimate"]
    if with_errors:
        heads += ["std. error", "95 % interval", "missing"]
    if published is not None:
        heads += ["published"]
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    values = fit.estimates
    for i in fit.shown[:MOST_ROWS]:
        name = fit.names[i]
        cells = [alone(values[i])]
        if with_errors:
            error = float(fit.covariance()[i, i] ** 0.5)
            low, high = fit.intervals[i]
            places = max(decimals(error) - 2, 0)
            cells = [*with_error(values[i], error), f"{low:.{places}f} .. {high:.{places}f}"]
            cells += [f"{max(fit.information.fractions[i], 0.0):.1%}"]
        if published is not None:
            cells += [published.get(name, "")]
        table.add_row(Text(name), *cells)
    return table


def _facts(fit: Fit) -> list[str]:
    free = _count(fit.free_parameters, "free parameter", "free parameters")
    lines = [
        f"Log-likelihood  {fit.log_likelihood:.6f}    {free}    AIC {fit.aic:.3f}    BIC {fit.bic:.3f}",
        _wrapped("Status", f"{fit.message} {_evaluations(fit)}."),
    ]
    return lines if fit.starts is None else [*lines, _wrapped("Starts", _starts(fit.starts, fit.rows))]


def _starts(starts: Starts, rows: int) -> str:
    optima = _count(starts.optima, "distinct optimum", "distinct optima")
    part = f" (on {starts.rows} of the rows)" if starts.rows < rows else ""
    lost = f"; {starts.degenerate} degenerated" if starts.degenerate else ""
    return (
        f"{starts.tried} tried{part}; {starts.settled} settled in a short run, on {optima}; "
        f"{starts.reached} reached the best{lost}."
    )


def _evaluations(fit: Fit) -> str:
    after = " after the short runs" if fit.starts is not None else ""
    return f"{_count(fit.evaluations, 'evaluation', 'evaluations')} of the EM map{after}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def wrapped(text: str) -> str:
    """A paragraph in the width of the report."""
    return textwrap.fill(text, WIDTH)


def _wrapped(head: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"{head:<16}", subsequent_indent=" " * 16)
