"""The site: what its pages list is what the code has. (`make docs` builds it, with every block executed.)"""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import latens as lt

ROOT = Path(__file__).parent.parent
DOCS, SRC = ROOT / "docs", ROOT / "src" / "latens"
sys.path.insert(0, str(DOCS))
from messages import GAP, messages, template  # noqa: E402

TROUBLE = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
# where the reasons for an end, and for a standard error that is lacking, are written
REASONS = {
    "engine/ends.py": {"edge", "plateau", "reason", "_endless", "_dead"},
    "engine/stop.py": {"NO_STEP", "as_near"},
    "engine/loop.py": {"_judge", "_lost"},
    "engine/problem.py": {"fallen"},
    "engine/fixed_point.py": {"fallen"},
    "models/base.py": {"collapsed"},
    "models/mixture.py": {"ailment"},
    "inference/stepwise.py": {"_ailment"},
    "streamed.py": {"UNTOLD"},
    "inference/information.py": {"BOUNDARY", "FIXED", "_unidentified", "_extreme"},
}
PARTS = (",", "try ")  # of a reason, written apart from it
OWN = "which cannot happen if estimate(stats) maximises"  # an error, listed with them


def _named(tree):
    """Name → node, of functions, methods and constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node


def _texts(node):
    """Whole texts in a piece of code, docstrings left out."""
    inside = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Expr):
            inside |= set(ast.walk(part))
        if part not in inside and isinstance(part, ast.Constant | ast.JoinedStr | ast.BinOp):
            inside |= set(ast.walk(part)) - {part}
            yield template(part)


def _reasons():
    for name, wanted in REASONS.items():
        found = dict.fromkeys(wanted, ())
        for own, node in _named(ast.parse((SRC / name).read_text(encoding="utf-8"))):
            if own in wanted:
                found[own] = [*found[own], *_texts(node)]
        for own, texts in found.items():
            assert texts, f"{name}: {own}"
            yield from texts
    yield from (message.text for message in messages(SRC) if message.kind in ("InferenceError", "held"))


def _pieces(text):
    return [piece.strip(" :;,.") for piece in text.split(GAP) if len(piece.split()) > 2]


def test_every_status_reason_and_error_is_told_with_what_to_do():
    for status in lt.Status:
        assert f'| "{status.value}" |' in TROUBLE
    quoted = [_pieces(text) for text in _quoted()]
    for text in _reasons():
        if _pieces(text) and not text.startswith(PARTS) and OWN not in text:
            assert any(pieces and all(piece in text for piece in pieces) for pieces in quoted), text
    for name in ("DataError", "ModelError", "ParameterError", "InferenceError", "LatensError"):
        assert f"| `lt.{name}` |" in TROUBLE


def _quoted():
    """What the page says that one may see, but for statuses."""
    found = [text for text in re.findall(r'^\| "(.*?)" \|', TROUBLE, re.M) if text not in {s.value for s in lt.Status}]
    assert len(found) > 40
    return [text.replace("the M-step ", f"{GAP} ") for text in found]


def test_what_troubleshooting_quotes_is_said_by_the_code():
    known = list(_reasons())
    for text in _quoted():
        for piece in _pieces(text):
            assert any(piece in each for each in known), text


def test_all_messages_are_listed():
    found = list(messages(SRC))
    assert len(found) > 300
    assert {message.kind for message in found} >= {"DataError", "ModelError", "ParameterError", "InferenceError"}


def test_every_public_name_is_in_the_reference_once():
    pages = "\n".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "api").glob("*.md")))
    told = re.findall(r"^\.\. auto\w+:: latens\.(\w+)$", pages, re.M)
    assert sorted(told) == sorted(lt.__all__)


def test_every_page_is_reached_and_the_gallery_has_every_picture():
    from latens.plots import PICTURES

    examples = "\n".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "gallery").glob("*.py")))
    assert len(list((DOCS / "gallery").glob("*.py"))) >= 12
    for name in PICTURES:
        assert f".plot.{name}(" in examples, name
    for name in ("choose", "compare"):
        assert re.search(rf"{name}\(.*\.plot\(\)", examples, re.S), name


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="no Rscript: apt-get install r-base-core r-cran-mclust ...")
def test_what_r_prints():
    """The page for users of R says what R prints; the code cells beside it, run by `make docs`, compare."""
    page = (DOCS / "howto" / "from-r.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```r\n(.*?)^```\n```text\n(.*?)^```$", page, re.M | re.S)
    assert len(blocks) >= 4
    packages = sorted(set(re.findall(r"library\((\w+)\)", page)))
    ask = f"cat(all(sapply(c({', '.join(map(repr, packages))}), requireNamespace, quietly = TRUE)))"
    if "TRUE" not in _r(ask):
        pytest.skip(f"R lacks one of {', '.join(packages)}")
    mark = "----\n"
    printed = _r(f'\ncat("{mark[:-1]}\\n")\n'.join(code for code, _ in blocks)).split(mark)
    for (code, text), found in zip(blocks, printed, strict=True):
        assert found.strip() == text.strip(), code


def _r(code):
    return subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True, timeout=120).stdout
