"""The panels of a walk, in Vega-Lite: each a specification in which the signal `step` says what is shown."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np

from latens.document import tables
from latens.document.walk import Walk
from latens.plots.canvas import COLOURS, GREY, INK
from latens.plots.columns import Table, only

DIGITS, FINE = 4, 12  # of numbers, and of log-likelihoods, beside what they vary by
HEIGHT, BAR = 250, 18
END: dict[str, Any] = {"size": 90, "color": INK}
OF_STEP = "datum.step === step"
MARGIN = 0.06  # of a range, beside it
WIDE = 5  # ratio of the ends of a range that is better seen on a log scale
BELOW = 0.3  # of the range of the objective on the way, that a bound is followed below it


class Panel(NamedTuple):
    """Its heading, what it shows in a sentence, and the specification."""

    heading: str
    words: str
    spec: dict[str, Any]


def panels(walk: Walk) -> Iterator[Panel]:
    """Those that suit the model."""
    data = tables.data(walk)
    if len(data["series"]):
        yield Panel("The data and the current parameters", _said(walk), _spec(_data(walk, data)))
    expected = tables.expected(walk)
    if len(expected["series"]):
        assert walk.expectation is not None
        words = f"E-step: given the current parameters, the {walk.expectation.what} for some of what was seen."
        yield Panel("What is expected of the hidden part", words, _spec(_expected(walk, expected)))
    goes = "to" if walk.problem.closed else "by steps of Newton's method, close to"
    words = (
        f"M-step: the bound lies nowhere above and touches the {walk.height} where the step begins (circle). EM goes "
        f"{goes} its highest point (diamond), where the {walk.height} is at least as high."
    )
    yield Panel("Jensen's bound and its highest point", words, _spec(_bound(walk)))
    yield Panel(
        "The way",
        f"The {walk.height} after each step; the large point is where this step begins. It never falls.",
        _spec(_trace(walk)),
    )


def _said(walk: Walk) -> str:
    """What the first panel shows."""
    if walk.cells:
        return "Bars: how many of each cell are expected, given the data. Points: what the parameters say."
    if len(walk.columns) == 1:
        seen = walk.columns[0].exact | walk.columns[0].missing
        bars = "the data" if seen.all() else "the nonparametric estimate from the data, censored ones among them"
        return f"Bars are {bars}; what the parameters say of them moves."
    made = "Each row has the colour of the component that most probably made it; " if walk.names else ""
    return f"{made}a line is around 95 % of {'each' if walk.names else 'what the parameters expect'}.".capitalize()


def _spec(chart: Any) -> dict[str, Any]:
    step = alt.param(name="step", value=0)
    plain = chart.add_params(step).properties(width="container", height=HEIGHT)
    axis = alt.AxisConfig(grid=False, labelColor=INK, titleFontWeight="normal")
    style = {"background": "transparent", "font": "system-ui, sans-serif", "axis": axis}
    found: dict[str, Any] = plain.configure(view=alt.ViewConfig(stroke=None), **style).to_dict()
    return found


def _values(table: Table, digits: int = DIGITS) -> Any:
    """The rows of a table, without what is not a number; numbers to so many digits of what they vary by."""
    columns = {name: _short(column, digits) for name, column in table.items()}
    rows = [
        {name: column[i] for name, column in columns.items() if column[i] is not None}
        for i in range(len(next(iter(columns.values()))))
    ]
    return alt.Data(values=rows)


def _short(column: np.ndarray, digits: int) -> list[Any]:
    if column.dtype == object:
        return column.tolist()
    known = column[np.isfinite(column)]
    span = float(np.ptp(known)) if len(known) else 0.0
    place = digits - int(np.floor(np.log10(span if span > 0 else max(float(np.abs(known).max(initial=0)), 1e-300))))
    return [round(value, place) if np.isfinite(value) else None for value in column.tolist()]


def _colour(names: list[str]) -> Any:
    tones = [INK if name == "fitted" else COLOURS[i % len(COLOURS)] for i, name in enumerate(names)]
    legend = alt.Legend(orient="top", title=None) if len(names) > 1 else None
    return alt.Color("series:N", scale=alt.Scale(domain=names, range=tones), legend=legend)


def _dashes(names: list[str]) -> dict[str, Any]:
    """That tell lines of one colour apart, where there are so many."""
    if len(names) <= len(COLOURS):
        return {}
    kinds = [[], [6, 3], [2, 2], [8, 2, 2, 2]]
    scale = alt.Scale(domain=names, range=[kinds[i // len(COLOURS) % len(kinds)] for i in range(len(names))])
    return {"strokeDash": alt.StrokeDash("series:N", scale=scale, legend=None)}


def _data(walk: Walk, table: Table) -> Any:
    if walk.cells:
        return _counts(table)
    return _line(walk, table) if len(walk.columns) == 1 else _plane(walk, table)


def _counts(table: Table) -> Any:
    cell = alt.X("cell:N", sort=None, title=None, axis=alt.Axis(labelAngle=0))
    height = alt.Y("y:Q", title="number", scale=alt.Scale(domain=[0, 1.05 * float(table["y"].max())], nice=False))
    bars = alt.Chart(_values(only(table, series="expected"))).mark_bar(color="#D9D9D9").encode(x=cell, y=height)
    points = alt.Chart(_values(only(table, series="fitted"))).mark_point(color=COLOURS[1], filled=True, size=80)
    return bars.transform_filter(OF_STEP) + points.encode(x=cell, y=height).transform_filter(OF_STEP)


def _line(walk: Walk, table: Table) -> Any:
    column = walk.columns[0]
    discrete = column.kind != "continuous"
    names = [*walk.names, "fitted"]
    seen, fitted = only(table, series="observed"), table["series"] != "observed"
    moving = {name: values[fitted] for name, values in table.items() if name not in ("low", "high")}
    heights = np.r_[seen["y"], moving["y"]]
    top = 1.1 * float(np.max(heights, initial=0.0))
    if len(seen["y"]):  # a start may be so narrow that nothing else were seen
        top = min(top, 2 * float(seen["y"].max()))
    scale = alt.Scale(nice=False, type="log") if column.log else alt.Scale(nice=False, zero=False)
    names_of = f"{_inside(column.categories)}[datum.value]" if column.kind == "category" else alt.Undefined
    axis = alt.Axis(labelExpr=names_of, tickMinStep=1 if discrete else alt.Undefined)
    x = alt.X("x:Q", title=column.name if column.name != "0" else "value", scale=scale, axis=axis)
    name = "probability" if discrete else "density of the logarithm" if column.log else "density"
    y = alt.Y("y:Q", title=name, scale=alt.Scale(domain=[0, top], nice=False))
    lines = alt.Chart(_values(moving)).mark_line(clip=True, point=discrete and len(column.grid(2)) <= 60)
    drawn = lines.encode(x=x, y=y, color=_colour(names), order="x:Q", **_dashes(names)).transform_filter(OF_STEP)
    if not len(seen["x"]):
        return drawn
    shrunk = 0.1 * (seen["high"] - seen["low"]) if discrete else 0.0
    ends = {"low": seen["low"] + shrunk, "high": seen["high"] - shrunk, "y": seen["y"]}
    bars = alt.Chart(_values(ends)).mark_bar(color="#D9D9D9", stroke="white", clip=True)
    return bars.encode(x=alt.X("low:Q", scale=scale), x2="high:Q", y="y:Q", y2=alt.datum(0)) + drawn


def _inside(names: Sequence[Any]) -> str:
    """Names in an expression of Vega's."""
    return json.dumps([str(name) for name in names])


