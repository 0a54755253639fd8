"""The printed report: what `print(fit)` shows; and the table of several fits side by side."""

import textwrap
from contextlib import suppress
from io import StringIO
from math import floor, inf, isfinite, log10
from typing import NamedTuple

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from latens.engine.accelerators.base import Sampled
from latens.engine.optima import Optimum
from latens.engine.prior import Prior
from latens.engine.starts import Met
from latens.engine.stop import Status
from latens.errors import InferenceError, counted
from latens.families.roles import squared
from latens.inference.errors import AbstractMethod
from latens.inference.estimate import CRITERIA, Estimate, aic, bic
from latens.inference.methods import errors_by, intervals_by, method_for
from latens.numerics.space import Label

Uncertainty = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]
Row = dict[str, float | None]  # column → number

MOST_PLACES, MOST_DIGITS = 12, 15  # after the point, and in all, before powers of ten are written
MOST_ROWS = 60
MOST_COLUMNS = 12
MOST_OPTIMA = 6
WIDTH = 96
TABLE_WIDTH = 160  # a row of a table is never broken


def with_error(value: float, error: float) -> tuple[str, str]:
    """Estimate and standard error to the same decimal place: five significant digits of the error."""
    if not (isfinite(error) and error > 0 and isfinite(value)):
        return alone(value), alone(error)
    places = 4 - floor(log10(error))
    return _placed(value, places, max(abs(value), error)), _placed(error, places, max(abs(value), error))


def alone(value: float) -> str:
    """A number without an error: seven significant digits, more of a large one; 0 for what is 0 but for rounding."""
    return "0" if abs(value) < 2e-16 else f"{value:.{7 if abs(value) < 1e7 else 12}g}"


def between(low: float, high: float) -> str:
    """An interval, to two digits fewer than its standard error; an end without bound is none."""
    if high == inf:
        return "not bounded" if low in (0.0, -inf) else f"at least {alone(low)}"
    if low == -inf:
        return f"at most {alone(high)}"
    if not 0 < high - low < inf:
        return f"{alone(low)} .. {alone(high)}"
    places, largest = 2 - floor(log10((high - low) / 4)), max(abs(low), abs(high))
    return f"{_placed(low, places, largest)} .. {_placed(high, places, largest)}"


def _placed(value: float, places: int, largest: float) -> str:
    """A number to so many decimal places, by a power of ten if it or its neighbour has too many digits."""
    digits = floor(log10(largest)) + places
    if places > MOST_PLACES or digits - min(places, 0) > MOST_DIGITS:
        own = digits - floor(log10(largest)) + floor(log10(abs(value))) if value else 0
        return f"{value:.{min(max(own, 0), MOST_DIGITS)}e}"
    kept = max(places, 0)
    return f"{round(value, kept) + 0.0:.{kept}f}"  # + 0.0: no "-0.000"


class Told(NamedTuple):
    """The table of estimates, a head and rows of texts, and the lines below it."""

    head: list[str]
    rows: list[list[str]]
    lines: list[str]


def told(
    estimate: Estimate,
    starts: Met | None,
    method: str | AbstractMethod = "observed",
    *,
    samples: tuple[Sampled, ...] = (),
    published: dict[str, str] | None = None,
    most: int = MOST_ROWS,
) -> Told:
    """What a report says below its title; `published` adds a column of numbers to compare with, by label."""
    errors = intervals = missing = None
    reason = ""
    try:
        intervals = intervals_by(method, estimate)
        if method_for(method).name != "profile":
            errors = np.sqrt(np.diag(errors_by(method, estimate).covariance))
    except InferenceError as error:
        intervals, reason = None, str(error)
    if intervals is not None:
        with suppress(InferenceError):  # a bootstrap or a profile may serve where the informations do not
            missing = estimate.scalar_information().fractions
    held = _held(estimate, intervals if errors is None else errors)
    head, rows = table_of(estimate, (errors, intervals, missing), held, published, most)
    lines = [*_facts(estimate, starts, samples), *reasons_of(held)]
    if len(estimate.shown) > most:
        lines.insert(0, f"... and {len(estimate.shown) - most} more: fit.params, fit.standard_errors()\n")
    if intervals is None:
        lines.append(headed("Standard errors", f"not given: {reason}."))
    else:
        lines.append(headed("Intervals" if errors is None else "Standard errors", _by(estimate, method)))
    return Told(head, rows, lines)


