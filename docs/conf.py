"""The site: `make docs`. Every block is executed, every warning is an error, and nothing is asked for from anywhere."""

import os
import re
import sys
from datetime import date
from pathlib import Path
from typing import Any

import latex2mathml.converter
from docutils import nodes
from sphinx.application import Sphinx

import latens

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from messages import page  # noqa: E402

(HERE / "messages.md").write_text(page(Path(latens.__file__).parent), encoding="utf-8")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

project, author, release = "Latens", "the founders of Latens", latens.__version__
copyright = f"{date.today().year}, {author}"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_gallery.gen_gallery"]
exclude_patterns = [
    "gallery",
    "examples/*.ipynb",
    "examples/*.py",
    "**/sg_execution_times.rst",
    "sg_execution_times.rst",
]
default_role = "code"

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "within_subsection_order": "FileNameSortKey",
    "min_reported_time": 1e9,
}

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True

html_theme = "pydata_sphinx_theme"
html_title = "Latens"
html_static_path = ["_static"]
html_css_files = ["latens.css"]
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navigation_depth": 2,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": []}


CODE = re.compile(r"(`[^`]*`)")
SIGNS = re.compile(r"(?<!\*)\*(?!\*)|\||(?<=\w)_(?!\w)")


def _as_restructured(app: Sphinx, what: str, name: str, given: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are written as Markdown has it: code and formulas indented, a bold word before each part."""
    found: list[str] = []
    inside = False
    for line in lines:
        indented = line.startswith("    ") or (inside and not line.strip())
        if indented and not inside:
            found += [""] if line.lstrip().startswith(">>>") else ["", "::", ""]
        elif not indented and (inside or line.startswith("**")):
            found.append("")
        inside = indented
        parts = CODE.split(line)
        told = [part if i % 2 else SIGNS.sub(r"\\\g<0>", part) for i, part in enumerate(parts)]
        found.append(line if indented else "".join(told))
    lines[:] = [*found, ""]


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(latex2mathml.converter.convert(node.astext()))
    raise nodes.SkipNode


def _display(self: Any, node: nodes.math_block) -> None:
    self.body.append(f'<div class="formula">{latex2mathml.converter.convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", _as_restructured)
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
