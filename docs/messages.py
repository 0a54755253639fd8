"""What the code may say: every message that an error can bring, and every reason for an end, read off the source."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

KINDS = {
    "DataError": "The data, the weights or a file",
    "ModelError": "The model",
    "ParameterError": "Parameters, starts and options",
    "InferenceError": "Standard errors, intervals and tests",
    "LatensError": "Other",
}
CALLED = {"Saddle": "InferenceError", "_Unfollowed": "InferenceError", "Held": "held", "collapsed": "reason"}
GAP = "…"


class Message(NamedTuple):
    """`kind`: of the error, "held" or "reason"; `text`, with … for what differs; and where it stands."""

    kind: str
    text: str
    module: str


def template(node: ast.AST) -> str:
    """A text with … in the place of what is put in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(template(part) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return template(left) + template(right)
        case ast.IfExp(body=body):
            return template(body)
    return GAP


def messages(source: Path) -> Iterator[Message]:
    """Of every error that is made, and of every reason, in the order of the files."""
    for path in sorted(source.rglob("*.py")):
        module = ".".join(path.relative_to(source).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                kind = CALLED.get(node.func.id, node.func.id)
                text = " ".join(" ".join(template(arg) for arg in node.args).split())
                if (kind in KINDS or kind in ("held", "reason")) and text.strip(f" {GAP}"):
                    yield Message(kind, text, module)


def page(source: Path) -> str:
    """All errors as Markdown."""
    found = list(messages(source))
    lines = [
        "# All messages",
        "",
        f"What errors say; {GAP} stands for names and numbers. Read off the code when this page was made.",
        "",
    ]
    for kind, about in KINDS.items():
        lines += [f"## {about}: `lt.{kind}`", ""]
        texts = dict.fromkeys(message.text for message in found if message.kind == kind)
        lines += [f"- {_plain(text)}" for text in texts] + [""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """A text as Markdown reads it."""
    return "".join("\\" + sign if sign in r"\`*_{}[]<>#|$~" else sign for sign in text)