def title(estimate: Estimate) -> str:
    """What was fitted, to how much."""
    return f"{estimate.model.title}    {counted(estimate.n, 'observation')}"


def render(
    estimate: Estimate,
    starts: Met | None,
    method: str | AbstractMethod = "observed",
    *,
    samples: tuple[Sampled, ...] = (),
    published: dict[str, str] | None = None,
) -> str:
    """The report as plain text."""
    head, rows, lines = told(estimate, starts, method, samples=samples, published=published)
    return printed(wrapped(title(estimate)), ruled(head, rows), *lines)


def ruled(head: list[str], rows: list[list[str]]) -> Table:
    """A table, its first column to the left."""
    (first, *heads), table = head, Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for each in heads:
        table.add_column(each, justify="right", no_wrap=True)
    for name, *cells in rows:
        table.add_row(Text(name), *cells)
    return table


def printed(*parts: str | Table) -> str:
    """Texts and tables one below the other, as plain text."""
    out = StringIO()
    console = Console(file=out, width=TABLE_WIDTH, highlight=False, color_system=None, force_terminal=False)
    for part in parts:
        console.print(Text(part) if isinstance(part, str) else part)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _held(estimate: Estimate, uncertainty: np.ndarray | None) -> dict[int, str]:
    """Index → reason, of the scalars for which there is none."""
    if uncertainty is None:
        return {}
    reasons = estimate.reasons | estimate.unfollowed
    return {i: reasons.get(estimate.problem.names[i], "") for i in estimate.shown if np.isnan(uncertainty[i]).any()}


def reasons_of(held: dict[int, str]) -> list[str]:
    """Each reason once, under the number that stands in the table."""
    return [headed(f"Held ({n})", f"{reason}.") for n, reason in enumerate(dict.fromkeys(held.values()), 1)]


def table_of(
    estimate: Estimate, uncertainty: Uncertainty, held: dict[int, str], published: dict[str, str] | None, most: int
) -> tuple[list[str], list[list[str]]]:
    errors, intervals, missing = uncertainty
    head = ["parameter", "estimate"]
    head += ["std. error"] if errors is not None else []
    head += ["95 % interval"] if intervals is not None else []
    head += ["missing"] if missing is not None else []
    head += ["published"] if published is not None else []
    values, numbers = estimate.values, {reason: n for n, reason in enumerate(dict.fromkeys(held.values()), 1)}
    roots, rows = _deviations(estimate), []
    for i in estimate.shown[:most]:
        mark = f"held ({numbers[held[i]]})" if i in held else ""
        error = None if errors is None else float(errors[i])
        interval = None if intervals is None else intervals[i]
        share = [] if missing is None else ["" if np.isnan(missing[i]) else f"{max(missing[i], 0.0):.1%}"]
        theirs = [] if published is None else [published.get(estimate.problem.names[i], "")]
        rows.append([estimate.problem.names[i], *_numbers(values[i], error, interval, mark), *share, *theirs])
        if i in roots:
            root = values[i] ** 0.5  # by the delta method
            row = _numbers(root, error and error / (2 * root), interval if interval is None else interval**0.5, mark)
            rows.append([roots[i], *row, *["" for _ in share], *["" for _ in theirs]])
    return head, rows


def _numbers(value: float, error: float | None, interval: np.ndarray | None, mark: str) -> list[str]:
    """An estimate and its uncertainty, or a mark in its place."""
    cells = [alone(value)]
    if error is not None:
        cells = [alone(value), mark] if mark else [*with_error(value, error)]
    return cells if interval is None else [*cells, mark or between(*interval)]


def _deviations(estimate: Estimate) -> dict[int, str]:
    """Index of a variance → what its root, the standard deviation, is called."""
    found, squares = {}, squared(estimate.model.roles)
    for i in estimate.shown:
        name, entry = estimate.problem.labels[i]
        if name in squares and estimate.problem.space.links[i] == "log":
            *column, kind = name.split(".")
            found[int(i)] = str(Label(".".join([*column, "sd"]), entry[:-1] if kind == "covariance" else entry))
    return found


