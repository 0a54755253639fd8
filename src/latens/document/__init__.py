"""A fit as one page to send: what was fitted, estimates, diagnostics in sentences, pictures, how to repeat it."""

import json
import platform
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from io import StringIO
from os import PathLike
from pathlib import Path
from threading import Lock

import numpy as np

from latens.cells import labels_of
from latens.engine.accelerators.base import Sampled
from latens.engine.loop import Passed
from latens.engine.solve import Beginning
from latens.engine.starts import Met
from latens.errors import DataError, InferenceError, LatensError, counted, listed
from latens.inference.errors import AbstractMethod
from latens.inference.estimate import Estimate, aic, bic
from latens.markup import html_table
from latens.plots import Plots
from latens.plots.canvas import pyplot

TEMPLATE = Path(__file__).with_name("page.html")
MOST_ROWS, MOST_LETTERS = 200, 60_000  # of the table of estimates, and of the params to begin at again
CAPTIONS = {
    "density": "The data and the fitted density.",
    "fit": "Does the model fit? Observed against expected.",
    "profiles": "What tells the components apart.",
    "posterior": "How well the rows are told apart: posterior probabilities of each hidden value, on a root scale.",
    "estimates": "Estimates with their intervals.",
    "information": (
        "How much of the complete information about each parameter was observed, the others held fixed. What the table "
        "calls missing lets the others vary, too."
    ),
    "trace": "The log-likelihood on the way; it never falls.",
    "rate": "The distance to the limit on the way.",
}
DRAWING = Lock()
STYLE = {"svg.fonttype": "none", "figure.max_open_warning": 0}
PARTS = ("latens", "jax", "equinox", "numpy", "scipy")


def write(
    path: str | PathLike[str],
    estimate: Estimate,
    way: tuple[Passed, ...],
    starts: Met | None,
    begun: Beginning,
    method: str | AbstractMethod = "observed",
    command: str = "",
    samples: tuple[Sampled, ...] = (),
) -> None:
    """Write the page of a fit; see `Fit.report`."""
    if not isinstance(path, str | PathLike):
        raise DataError(f"report takes the path of a file, got {path!r}")
    text = page(estimate, way, starts, begun, method, command, samples)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be written: {getattr(error, 'strerror', error)}") from None


def page(
    estimate: Estimate,
    way: tuple[Passed, ...],
    starts: Met | None,
    begun: Beginning,
    method: str | AbstractMethod,
    command: str,
    samples: tuple[Sampled, ...] = (),
) -> str:
    """The page as HTML."""
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup

        from latens.document.stepping import stepping
    except ImportError as error:
        raise LatensError(f'a report needs {error.name}: pip install "latens[report]"') from None
    from latens.report.text import told  # rich is slow to load

    steps = stepping(estimate, begun)
    found, half_seen = told(estimate, starts, method, samples=samples, most=MOST_ROWS), _half_seen(estimate)
    pictures = [(Markup(svg), caption) for svg, caption in _pictures(Plots(estimate, way, starts), method)]
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text: str = template.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        title=estimate.model.title,
        summary=_summary(estimate),
        converged=estimate.converged,
        facts=_facts(estimate),
        half_seen=Markup(html_table(("column", "not seen exactly"), half_seen)) if half_seen else "",
        estimates=Markup(html_table(found.head, found.rows)),
        lines=found.lines,
        sentences=list(_sentences(estimate)),
        pictures=pictures,
        theory=Markup(steps.theory),
        walk=steps.summary,
        panels=[(panel.heading, panel.words) for panel in steps.panels],
        formulas={number: Markup(text) for number, text in steps.formulas.items()},
        scripts=[Markup(script) for script in steps.scripts],
        policy=Markup(steps.policy),
        command=command,
        start=_start(estimate),
        call=_call(estimate),
        versions=[*((name, version(name)) for name in PARTS), ("Python", platform.python_version())],
    )
    return text


