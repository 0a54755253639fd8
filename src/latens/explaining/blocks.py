"""An explanation: headings, sentences, formulas with their numbers, tables; as text, Markdown, LaTeX and HTML."""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any

import sympy as sp

from latens.errors import LatensError, ParameterError
from latens.explaining.formulas import DIGITS, escaped, latex, line, shown
from latens.markup import html_table

WIDTH = 96
TENS = re.compile(r"(\d)e([+-]\d+)")
NEARLY = 1e-5  # of a value: as near as what is read comes to it with enough digits
WAYS = (DIGITS, 8, 10, 12, 15)
FORMATS = ("text", "markdown", "latex")
LETTERS = {"θ": r"$\theta$", "ℓ": r"$\ell$", "Σ": r"$\Sigma$", "γ": r"$\gamma$", "φ": r"$\varphi$", "η": r"$\eta$",
           "−": "$-$", "→": r"$\to$", "≤": r"$\le$", "λ": r"$\lambda$", "μ": r"$\mu$", "σ²": r"$\sigma^2$",
           "×": r"$\times$", "⁻¹": "$^{-1}$", "ρ": r"$\rho$"}  # fmt: skip


@dataclass(frozen=True)
class Heading:
    text: str


@dataclass(frozen=True)
class Words:
    text: str


@dataclass(frozen=True)
class Equation:
    """`left` = `right` = the same with numbers = `value`; of the last two what is given."""

    left: Any
    right: Any
    at: Mapping[Any, float] | None = None
    value: float | None = None

    @cached_property
    def digits(self) -> int:
        """As few as give the value shown."""
        return next((digits for digits in WAYS if self._off(digits) <= NEARLY), WAYS[-1])

    def _off(self, digits: int) -> float:
        """How far from the value the numbers come with so many digits, beside it."""
        if self.at is None or self.value is None:
            return 0.0
        told = {letter: float(shown(number, digits)) for letter, number in self.at.items()}
        found = complex(sp.sympify(self.right).subs(told))
        return float(abs(found - self.value) / abs(self.value)) if self.value else 0.0

    def parts(self, write: Any) -> list[str]:
        found = [write(self.left), write(self.right)]
        if self.at is not None:
            found.append(write(self.right, self.at, self.digits))
        if self.value is not None:
            found.append(shown(self.value))
        return [part for i, part in enumerate(found) if i == 0 or part != found[i - 1]]

    @property
    def tex(self) -> str:
        """In LaTeX."""
        return TENS.sub(lambda found: rf"{found[1]}\cdot 10^{{{int(found[2])}}}", " = ".join(self.parts(latex)))


@dataclass(frozen=True)
class Rows:
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = Heading | Words | Equation | Rows


@dataclass(frozen=True)
class Explanation:
    """What `lt.explain` tells, as text: `print` it; `markdown()` and `latex()` are the same for others to read."""

    blocks: tuple[Block, ...] = field(repr=False)

    def __str__(self) -> str:
        return self.written("text")

    def markdown(self) -> str:
        """As Markdown, with formulas in dollars."""
        return self.written("markdown")

    def latex(self) -> str:
        """As LaTeX, to put into a document."""
        return self.written("latex")

    def html(self) -> str:
        """As HTML, with formulas in MathML; needs latex2mathml."""
        return html(self.blocks)

    def written(self, form: str) -> str:
        """As "text", "markdown" or "latex"."""
        if form not in FORMATS:
            raise ParameterError(f"unknown format {form!r}; there are {', '.join(FORMATS)}")
        write = {"text": _text, "markdown": _markdown, "latex": _latex}[form]
        return "\n".join(part for block in self.blocks for part in write(block)).strip() + "\n"

    def _repr_html_(self) -> str:
        return self.html()


def _text(block: Block) -> list[str]:
    match block:
        case Heading(text):
            return ["", text, "─" * len(text)]
        case Words(text):
            return [textwrap.fill(text, WIDTH)]
        case Equation():
            return ["    " + " = ".join(block.parts(line))]
        case Rows(head, rows):
            widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
            return ["    " + "  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)) for row in (head, *rows)]


def _markdown(block: Block) -> list[str]:
    match block:
        case Heading(text):
            return ["", f"## {_marked(text)}", ""]
        case Words(text):
            return [_marked(text), ""]
        case Equation():
            return [f"$${block.tex}$$", ""]
        case Rows(head, rows):
            lines = (head, ["--:"] * len(head), *rows)
            return ["| " + " | ".join(_marked(cell) for cell in row) + " |" for row in lines] + [""]


def html(blocks: Iterable[Block]) -> str:
    """Blocks as HTML: every text is escaped, formulas are MathML."""
    try:
        from latex2mathml.converter import convert
    except ImportError:
        raise LatensError('formulas in HTML need latex2mathml: pip install "latens[explain]"') from None

    def each(block: Block) -> str:
        match block:
            case Heading(text):
                return f"<h3>{escape(text)}</h3>"
            case Words(text):
                return f"<p>{escape(text)}</p>"
            case Equation():
                return f'<div class="formula">{convert(block.tex, display="block")}</div>'
            case Rows(head, rows):
                return f'<div class="wide">{html_table(head, rows)}</div>'

    return "\n".join(map(each, blocks))


def _marked(text: str) -> str:
    """A text as Markdown reads it: no part of it is a tag, a formula or a column."""
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), ("$", r"\$"), ("|", r"\|"), ("*", r"\*")):
        text = text.replace(sign, instead)
    return text


def _latex(block: Block) -> list[str]:
    match block:
        case Heading(text):
            return ["", rf"\section*{{{_plain(text)}}}"]
        case Words(text):
            return [_plain(text), ""]
        case Equation():
            return [r"\[", "  " + block.tex, r"\]"]
        case Rows(head, rows):
            lines = ["  " + " & ".join(map(_plain, row)) + r" \\" for row in (head, *rows)]
            return [rf"\begin{{tabular}}{{{'r' * len(head)}}}", *lines, r"\end{tabular}", ""]


def _plain(text: str) -> str:
    """A sentence as LaTeX reads it."""
    found = escaped(text)
    for letter, sign in LETTERS.items():
        found = found.replace(letter, sign)
    return found