def _by(estimate: Estimate, method: str | AbstractMethod) -> str:
    """The method, and what it noted."""
    chosen = method_for(method)
    notes = () if chosen.name == "profile" else errors_by(chosen, estimate).notes
    return "; ".join([f"by the method '{chosen.name}'", *notes]) + "."


def _facts(estimate: Estimate, starts: Met | None, samples: tuple[Sampled, ...]) -> list[str]:
    """Lines about the fit, each with its head."""
    free = counted(estimate.free_parameters, "free parameter")
    spent = counted(estimate.at.evaluations, "evaluation") + " of the EM map"
    criteria = f"AIC {aic(estimate):.3f}    BIC {bic(estimate):.3f}"
    after = " after the short runs" if starts is not None else ""
    lines = [
        f"Log-likelihood  {estimate.log_likelihood:.6f}    {free}    {criteria}",
        headed("Status", f"{estimate.message} {spent}{after}."),
    ]
    if not estimate.problem.closed:
        lines.append(headed("M-step", f"{estimate.problem.m_step}."))
    if estimate.problem.prior is not None:
        lines.append(headed("Prior", _prior(estimate.problem.prior, estimate.at.log_likelihood)))
    if estimate.problem.origin is not None:
        lines.append(headed("Rows", f"{estimate.problem.story}."))
    if estimate.half_seen:
        lines.append(headed("Half seen", _half_seen(estimate)))
    if estimate.notes:
        lines.append(headed("Note", "; ".join(estimate.notes) + "."))
    if starts is not None:
        height = "log-likelihood" if estimate.problem.prior is None else "log-posterior"
        lines.append(headed("Starts", _starts(starts, estimate.problem.rows_seen, height)))
    if samples:
        lines.append(headed("Samples", _samples(samples)))
    return lines


def _samples(samples: tuple[Sampled, ...]) -> str:
    """How many evaluations were of how few rows."""
    each = (f"{counted(one.evaluations, 'evaluation')} of {one.rows} rows" for one in samples)
    return f"before those of all rows, {', '.join(each)}."


def _prior(prior: Prior, height: float) -> str:
    return (
        f"worth {counted(prior.weight, 'observation')} {prior.words}: the estimates are maximum a posteriori "
        f"(MAP), log-posterior {height:.6f} up to a constant; log-likelihood and criteria are of the data "
        "alone."
    )


def _half_seen(estimate: Estimate) -> str:
    """Of every column, how much was not seen exactly; the columns with most first."""
    sums = sorted(estimate.half_seen.items(), key=lambda item: -sum(item[1].values()))
    whole = estimate.problem.n
    parts = [
        f"{name}: " + ", ".join(f"{number:g} {kind} ({number / whole:.0%})" for kind, number in kinds.items())
        for name, kinds in sums[:MOST_COLUMNS]
    ]
    more = len(sums) - len(parts)
    rest = f"; and {counted(more, 'more column')}" if more else ""
    gone = counted(estimate.unseen, "row, which counts", "rows, which count")
    none = f" Nothing was seen of {gone} for nothing." if estimate.unseen else ""
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


def wrapped(text: str) -> str:
    """A paragraph in the width of the report."""
    return textwrap.fill(text, WIDTH)


def headed(head: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"{head:<16}", subsequent_indent=" " * 16)


BEST = "* best of the converged fits; smaller is better, but for the log-likelihood"


def compared(rows: dict[str, Row], best: dict[str, str], ends: dict[str, Status]) -> list[list[str]]:
    """A head, and one line per fit, by name; `*` marks the `best` by each criterion."""
    heads = list(next(iter(rows.values())))
    lines = [["model", *(CRITERIA.get(head, head.replace("_", " ")) for head in heads)]]
    for name, row in rows.items():
        ended = "" if ends[name] is Status.CONVERGED else f" ({ends[name].value})"
        lines.append([name + ended, *(_cell(row[head], best=best.get(head) == name) for head in heads)])
    return lines


def render_comparison(lines: list[list[str]]) -> str:
    """What `compared` gives, as text."""
    head, *rows = lines
    return printed(ruled(head, rows), BEST)


def _cell(value: float | None, *, best: bool) -> str:
    if value is None:
        return ""
    number = str(value) if isinstance(value, int) else f"{value:.3f}"
    return number + ("*" if best else " ")
