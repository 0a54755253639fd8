"""The report as HTML: what notebooks show of a fit."""

from html import escape
from typing import Any, NamedTuple

import numpy as np

from latens.engine.starts import Met
from latens.errors import counted
from latens.inference.errors import AbstractMethod
from latens.inference.estimate import Estimate
from latens.markup import html_table
from latens.report.text import MOST_ROWS, alone, between, facts, with_error
from latens.report.tidy import tidy

HEAD = ("parameter", "estimate", "std. error", "95 % interval", "missing")


class Told(NamedTuple):
    """Rows of the table of estimates, as texts, and the reasons that marks in them stand for."""

    rows: list[tuple[str, str, str, str, str]]
    reasons: list[str]


def told(estimate: Estimate, method: str | AbstractMethod = "observed") -> Told:
    """Of every scalar that a report shows: label, estimate, standard error, interval, share of missing information."""
    found: dict[str, Any] = tidy(estimate, 0.95, method)
    labels = [str(estimate.problem.labels[i]) for i in estimate.shown]
    columns = (found[n] for n in ("estimate", "std_error", "conf_low", "conf_high", "missing_fraction", "note"))
    rows, reasons = [], list[str]()
    for label, value, error, low, high, missing, note in zip(labels, *columns, strict=True):
        if note and note not in reasons:
            reasons.append(note)
        mark = f"({reasons.index(note) + 1})" if note else ""
        shown, spread = with_error(value, error) if np.isfinite(error) else (alone(value), mark)
        ends = between(low, high) if not np.isnan([low, high]).any() else ""
        share = "" if np.isnan(missing) else f"{max(missing, 0.0):.1%}"
        rows.append((label, shown, spread, ends, share))
    return Told(rows, reasons)


def html(estimate: Estimate, starts: Met | None) -> str:
    """The report of a fit."""
    rows, reasons = told(estimate)
    lines = [f"({n}) {reason}" for n, reason in enumerate(reasons, 1)]
    if len(rows) > MOST_ROWS:
        lines.insert(0, f"... and {len(rows) - MOST_ROWS} more: fit.tidy()")
    title = f"{estimate.model.title}, {counted(estimate.n, 'observation')}"
    below = "".join(f"<p>{escape(line)}</p>\n" for line in lines)
    facts_told = escape("\n".join(facts(estimate, starts)))
    return f"<h4>{escape(title)}</h4>\n{html_table(HEAD, rows[:MOST_ROWS])}\n{below}<pre>{facts_told}</pre>"
