"""A run under way kept in a file, from which it goes on to the identical result. Arrays and JSON, never pickle."""

import hashlib
import json
import os
import re
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jax
import numpy as np

from latens import __version__
from latens.engine.accelerators.base import Secants
from latens.engine.emmap import Care
from latens.engine.loop import Iterate, Passed, Run
from latens.engine.optima import Optimum
from latens.engine.problem import Problem
from latens.engine.starts import Met
from latens.engine.stop import Status
from latens.errors import DataError, LatensError, ModelError, ParameterError

SECONDS = 10.0  # from one save to the next
FORMAT = 7
COUNTS = ("evaluations", "rejected", "steps", "below", "falls", "stale", "stuck", "leap")
PLAIN = (*COUNTS, "extrapolated", "level", "peak", "length", "short", "grew", "feet")
ARRAYS = ("point", "image", "home", "marks")
BEST = ("log_likelihood", "step", "evaluations", "rejected", "accelerated", "distance", "reason")


class Checkpoint:
    """The file of one fit: what is in it, and how a run is put there and taken out again."""

    def __init__(self, path: str | os.PathLike[str], problem: Problem, begun: dict[str, Any]) -> None:
        """`begun`: what says where the fit begins, as `json` gives it back."""
        if not isinstance(path, str | os.PathLike):
            raise ParameterError(f"checkpoint must be the path of a file, got {path!r}")
        self.path, self.problem, self.begun = Path(path), problem, begun
        self.mark = _mark(problem)
        self.state = self._read() if self.path.exists() else None
        if self.state is None:
            self._try()

    @property
    def met(self) -> Met | None:
        """What the starts of the saved fit met."""
        found = self.state[0]["met"] if self.state else None
        return found and Met(**found | {"optima": tuple(Optimum(**each) for each in found["optima"])})

    def restore(self, under_way: Run) -> Run:
        """A new run taken to where the saved one was."""
        assert self.state is not None
        saved, arrays = self.state
        rule = repr(under_way.accelerate)
        if saved["accelerate"] != rule:
            raise DataError(f"{self.path}: the saved fit used {saved['accelerate']}, this one {rule}: use the same")
        known = _kinds(type(under_way.memory))
        for name in PLAIN:
            setattr(under_way, name, saved[name])
        for name in ARRAYS:
            setattr(under_way, name, arrays[name])
        under_way.memory = _decode(saved["memory"], arrays, known)
        columns = (arrays[f"path_{n}"].tolist() for n in Passed._fields)
        under_way.path = [Passed(*each) for each in zip(*columns, strict=True)]
        under_way.projection.secants = _decode(saved["secants"], arrays, _kinds(Secants))
        best = saved["best"] | {"free": arrays["best"], "status": Status(saved["best"]["status"])}
        under_way.best = Iterate(self.problem, **best)
        self.problem.spare, self.problem.care = saved["spare"], Care(*saved["care"])
        self._check_model(under_way.best)
        if under_way.best.status in (Status.CONVERGED, Status.MAX_STEPS):
            self._judge(under_way, under_way.best)
        return under_way

    def _judge(self, under_way: Run, best: Iterate) -> None:
        """Whether what was an end under the rule of the saved fit is one under that of this fit."""
        status = under_way.stop.judge(best.distance, under_way.evaluations)
        if status is Status.RUNNING:
            under_way.resume(under_way.stop)
        else:
            under_way.best = best.ended(status, best.reason if status is best.status else "")

    def _check_model(self, best: Iterate) -> None:
        """The same code may compute with other numbers, which nothing but what it computes tells."""
        found, saved = self.problem.step(best.free).log_likelihood, best.log_likelihood
        if not abs(found - saved) <= self.problem.slack(saved):
            raise self._refused(
                f"is the checkpoint of another fit: at the point saved the log-likelihood was {saved:.10g}, here it is "
                f"{found:.10g}"
            )

    def keep(self, under_way: Run, steps: Iterator[Iterate], met: Met | None) -> Iterator[Iterate]:
        """The same iterations, saved every few seconds and at the end, however it ends."""
        saved = time.monotonic()
        try:
            for reached in steps:
                if time.monotonic() - saved > SECONDS:
                    self._save(under_way, met)
                    saved = time.monotonic()
                yield reached
        except LatensError as error:
            if under_way.best is not None:
                error.args = (f"{error}; what was reached is kept in {self.path}: the same call goes on from there",)
            raise
        finally:
            self._save(under_way, met)

    def _save(self, under_way: Run, met: Met | None) -> None:
        best = under_way.best
        if best is None or under_way.busy:  # broken off between two states: what was saved before stands
            return
        arrays: dict[str, Any] = {name: getattr(under_way, name) for name in ARRAYS}
        columns = zip(Passed._fields, zip(*under_way.path, strict=True), strict=True)
        arrays |= {f"path_{name}": np.array(column) for name, column in columns}
        arrays["best"] = best.free
        state = {name: getattr(under_way, name) for name in PLAIN} | {
            "format": FORMAT,
            "version": __version__,
            "mark": self.mark,
            "begun": self.begun,
            "title": self.problem.model.title,
            "rows": self.problem.height,
            "accelerate": repr(under_way.accelerate),
            "spare": self.problem.spare,
            "care": list(self.problem.care),
            "met": met and asdict(met),
            "memory": _encode(under_way.memory, arrays, _kinds(type(under_way.memory))),
            "secants": _encode(under_way.projection.secants, arrays, _kinds(Secants)),
            "best": {n: getattr(best, n) for n in BEST} | {"status": best.status.value},
        }
        beside = self.path.with_name(f".{self.path.name}-{os.getpid()}")
        try:
            with beside.open("wb") as file:
                np.savez(file, json=np.array(json.dumps(state)), **arrays)
            beside.replace(self.path)  # at once or not at all
        except OSError as error:
            warnings.warn(f"checkpoint {self.path} was not saved ({error.strerror}); the fit goes on", stacklevel=2)

    def _read(self) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            with self.path.open("rb") as source, np.load(source, allow_pickle=False) as file:
                arrays = dict(file)
            state = json.loads(str(arrays.pop("json")))
            written = state["format"]
        except Exception as error:  # a file of any other kind may fail in any way
            raise self._refused(f"is no checkpoint that can be read ({error or type(error).__name__})") from None
        if written != FORMAT:
            version = state.get("version", "of old")
            raise self._refused(f"was saved by latens {version}, in a form that latens {__version__} does not read")
        if state["mark"] != self.mark:
            raise self._refused(
                f"is the checkpoint of another fit ({state['title']}, {state['rows']} rows; model, data, weights and "
                "prior must be the same)"
            )
        for name, here in self.begun.items():
            if state["begun"][name] != here:
                raise self._refused(f"is the checkpoint of a fit with another {name}=, which must be the same")
        return state, arrays

    def _refused(self, why: str) -> DataError:
        return DataError(f"{self.path} {why}: give another path, or delete it to begin anew")

    def _try(self) -> None:
        """Find out now, not after hours, that the file cannot be written."""
        beside = self.path.with_name(f".{self.path.name}-{os.getpid()}")
        try:
            beside.touch()
            beside.unlink()
        except OSError as error:
            raise DataError(f"checkpoint {self.path} cannot be written: {error.strerror}") from None


