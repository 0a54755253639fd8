"""A model, its data and how to fit it, from one TOML file; families by their names."""

import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latens.cells import right_censored
from latens.cells.base import numbers
from latens.data.files import columns_in, is_there
from latens.data.schema import ARRAY, CELL, NUMBER, TABLE, TEXT, TEXTS, WHOLE, Kind, check, either, list_of, table_of
from latens.data.source import Source, are_many
from latens.data.text import Table, read_cells
from latens.engine.accelerators.anderson import Anderson
from latens.engine.accelerators.auto import Auto
from latens.engine.accelerators.base import AbstractAccelerator, Plain
from latens.engine.accelerators.quasi_newton import QuasiNewton
from latens.engine.accelerators.squarem import Squarem
from latens.engine.growing import Growing
from latens.engine.stop import Stop
from latens.errors import DataError, LatensError, ModelError
from latens.families.base import AbstractFamily
from latens.families.beta import Beta
from latens.families.categorical import Categorical, Multinomial
from latens.families.counts import Geometric, NegativeBinomial, Poisson
from latens.families.lifetimes import Exponential, Gamma
from latens.families.multivariate_normal import MultivariateNormal
from latens.families.normal import LogNormal, Normal
from latens.families.product import Product
from latens.families.trials import Bernoulli, Binomial
from latens.families.truncated import Truncated
from latens.families.weibull import Weibull
from latens.models.base import AbstractModel
from latens.models.gene_counting import Cells, HardyWeinberg
from latens.models.iid import IID
from latens.models.mixture import Mixture

_FAMILY = either(TEXT, TABLE)
# name → (constructor, the options it takes)
_SIMPLE: dict[str, tuple[Callable[..., AbstractFamily], dict[str, Kind]]] = {
    "normal": (Normal, {"variance": NUMBER}),
    "exponential": (Exponential, {}),
    "gamma": (Gamma, {}),
    "weibull": (Weibull, {}),
    "poisson": (Poisson, {"exposure": NUMBER}),
    "bernoulli": (Bernoulli, {}),
    "binomial": (Binomial, {"trials": NUMBER}),
    "geometric": (Geometric, {}),
    "negative-binomial": (NegativeBinomial, {"size": NUMBER}),
    "categorical": (Categorical, {"k": WHOLE}),
    "multinomial": (Multinomial, {"k": WHOLE}),
    "log-normal": (LogNormal, {}),
    "beta": (Beta, {}),
}
_OTHERS: dict[str, dict[str, Kind]] = {
    "multivariate-normal": {"covariance": TEXT},
    "product": {"columns": table_of(_FAMILY)},
    "truncated": {"family": _FAMILY, "lower": NUMBER, "upper": NUMBER},
}
NAMES = (*_SIMPLE, *_OTHERS)

ACCELERATORS: dict[str, Callable[[], AbstractAccelerator]] = {
    "auto": Auto,
    "plain": Plain,
    "squarem": Squarem,
    "anderson": Anderson,
    "daarem": Anderson.daarem,
    "quasi-newton": QuasiNewton,
    "growing": Growing,
}

_MODEL_KEYS = {
    "iid": {"kind", "family"},
    "mixture": {"kind", "family", "families", "components", "weights", "shared"},
    "cells": {"kind", "cells", "seen", "parameters"},
    "hardy-weinberg": {"kind", "alleles", "phenotypes"},
}
_OF_CELLS = ("cells", "hardy-weinberg")
_SOURCES = ("file", "values", "counts")
_START = either(table_of(ARRAY), list_of(table_of(ARRAY)))._replace(one="a table, parameter = value, or a list of such")
_KEYS: dict[str, dict[str, Kind]] = {
    "[model]": {
        "kind": TEXT,
        "family": _FAMILY,
        "families": list_of(_FAMILY),
        "components": WHOLE,
        "weights": list_of(NUMBER),
        "shared": TEXTS,
        "cells": table_of(either(TEXT, NUMBER)),
        "seen": table_of(TEXTS),
        "parameters": list_of(TEXTS),
        "alleles": TEXT,
        "phenotypes": table_of(TEXTS),
    },
    "[data]": {
        "file": TEXT,
        "values": table_of(list_of(CELL))._replace(one="a table of columns, name = [1, 2, ...]"),
        "counts": table_of(either(NUMBER, list_of(NUMBER))),
        "columns": list_of(TEXT),
        "weights": either(TEXT, list_of(NUMBER)),
        "observed": table_of(TEXT),
        "labels": either(TEXT, list_of(either(NUMBER, list_of(NUMBER)))),
        "cache": TEXT,
    },
    "[fit]": {
        "start": _START,
        "starts": WHOLE,
        "prior": NUMBER,
        "seed": WHOLE,
        "accelerate": TEXT,
        "tolerance": NUMBER,
        "max_steps": WHOLE,
        "sorted": TEXT,
        "engine": TEXT,
    },
    "[[published]]": {"parameter": TEXT, "estimate": CELL, "error": CELL},
    "the file": {
        **dict.fromkeys(("title", "about", "source"), TEXT),
        **dict.fromkeys(("model", "data", "fit"), TABLE),
        "published": list_of(TABLE),
    },
}


