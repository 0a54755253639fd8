"""Where pictures are drawn: axes, colours that all eyes tell apart, and marks of what is half seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from latens.errors import DataError, LatensError

# Okabe & Ito (2008); their yellow is too light on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B4A3F")
DASHES = ("-", "--", "-.", ":")
GREY, INK = "#8C8C8C", "#222222"
MOST_CODES = 12  # categories whose names stand on an axis one by one
MOST_POINTS = 3_000  # rows drawn one by one


def pyplot() -> Any:
    """matplotlib.pyplot, or a clear error."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise LatensError('pictures need matplotlib: pip install "latens[plot]"') from None
    return plt


def axes(ax: Any = None, size: tuple[float, float] = (6.4, 4.2)) -> Any:
    """The axes given, or new ones."""
    if ax is not None:
        if not hasattr(ax, "inset_axes"):
            raise LatensError(f"ax must be axes of matplotlib, as plt.subplots() gives them; got {type(ax).__name__}")
        return ax
    return pyplot().subplots(figsize=size, layout="constrained")[1]


def panels(ax: Any, rows: int, columns: int, gap: tuple[float, float] = (0.12, 0.16)) -> list[list[Any]]:
    """The place of the axes cut into a grid of axes, with gaps by their size; they are left as an empty frame."""
    ax.set_axis_off()
    wide, high = gap
    width, height = 1 / (columns + wide * (columns - 1)), 1 / (rows + high * (rows - 1))
    return [
        [
            ax.inset_axes((j * width * (1 + wide), 1 - height - i * height * (1 + high), width, height))
            for j in range(columns)
        ]
        for i in range(rows)
    ]


def colour(j: int) -> str:
    """Of the j-th of several."""
    return COLOURS[j % len(COLOURS)]


def dash(j: int) -> str:
    """A dash that tells it from another of its colour."""
    return DASHES[(j // len(COLOURS)) % len(DASHES)]


def tidied(ax: Any, x: str = "", y: str = "", title: str = "") -> Any:
    """Axes with their labels, without the box."""
    ax.set_xlabel(plain(x))
    ax.set_ylabel(plain(y))
    if title:
        ax.set_title(plain(title), loc="left", fontsize="medium")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def ticks(axis: Any, column: Any) -> None:
    """Names of categories on an axis, of many some; whole numbers for counts."""
    if column.kind == "category":
        every = -(-len(column.categories) // MOST_CODES)
        codes = range(0, len(column.categories), every)
        axis.set_ticks(list(codes), [plain(column.categories[code])[:14] for code in codes])
    elif column.kind == "whole":
        axis.get_major_locator().set_params(integer=True)


def plain(text: Any) -> str:
    """A text of the user's, no part of which is taken for a formula."""
    return str(text).replace("$", r"\$")


def thinned(n: int, most: int = MOST_POINTS) -> np.ndarray:
    """Numbers of the rows to draw: all, or some, the same at every call."""
    return np.arange(n) if n <= most else np.sort(np.random.default_rng(0).choice(n, most, replace=False))


def remark(ax: Any, *parts: str, above: int = 3) -> None:
    """What the reader must know of what is drawn, so many points `above` it on the right."""
    told = "; ".join(part for part in parts if part)
    if told:
        ax.annotate(
            plain(told),
            (1.0, 1.0),
            (0, above),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize="x-small",
            color=GREY,
        )


def legend(ax: Any, **settings: Any) -> None:
    """Where it hides least, if there is anything to tell."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small", **settings)


def number(value: float, digits: int = 4) -> str:
    """A number as a label shows it."""
    return f"{value:.{digits}g}"


def unsuited(plot: str, reason: str, others: Sequence[str]) -> DataError:
    """What to raise where a picture cannot be drawn of a fit."""
    instead = f"; there are {', '.join(others)}" if others else ""
    return DataError(f"plot.{plot}: {reason}{instead}")
