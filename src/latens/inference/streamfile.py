"""A stream in a file: arrays and JSON, never pickle."""

import json
import os
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from latens import __version__
from latens.engine.binding import Bound
from latens.engine.emmap import evidences
from latens.engine.problem import Problem
from latens.engine.written import decode, digest, encode
from latens.errors import DataError
from latens.families.frame import AbstractFrame
from latens.inference.stepwise import Pace, Record, Stream
from latens.models.base import AbstractModel
from latens.numerics.compiling import double

FORMAT = 1
NEAR = 1e-9  # of a log-density, computed again


class Kept(NamedTuple):
    """What a stream is made of."""

    few: Bound  # some of the first rows, to know by what rows are like, and the model as all of them say
    frame: AbstractFrame
    pace: Pace
    stream: Stream


@double
def write(path: str | PathLike[str], model: AbstractModel, kept: Kept, known: Problem) -> None:
    """Keep it in a file, at once or not at all; `DataError` if that cannot be."""
    file, arrays = Path(path), dict[str, np.ndarray]()
    stream, few = kept.stream, kept.few
    tree = {"model": few.model, "frame": kept.frame, "xs": few.xs, "labels": few.labels}
    state = {
        "format": FORMAT,
        "version": __version__,
        "mark": digest(model),
        "title": model.title if few.model is model else few.model.title,
        "columns": list(few.columns),
        "alpha": kept.pace.alpha,
        "unit": kept.pace.unit,
        "reason": stream.reason,
        "tree": encode(tree, {"model": model}, arrays),
    }
    arrays |= {"free": stream.free, "stats": stream.stats, "numbers": np.array([stream.n, stream.unseen, stream.mark])}
    for name, record in (("early", stream.early), ("late", stream.late)):
        arrays |= {f"{name}_{part}": np.asarray(value) for part, value in record._asdict().items()}
    arrays["density"] = _density(known, stream.free)
    beside = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        with beside.open("wb") as out:
            np.savez(out, allow_pickle=False, json=np.array(json.dumps(state)), **arrays)
        beside.replace(file)
    except OSError as error:
        raise DataError(f"the stream cannot be written to {file}: {error.strerror}") from None


@double
def read(path: str | PathLike[str], model: AbstractModel) -> Kept:
    """What was kept; raises `DataError` for a file that is none, of another model or of another version."""
    try:
        with Path(path).open("rb") as source, np.load(source, allow_pickle=False) as file:
            arrays = dict(file)
        state = json.loads(str(arrays["json"]))
        version = state["format"]
    except Exception as error:  # a file of any other kind may fail in any way
        raise DataError(f"{path} is no stream that can be read ({error or type(error).__name__})") from None
    if version != FORMAT:
        written = state.get("version", "of old")
        raise DataError(f"{path} was saved by latens {written}, in a form that latens {__version__} does not read")
    if state["mark"] != digest(model):
        raise DataError(f"{path} is a stream of another model ({state['title']}): give the model that it was made with")
    try:
        kept = _decoded(state, arrays, model)
    except Exception as error:
        raise DataError(f"{path} is no stream that can be read ({error or type(error).__name__})") from None
    density = _density(Problem.within(kept.few, kept.frame), kept.stream.free)
    if not np.allclose(density, arrays["density"], rtol=NEAR, atol=NEAR, equal_nan=True):
        raise DataError(
            f"{path} is a stream of another model: the log-density of its first row was {arrays['density'][0]:.10g}, "
            f"here it is {density[0]:.10g}"
        )
    return kept


def _density(known: Problem, free: np.ndarray) -> np.ndarray:
    return np.asarray(known.each(evidences, free))


def _record(arrays: dict[str, np.ndarray], name: str) -> Record:
    n, squares, *sums = (arrays[f"{name}_{part}"] for part in Record._fields)
    return Record(float(n), float(squares), *sums)


def _decoded(state: dict[str, Any], arrays: dict[str, np.ndarray], model: AbstractModel) -> Kept:
    tree = decode(state["tree"], {"model": model}, arrays)
    records = [_record(arrays, name) for name in ("early", "late")]
    n, unseen, mark = arrays["numbers"].tolist()
    stream = Stream(arrays["free"], arrays["stats"], n, unseen, mark, records[0], records[1], state["reason"])
    rows = len(arrays["density"])
    columns, ones = tuple(state["columns"]), np.ones(rows)
    few = Bound(tree["model"], tree["xs"], columns, ones, tree["labels"], ones > 0, rows, slice(None))
    return Kept(few, tree["frame"], Pace(state["alpha"], state["unit"]), stream)
