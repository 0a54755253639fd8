"""The printed report: what `print(fit)` shows."""

from __future__ import annotations

import textwrap
from contextlib import suppress
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from latens.errors import InferenceError, counted
from latens.inference.methods import method_for
from latens.numerics.space import Label
from latens.report.numbers import alone, between, with_error

if TYPE_CHECKING:
    from latens.engine.optima import Optimum
    from latens.engine.starts import Met
    from latens.inference.errors import AbstractMethod
    from latens.result import Fit

Uncertainty = tuple["np.ndarray | None", "np.ndarray | None", "np.ndarray | None"]

MOST_ROWS = 60
MOST_COLUMNS = 12
MOST_OPTIMA = 6
WIDTH = 96
TABLE_WIDTH = 160  # a row of a table is never broken


def render(fit: Fit, method: str | AbstractMethod = "observed", *, published: dict[str, str] | None = None) -> str:
    """The report as plain text; `published` adds a column of numbers to compare with, by label."""
    errors = intervals = missing = None
    reason = ""
    try:
        intervals = fit.intervals(method=method)
        if method_for(method).name != "profile":
            errors = np.sqrt(np.diag(fit.covariance(method)))
    except InferenceError as error:
        intervals, reason = None, str(error)
    if intervals is not None:
        with suppress(InferenceError):  # a bootstrap or a profile may serve where the informations do not
            missing = fit.information().fractions
    out = StringIO()
    console = Console(file=out, width=TABLE_WIDTH, highlight=False, color_system=None, force_terminal=False)
    console.print(Text(wrapped(f"{fit.model.title}    {counted(fit.n, 'observation')}")))
    held = _held(fit, intervals if errors is None else errors)
    console.print(_table(fit, (errors, intervals, missing), held, published))
    if len(fit.shown) > MOST_ROWS:
        console.print(Text(f"... and {len(fit.shown) - MOST_ROWS} more: fit.params, fit.standard_errors()\n"))
    for line in [*_facts(fit), *_reasons(held)]:
        console.print(Text(line))
    if intervals is None:
        console.print(Text(_wrapped("Standard errors", f"not given: {reason}.")))
    else:
        console.print(Text(_wrapped("Intervals" if errors is None else "Standard errors", _by(fit, method))))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _held(fit: Fit, uncertainty: np.ndarray | None) -> dict[int, str]:
    """Index → reason, of the scalars for which there is none."""
    if uncertainty is None:
        return {}
    reasons = fit.held | fit.unfollowed
    return {i: reasons.get(fit.names[i], "") for i in fit.shown if np.isnan(uncertainty[i]).any()}


def _reasons(held: dict[int, str]) -> list[str]:
    """Each reason once, under the number that stands in the table."""
    return [_wrapped(f"Held ({n})", f"{reason}.") for n, reason in enumerate(dict.fromkeys(held.values()), 1)]


def _table(fit: Fit, uncertainty: Uncertainty, held: dict[int, str], published: dict[str, str] | None) -> Table:
    errors, intervals, missing = uncertainty
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("parameter")
    heads = ["estimate"]
    heads += ["std. error"] if errors is not None else []
    heads += ["95 % interval"] if intervals is not None else []
    heads += ["missing"] if missing is not None else []
    heads += ["published"] if published is not None else []
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    values, numbers = fit.estimates, {reason: n for n, reason in enumerate(dict.fromkeys(held.values()), 1)}
    roots = deviation_names(fit)
    for i in fit.shown[:MOST_ROWS]:
        mark = f"held ({numbers[held[i]]})" if i in held else ""
        error = None if errors is None else float(errors[i])
        interval = None if intervals is None else intervals[i]
        share = [] if missing is None else ["" if np.isnan(missing[i]) else f"{max(missing[i], 0.0):.1%}"]
        told = [] if published is None else [published.get(fit.names[i], "")]
        table.add_row(Text(fit.names[i]), *_numbers(values[i], error, interval, mark), *share, *told)
        if i in roots:
            root = values[i] ** 0.5  # by the delta method
            row = _numbers(root, error and error / (2 * root), interval if interval is None else interval**0.5, mark)
            table.add_row(Text(roots[i]), *row, *["" for _ in share], *["" for _ in told])
    return table


