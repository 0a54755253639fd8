"""Whether the model fits: quantiles of numbers, counts of patterns, and pairs of columns."""

from itertools import combinations
from typing import Any

import numpy as np

from latens.models.gene_counting import Cells
from latens.plots.canvas import COLOURS, GREY, INK, number, panels, plain, remark, thinned, tidied
from latens.plots.columns import Column, Subject, Table, only, stacked
from latens.plots.density_table import no_density
from latens.plots.nonparametric import estimated

MOST_PATTERNS, MOST_PANELS, MOST_PAIRS = 20, 6, 12
GRID = 512  # of the distribution function
STILL = 1e-6  # of all mass, that lies beyond every quantile
BAND = (0.025, 0.975)


def no_check(subject: Subject) -> str:
    """Why nothing that was seen can be set against what was expected, if so."""
    model = subject.estimate.model
    if isinstance(model, Cells):
        where = [cell for _, group in model.seen for cell in set(group)]
        apart = len(where) == len(set(where)) == len(model.cells)
        return "" if apart else "groups overlap, so nothing says how often each is expected to be seen"
    return no_density(subject)


def check_table(subject: Subject) -> Table:
    """What was seen against what the fit expects.

    Series "quantile" (of each column of numbers that vary continuously): `observed` and `expected`, `low` and `high`
    the range in which 95 % of samples have it; "count": of each of the commonest patterns `observed`, `expected` and
    `residual`, standardised; "pair": of two columns of categories the `residual`, χ² by its degrees of freedom.
    """
    if isinstance(subject.estimate.model, Cells):
        return stacked(_groups(subject))
    columns = list(subject.seen.columns.values())
    numbers = [column for column in columns if column.kind == "continuous"]
    if numbers:
        return stacked(*(_quantiles(subject, column) for column in numbers[:MOST_PANELS]))
    parts = [_patterns(subject, columns)]
    return stacked(*parts, *_pairs(subject, [c for c in columns if c.kind == "category"][:MOST_PAIRS]))


def _groups(subject: Subject) -> dict[str, Any]:
    """Of cells seen as groups: each group a pattern."""
    problem = subject.estimate.problem
    which = np.asarray(problem.some.xs).astype(int)
    names = list(problem.columns)
    observed = np.bincount(which, problem.some.weights, minlength=len(names))
    chances = subject.seen.chances_of_groups()
    return _counted(np.array(names, dtype=object), observed, chances, float(problem.some.weights.sum()))


def _counted(names: np.ndarray, observed: np.ndarray, chances: np.ndarray, total: float) -> dict[str, Any]:
    expected = total * chances
    spread = np.sqrt(np.maximum(expected * (1 - chances), 1e-12))
    order = np.argsort(-observed, kind="stable")[:MOST_PATTERNS]
    return {
        "series": "count",
        "pattern": names[order],
        "observed": observed[order],
        "expected": expected[order],
        "residual": ((observed - expected) / spread)[order],
        "total": total,
        "patterns": float(len(names)),
    }


def _patterns(subject: Subject, columns: list[Column]) -> dict[str, Any]:
    """The commonest complete rows."""
    whole = np.all([column.exact for column in columns], axis=0)
    rows = np.stack([column.lower[whole] for column in columns], axis=1)
    weights = columns[0].weights[whole]
    if not len(rows):
        return {"series": "count", "pattern": np.empty(0, dtype=object), "observed": np.empty(0)}
    patterns, which = np.unique(rows, axis=0, return_inverse=True)
    observed = np.bincount(which.ravel(), weights)
    kept = np.argsort(-observed, kind="stable")[: 5 * MOST_PATTERNS]
    if subject.seen.sizes:
        chances = subject.seen.sized(columns[0].name, patterns[kept, 0]).total
    else:
        chances = subject.seen.densities({c.name: patterns[kept, j] for j, c in enumerate(columns)})[0].total
    names = np.array([_called(patterns[i], columns) for i in kept], dtype=object)
    found = _counted(names, observed[kept], chances, float(weights.sum()))
    return found | {"patterns": float(len(patterns)), "left_out": float(columns[0].weights[~whole].sum())}


def _called(pattern: np.ndarray, columns: list[Column]) -> str:
    words = []
    for value, column in zip(pattern, columns, strict=True):
        word = str(column.categories[int(value)]) if column.kind == "category" else f"{value:g}"
        words.append(word)
    return ("" if all(len(word) == 1 for word in words) else " ").join(words)


def _pairs(subject: Subject, columns: list[Column]) -> list[dict[str, Any]]:
    if len(columns) < 3:
        return []
    pairs = list(combinations(columns, 2))
    grids = [np.indices((len(x.categories), len(y.categories))).reshape(2, -1).astype(float) for x, y in pairs]
    found = subject.seen.densities(*({x.name: g[0], y.name: g[1]} for (x, y), g in zip(pairs, grids, strict=True)))
    parts = []
    for (x, y), own in zip(pairs, found, strict=True):
        a, b = len(x.categories), len(y.categories)
        both = x.exact & y.exact
        observed = np.bincount((x.lower[both] * b + y.lower[both]).astype(int), x.weights[both], minlength=a * b)
        expected = observed.sum() * own.total
        sure = expected > 0
        chi = float(((observed - expected)[sure] ** 2 / expected[sure]).sum()) / max((a - 1) * (b - 1), 1)
        parts.append({"series": "pair", "column_x": x.name, "column_y": y.name, "residual": chi})
    return parts


