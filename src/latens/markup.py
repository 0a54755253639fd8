"""Tables as HTML, for notebooks and pages: every text is escaped."""

from collections.abc import Sequence
from html import escape
from typing import Any


def html_table(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    """A table, its first column to the left."""

    def cells(row: Sequence[Any], kind: str) -> str:
        sides = ["left", *["right"] * (len(row) - 1)]
        return "".join(
            f'<{kind} style="text-align: {side}; padding: 0.15em 0.7em">{escape(str(cell))}</{kind}>'
            for side, cell in zip(sides, row, strict=True)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>\n" for row in rows)
    return f"<table>\n<tr>{cells(head, 'th')}</tr>\n{body}</table>"