def _mark(problem: Problem) -> str:
    """A digest of the model, the prior, the rows and their weights."""
    leaves, tree = jax.tree.flatten((problem.model, problem.frame, problem.pseudo))
    digest = hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", str(tree)).encode())
    for leaf in [*leaves, *problem.rows.arrays()]:
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def _kinds(kind: Any) -> dict[str, type]:
    """The named tuples that a memory of some type may hold."""
    named = isinstance(kind, type) and hasattr(kind, "_fields")
    parts = get_type_hints(kind).values() if named else get_args(kind)
    return {_name(kind): kind for _ in range(named)} | {n: k for part in parts for n, k in _kinds(part).items()}


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _encode(value: Any, arrays: dict[str, Any], known: dict[str, type]) -> Any:
    """A tree of arrays and numbers → JSON, the arrays put aside under names."""
    if isinstance(value, np.ndarray):
        name = f"memory_{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        if _name(type(value)) in known:
            return {"named": _name(type(value)), "items": [_encode(v, arrays, known) for v in value]}
    elif isinstance(value, list | tuple):
        return {"list" if isinstance(value, list) else "tuple": [_encode(v, arrays, known) for v in value]}
    elif isinstance(value, dict):
        return {"dict": {k: _encode(v, arrays, known) for k, v in value.items()}}
    elif value is None or isinstance(value, bool | int | float | str | np.floating | np.integer):
        return value.item() if isinstance(value, np.generic) else value
    raise ModelError(
        f"checkpoint: the accelerator's memory holds a {type(value).__name__}, which is not saved; keep arrays, "
        "numbers, lists, tuples, dicts, and named tuples that the annotations of its own name"
    )


def _decode(value: Any, arrays: dict[str, Any], known: dict[str, type]) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "dict" in value:
        return {k: _decode(v, arrays, known) for k, v in value["dict"].items()}
    (items,) = (value[key] for key in ("items", "list", "tuple") if key in value)
    parts = [_decode(v, arrays, known) for v in items]
    if "named" in value:
        return known[value["named"]](*parts)
    return parts if "list" in value else tuple(parts)