def _quantiles(subject: Subject, column: Column) -> dict[str, Any]:
    """Quantiles of the fitted distribution at the steps of the nonparametric estimate of it."""
    values, masses = estimated(column)
    grid = column.grid(GRID, 1.0)
    below = subject.seen.below(column.name, grid)
    ended = not column.exact.any()  # of sets alone the mass stands at their ends
    shares = np.cumsum(masses) - (0.0 if ended else 0.5 * masses)
    if ended:
        values, shares = values[shares < 1 - STILL], shares[shares < 1 - STILL]
    rising = np.concatenate([[True], np.diff(below) > 0])
    out = {
        "series": "quantile",
        "column_x": column.name,
        "share": shares,
        "observed": values,
        "expected": np.interp(shares, below[rising], grid[rising]),
        "censored": float((~column.exact & ~column.missing).any()),
        "missing": float(column.weights @ column.missing),
    }
    n = column.total
    if column.exact[~column.missing].all() and n > 1:
        from scipy.special import betaincinv

        ranks = n * shares + 0.5
        out |= {
            name: np.interp(betaincinv(ranks, np.maximum(n + 1 - ranks, 1e-9), side), below[rising], grid[rising])
            for name, side in zip(("low", "high"), BAND, strict=True)
        }
    return out


# -- drawn ------------------------------------------------------------------------------------------


def check(subject: Subject, table: Table, ax: Any) -> Any:
    if (table["series"] == "quantile").any():
        names = list(dict.fromkeys(only(table, series="quantile")["column_x"]))
        columns = min(len(names), 3)
        if len(names) == 1:
            return _draw_quantiles(subject, only(table, series="quantile"), ax, names[0])
        grid = panels(ax, -(-len(names) // columns), columns, (0.36, 0.34))
        places = [axes for row in grid for axes in row]
        for axes in places[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(places, names, strict=False):
            _draw_quantiles(subject, only(table, series="quantile", column_x=name), axes, name)
        return ax
    pairs = only(table, series="pair")
    if not len(pairs["series"]):
        return _draw_counts(table, ax)
    ax.set_axis_off()
    _draw_counts(only(table, series="count"), ax.inset_axes((0.0, 0.0, 0.52, 1.0)))
    _draw_pairs(pairs, ax.inset_axes((0.72, 0.12, 0.28, 0.8)))
    return ax


def _draw_quantiles(subject: Subject, table: Table, ax: Any, name: str) -> Any:
    rows = thinned(len(table["observed"]))
    expected, observed = table["expected"][rows], table["observed"][rows]
    ends = [min(expected.min(), observed.min()), max(expected.max(), observed.max())]
    if "low" in table and np.isfinite(table["low"]).any():
        ax.fill_between(expected, table["low"][rows], table["high"][rows], color="#E3E3E3", lw=0)
    ax.plot(ends, ends, color=GREY, lw=1)
    ax.plot(expected, observed, ".", color=COLOURS[0], ms=4)
    told = []
    if table["censored"][0]:
        told.append("against the nonparametric estimate")
    if table["missing"][0]:
        told.append(f"{number(table['missing'][0])} missing")
    remark(ax, *told)
    of = "" if name == "0" else f" of {name}"
    return tidied(ax, f"fitted quantile{of}", f"observed quantile{of}")


def _draw_counts(table: Table, ax: Any) -> Any:
    at = np.arange(len(table["pattern"]))
    ax.barh(at, table["observed"], 0.7, color="#CFCFCF", label="observed")
    ax.plot(table["expected"], at, "D", color=COLOURS[1], ms=4.5, label="expected")
    right = 1.02 * max(table["observed"].max(), table["expected"].max())
    for i, residual in zip(at, table["residual"], strict=True):
        strong = abs(residual) > 2
        ax.text(1.01, i, f"{residual:+.1f}", transform=ax.get_yaxis_transform(), va="center", fontsize="x-small",
                color=COLOURS[1] if strong else INK, fontweight="bold" if strong else "normal")  # fmt: skip
    ax.set_yticks(at, [plain(name)[:22] for name in table["pattern"]], fontsize="small")
    ax.set_ylim(len(at) - 0.4, -0.6)
    ax.set_xlim(0, right)
    ax.text(1.01, -0.8, "residual", transform=ax.get_yaxis_transform(), fontsize="x-small", color=INK)
    ax.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    shown, of = len(at), int(table["patterns"][0])
    told = [f"the {shown} commonest of {of} patterns"] if shown < of else []
    gone = table["left_out"][0] if "left_out" in table else 0.0
    if gone > 0:
        told.append(f"{number(gone)} rows with missing cells left out")
    remark(ax, *told)
    return tidied(ax, "rows")


def _draw_pairs(table: Table, ax: Any) -> Any:
    names = list(dict.fromkeys([*table["column_x"], *table["column_y"]]))
    square = np.full((len(names), len(names)), np.nan)
    for x, y, residual in zip(table["column_x"], table["column_y"], table["residual"], strict=True):
        square[names.index(y), names.index(x)] = residual
    ax.imshow(square, cmap="Blues", vmin=0, vmax=max(4.0, float(np.nanmax(square))))
    for i, j in np.argwhere(np.isfinite(square)):
        dark = square[i, j] > 0.6 * max(4.0, float(np.nanmax(square)))
        ax.text(
            j, i, f"{square[i, j]:.1f}", ha="center", va="center", fontsize="x-small", color="white" if dark else INK
        )
    ticks = [plain(name)[:12] for name in names]
    ax.set_xticks(range(len(names)), ticks, rotation=90, fontsize="x-small")
    ax.set_yticks(range(len(names)), ticks, fontsize="x-small")
    ax.spines[:].set_visible(False)
    ax.set_title("χ²/df of pairs; above 4 they\nhang together more than fitted", loc="left", fontsize="small")
    return ax
