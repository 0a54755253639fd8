"""A fit as plain Python values."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from latens.errors import InferenceError

if TYPE_CHECKING:
    from latens.fitting import Fit


def record(fit: Fit) -> dict[str, Any]:
    """What the report shows, ready for JSON: no NaN, no infinity, None where there is no number."""
    starts = None if fit.starts is None else dict(vars(fit.starts))
    return {
        "model": fit.model.title,
        "n": fit.n,
        "status": fit.status.value,
        "converged": fit.converged,
        "message": fit.message,
        "log_likelihood": fit.log_likelihood,
        "free_parameters": fit.free_parameters,
        "aic": fit.aic,
        "bic": fit.bic,
        "evaluations": fit.evaluations,
        "starts": starts,
        "params": {name: value.tolist() for name, value in fit.params.items()},
        **_uncertainty(fit),
        "trace": fit.trace.tolist(),
    }


def _uncertainty(fit: Fit) -> dict[str, Any]:
    try:
        errors = fit.standard_errors()
    except InferenceError as error:
        return {"standard_errors": None, "standard_errors_reason": str(error), "intervals": None}
    named = zip(fit.names, fit.intervals.tolist(), strict=True)
    return {
        "standard_errors": {name: value.tolist() for name, value in errors.items()},
        "standard_errors_reason": None,
        "intervals": {name: [v if isfinite(v) else None for v in pair] for name, pair in named},
        "fraction_missing": fit.information.fraction_missing,
    }
