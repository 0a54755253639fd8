"""Every block of the README and the docs is run; what is shown is what is printed."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from latens.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_blocks(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    space, printed = {"__name__": "block"}, ""
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            if kind == "python":
                exec(compile(text, f"{page.name}", "exec"), space)
            elif kind == "console":
                for line in text.splitlines():
                    _run(line)
            elif kind == "text":
                assert text.strip() == printed.strip()
        printed = out.getvalue()


def _run(line):
    assert line.startswith("$ latens ")
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(line[2:])[1:])
    assert ended.value.code == 0, line


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


def test_python_example_is_twelve_lines_and_console_six():
    blocks = dict(BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert len([x for x in blocks["python"].splitlines() if x.strip()]) <= 12
    assert len(blocks["console"].splitlines()) == 6
