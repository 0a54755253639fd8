"""What the panels of a walk show, as tables: the numbers of each step beside each other."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from contourpy import contour_generator  # comes with matplotlib

from latens.document.walk import Walk
from latens.engine.emmap import posteriors
from latens.engine.loop import Iterate
from latens.inference.estimate import Estimate
from latens.plots.canvas import thinned
from latens.plots.columns import Column, Seen, Table, only, stacked
from latens.plots.density_table import AROUND, density_table, level_of

FINE, PLANE, ALONG, MOST_ROWS = 80, 48, 41, 200
MASS, ROUND = 0.95, 40  # of a component, inside its line; and points of the line
REACH = 0.4  # standard errors to each side, at least, that the bound is looked at
BESIDE = 0.25  # of the way in one parameter, that is looked at beyond it


def data(walk: Walk) -> Table:
    """The data, and the model at each step: of cells their numbers, of a column its density, of two, lines.

    Series: "observed" (no step), "fitted", "component ..."; of cells "expected"; in the plane "rows", with the
    component that made each most probably.
    """
    if walk.cells:
        return _counts(walk)
    if not walk.columns:
        return {"series": np.zeros(0, object)}
    return _line(walk, walk.columns[0]) if len(walk.columns) == 1 else _plane(walk, *walk.columns)


def _counts(walk: Walk) -> Table:
    names = list(walk.problem.given.hidden or ())
    parts: list[dict[str, Any]] = []
    for number, here in zip(walk.told, walk.steps, strict=True):
        found = walk.story.expected(here)
        assert found is not None
        own = {"step": number, "cell": names}
        parts.append(own | {"series": "expected", "y": found.values.sum(0)})
        parts.append(own | {"series": "fitted", "y": found.values.sum() * _chances(walk, here)})
    return stacked(*parts)


def _chances(walk: Walk, here: Iterate) -> np.ndarray:
    """(cells,) what the parameters say of each."""
    model: Any = walk.problem.given
    params = {name: jnp.asarray(value) for name, value in here.params.items()}
    return np.exp(np.asarray(model.form.logs(model.potentials(params))))


def _line(walk: Walk, column: Column) -> Table:
    bars = only(density_table(walk.subject, columns=column.name), series="observed")
    scale = bars["x"] if column.log else 1.0
    shown = {name: bars[name] for name in ("x", "low", "high")} | {"y": bars["y"] * scale}
    parts: list[dict[str, Any]] = [{"series": "observed"} | shown] if len(bars["x"]) else []
    x = column.grid(FINE)
    x = x[:: -(-len(x) // (2 * FINE))]
    for number, here in zip(walk.told, walk.steps, strict=True):
        seen = Seen(Estimate(here))
        found = seen.sized(column.name, x) if seen.sizes else seen.densities({column.name: x})[0]
        heights = {"fitted": found.total} | dict(zip(walk.names, found.parts, strict=False))
        for name, y in heights.items():
            parts.append({"series": name, "step": number, "x": x, "y": y * (x if column.log else 1.0)})
    return stacked(*parts)


def _plane(walk: Walk, x: Column, y: Column) -> Table:
    place = x.grid(PLANE, AROUND), y.grid(PLANE, AROUND)
    across, up = (each.ravel() for each in np.meshgrid(*place, indexing="ij"))
    rows = np.flatnonzero(x.exact & y.exact)
    rows = rows[thinned(len(rows), MOST_ROWS)]
    parts: list[dict[str, Any]] = []
    for number, here in zip(walk.told, walk.steps, strict=True):
        found = Seen(Estimate(here)).densities({x.name: across, y.name: up})[0]
        heights = dict(zip(walk.names, found.parts, strict=False)) or {"fitted": found.total}
        for name, height in heights.items():
            level = level_of(height, MASS)
            lines: list[Any] = list(contour_generator(*place, height.reshape(PLANE, PLANE).T).lines(level))
            for piece, line in enumerate(lines):
                line = np.vstack([line[:: max(len(line) // ROUND, 1)], line[-1:]])
                parts.append({"series": name, "step": number, "piece": piece, "x": line[:, 0], "y": line[:, 1]})
        made = np.asarray(walk.problem.each(posteriors, here.free))[rows].argmax(1) if walk.names else None
        names = "fitted" if made is None else np.array(walk.names, dtype=object)[made]
        own = {"x": x.lower[rows], "y": y.lower[rows], "component": names}
        parts.append({"series": "rows", "step": number, "row": rows.astype(float)} | own)
    return stacked(*parts)


def expected(walk: Walk) -> Table:
    """What the E-step gives for some rows: the posterior of each hidden value, or what is expected of each."""
    parts = []
    for number, here in zip(walk.told, walk.steps, strict=True):
        found = walk.story.expected(here)
        if found is None:
            return {"series": np.zeros(0, object)}
        names = walk.names if walk.names and not walk.cells else found.series
        rows, series = np.repeat(found.rows, len(names)), np.tile(names, len(found.rows))
        parts.append({"step": number, "row": rows, "series": series, "value": np.ravel(found.values)})
    return stacked(*parts)


def bound(walk: Walk) -> Table:
    """The objective and Jensen's bound of it that each step climbs.

    Over the only parameter there is, or along the step, in standard errors of the complete data. Series: "ℓ",
    "bound"; "here" and "there", the ends of the step, on the bound.
    """
    free = np.array([each.free for each in walk.path])
    parts: list[dict[str, Any]] = []
    around = BESIDE * np.ptp(free)
    for number, here in zip(walk.told, walk.steps, strict=True):
        there = walk.path[number + 1]
        if walk.single:
            points = np.linspace(free.min() - around, free.max() + around, ALONG)[:, None]
            x = np.array([walk.only(point) for point in points])
            ends = [walk.only(here.free), walk.only(there.free)]
        else:
            length = walk.problem.step(here.free).length
            reach = max(length, REACH)
            x = np.linspace(-reach, 2 * reach + length, ALONG)
            points = here.free + np.outer(x / max(length, 1e-300), there.free - here.free)
            ends = [0.0, length]
        bound = walk.problem.bound(here.free, here.log_likelihood)
        levels, bounds = [_objective(walk, point) for point in points], [bound(point) for point in points]
        own: dict[str, Any] = {"step": number}
        parts += [own | {"series": "ℓ", "x": x, "y": levels}, own | {"series": "bound", "x": x, "y": bounds}]
        parts.append(own | {"series": "here", "x": ends[0], "y": here.log_likelihood})
        parts.append(own | {"series": "there", "x": ends[1], "y": bound(there.free)})
    table = stacked(*parts)
    return {name: column[np.isfinite(table["y"])] for name, column in table.items()}


def _objective(walk: Walk, free: np.ndarray) -> float:
    return walk.problem.log_likelihood(free) + walk.problem.log_prior(free)


def trace(walk: Walk) -> Table:
    """The objective after each step: "way"; where the told ones stand: "step"."""
    heights = np.array([each.log_likelihood for each in walk.path])
    whole = {"series": "way", "x": np.arange(len(heights)), "y": heights}
    return stacked(whole, {"series": "step", "step": walk.told, "x": walk.told, "y": heights[walk.told]})
