"""The fitted density over the data, drawn."""

from typing import Any

import numpy as np

from latens.errors import counted
from latens.plots.canvas import (
    COLOURS,
    GREY,
    INK,
    colour,
    dash,
    legend,
    number,
    panels,
    plain,
    remark,
    thinned,
    ticks,
    tidied,
)
from latens.plots.columns import KINDS, Column, Subject, Table, only
from latens.plots.density_table import AROUND, level_of

MASS = 0.95  # of a component, inside its line
MOST_SEGMENTS = 150


def density(subject: Subject, table: Table, ax: Any, *, hanging: bool = False) -> Any:
    names = [str(name) for name in dict.fromkeys(np.concatenate([table["column_x"], table["column_y"]]))]
    if len(names) == 1:
        return _draw_single(subject, table, ax, names[0], hanging=hanging)
    if len(names) == 2:
        axes = _draw_pair(subject, table, ax, *names)
        legend(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0)
        return axes
    grid = panels(ax, len(names), len(names), (0.03, 0.03))
    for i, row in enumerate(grid):
        for j, axes in enumerate(row):
            if j > i:
                axes.set_axis_off()
                continue
            if i == j:
                _draw_single(subject, only(table, column_x=names[i], column_y=names[i]), axes, names[i], quiet=True)
            else:
                _draw_pair(
                    subject, only(table, column_x=names[j], column_y=names[i]), axes, names[j], names[i], small=2
                )
            axes.set_xlabel(plain(names[j]) if i == len(names) - 1 else "")
            axes.set_ylabel(plain(names[i]) if j == 0 and i else "")
            axes.tick_params(labelbottom=i == len(names) - 1, labelleft=j == 0 and i > 0, labelsize="x-small", length=2)
            if i == j:
                axes.set_yticks([])
    left_out = len(subject.seen.columns) - len(names)
    if left_out:
        remark(ax, f"{counted(left_out, 'more column')} not shown")
    return ax


def _draw_single(
    subject: Subject, table: Table, ax: Any, name: str, *, hanging: bool = False, quiet: bool = False
) -> Any:
    column = subject.seen.columns[name]
    discrete = column.kind != "continuous"
    if column.log:  # the area under a density stays 1 if it is that of the logarithm
        table = table | {"y": np.where(np.isfinite(table["x"]), table["y"] * table["x"], table["y"])}
        ax.set_xscale("log")
    bars, total = only(table, series="observed"), only(table, series="density")
    hang = np.interp(bars["x"], total["x"], total["y"]) if hanging else np.zeros(len(bars["x"]))
    root = np.sqrt if hanging else (lambda value: value)
    width = 0.8 * (bars["high"] - bars["low"]) if discrete else bars["high"] - bars["low"]
    heights = root(bars["y"])
    sets = bool((bars.get("sets", np.zeros(1)) == 1).any())
    data = None if quiet else "nonparametric estimate" if sets else "data"
    base = root(hang) - heights if hanging else 0.0
    ax.bar(bars["x"], heights, width, base, color="#D9D9D9", edgecolor="white", lw=0.4, label=data)
    if hanging:
        ax.axhline(0.0, color=INK, lw=0.8)
    marker: dict[str, Any] = {"marker": "o", "ms": 3} if discrete and len(total["x"]) <= 60 else {}
    if column.kind == "category":
        marker |= {"ls": "none", "ms": 5}
    for j, series in enumerate(s for s in dict.fromkeys(table["series"]) if s.startswith("component")):
        part = only(table, series=series)
        label = None if quiet else subject.called[j]
        ax.plot(part["x"], root(part["y"]), **({"ls": dash(j), "lw": 1.4, "color": colour(j), "label": label} | marker))
    line = {"color": INK, "lw": 1.0 if subject.hidden else 1.6, "label": None if quiet else "fitted"}
    ax.plot(total["x"], root(total["y"]), **(line | marker))
    told = _draw_half_seen(ax, table, quiet=quiet)
    gone = only(table, series="missing")["weight"]
    step = _step(total["x"]) if column.kind == "whole" else 1.0
    known = only(table, series="subset")["weight"].sum()
    remark(
        ax,
        *told,
        "" if quiet or not known else f"{number(known)} known as one of several, not in the bars",
        "" if quiet or not len(gone) else f"{number(gone[0])} missing",
        f"every {step:g}th number" if step > 1 else "",
    )
    ticks(ax.xaxis, column)
    height = "probability" if discrete else "density of the logarithm" if column.log else "density"
    tidied(ax, name if name != "0" else "value", f"√{height}" if hanging else height)
    if hanging:
        ax.margins(y=0.06)
    else:
        ax.set_ylim(bottom=0 if not told else None)
    if not quiet:
        legend(ax)
    return ax


def _step(grid: np.ndarray) -> float:
    return float(grid[1] - grid[0]) if len(grid) > 1 else 1.0