def _plane(walk: Walk, table: Table) -> Any:
    across, up = walk.columns
    names = walk.names or ["fitted"]
    rows, lines = only(table, series="rows"), {name: c[table["series"] != "rows"] for name, c in table.items()}
    x, y = (
        alt.X("x:Q", title=across.name, scale=alt.Scale(domain=_range(across), nice=False)),
        alt.Y("y:Q", title=up.name, scale=alt.Scale(domain=_range(up), nice=False)),
    )
    own = {"step": rows["step"], "x": rows["x"], "y": rows["y"], "series": rows["component"]}
    points = alt.Chart(_values(own)).mark_circle(size=24, opacity=0.7, clip=True)
    found = points.encode(x=x, y=y, color=_colour(names)).transform_filter(OF_STEP)
    keep = {name: lines[name] for name in ("step", "series", "piece", "x", "y")}
    around = alt.Chart(_values(keep)).mark_line(clip=True)
    way = {"order": alt.Order("at:Q"), "detail": "piece:N"}
    numbered = around.transform_filter(OF_STEP).transform_window(at="row_number()")
    return found + numbered.encode(x=x, y=y, color=_colour(names), **way, **_dashes(names))


def _range(column: Any) -> list[float]:
    from latens.plots.density_table import AROUND

    return [float(end) for end in column.grid(2, AROUND)]


