"""The way of a run: the log-likelihood, and the distance to the limit."""

from typing import Any

import numpy as np

from latens.errors import InferenceError, counted
from latens.plots.canvas import COLOURS, GREY, INK, legend, number, remark, tidied
from latens.plots.columns import Subject, Table, only, stacked

MOST_OPTIMA = 6
MANY = 60  # free parameters beyond which informations take longer than a picture may


def evaluations(subject: Subject) -> np.ndarray:
    """(steps,) of the EM map, up to and with each point gone on from."""
    return np.arange(1, len(subject.path) + 1) + np.array([passed.rejected for passed in subject.path], dtype=int)


def trace_table(subject: Subject) -> Table:
    """Series "run": a row for each point; "optimum": one for each maximum that starts met."""
    rejected = np.array([passed.rejected for passed in subject.path], dtype=float)
    run = {
        "series": "run",
        "evaluation": evaluations(subject),
        "log_likelihood": [passed.log_likelihood for passed in subject.path],
        "accelerated": [float(passed.accelerated) for passed in subject.path],
        "rejected": np.diff(rejected, prepend=0.0),
    }
    optima = subject.starts.optima if subject.starts is not None else ()
    met = {
        "series": "optimum",
        "log_likelihood": [each.log_likelihood for each in optima],
        "reached": [float(each.reached) for each in optima],
    }
    return stacked(run, met) if optima else stacked(run)


def trace(subject: Subject, table: Table, ax: Any) -> Any:
    run, optima = only(table, series="run"), only(table, series="optimum")
    axes = ax
    if len(optima["series"]):
        axes = ax.inset_axes((0, 0, 0.66, 1))
        _optima(subject, optima, ax.inset_axes((0.84, 0, 0.16, 1)))
        ax.set_axis_off()
    x, y = run["evaluation"], run["log_likelihood"]
    axes.plot(x, y, color=GREY, lw=1, zorder=1)
    for flag, marker, name in ((0.0, "o", "EM step"), (1.0, "D", "accelerated")):
        chosen = run["accelerated"] == flag
        if chosen.any():
            axes.scatter(x[chosen], y[chosen], s=18, marker=marker, color=COLOURS[int(flag)], label=name, zorder=2)
    dropped = run["rejected"] > 0
    if dropped.any():
        at = x[dropped] - 0.5
        number_of = counted(int(run["rejected"].sum()), "extrapolation")
        axes.plot(at, np.full(len(at), 0.02), "x", color=INK, ms=5, transform=axes.get_xaxis_transform(), zorder=3)
        axes.plot([], [], "x", color=INK, ms=5, ls="", label=f"{number_of} dropped")
    axes.ticklabel_format(useOffset=False)
    if np.ptp(y) < 1e-3:
        axes.set_ylim(y.mean() - 1, y.mean() + 1)
    height = "log-likelihood" if subject.estimate.problem.prior is None else "log-posterior"
    tidied(axes, "evaluations of the EM map", height, "After the short runs" if subject.starts is not None else "")
    axes.set_xlim(x.min() - 0.5 - 0.02 * np.ptp(x), x.max() + 0.5 + 0.02 * np.ptp(x))
    axes.xaxis.get_major_locator().set_params(integer=True)
    legend(axes, loc="lower right")
    return ax


def _optima(subject: Subject, optima: Table, axes: Any) -> None:
    starts = subject.starts
    assert starts is not None
    heights, reached = optima["log_likelihood"][:MOST_OPTIMA], optima["reached"][:MOST_OPTIMA]
    at = np.arange(len(heights))
    axes.barh(at, reached, height=0.6, color=[COLOURS[2], *[GREY] * (len(at) - 1)])
    for i, times in zip(at, reached, strict=True):
        axes.annotate(f"{times:g}×", (times, i), (2, 0), textcoords="offset points", va="center", fontsize="small")
    axes.set_yticks(at, [f"{height:.3f}" for height in heights], fontsize="small")
    axes.set_ylim(max(len(at), 3) - 0.5, -0.5)
    axes.set_xlim(0, 1.35 * reached.max())
    axes.set_xticks([])
    tidied(axes, "starts that reached it", "", f"Optima of {starts.tried} starts")
    more = len(optima["series"]) - len(heights)
    lost = f"{starts.degenerate} degenerate" if starts.degenerate else ""
    remark(axes, f"{more} more" if more else "", lost, above=16)


def rate_table(subject: Subject) -> Table:
    """Series "run": the projected distance at each point; "em": how plain EM would come nearer from the first."""
    distances = np.array([passed.distance for passed in subject.path])
    run = {"series": "run", "evaluation": evaluations(subject), "distance": distances}
    rate = _rate(subject)
    known = np.flatnonzero(np.isfinite(distances) & (distances > 0))
    if rate is None or not len(known):
        return stacked(run)
    last = evaluations(subject)[-1]
    steps = np.linspace(evaluations(subject)[known[0]], last, 50)
    highest = known[np.argmax(distances[known])]  # before it EM was far from where its rate holds
    fall = distances[highest] * rate ** (steps - evaluations(subject)[highest])
    return stacked(run, {"series": "em", "evaluation": steps, "distance": fall, "rate": rate})


def _rate(subject: Subject) -> float | None:
    """The largest fraction of missing information, if it is quickly known."""
    if subject.estimate.free_parameters > MANY:
        return None
    try:
        found = subject.estimate.information.fraction_missing
    except InferenceError:
        return None
    return found if 0 < found < 1 else None


def rate(subject: Subject, table: Table, ax: Any) -> Any:
    run, em = only(table, series="run"), only(table, series="em")
    sound = np.isfinite(run["distance"]) & (run["distance"] > 0)
    ax.semilogy(run["evaluation"][sound], run["distance"][sound], "o-", color=COLOURS[0], ms=4, lw=1, label="this run")
    if len(em["series"]):
        label = f"EM's own rate, {number(em['rate'][0])} a step"
        ax.semilogy(em["evaluation"], em["distance"], "--", color=COLOURS[1], lw=1.2, label=label)
        ax.set_ylim(bottom=0.3 * run["distance"][sound].min())
    tidied(ax, "evaluations of the EM map", "distance to the limit (standard errors)", "How EM converges")
    ax.xaxis.get_major_locator().set_params(integer=True)
    legend(ax)
    return ax


def no_rate(subject: Subject) -> str:
    """Why there is nothing to draw, if so."""
    distances = np.array([passed.distance for passed in subject.path])
    if (np.isfinite(distances) & (distances > 0)).sum() > 1:
        return ""
    return "the last run had too few steps to see a rate; fit from a start=..., with accelerate=lt.Plain()"
