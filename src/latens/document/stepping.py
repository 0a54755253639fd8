"""Stepping through EM in the page: formulas in MathML, panels in Vega-Lite, and the script that links them."""

import base64
import hashlib
import json
from functools import cache
from typing import Any, NamedTuple

import vl_convert

from latens.document.panels import Panel, panels
from latens.document.walk import Walk
from latens.engine.solve import Beginning
from latens.errors import LatensError
from latens.explaining.blocks import html
from latens.explaining.telling import story_of
from latens.inference.estimate import Estimate
from latens.numerics.compiling import double

MOST, FEWEST = 1_200_000, 3  # letters; of more, some of the steps are shown, so many at least
WIRING = """
const slider = document.querySelector("#step"), told = document.querySelector(".slide output"), views = [];
const show = () => {
  told.textContent = `${steps[slider.value] + 1} of ${steps.at(-1) + 1}`;
  for (const view of views) view.signal("step", steps[slider.value]).runAsync();
  document.querySelectorAll("[data-step]").forEach(part => part.hidden = part.dataset.step != steps[slider.value]);
};
Promise.all(specs.map((spec, i) => vegaEmbed(`#panel${i}`, spec, {actions: false, renderer: "svg"}))).then(found => {
  views.push(...found.map(each => each.view));
  slider.addEventListener("input", show);
  show();
  document.body.dataset.ready = "yes";
});
"""


class Stepping(NamedTuple):
    """The model in formulas; of the steps that are told what is said, formulas by step, and panels; the scripts."""

    theory: str
    summary: str
    formulas: dict[int, str]
    panels: list[Panel]
    scripts: list[str]

    @property
    def size(self) -> int:
        """Letters, but for the libraries."""
        return len(self.theory) + sum(map(len, self.formulas.values())) + sum(map(len, self.scripts[1:]))

    @property
    def policy(self) -> str:
        """What a browser may run: these scripts, and the expressions that Vega-Lite compiles, but nothing else."""
        if not self.scripts:
            return "'none'"
        return " ".join([*(f"'sha256-{_hashed(script)}'" for script in self.scripts), "'unsafe-eval'"])


@double
def stepping(estimate: Estimate, begun: Beginning) -> Stepping:
    """All of it, or in the summary the reason why steps are not shown of this fit."""
    try:
        walk = Walk(estimate, begun)
    except LatensError as error:
        return Stepping(_theory(estimate), f"Steps are not shown here: {error}.", {}, [], [])
    try:
        found = _stepping(walk)
        while found.size > MOST and len(walk.told) > FEWEST:
            walk.thin(-(-found.size // MOST))
            found = _stepping(walk)
        return found
    except LatensError as error:  # of data too far from 0 the formulas lie
        return Stepping(_theory(estimate), f"Steps are not shown here: {error}.", {}, [], [])


def _theory(estimate: Estimate) -> str:
    """The model in formulas, where it is one of rows."""
    if estimate.problem.lengths is not None:
        return ""
    estimate = estimate.some
    return html(story_of(estimate.problem, [estimate.at], 0, estimate).theory())


def _stepping(walk: Walk) -> Stepping:
    formulas = {int(number): html(walk.story.iteration(number)) for number in walk.told}
    shown = list(panels(walk))
    numbers = json.dumps([int(number) for number in walk.told])
    specs = ",\n".join(_inert(panel.spec) for panel in shown)
    own = f"const steps = {numbers}, specs = [{specs}];{WIRING}"
    return Stepping(html(walk.story.theory()), walk.summary, formulas, shown, [_bundle(), own])


def _inert(spec: dict[str, Any]) -> str:
    """JSON that ends no script, whatever text is in it."""
    text = json.dumps(spec, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and vega-embed in one script."""
    found: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub knows no default
    return found


def _hashed(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
