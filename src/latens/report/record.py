"""A fit as plain Python values."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from latens.errors import InferenceError
from latens.inference.methods import method_for

if TYPE_CHECKING:
    from latens.inference.errors import AbstractMethod
    from latens.result import Fit


def record(fit: Fit, method: str | AbstractMethod = "observed") -> dict[str, Any]:
    """What the report shows, ready for JSON: no NaN, no infinity, None where there is no number."""
    starts = None if fit.starts is None else asdict(fit.starts)
    return {
        "model": fit.model.title,
        "n": fit.n,
        "unseen": fit.unseen,
        "status": fit.status.value,
        "converged": fit.converged,
        "message": fit.message,
        "log_likelihood": fit.log_likelihood,
        "prior": None if fit.prior is None else {"weight": fit.prior.weight, "log_posterior": fit.log_posterior},
        "free_parameters": fit.free_parameters,
        "aic": fit.aic,
        "bic": fit.bic,
        "evaluations": fit.evaluations,
        "half_seen": fit.half_seen,
        "starts": starts,
        "params": {name: value.tolist() for name, value in fit.params.items()},
        **_uncertainty(fit, method),
        "trace": fit.trace.tolist(),
    }


def _uncertainty(fit: Fit, method: str | AbstractMethod) -> dict[str, Any]:
    found: dict[str, Any] = {
        "method": method_for(method).name,
        "standard_errors": None,
        "standard_errors_reason": None,
        "intervals": None,
        "held": {},
        "notes": list(fit.notes),
        "fraction_missing": None,
    }
    try:
        named = zip(fit.names, fit.intervals(method=method).tolist(), strict=True)
        found["intervals"] = {name: [v if isfinite(v) else None for v in pair] for name, pair in named}
        errors = fit.standard_errors(method)
        found["standard_errors"] = {n: np.where(np.isnan(v), np.array(None), v).tolist() for n, v in errors.items()}
        found["held"] = fit.held
        found["notes"] += fit.errors(method).notes
    except InferenceError as error:
        found["standard_errors_reason"] = str(error)
    with suppress(InferenceError):
        found["fraction_missing"] = fit.information().fraction_missing
    return found
