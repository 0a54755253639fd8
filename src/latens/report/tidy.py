"""A fit as tables: a row for each parameter, for the fit, for each row of the data."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from latens.data.table import columns_of, frame_of, is_frame
from latens.errors import DataError, InferenceError
from latens.inference.errors import AbstractMethod
from latens.inference.estimate import Estimate, aic, bic, criteria
from latens.inference.methods import errors_by, intervals_by, method_for
from latens.models.base import AbstractModel
from latens.models.different import Different
from latens.models.mixture import Mixture
from latens.numerics.space import Label

ASIDE = "fitted_"  # before the names of new columns where the data have one of them already


def framed(columns: Mapping[str, Any], library: Any) -> Any:
    """A data frame of the library that the data came in; of polars where they came in none."""
    import narwhals as nw

    return nw.from_dict(
        {name: _listed(column) for name, column in columns.items()}, backend=library or "polars"
    ).to_native()


def _listed(column: Any) -> Any:
    array = np.asarray(column)
    return array.tolist() if array.dtype == object else array


def parted(model: AbstractModel, label: Label) -> tuple[Label, str]:
    """A scalar without the component that it belongs to, and that component, or ""."""
    if isinstance(model, Mixture) and isinstance(model.components, Different) and label.name != "weights":
        component, _, name = label.name.partition(".")
        return Label(name, label.entry), component
    names = model.exchangeable if not isinstance(model, Mixture) else ("weights", *model.components.exchangeable)
    if label.name in names and label.entry:
        return Label(label.name, label.entry[1:]), label.entry[0]
    return label, ""


def tidy(estimate: Estimate, level: float, method: str | AbstractMethod) -> dict[str, Any]:
    """See `Fit.tidy`."""
    problem, shown = estimate.problem, estimate.shown
    nothing, why, reasons = np.full(len(estimate.values), np.nan), "", dict[str, str]()
    errors, ends, missing = nothing, np.stack([nothing, nothing], 1), nothing
    try:
        ends = intervals_by(method, estimate, level)
        if method_for(method).name != "profile":
            errors = np.sqrt(np.diag(errors_by(method, estimate).covariance))
        reasons = estimate.reasons | estimate.unfollowed
    except InferenceError as error:
        why = str(error)
    with suppress(InferenceError):
        missing = estimate.scalar_information().fractions
    parts = [parted(estimate.model, problem.labels[i]) for i in shown]
    return {
        "term": [str(term) for term, _ in parts],
        "component": [component for _, component in parts],
        "estimate": estimate.values[shown],
        "std_error": errors[shown],
        "conf_low": ends[shown, 0],
        "conf_high": ends[shown, 1],
        "missing_fraction": missing[shown],
        "note": [why or reasons.get(problem.names[i], "") for i in shown],
    }


def glance(estimate: Estimate) -> dict[str, Any]:
    """See `Fit.glance`."""
    icl, entropy = criteria(estimate)["icl"], estimate.entropy
    return {
        "model": [estimate.model.title],
        "n": [estimate.n],
        "log_likelihood": [estimate.log_likelihood],
        "df": [estimate.free_parameters],
        "aic": [aic(estimate)],
        "bic": [bic(estimate)],
        "icl": [np.nan if icl is None else icl],
        "entropy": [np.nan if entropy is None else entropy],
        "converged": [estimate.converged],
        "status": [estimate.at.status.value],
        "distance": [estimate.at.distance],
        "evaluations": [estimate.at.evaluations],
    }


def of_rows(estimate: Estimate, data: Any) -> dict[str, Any]:
    """What the fit says of each row: density, and of hidden values their probabilities."""
    out: dict[str, Any] = {}
    hidden = estimate.model.hidden
    if hidden is not None:
        given = np.asarray(estimate.posterior(data))
        if given.ndim != 2:
            raise DataError("augment: the hidden part of a row is not one of some values, so no class can be told")
        best = given.argmax(1)
        numbered = all(name.isdigit() for name in hidden)
        out["class"] = best if numbered else np.array(hidden, dtype=object)[best]
        out |= {f"probability_{name}": given[:, j] for j, name in enumerate(hidden)}
        out["uncertainty"] = 1 - given.max(1)
    out["density"] = np.exp(estimate.log_density(data))
    return out


def augmented(estimate: Estimate, data: Any) -> Any:
    """See `Fit.augment`."""
    found, problem = of_rows(estimate, data), estimate.problem
    if data is None:
        return framed(found, problem.library)
    named = columns_of(data)
    if named is None:
        named = _columns(data, problem.columns, len(found["density"]))
    aside = ASIDE if found.keys() & named.keys() else ""
    new = {aside + name: column for name, column in found.items()}
    if not is_frame(data):
        return framed(named | new, problem.library) if not isinstance(data, Mapping) else dict(data) | new
    import narwhals as nw

    frame = frame_of(data)
    series = [nw.new_series(name, _listed(column), backend=frame.implementation) for name, column in new.items()]
    return frame.with_columns(*series).to_native()


def _columns(data: Any, names: Sequence[str], n: int) -> dict[str, Any]:
    """An array as columns; of data that are none, nothing."""
    array = np.asarray(data) if isinstance(data, np.ndarray | list | tuple) else np.zeros(0)
    if array.dtype.kind not in "biufOUS" or not 1 <= array.ndim <= 2 or len(array) != n:
        return {}
    flat = array.reshape(n, -1)
    return dict(zip(names, flat.T, strict=False)) if flat.shape[1] == len(names) else {}