def _numbers(value: float, error: float | None, interval: np.ndarray | None, mark: str) -> list[str]:
    """An estimate and its uncertainty, or a mark in its place."""
    cells = [alone(value)]
    if error is not None:
        cells = [alone(value), mark] if mark else [*with_error(value, error)]
    return cells if interval is None else [*cells, mark or between(*interval)]


def deviation_names(fit: Fit) -> dict[int, str]:
    """Index of a variance → what its root, the standard deviation, is called."""
    found, squares = {}, {name for name, kind in fit.model.constraints.items() if kind.squared}
    for i in fit.shown:
        name, entry = fit.labels[i]
        if name in squares and fit.links[i] == "log":
            *column, kind = name.split(".")
            found[int(i)] = str(Label(".".join([*column, "sd"]), entry[:-1] if kind == "covariance" else entry))
    return found


def _by(fit: Fit, method: str | AbstractMethod) -> str:
    """The method, and what it noted."""
    chosen = method_for(method)
    notes = () if chosen.name == "profile" else fit.errors(chosen).notes
    return "; ".join([f"by the method '{chosen.name}'", *notes]) + "."


def _facts(fit: Fit) -> list[str]:
    free = counted(fit.free_parameters, "free parameter")
    lines = [
        f"Log-likelihood  {fit.log_likelihood:.6f}    {free}    AIC {fit.aic:.3f}    BIC {fit.bic:.3f}",
        _wrapped("Status", f"{fit.message} {_evaluations(fit)}."),
    ]
    if fit.prior is not None:
        lines.append(_wrapped("Prior", _prior(fit)))
    if fit.half_seen:
        lines.append(_wrapped("Half seen", _half_seen(fit)))
    if fit.notes:
        lines.append(_wrapped("Note", "; ".join(fit.notes) + "."))
    if fit.starts is not None:
        height = "log-likelihood" if fit.prior is None else "log-posterior"
        lines.append(_wrapped("Starts", _starts(fit.starts, int(fit.last.problem.informative.sum()), height)))
    return lines


def _prior(fit: Fit) -> str:
    assert fit.prior is not None
    like = "all rows taken together" if fit.prior.params is None else "params that were given"
    return (
        f"worth {counted(fit.prior.weight, 'observation')} like {like}: the estimates are maximum a posteriori "
        f"(MAP), log-posterior {fit.log_posterior:.6f} up to a constant; log-likelihood and criteria are of the data "
        "alone."
    )


def _half_seen(fit: Fit) -> str:
    """Of every column, how much was not seen exactly; the columns with most first."""
    whole = fit.n + fit.unseen
    sums = sorted(fit.half_seen.items(), key=lambda item: -sum(item[1].values()))
    parts = [
        f"{name}: " + ", ".join(f"{number:g} {kind} ({number / whole:.0%})" for kind, number in kinds.items())
        for name, kinds in sums[:MOST_COLUMNS]
    ]
    more = len(sums) - len(parts)
    rest = f"; and {counted(more, 'more column')}" if more else ""
    gone = counted(fit.unseen, "row, which counts", "rows, which count")
    none = f" Nothing was seen of {gone} for nothing." if fit.unseen else ""
    return "; ".join(parts) + rest + "." + none


def _starts(met: Met, rows: int, height: str) -> str:
    """How many were tried, and the table of optima in a line."""
    part = f" (on {met.rows} of the rows)" if met.rows < rows else ""
    lost = f"; {met.degenerate} degenerated" if met.degenerate else ""
    optima = counted(len(met.optima), "distinct optimum", "distinct optima")
    shown = ", ".join(map(_optimum, met.optima[:MOST_OPTIMA]))
    more = ", ..." if len(met.optima) > MOST_OPTIMA else ""
    table = f", {height} {shown}{more}" if met.optima else ""
    settled = f"{met.settled} settled, on {optima}{table}" if met.settled else "none settled"
    return f"{met.tried} tried{part}; {settled}{lost}."


def _optimum(found: Optimum) -> str:
    places = f", at {found.places} places" if found.places > 1 else ""
    return f"{found.log_likelihood:.3f} ({counted(found.reached, 'time')}{places})"


def _evaluations(fit: Fit) -> str:
    after = " after the short runs" if fit.starts is not None else ""
    return f"{counted(fit.evaluations, 'evaluation')} of the EM map{after}"


def wrapped(text: str) -> str:
    """A paragraph in the width of the report."""
    return textwrap.fill(text, WIDTH)


def _wrapped(head: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"{head:<16}", subsequent_indent=" " * 16)