def _expected(walk: Walk, table: Table) -> Any:
    assert walk.expectation is not None
    names = list(dict.fromkeys(table["series"]))
    what = walk.expectation.what
    row = alt.Y("row:N", sort=None, title=None, axis=alt.Axis(labelLimit=170))
    sums = np.add.reduceat(table["value"], np.arange(0, len(table["value"]), len(names)))
    ends = [min(0.0, float(sums.min())), max(0.0, float(sums.max()))]
    number = alt.X("value:Q", title=what, stack="zero", scale=alt.Scale(domain=ends, nice=False))
    chart = alt.Chart(_values(table)).transform_filter(OF_STEP)
    return chart.mark_bar(height=BAR).encode(y=row, x=number, color=_colour(names))


def _bound(walk: Walk) -> Any:
    table = tables.bound(walk)
    lines, ends = only(table, series="ℓ"), only(table, series="bound")
    title: Any = walk.single or ["along the step, in standard errors", "of the complete data"]
    parts = []
    wide = walk.single and lines["x"].min() > 0 and lines["x"].max() > WIDE * lines["x"].min()
    scale = alt.Scale(nice=False, type="log") if wide else alt.Scale(nice=False, zero=False)
    height = alt.Scale(zero=False, nice=False)
    if walk.single:
        heights = [each.log_likelihood for each in walk.path]
        low, high = min(heights), max(heights)
        height = alt.Scale(domain=[low - BELOW * (high - low), high + MARGIN * (high - low)], nice=False)
    x, y = alt.X("x:Q", title=title, scale=scale), alt.Y("y:Q", title=walk.height, scale=height)
    named = {"ℓ": walk.height, "bound": "Jensen's bound"}
    for part in (lines, ends):
        part["series"] = np.array([named[name] for name in part["series"]], dtype=object)
        drawn = alt.Chart(_values(part, FINE)).mark_line(clip=True).transform_filter(OF_STEP)
        parts.append(drawn.encode(x=x, y=y, color=_colour(list(named.values())), order="x:Q"))
    for series, shape in (("here", "circle"), ("there", "diamond")):
        mark = alt.Chart(_values(only(table, series=series), FINE)).mark_point(
            shape=shape, size=90, filled=True, color=INK
        )
        parts.append(mark.encode(x=x, y=y).transform_filter(OF_STEP))
    return alt.layer(*parts)


def _trace(walk: Walk) -> Any:
    table = tables.trace(walk)
    x = alt.X("x:Q", title="step of EM", axis=alt.Axis(tickMinStep=1), scale=alt.Scale(nice=False))
    y = alt.Y("y:Q", title=walk.height, scale=alt.Scale(zero=False))
    way = alt.Chart(_values(only(table, series="way"), FINE)).mark_line(color=GREY, point={"color": GREY, "size": 14})
    here = alt.Chart(_values(only(table, series="step"), FINE)).mark_point(color=COLOURS[1], filled=True, size=90)
    return way.encode(x=x, y=y) + here.encode(x=x, y=y).transform_filter(OF_STEP)
