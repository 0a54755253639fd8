"""`latens demo` and `latens fit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latens import __version__

if TYPE_CHECKING:
    from latens.modelfile import Plan
    from latens.result import Fit

EXAMPLES = Path(__file__).parent.parent / "examples"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="latens")
def latens() -> None:
    """Maximum likelihood from half-seen data by Expectation-Maximization.

    Exit status: 0 converged, 1 fitted but not converged or degenerate, 2 bad input.
    """


@latens.command()
@click.argument("name", required=False)
def demo(name: str | None) -> int:
    """List the shipped examples, or run the one called NAME beside its published numbers."""
    files = {path.stem: path for path in sorted(EXAMPLES.glob("*.toml"))}
    if name is None:
        import tomllib

        for stem, path in files.items():
            click.echo(f"{stem:<16}{tomllib.loads(path.read_text(encoding='utf-8'))['title']}")
        click.echo("\nRun one with: latens demo NAME")
        return 0
    if name not in files:
        raise click.UsageError(f"there is no example {name!r}; there are {', '.join(files)}")
    from latens.modelfile import load
    from latens.report.text import render, wrapped

    plan = load(files[name])
    click.echo(f"{plan.title}\n{wrapped(plan.about)}\n")
    fit = _run(plan, {}, progress=False)
    click.echo(render(fit, published=plan.published))
    click.echo(wrapped(f"Published: {plan.source}"))
    return 0 if fit.converged else 1


@latens.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="DATA | MODEL.toml")
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option("--family", help="Distribution of a row: normal, poisson, ... (default: normal).")
@click.option("--components", type=int, help="Number of components of a mixture (default: no mixture).")
@click.option("--columns", help="Columns to use, separated by commas (default: all).")
@click.option("--covariance", help="full, diagonal or spherical, for the multivariate normal.")
@click.option("--shared", help="Parameters that are one for all components, separated by commas.")
@click.option("--weights", help="Column of frequency weights.")
@click.option("--starts", type=int, help="How many starts to try (default: 10 for a mixture).")
@click.option("--seed", type=int, help="Seed of the starts (default: 0).")
@click.option("--accelerate", help="squarem (default) or plain.")
@click.option("--tolerance", type=float, help="Stop this many standard errors from the limit (default: 1e-6).")
@click.option("--max-steps", type=int, help="Most steps of EM (default: 10000).")
@click.option("--json", "json_to", metavar="FILE", help="Write everything as JSON to FILE, or - for standard output.")
@click.option("--quiet", is_flag=True, help="Print no report.")
def fit(source: Path, data: Path | None, json_to: str | None, quiet: bool, **flags: Any) -> int:
    """Fit the columns of a CSV or Parquet file, or what a MODEL.toml says (with DATA in its place).

    \b
    latens fit faithful.csv --components 2
    latens fit counts.csv --family poisson --columns deaths --weights days --components 2
    latens fit moths.toml --json -
    """
    plan = _plan(source, data, flags)
    overrides = _overrides(flags)
    done = _run(plan, overrides, progress=sys.stderr.isatty() and not quiet)
    if json_to == "-":
        click.echo(json.dumps(done.to_dict(), indent=2, allow_nan=False))
    elif json_to is not None:
        _write(Path(json_to), json.dumps(done.to_dict(), indent=2, allow_nan=False) + "\n")
    if not quiet and json_to != "-":
        click.echo(str(done))
    return 0 if done.converged else 1


def _plan(source: Path, data: Path | None, flags: dict[str, Any]) -> Plan:
    from latens.errors import DataError
    from latens.modelfile import load, plan

    describing = ("family", "components", "columns", "covariance", "shared", "weights")
    given = {name: flags[name] for name in describing if flags[name] is not None}
    if source.suffix == ".toml":
        if given:
            raise DataError(f"--{next(iter(given))} belongs in the [model] or [data] table of {source}")
        return load(source, data=data)
    if data is not None:
        raise DataError(f"{source} is no .toml file, so {data} cannot be its data")
    model: dict[str, Any] = {}
    if "covariance" in given:
        model["family"] = {"name": given.get("family", "multivariate-normal"), "covariance": given["covariance"]}
    elif "family" in given:
        model["family"] = given["family"]
    if "components" in given:
        model |= {"kind": "mixture", "components": given["components"]}
    if "shared" in given:
        model["shared"] = _listed(given["shared"])
    table: dict[str, Any] = {"file": str(source.absolute())}
    table |= {"columns": _listed(given["columns"])} if "columns" in given else {}
    table |= {"weights": given["weights"]} if "weights" in given else {}
    return plan({"model": model or {"kind": "iid"}, "data": table}, Path())


def _overrides(flags: dict[str, Any]) -> dict[str, Any]:
    from latens.modelfile import accelerator

    options = {name: flags[name] for name in ("starts", "seed") if flags[name] is not None}
    if flags["accelerate"] is not None:
        options["accelerate"] = accelerator(flags["accelerate"])
    return options | {n: flags[n] for n in ("tolerance", "max_steps") if flags[n] is not None}


def _run(plan: Plan, overrides: dict[str, Any], *, progress: bool) -> Fit:
    from dataclasses import replace

    from latens.engine.stop import Stop
    from latens.fitting import fit as run

    options = dict(plan.options)
    if "starts" in overrides:
        options.pop("start", None)
    rule = {n: overrides.pop(n) for n in ("tolerance", "max_steps") if n in overrides}
    if rule:
        options["stop"] = replace(options.get("stop", Stop()), **rule)
    return run(plan.model, plan.data, weights=plan.weights, progress=progress, **(options | overrides))


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _write(path: Path, text: str) -> None:
    from latens.errors import DataError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from None