@dataclass(frozen=True)
class Plan:
    """What a model file says: everything `lt.fit` needs, and published numbers to compare with."""

    model: AbstractModel
    data: Any
    weights: Any
    options: dict[str, Any]
    title: str = ""
    about: str = ""
    source: str = ""
    published: dict[str, str] = field(default_factory=dict)
    labels: Any = None
    file: Path | None = None
    sorted: str | None = None


def load(path: Path, *, data: Path | None = None, more: Mapping[str, Mapping[str, Any]] | None = None) -> Plan:
    """Read a model file; `data` takes the place of the file it names, `more` that of keys of its tables.

    **Raises:** `DataError` for a missing or malformed file, an unknown key, missing data; `ModelError`
    for a model that cannot be what is written.
    """
    if not is_there(path):
        raise DataError(f"there is no file {path}")
    try:
        text = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # of TOML, or of the encoding
        raise DataError(f"{path} is not valid TOML: {error}") from None
    try:
        for name, keys in (more or {}).items():
            text[name] = dict(text.get(name, {})) | dict(keys)
        return plan(text, path.parent, data)
    except LatensError as error:
        raise type(error)(f"{path.name}: {error}") from None


def plan(text: Mapping[str, Any], folder: Path, file: Path | None = None) -> Plan:
    """The same from the parsed file; relative paths start at `folder`."""
    data: Any
    _check(text, "the file")
    sections = {"model": text.get("model", {})} | {n: _check(text.get(n, {}), f"[{n}]") for n in ("data", "fit")}
    kind = _kind(sections["model"])
    path = file or (folder / str(sections["data"]["file"]) if "file" in sections["data"] else None)
    if path is not None and (are_many(path) or "cache" in sections["data"] or "engine" in sections["fit"]):
        data, names = _source(sections["data"], path)
        weights = labels = None
    else:
        data, weights, labels = _data(sections["data"], kind, path)
        names = list(data)
    return Plan(
        _model(kind, sections["model"], names),
        data,
        weights,
        _options(sections["fit"]),
        text.get("title", ""),
        text.get("about", ""),
        text.get("source", ""),
        _published(text.get("published", [])),
        labels,
        path,
        sections["fit"].get("sorted"),
    )


def _kind(spec: Mapping[str, Any]) -> str:
    """The kind of model, checked together with its keys before any data are read."""
    if not spec:
        raise DataError("there is no [model] table")
    kind: str = spec.get("kind", "mixture" if "components" in spec else "iid")
    if not isinstance(kind, str) or kind not in _MODEL_KEYS:
        raise ModelError(f"[model]: unknown kind {kind!r}; there are {', '.join(_MODEL_KEYS)}")
    check(spec, {key: _KEYS["[model]"][key] for key in _MODEL_KEYS[kind]}, "[model]")
    return kind


def _model(kind: str, spec: Mapping[str, Any], columns: list[str]) -> AbstractModel:
    if kind == "cells":
        _need(spec, ("cells", "seen", "parameters"), "[model]")
        return Cells(spec["cells"], seen=spec["seen"], parameters=spec["parameters"])
    if kind == "hardy-weinberg":
        _need(spec, ("alleles",), "[model]")
        return HardyWeinberg(spec["alleles"], spec.get("phenotypes"))
    default = "normal" if len(columns) == 1 else "multivariate-normal"
    if kind == "iid":
        return IID(family_called(spec.get("family", default), columns))
    known = {"weights": spec.get("weights"), "shared": spec.get("shared", ())}
    if "families" in spec:
        members = [family_called(s, columns) for s in spec["families"]]
        return Mixture(members, spec.get("components"), **known)
    _need(spec, ("components",), "[model]")
    return Mixture(family_called(spec.get("family", default), columns), spec["components"], **known)


