"""What is shown of the fitted density over the data: one column, two, or each beside each."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from latens.errors import DataError, ParameterError, listed
from latens.models.gene_counting import Cells
from latens.numerics.asked import whole
from latens.plots.canvas import (
    thinned,
)
from latens.plots.columns import KINDS, SIZES, Column, Densities, Subject, Table, stacked
from latens.plots.nonparametric import estimated

POINTS, FINE = 256, 64  # of a density along one axis, and along each of two
MOST_BINS, MOST_ASKED, MOST_COLUMNS = 60, 10_000, 6
AROUND = 0.2  # of the range, that a picture of two columns shows beyond it
FEWER = 600  # rows in each panel of many


def no_density(subject: Subject) -> str:
    """Why there is no column to draw, if so."""
    problem = subject.estimate.problem
    if not problem.columns or problem.lengths is not None or isinstance(problem.given, Cells):
        return "the data are not columns of numbers or categories"
    families = [subject.seen.family(name) for name in problem.columns]
    if None in families:
        return f"a {type(problem.given).__name__} says nothing of one column alone"
    if subject.seen.sizes and len(subject.seen.distinct_sizes[0]) > SIZES:
        return f"the rows have more than {SIZES} different values of {listed(list(subject.seen.sizes))}"
    if any(family is not None and family.support.sized and not family.support.fields for family in families):
        return "a datum is the counts of several categories"
    return ""


def density_table(subject: Subject, columns: Sequence[str] | str | None = None, bins: int | None = None) -> Table:
    """Per column (`column_x` and `column_y` alike) and pair of columns: what was seen, and the density of the fit.

    Series of one column: "observed" (bars), "density", "component j", "interval", "right-censored", "left-censored",
    "missing"; of two: "rows", "density" and "component j" over a grid.
    """
    if bins is not None and whole(bins, "plot.density: bins", 1) > MOST_ASKED:
        raise ParameterError(f"plot.density: bins must be {MOST_ASKED} at most, got {bins}")
    known = subject.seen.columns
    wanted = _wanted(known, columns)
    alone = [known[name] for name in wanted] if len(wanted) != 2 else []
    together = list(combinations([known[name] for name in wanted], 2))
    grids = [{x.name: x.grid(POINTS)} for x in alone]
    planes = [(x, y) for x, y in together if x.kind == y.kind == "continuous"]
    for x, y in planes:
        fine = FINE if len(wanted) == 2 else FINE // 2
        across, up = np.meshgrid(x.grid(fine, AROUND), y.grid(fine, AROUND), indexing="ij")
        grids.append({x.name: across.ravel(), y.name: up.ravel()})
    seen = subject.seen
    if seen.sizes:
        found = [seen.sized(name, grid) for each in grids for name, grid in each.items()]
    else:
        found = seen.densities(*grids) if grids else []
    parts: list[dict[str, Any]] = []
    for column, own in zip(alone, found, strict=False):
        where = {"column_x": column.name, "column_y": column.name}
        lines = _series(own, "y", {"x": column.grid(POINTS)})
        parts += [where | part for part in [*_bars(column, bins), *lines, *_half_seen(column)]]
    most = FEWER if len(wanted) > 2 else None
    parts += [{"column_x": x.name, "column_y": y.name} | _rows(subject, x, y, most) for x, y in together]
    for (x, y), grid, own in zip(planes, grids[len(alone) :], found[len(alone) :], strict=True):
        lines = _series(own, "z", {"x": grid[x.name], "y": grid[y.name]})
        parts += [{"column_x": x.name, "column_y": y.name} | part for part in lines]
    return stacked(*parts)


def _series(found: Densities, height: str, place: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """The density of all, and of each component where there are several."""
    out: list[dict[str, Any]] = [{"series": "density", height: found.total} | place]
    if len(found.parts) > 1:
        out += [{"series": f"component {j}", height: part} | place for j, part in enumerate(found.parts)]
    return out


def _wanted(known: dict[str, Column], columns: Sequence[str] | str | None) -> list[str]:
    if columns is None:
        wanted = list(known)[:MOST_COLUMNS]
    else:
        wanted = list(map(str, columns)) if isinstance(columns, list | tuple) else [str(columns)]
    for name in wanted:
        if name not in known:
            raise DataError(f"plot.density: there is no column '{name}'; the columns are {', '.join(known)}")
    if not 1 <= len(set(wanted)) == len(wanted) <= MOST_COLUMNS:
        raise DataError(f"plot.density: give 1 to {MOST_COLUMNS} different columns, such as columns={list(known)[:2]}")
    return wanted


def _bars(column: Column, bins: int | None) -> list[dict[str, Any]]:
    """Relative frequencies of what was seen, per unit where the column is continuous."""
    sets = column.kind == "continuous" and not (column.exact | column.missing).all()
    if sets:
        values, weights = estimated(column)
        weights = weights * column.total
    else:
        values, weights = column.lower[column.exact], column.weights[column.exact]
    if not len(values):
        return []
    if column.kind != "continuous":
        grid = column.grid(POINTS)
        step = grid[1] - grid[0] if len(grid) > 1 else 1.0
        if bins is not None and column.kind == "whole":
            low, high = np.floor(values.min()), np.ceil(values.max())
            step = max(np.ceil((high - low + 1) / bins), 1.0)
            grid = low + step * np.arange(np.ceil((high - low + 1) / step)) + 0.5 * (step - 1)
        edges = np.append(grid, grid[-1] + step) - 0.5 * step
    else:
        scaled = np.log(values) if column.log else values
        edges = np.histogram_bin_edges(scaled, _bins(scaled) if bins is None else bins)
        edges = np.exp(edges) if column.log else edges
        if sets and not column.exact.any() and len(ends := column.ends) <= MOST_BINS + 1:
            edges = ends  # the bins that the data came in
            values = np.nextafter(values, -np.inf)  # mass stands at the end of its set
    counts = np.histogram(values, edges, weights=weights)[0]
    widths = np.diff(edges)
    middle = 0.5 * (edges[1:] + edges[:-1]) if column.kind == "continuous" else grid
    heights = counts / column.total / widths
    bars = {"x": middle, "low": edges[:-1], "high": edges[1:], "y": heights, "weight": counts}
    return [{"series": "observed", "sets": float(sets)} | bars]


def _bins(values: np.ndarray) -> int:
    """Freedman & Diaconis's number of bins, or Sturges's if that is more; 60 at most, 1 where all are alike."""
    if not np.ptp(values) > 0:
        return 1
    width = 2 * np.subtract(*np.percentile(values, [75, 25])) / len(values) ** (1 / 3)
    most = np.ptp(values) / width if width > 0 else 0.0
    return int(np.clip(np.ceil(max(most, np.log2(len(values)) + 1)), 5, MOST_BINS))


def _half_seen(column: Column) -> list[dict[str, Any]]:
    """What is not in the bars: the ends of sets, and how much was missing."""
    out: list[dict[str, Any]] = []
    for kind in (*KINDS, "subset"):
        rows = np.flatnonzero(column.flags.get(kind, np.zeros(0, dtype=bool)))
        if len(rows):
            ends = {"low": column.lower[rows], "high": column.upper[rows]}
            out.append({"series": kind, "weight": column.weights[rows]} | ends)
    gone = float(column.weights @ column.missing)
    return [*out, {"series": "missing", "weight": gone}] if gone else out


def _rows(subject: Subject, x: Column, y: Column, most: int | None) -> dict[str, Any]:
    n = len(x.weights)
    rows = thinned(n) if most is None else thinned(n, most)
    out = {
        "series": "rows",
        "row": rows.astype(float),
        "x": x.lower[rows],
        "x_high": x.upper[rows],
        "y": y.lower[rows],
        "y_high": y.upper[rows],
        "of": float(n),
    }
    if subject.hidden:
        given = subject.seen.posterior()[rows]
        out |= {"component": given.argmax(1).astype(float), "uncertainty": 1 - given.max(1)}
    return out


def level_of(height: np.ndarray, mass: float) -> float:
    """Of a density on a grid, the height above which it has that share of its mass."""
    ordered = np.sort(height.ravel())[::-1]
    share = np.cumsum(ordered) / max(ordered.sum(), 1e-300)
    return float(ordered[min(int(np.searchsorted(share, mass)), len(ordered) - 1)])


def density_size(table: Table) -> tuple[float, float]:
    """Of the picture, in inches."""
    names = len({*table["column_x"], *table["column_y"]})
    return (6.4, 4.2) if names < 3 else (2.4 + 1.6 * names, 1.6 + 1.5 * names)
