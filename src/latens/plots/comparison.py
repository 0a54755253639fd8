"""Criteria of several fits, over their number of components or side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from latens.errors import ParameterError
from latens.inference.estimate import CRITERIA
from latens.plots.canvas import INK, colour, legend, plain, tidied
from latens.plots.columns import Table, only, stacked

USUAL = ("aic", "bic", "icl")


def compare_table(
    table: Mapping[str, Mapping[str, float | None]], sound: Sequence[str], criteria: Sequence[str] | str | None
) -> Table:
    """Per fit and criterion its `value`; `chosen` 1 for the smallest of those that converged."""
    asked = USUAL if criteria is None else (criteria,) if isinstance(criteria, str) else tuple(criteria)
    unknown = [name for name in asked if name not in CRITERIA]
    if unknown or not asked:
        wrong = f"unknown criterion {unknown[0]!r}" if unknown else "no criterion"
        raise ParameterError(f"plot: {wrong}; there are {', '.join(CRITERIA)}")
    parts = []
    for criterion in asked:
        values = {name: row[criterion] for name, row in table.items()}
        known = {name: value for name, value in values.items() if value is not None}
        if not known:
            continue
        best = min((name for name in known if name in sound), key=lambda name: known[name], default="")
        parts.append(
            {
                "fit": list(known),
                "criterion": CRITERIA[criterion],
                "value": list(known.values()),
                "converged": [float(name in sound) for name in known],
                "chosen": [float(name == best) for name in known],
            }
        )
    return stacked(*parts)


def compare(table: Table, ax: Any) -> Any:
    names = list(dict.fromkeys(table["fit"]))
    numbered = all(name.isdigit() for name in names)
    for j, criterion in enumerate(dict.fromkeys(table["criterion"])):
        own = only(table, criterion=criterion)
        at = np.array([int(name) if numbered else names.index(name) for name in own["fit"]])
        ax.plot(at, own["value"], ls="-" if numbered else "none", color=colour(j), lw=1.2)
        for flag, marker in ((1.0, "o"), (0.0, "x")):
            some = own["converged"] == flag
            ax.plot(at[some], own["value"][some], marker, color=colour(j), ms=5, label=criterion if flag else None)
        best = own["chosen"] == 1
        ax.plot(at[best], own["value"][best], "o", ms=11, mfc="none", color=INK)
    if (table["converged"] == 0).any():
        ax.plot([], [], "x", color=INK, ls="", label="did not converge")
    if numbered:
        ax.xaxis.get_major_locator().set_params(integer=True)
    else:
        ax.set_xticks(range(len(names)), [plain(name)[:20] for name in names], rotation=20 if len(names) > 3 else 0)
    ax.plot([], [], "o", ms=9, mfc="none", color=INK, label="smallest")
    legend(ax)
    return tidied(ax, "number of components" if numbered else "", "criterion (smaller is better)")
