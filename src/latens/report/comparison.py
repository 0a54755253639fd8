"""The table of several fits side by side."""

from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from latens.engine.stop import Status
from latens.inference.estimate import CRITERIA

WIDTH = 160


Row = dict[str, float | None]  # column → number


def render_comparison(rows: dict[str, Row], best: dict[str, str], ends: dict[str, Status]) -> str:
    """One line per fit, by name; `*` marks the `best` by each criterion."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model")
    heads = list(next(iter(rows.values())))
    for head in heads:
        table.add_column(CRITERIA.get(head, head.replace("_", " ")), justify="right", no_wrap=True)
    for name, row in rows.items():
        cells = [_cell(row[head], best=best.get(head) == name) for head in heads]
        ended = "" if ends[name] is Status.CONVERGED else f" ({ends[name].value})"
        table.add_row(Text(name + ended), *cells)
    out = StringIO()
    Console(file=out, width=WIDTH, highlight=False, color_system=None, force_terminal=False).print(table)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join([*lines, "* best of the converged fits; smaller is better, but for the log-likelihood"])


def _cell(value: float | None, *, best: bool) -> str:
    if value is None:
        return ""
    number = str(value) if isinstance(value, int) else f"{value:.3f}"
    return number + ("*" if best else " ")