def _summary(estimate: Estimate) -> str:
    columns = estimate.problem.columns
    how = "maximum likelihood" if estimate.problem.prior is None else "maximum a posteriori"
    of = f" of {counted(len(columns), 'column')} ({listed(list(columns))})" if columns and columns != ("0",) else ""
    return f"Fitted by {how} with the EM algorithm to {counted(estimate.n, 'observation')}{of}."


def _facts(estimate: Estimate) -> list[tuple[str, str]]:
    return [
        ("Observations", f"{estimate.n:g}"),
        ("Log-likelihood", f"{estimate.log_likelihood:.6f}"),
        ("Free parameters", str(estimate.free_parameters)),
        ("AIC", f"{aic(estimate):.3f}"),
        ("BIC", f"{bic(estimate):.3f}"),
    ]


def _half_seen(estimate: Estimate) -> list[tuple[str, str]]:
    n = estimate.problem.n
    return [
        (
            "value" if estimate.problem.columns == ("0",) else column,
            ", ".join(f"{number:g} {kind} ({number / n:.0%})" for kind, number in kinds.items()),
        )
        for column, kinds in estimate.half_seen.items()
    ]


def _sentences(estimate: Estimate) -> Iterator[str]:
    """What the report leaves to its reader to know."""
    try:
        share = estimate.scalar_information().fraction_missing
        yield (
            f"At most {share:.1%} of the information about any direction of the parameters was missing. Plain EM "
            f"leaves that share of the distance to the limit in every step."
        )
    except InferenceError as error:
        yield f"The information is not given: {error}."
    if estimate.entropy is not None and len(estimate.model.hidden or ()) > 1:
        given = np.asarray(estimate.some.posterior())
        weights = estimate.problem.some.weights / estimate.problem.some.weights.sum()
        yield (
            f"On average a row is assigned to its most probable hidden value with probability "
            f"{float(weights @ given.max(1)):.3f} (entropy {estimate.entropy:.4g})."
        )


def _pictures(plots: Plots, method: str | AbstractMethod) -> Iterator[tuple[str, str]]:
    """Pictures that suit the fit, as SVG, with their captions; intervals by the method of the table."""
    with DRAWING:  # nor matplotlib nor the filters of warnings know threads
        yield from _drawn(plots, method)


def _drawn(plots: Plots, method: str | AbstractMethod) -> Iterator[tuple[str, str]]:
    plt, by = pyplot(), {"estimates": {"methods": method}, "profiles": {"method": method}}
    suited = plots.suited
    for name in (name for name in CAPTIONS if name in suited):
        with plt.rc_context(STYLE | {"svg.hashsalt": name}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # a browser has other fonts
            figure = None
            try:
                figure = getattr(plots, name)(**by.get(name, {})).figure
                out = StringIO()
                figure.savefig(
                    out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
                )
            except LatensError:
                continue
            finally:
                if figure is not None:
                    plt.close(figure)
        svg = out.getvalue()
        caption = CAPTIONS[name]
        if name == "trace" and plots.prior:
            caption = caption.replace("log-likelihood", "log-posterior")
        yield svg[svg.index("<svg") :], caption


def _call(estimate: Estimate) -> str:
    """What begins at the estimates, and whether it ends there."""
    problem = estimate.problem
    options = ["weights=weights"] if not (problem.some.weights == 1).all() else []
    options += ["labels=labels"] if labels_of(problem.some.xs) is not None else []
    options += ["prior=prior"] if problem.prior is not None else []
    call = ", ".join(["model", "data", *options, "start=start"])
    return f"lt.fit({call}) {'ends at' if estimate.converged else 'goes on from'} these estimates"


def _start(estimate: Estimate) -> str:
    """Params from which the same call ends in the same place."""
    text = json.dumps({name: value.tolist() for name, value in estimate.at.params.items()})
    return text if len(text) <= MOST_LETTERS else ""
