"""The hidden part: how sure the rows are of it, and what tells its values apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from latens.errors import DataError, InferenceError
from latens.families.normal import LogNormal
from latens.families.roles import Location
from latens.inference.errors import AbstractMethod
from latens.inference.methods import intervals_by
from latens.plots.canvas import GREY, INK, colour, legend, number, panels, plain, remark, thinned, ticks, tidied
from latens.plots.columns import Column, Subject, Table, called, only, stacked
from latens.plots.density_table import no_density
from latens.report.tidy import parted

BINS = 20
NOTHING = 1e-4  # a probability below which a row is not counted, as flexmix has it
MOST_VALUES = 12
MARK = 120  # how much larger the mark of a row of which nothing is sure


def no_hidden(subject: Subject) -> str:
    """Why there is no posterior to draw, if so."""
    hidden = subject.hidden
    if not hidden:
        return f"a {type(subject.estimate.model).__name__} hides no label"
    if len(hidden) < 2:
        return "there is only one hidden value, so every row is sure of it"
    if subject.seen.posterior().ndim != 2:
        return "the posterior is no table of probabilities"
    return ""


def posterior_table(subject: Subject) -> Table:
    """Per hidden value and bin of probability: `count`, the weight of the rows whose posterior is there."""
    given, weights = subject.seen.posterior(), subject.estimate.problem.some.weights
    edges = np.linspace(0, 1, BINS + 1)
    parts = []
    for j, name in enumerate(subject.hidden):
        told = given[:, j] > NOTHING
        counts = np.histogram(given[told, j], edges, weights=weights[told])[0]
        parts.append({"value": name, "low": edges[:-1], "high": edges[1:], "count": counts})
    return stacked(*parts)


def posterior(subject: Subject, table: Table, ax: Any) -> Any:
    names = list(dict.fromkeys(table["value"]))
    shown = names[:MOST_VALUES]
    columns = min(len(shown), 3)
    grid = panels(ax, -(-len(shown) // columns), columns, (0.1, 0.5))
    top = np.sqrt(table["count"].max())
    for j, axes in enumerate(axes for row in grid for axes in row):
        if j >= len(shown):
            axes.set_axis_off()
            continue
        own = only(table, value=shown[j])
        axes.bar(own["low"], np.sqrt(own["count"]), 1 / BINS, align="edge", color=colour(j), edgecolor="white", lw=0.4)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1])
        axes.set_ylim(0, 1.05 * top)
        ticks = [tick for tick in axes.get_yticks() if 0 <= tick <= top]
        axes.set_yticks(ticks, [number(tick**2) for tick in ticks] if j % columns == 0 else [""] * len(ticks))
        last = j + columns >= len(shown)
        label = "posterior probability" if last else ""
        tidied(axes, label, "rows (root scale)" if j % columns == 0 else "", subject.called[j])
    told = f"{len(names) - len(shown)} more are not shown" if len(names) > len(shown) else ""
    remark(ax, f"rows below {NOTHING:g} left out", told, above=18)
    return ax


def posterior_size(table: Table) -> tuple[float, float]:
    """Of the picture, in inches."""
    return 7.2, 1.4 + 1.7 * -(-min(len(dict.fromkeys(table["value"])), MOST_VALUES) // 3)


def uncertainty_table(subject: Subject, columns: Sequence[str] | str | None = None) -> Table:
    """Per row: `uncertainty`, 1 − the largest posterior probability, and the most probable value; the surest first.

    With `columns`, one or two of them: `x`, and `y`, what was seen of these, NaN where it was not.
    """
    given = subject.seen.posterior()
    uncertain, of = 1 - given.max(1), given.argmax(1)
    order = np.argsort(uncertain, kind="stable")
    weights = subject.estimate.problem.some.weights[order]
    share = (np.cumsum(weights) - 0.5 * weights) / weights.sum()
    places = {name: _seen(column)[order] for name, column in zip("xy", _asked(subject, columns), strict=False)}
    return {
        "row": order.astype(float),
        "share": share,
        "uncertainty": uncertain[order],
        "component": of[order].astype(float),
    } | places


def _asked(subject: Subject, columns: Sequence[str] | str | None) -> list[Column]:
    if columns is None:
        return []
    names = list(map(str, columns)) if isinstance(columns, list | tuple) else [str(columns)]
    reason = no_density(subject)
    known = {} if reason else subject.seen.columns
    for name in names:
        if name not in known:
            there = f"the columns are {', '.join(known)}" if known else reason
            raise DataError(f"plot.uncertainty: there is no column '{name}'; {there}")
    if not 1 <= len(set(names)) == len(names) <= 2:
        raise DataError("plot.uncertainty: give one column or two different ones, or none for the rows in its order")
    return [known[name] for name in names]


def _seen(column: Column) -> np.ndarray:
    return np.where(column.exact, column.lower, np.nan)


def uncertainty(subject: Subject, table: Table, ax: Any, *, columns: Sequence[str] | str | None = None) -> Any:
    asked = _asked(subject, columns)
    there = np.ones(len(table["row"]), dtype=bool)
    for name, _ in zip("xy", asked, strict=False):
        there &= np.isfinite(table[name])
    rows = np.flatnonzero(there)
    rows = rows[thinned(len(rows))]
    across = table["x"] if asked else table["share"]
    up = table["y"] if len(asked) == 2 else table["uncertainty"]
    if not asked:
        ax.plot(across[rows], up[rows], color=GREY, lw=0.8, zorder=1)
    for j in np.unique(table["component"][rows]).astype(int):
        own = rows[table["component"][rows] == j]
        size = 6 + MARK * table["uncertainty"][own] if len(asked) == 2 else 9
        style = {"alpha": 0.6, "lw": 0} if asked else {}
        ax.scatter(across[own], up[own], s=size, color=colour(j), label=subject.called[j], zorder=2, **style)
    if not asked:
        ax.set_xlim(0, 1)
    if len(asked) < 2:
        ax.set_ylim(bottom=0)
    lost = len(there) - int(there.sum())
    shown = f"{len(rows):,} of {int(there.sum()):,} rows shown" if len(rows) < there.sum() else ""
    remark(ax, "larger: less sure" if len(asked) == 2 else "", shown, f"{lost:,} not seen there" if lost else "")
    for axis, column in zip((ax.xaxis, ax.yaxis), asked, strict=False):
        ticks(axis, column)
    legend(ax, title="most probable")
    title, height = "How sure the rows are of their hidden value", "1 − largest posterior probability"
    x = asked[0].name if asked else "share of the rows, the surest first"
    return tidied(ax, x if x != "0" else "value", asked[1].name if len(asked) == 2 else height, title)


def no_profiles(subject: Subject) -> str:
    """Why there are no parameters of components to draw side by side, if so."""
    if no_hidden(subject):
        return no_hidden(subject)
    try:
        found = profiles_table(subject)
    except InferenceError:
        return ""
    return "" if len(found.get("term", ())) else "no parameter belongs to one component each"


def profiles_table(subject: Subject, level: float = 0.95, method: str | AbstractMethod = "observed") -> Table:
    """Per component and parameter: `estimate`, `low` and `high`.

    `panel` is "probability" for what lies between 0 and 1, else the name of the parameter; `share` 1 for that, and
    `location` 1 for what is a value that its column may have.
    """
    estimate = subject.estimate
    try:
        ends = intervals_by(method, estimate, level)
    except InferenceError:
        ends = np.full((len(estimate.values), 2), np.nan)
    links, model = estimate.problem.space.links, estimate.model
    rows: list[dict[str, Any]] = []
    for i in estimate.shown:
        term, component = parted(model, estimate.problem.labels[i])
        if component and term.name != "weights" and len(term.entry) < 2:  # matrices have no place in a profile
            column, _, kind = term.name.rpartition(".")
            panel = "probability" if links[i] == "logit" else kind
            if (
                column in subject.seen.columns
                and subject.seen.columns[column].kind == "whole"
                and panel == "probability"
            ):
                panel = f"{kind} of {column}"  # of a count's law, and no share of the rows
            place = isinstance(model.roles.get(estimate.problem.labels[i].name), Location)
            if place and isinstance(subject.seen.family(column or estimate.problem.columns[0]), LogNormal):
                place, panel = False, f"{kind} of the logarithm"
            item = " ".join(part for part in (column, *term.entry) if part) or kind
            low, high = ends[i]
            values = {"estimate": estimate.values[i], "low": low, "high": high, "level": level}
            values |= {"location": float(place), "share": float(links[i] == "logit")}
            rows.append({"panel": panel, "term": str(term), "item": item, "component": component} | values)
    return stacked(*rows) if rows else {}


def profiles_size(table: Table) -> tuple[float, float]:
    """Of the picture, in inches."""
    return 7.2, 1.0 + 1.9 * len(dict.fromkeys(table["panel"]))


def profiles(subject: Subject, table: Table, ax: Any) -> Any:
    names = list(dict.fromkeys(table["panel"]))
    grid = panels(ax, len(names), 1, (0.1, 0.34))
    components = list(dict.fromkeys(table["component"]))
    for (axes,), name in zip(grid, names, strict=True):
        own = only(table, panel=name)
        items = list(dict.fromkeys(own["item"]))
        scales = _scales(subject, items) if own["location"].all() else None
        for j, component in enumerate(components):
            part = only(own, component=component)
            at = np.array([items.index(item) for item in part["item"]]) + 0.12 * (j - (len(components) - 1) / 2)
            middle, low, high = (_moved(part[n], part["item"], scales) for n in ("estimate", "low", "high"))
            reach = np.maximum(np.nan_to_num(np.stack([middle - low, high - middle])), 0.0)
            line = {"color": colour(j), "capsize": 2, "lw": 1.0, "ls": "none" if len(items) == 1 else ":"}
            axes.errorbar(at, middle, reach, marker="o", ms=4, label=called(component), **line)
        axes.set_xticks(range(len(items)), [plain(item)[:18] for item in items], rotation=30 if len(items) > 5 else 0)
        axes.set_xlim(-0.5, len(items) - 0.5)
        if own["share"].all():
            axes.set_ylim(-0.02, 1.02)
        elif scales is None and (own["estimate"] > 0).all() and np.ptp(np.log(own["estimate"])) > 2:
            axes.set_yscale("log")
        tidied(axes, "", f"{name} (in sd from the data's mean)" if scales else name)
        if scales:
            axes.axhline(0, color=INK, lw=0.5)
    legend(grid[0][0], ncols=min(len(components), 4), loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    unknown = bool(np.isnan(table["low"]).all())
    remark(ax, "no standard errors: see print(fit)" if unknown else f"{table['level'][0]:.0%} intervals")
    return ax


def _scales(subject: Subject, items: list[str]) -> dict[str, tuple[float, float]] | None:
    """Item → mean and standard deviation of its column, where items are columns of different units."""
    columns = subject.seen.columns
    if len(items) < 2 or not set(items) <= set(columns) or not all(columns[item].exact.any() for item in items):
        return None
    seen = {
        item: (columns[item].lower[columns[item].exact], columns[item].weights[columns[item].exact]) for item in items
    }
    means = {item: float(np.average(y, weights=w)) for item, (y, w) in seen.items()}
    spreads = {
        item: float(np.sqrt(np.average((y - means[item]) ** 2, weights=w))) or 1.0 for item, (y, w) in seen.items()
    }
    return {item: (means[item], spreads[item]) for item in items}


def _moved(values: np.ndarray, items: np.ndarray, scales: dict[str, tuple[float, float]] | None) -> np.ndarray:
    if scales is None:
        return values
    pairs = np.array([scales[item] for item in items]).reshape(-1, 2)
    return np.asarray((values - pairs[:, 0]) / pairs[:, 1])
