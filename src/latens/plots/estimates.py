"""Estimates with what is unknown of them: intervals, informations, profiles of the likelihood."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from latens.errors import InferenceError, ParameterError
from latens.inference.errors import AbstractMethod, from_link, quantile, to_link
from latens.inference.methods import errors_by, intervals_by, method_for
from latens.inference.profile import followed
from latens.plots.canvas import COLOURS, GREY, INK, colour, legend, number, plain, remark, tidied
from latens.plots.columns import Subject, Table, only, stacked
from latens.report.tidy import parted

MOST, LONG = 40, 44  # scalars in one picture, and letters in a label
STEPS = 8  # of a profile, on each side
CURVE, LEAST = 101, 1e-9  # points of a smooth curve, and the share of it between two that are told apart


def estimates_table(
    subject: Subject, methods: Sequence[str | AbstractMethod] | str | AbstractMethod = "observed", level: float = 0.95
) -> Table:
    """Per scalar and method: `parameter`, `label`, `estimate`, `low` and `high`, NaN where there is no interval."""
    estimate = subject.estimate
    asked = [methods] if isinstance(methods, str | AbstractMethod) else list(methods)
    if not asked:
        raise ParameterError("plot.estimates: no methods; give some, such as methods=('observed', 'sandwich')")
    shown = estimate.shown[:MOST]
    links, labels = estimate.problem.space.links, estimate.problem.labels
    terms = [parted(estimate.model, labels[i]) for i in shown]
    parts = []
    for each in asked:
        reason = ""
        try:
            ends = intervals_by(each, estimate, level)
        except InferenceError as error:
            ends, reason = np.full((len(estimate.values), 2), np.nan), str(error)
        parts.append(
            {
                "label": [str(labels[i]) for i in shown],
                "term": [str(term) for term, _ in terms],
                "component": [component for _, component in terms],
                "scale": links[shown],
                "method": method_for(each).name,
                "estimate": estimate.values[shown],
                "low": ends[shown, 0],
                "high": ends[shown, 1],
                "level": level,
                "reason": reason,
            }
        )
    return stacked(*parts)


def _panels(table: Table) -> dict[str, list[str]]:
    """What is on one scale together → its labels: all probabilities, or one parameter of every component."""
    found: dict[str, list[str]] = {}
    for label, term, component, scale in zip(*(table[n] for n in ("label", "term", "component", "scale")), strict=True):
        own = found.setdefault("probabilities" if scale == "logit" else term if component else label, [])
        if label not in own:
            own.append(label)
    return found


def estimates_size(table: Table) -> tuple[float, float]:
    """Of the picture, in inches."""
    found = _panels(table)
    return 6.4, 0.8 + 0.62 * len(found) + 0.24 * sum(map(len, found.values()))


def estimates(subject: Subject, table: Table, ax: Any) -> Any:
    found, methods = _panels(table), list(dict.fromkeys(table["method"]))
    ax.set_axis_off()
    unit = 1 / (sum(map(len, found.values())) + 2.6 * len(found) - 1)
    top = 1.0
    for place, labels in enumerate(found.values()):
        height = unit * len(labels)
        top -= unit * (1.0 if place == 0 else 2.6) + height
        axes = ax.inset_axes((0.0, top, 1.0, height))
        for m, method in enumerate(methods):
            part = {n: column[np.isin(table["label"], labels)] for n, column in table.items()}
            part = only(part, method=method)
            at = np.array([labels.index(label) for label in part["label"]]) + 0.22 * (m - (len(methods) - 1) / 2)
            axes.plot(part["estimate"], at, "o", color=colour(m), ms=4.5, label=method)
            known = ~np.isnan(part["low"] + part["high"])
            finite = [np.where(np.isfinite(part[n]), part[n], part["estimate"]) for n in ("low", "high")]
            reach = 0.25 * (np.ptp([*finite, part["estimate"]]) or 1.0)  # of a line towards an end that is open
            for end, way, arrow in (("low", -1, "<"), ("high", 1, ">")):
                open_end = np.isinf(part[end])
                ends = np.where(open_end, part["estimate"] + way * reach, part[end])
                axes.hlines(at[known], part["estimate"][known], ends[known], color=colour(m), lw=1.8)
                axes.plot(ends[open_end], at[open_end], arrow, color=colour(m), ms=5)
        axes.set_yticks(range(len(labels)), [_short(label) for label in labels], fontsize="small")
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.tick_params(axis="x", labelsize="x-small", pad=1, length=2)
        axes.grid(axis="x", color="#E8E8E8", lw=0.6)
        tidied(axes)
        axes.spines["left"].set_visible(False)
        if len(methods) > 1 and place == 0:
            axes.legend(frameon=False, fontsize="small", loc="lower right", bbox_to_anchor=(1, 1), ncols=len(methods))
    more = len(subject.estimate.shown) - MOST
    lacking = [f"none by {m}" for m in methods if (only(table, method=m)["reason"] != "").any()]
    told = [f"{table['level'][0]:.0%} intervals", *lacking, *([f"{more} more are not shown"] if more > 0 else [])]
    ax.set_title("; ".join(told), loc="left", fontsize="small", color=GREY)
    return ax


def _short(label: Any) -> str:
    text = plain(label)
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"


def information_table(subject: Subject) -> Table:
    """Per free scalar, of its diagonal entries: `complete` = `observed` + `missing`."""
    found = subject.estimate.scalar_information()
    complete, observed = np.diag(found.complete), np.diag(found.observed)
    labels = np.array(found.labels, dtype=object)
    return {"label": labels, "complete": complete, "observed": observed, "missing": complete - observed}


def information(subject: Subject, table: Table, ax: Any) -> Any:
    shown = {name: column[:MOST] for name, column in table.items()}
    at = np.arange(len(shown["label"]))
    seen, gone = shown["observed"] / shown["complete"], shown["missing"] / shown["complete"]
    ax.barh(at, seen, 0.7, color=COLOURS[0], label="observed")
    ax.barh(at, gone, 0.7, seen, color=COLOURS[4], label="missing", hatch="////", edgecolor="white", lw=0)
    for i, whole in zip(at, shown["complete"], strict=True):
        ax.annotate(number(whole), (1.0, i), (4, 0), textcoords="offset points", va="center", fontsize="small")
    ax.set_yticks(at, [_short(label) for label in shown["label"]])
    ax.set_ylim(len(at) - 0.4, -0.6)
    ax.set_xlim(min(float(seen.min()), 0.0), 1.0)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    tidied(ax, "share of the complete information", "")
    ax.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    remark(ax, "the other parameters held; at the end: the complete information", above=18)
    more = len(table["label"]) - MOST
    if more > 0:
        ax.annotate(f"{more} more are not shown", (0, 0), xycoords="axes fraction", fontsize="x-small", color=GREY)
    return ax


def information_size(table: Table) -> tuple[float, float]:
    """Of the picture, in inches."""
    return 6.4, 1.4 + 0.27 * min(len(table["label"]), MOST)


def profile_table(subject: Subject, parameter: str | None = None, level: float = 0.95) -> Table:
    """Series "profile": 2[ℓ(θ̂) − profile ℓ(v)] at values v of one scalar; "wald": what its interval takes it for."""
    estimate = subject.estimate
    names = estimate.problem.names
    wanted = names[estimate.shown[0]] if parameter is None else parameter
    if wanted not in names:
        some = ", ".join(names[i] for i in estimate.shown[:12])
        raise ParameterError(f"plot.profile: there is no scalar '{wanted}'; there are {some}")
    i, z = names.index(wanted), quantile(level)
    values, deviances = followed(estimate, i, z, STEPS)
    parts: list[dict[str, Any]] = [{"series": "profile", "value": values, "deviance": deviances}]
    try:
        error = float(np.sqrt(errors_by("observed", estimate).covariance[i, i]))
    except InferenceError:
        error = np.nan
    if error > 0:
        away = np.linspace(-1.2 * z, 1.2 * z, CURVE)
        links = np.full(CURVE, estimate.problem.space.links[i])  # on whose scale the intervals are made
        middle, slope = to_link(np.full(CURVE, estimate.values[i]), links)
        parts.append({"series": "wald", "value": from_link(middle + slope * error * away, links), "deviance": away**2})
    return stacked(*({"label": wanted, "level": level, "estimate": estimate.values[i]} | part for part in parts))


def profile(subject: Subject, table: Table, ax: Any) -> Any:
    own, wald = only(table, series="profile"), only(table, series="wald")
    level, name = float(table["level"][0]), str(table["label"][0])
    bar = quantile(level) ** 2
    smooth = _smooth(own["value"], own["deviance"], float(table["estimate"][0]))
    ax.plot(*smooth, color=COLOURS[0], lw=1.6, label="profile likelihood")
    ax.plot(own["value"], own["deviance"], "o", color=COLOURS[0], ms=3.5)
    if len(wald["series"]):
        ax.plot(wald["value"], wald["deviance"], "--", color=COLOURS[1], lw=1.2, label="Wald's approximation")
    ax.axhline(bar, color=GREY, lw=0.8)
    ax.annotate(f"{level:.0%} interval", (1, bar), (0, 2), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", fontsize="x-small", color=GREY)  # fmt: skip
    ax.axvline(table["estimate"][0], color=INK, lw=0.6)
    ax.set_ylim(0, 1.5 * bar)
    legend(ax, loc="upper center")
    return tidied(ax, name, "deviance 2(ℓ max − ℓ)", f"Profile of {name}")


def _smooth(values: np.ndarray, deviances: np.ndarray, estimate: float) -> tuple[np.ndarray, np.ndarray]:
    """A curve through points of a profile: its signed root is nearly a line."""
    from scipy.interpolate import PchipInterpolator

    width = np.ptp(values)
    signed = np.sqrt(deviances) * np.sign(values - estimate)
    along = (values - values[0]) / (width if width > 0 else 1.0)
    distinct = np.concatenate([[True], np.diff(along) > LEAST])
    if distinct.sum() < 3:
        return values, deviances
    fine = np.linspace(0, 1, CURVE)
    return values[0] + width * fine, PchipInterpolator(along[distinct], signed[distinct])(fine) ** 2