def _draw_half_seen(ax: Any, table: Table, *, quiet: bool) -> list[str]:
    """Segments and arrows in a strip below the axis, and what the reader must know of them."""
    told: list[str] = []
    top = ax.get_ylim()[1]
    strip = 0
    for kind in KINDS:
        sets = only(table, series=kind)
        n = len(sets["series"])
        if not n:
            continue
        rows = thinned(n, MOST_SEGMENTS)
        low, high = sets["low"][rows], sets["high"][rows]
        at = -top * (0.04 + 0.10 * (strip + np.linspace(0, 0.8, len(rows))))
        order = np.argsort(np.where(np.isfinite(low), low, high), kind="stable")
        low, high = low[order], high[order]
        tone = COLOURS[(4, 5, 3)[KINDS.index(kind)]]
        if kind == "interval":
            ax.hlines(at, low, high, color=tone, lw=1.0, label=None if quiet else "known to lie between")
        else:
            begin, way = (low, 1) if kind == "right-censored" else (high, -1)
            ax.plot(begin, at, ls="none", marker=">" if way > 0 else "<", ms=5, color=tone, mec="none")
            ax.plot([], [], ">" if way > 0 else "<", color=tone, ms=5, ls="", label=None if quiet else kind)
        told.append("" if quiet or len(rows) == n else f"{len(rows)} of {n:,} {kind} shown")
        strip += 1
    if strip:
        ax.axhline(0.0, color=GREY, lw=0.6)
        ax.set_ylim(-top * (0.08 + 0.10 * strip), top)
        ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= top])
    return told if strip else []


def _draw_pair(subject: Subject, table: Table, ax: Any, x: str, y: str, *, small: int = 1) -> Any:
    across, up = subject.seen.columns[x], subject.seen.columns[y]
    rows = only(table, series="rows")
    _draw_rows(subject, rows, ax, across, up, small)
    grid = only(table, series="density")
    if len(grid["series"]):
        shape = (len(np.unique(grid["x"])), -1)
        place = [grid[name].reshape(shape) for name in ("x", "y")]
        height = grid["z"].reshape(shape)
        levels = [level_of(height, mass) for mass in (0.99, 0.9, 0.5)]
        if np.all(np.diff(levels) > 0):
            ax.contour(*place, height, levels=levels, colors=GREY, linewidths=0.7 / small)
        for j, series in enumerate(s for s in dict.fromkeys(table["series"]) if s.startswith("component")):
            part = only(table, series=series)["z"].reshape(shape)
            level = level_of(part, MASS)
            if part.min() < level < part.max():
                ax.contour(*place, part, levels=[level], colors=colour(j), linestyles=dash(j), linewidths=1.6 / small)
    ticks(ax.xaxis, across)
    ticks(ax.yaxis, up)
    of, shown = (rows["of"][0], len(rows["x"])) if len(rows["x"]) else (0, 0)
    remark(ax, f"{shown:,} of {of:,.0f} rows shown" if shown < of and small == 1 else "")
    return tidied(ax, x, y)


def _draw_rows(subject: Subject, rows: Table, ax: Any, x: Column, y: Column, small: int) -> None:
    ends = [(rows[name], rows[f"{name}_high"]) for name in ("x", "y")]
    jitter = np.random.default_rng(0)
    seen = [low == high for low, high in ends]
    values = []
    for (low, _), column in zip(ends, (x, y), strict=True):
        values.append(low if column.kind == "continuous" else low + jitter.uniform(-0.22, 0.22, len(low)))
    of = rows["component"].astype(int) if "component" in rows else np.zeros(len(rows["x"]), dtype=int)
    tones = (
        np.array([colour(j) for j in range(max(of.max(initial=0) + 1, 1))])[of]
        if "component" in rows
        else np.array([GREY] * len(of))
    )
    sure = 1 - 0.7 * rows["uncertainty"] if "uncertainty" in rows else np.ones(len(of))
    both = seen[0] & seen[1]
    size = 12 / small**2 * (1.0 if len(of) < 1000 else 0.5)
    ax.scatter(values[0][both], values[1][both], s=size, c=tones[both], alpha=sure[both] * 0.75, lw=0, zorder=2)
    limits = [
        tuple(c.grid(2, AROUND)) if c.kind == "continuous" else (c.range[0] - 0.5, c.range[1] + 0.5) for c in (x, y)
    ]
    ax.set_xlim(*limits[0])
    ax.set_ylim(*limits[1])
    _draw_partly(ax, ends, values, seen, limits, tones)
    if subject.hidden and small == 1:
        for j in np.unique(of):
            ax.plot([], [], "o", color=colour(j), ms=4, label=subject.called[j])


def _draw_partly(ax: Any, ends: Any, values: Any, seen: Any, limits: Any, tones: np.ndarray) -> None:
    """Rows with half-seen entries: a segment where one lies between ends, a mark on the axis where it is missing."""
    told = 0
    for axis, other in ((0, 1), (1, 0)):
        low, high = ends[axis]
        gone = np.isneginf(low) & np.isposinf(high)
        rug = gone & seen[other]
        told += int(rug.sum())
        at = values[other][rug]
        edge = np.full(len(at), 0.012)
        where = (at, edge) if axis == 1 else (edge, at)
        transform = ax.get_xaxis_transform() if axis == 1 else ax.get_yaxis_transform()
        ax.scatter(*where, s=30, marker="|" if axis == 1 else "_", c=tones[rug], transform=transform, lw=0.8)
        partly = ~seen[axis] & ~gone & seen[other]
        begin, end = (np.clip(e[partly], *limits[axis]) for e in (low, high))
        lines = ax.hlines if axis == 0 else ax.vlines
        lines(values[other][partly], begin, end, color=tones[partly], lw=0.8, alpha=0.7)
    if told:
        name = counted(told, "row")
        ax.plot([], [], "|", color=GREY, ms=6, ls="", label=f"{name} with one of the two missing")