def family_called(spec: str | Mapping[str, Any], columns: Sequence[str]) -> AbstractFamily:
    """A family from its name, or from a table {name = ..., option = ...}; raises `ModelError`.

    `columns` are those of the data: they set the dimension of a multivariate normal or multinomial.
    """
    options: dict[str, Any] = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = options.pop("name", None)
    if name not in NAMES:
        raise ModelError(f"unknown family {name!r}; there are {', '.join(NAMES)}")
    check(options, _OTHERS[name] if name in _OTHERS else _SIMPLE[name][1], f"family '{name}'", ModelError)
    if name == "multivariate-normal":
        return MultivariateNormal(len(columns), options.get("covariance", "full"))
    if name == "truncated":
        inner = family_called(options.pop("family", "normal"), columns)
        return Truncated(inner, **options)  # type: ignore[arg-type]
    if name == "product":
        return Product({c: family_called(s, [c]) for c, s in options.get("columns", {}).items()})
    if name == "multinomial":
        options.setdefault("k", len(columns))
    if name == "poisson" and len(columns) == 2:
        options.setdefault("exposure", None)
    return _SIMPLE[name][0](**options)


def _data(spec: Mapping[str, Any], kind: str, path: Path | None) -> tuple[dict[str, Any], Any, Any]:
    """The columns, the weights and the labels."""
    given = [key for key in _SOURCES if key in spec]
    if len(given) > 1 or not (given or path):
        raise DataError("[data]: give one of file, values (columns) or counts, or a data file on the command line")
    if path is None and given == ["counts"]:
        return _counts(spec, kind), None, None
    wanted, observed = spec.get("columns", []), spec.get("observed", {})
    if len(set(wanted)) < len(wanted):
        raise DataError("[data]: columns must be a list of names, each of them once")
    aside = [name for name in (spec.get("weights"), spec.get("labels"), *observed.values()) if isinstance(name, str)]
    chosen = [*wanted, *(name for name in dict.fromkeys(aside) if name not in wanted)] if wanted else []
    columns = columns_in(path, chosen) if path else read_cells(spec["values"], chosen)
    for name in (*aside, *observed):
        if name not in columns:
            raise DataError(f"{path or '[data]'}: there is no column '{name}'; it has {', '.join(columns)}")
    for name, indicator in observed.items():
        columns[name] = right_censored(numbers(columns[name], name), numbers(columns[indicator], indicator))
    weights, labels = (columns[v] if isinstance(v, str) else v for v in (spec.get("weights"), spec.get("labels")))
    kept = {n: c for n, c in columns.items() if n not in aside}
    if not kept:
        raise DataError(f"[data]: no column is left for the model beside {', '.join(aside)}")
    return Table(kept, columns.notes), weights, labels


def _source(spec: Mapping[str, Any], path: Path) -> tuple[Source, list[str]]:
    """Files that are gone over in every pass, and the columns of the model."""
    aside = {name: spec.get(name) for name in ("weights", "labels")}
    for name, column in aside.items():
        if column is not None and not isinstance(column, str):
            raise DataError(f"[data]: of files that are read in parts {name} is the name of a column")
    if "observed" in spec:
        raise DataError("[data]: in files that are read in parts write censored cells as texts (>5), not by observed")
    source = Source(path, columns=spec.get("columns"), **aside, cache=spec.get("cache"))
    return source, list(source.columns or [name for name in source.names if name not in source.beside])


def _counts(spec: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """How often each group of cells was seen."""
    if kind not in _OF_CELLS:
        raise DataError(f"[data]: counts are of the groups of cells; a model of kind {kind!r} takes values or a file")
    beside = [key for key in spec if key != "counts"]
    if beside:
        raise DataError(f"[data]: '{beside[0]}' has no meaning beside counts, which are one number for each group")
    return dict(spec["counts"])


def _options(spec: Mapping[str, Any]) -> dict[str, Any]:
    options = {key: spec[key] for key in ("start", "starts", "seed", "prior", "engine") if key in spec}
    if "accelerate" in spec:
        options["accelerate"] = accelerator(spec["accelerate"])
    rule = {key: spec[key] for key in ("tolerance", "max_steps") if key in spec}
    return options | ({"stop": Stop(**rule)} if rule else {})


def accelerator(name: str) -> AbstractAccelerator:
    """An accelerator from its name; raises `DataError`."""
    if name not in ACCELERATORS:
        raise DataError(f"unknown accelerator {name!r}; there are {', '.join(ACCELERATORS)}")
    return ACCELERATORS[name]()


def _published(entries: list[Mapping[str, Any]]) -> dict[str, str]:
    for entry in entries:
        _need(_check(entry, "[[published]]"), ("parameter", "estimate"), "[[published]]")
    return {e["parameter"]: f"{e['estimate']}" + (f" ({e['error']})" if "error" in e else "") for e in entries}


def _check(spec: Any, where: str) -> Mapping[str, Any]:
    return check(spec, _KEYS[where], where)


def _need(spec: Mapping[str, Any], keys: Collection[str], where: str) -> None:
    for key in keys:
        if key not in spec:
            raise DataError(f"{where}: the key '{key}' is missing")
