"""A fit as plain Python values."""

from contextlib import suppress
from dataclasses import asdict
from math import isfinite
from typing import Any

import numpy as np

from latens.engine.accelerators.base import Sampled
from latens.engine.starts import Met
from latens.errors import InferenceError
from latens.inference.errors import AbstractMethod
from latens.inference.estimate import Estimate, aic, bic
from latens.inference.methods import errors_by, intervals_by, method_for


def record(
    estimate: Estimate,
    starts: Met | None,
    method: str | AbstractMethod = "observed",
    samples: tuple[Sampled, ...] = (),
) -> dict[str, Any]:
    """What the report shows, ready for JSON: no NaN, no infinity, None where there is no number."""
    prior = estimate.problem.prior
    return {
        "model": estimate.model.title,
        "n": estimate.n,
        "unseen": estimate.unseen,
        "status": estimate.at.status.value,
        "converged": estimate.converged,
        "message": estimate.message,
        "log_likelihood": estimate.log_likelihood,
        "prior": None if prior is None else {"weight": prior.weight, "log_posterior": estimate.at.log_likelihood},
        "free_parameters": estimate.free_parameters,
        "aic": aic(estimate),
        "bic": bic(estimate),
        "evaluations": estimate.at.evaluations,
        "m_step": estimate.problem.m_step,
        "rows": estimate.problem.story,
        "half_seen": {column: dict(kinds) for column, kinds in estimate.half_seen.items()},
        "starts": None if starts is None else asdict(starts),
        "samples": [each._asdict() for each in samples],
        "params": {name: value.tolist() for name, value in estimate.at.params.items()},
        **_uncertainty(estimate, method),
    }


def _uncertainty(estimate: Estimate, method: str | AbstractMethod) -> dict[str, Any]:
    found: dict[str, Any] = {
        "method": method_for(method).name,
        "standard_errors": None,
        "standard_errors_reason": None,
        "intervals": None,
        "held": {},
        "notes": list(estimate.notes),
        "fraction_missing": None,
    }
    try:
        named = zip(estimate.problem.names, intervals_by(method, estimate).tolist(), strict=True)
        found["intervals"] = {name: [v if isfinite(v) else None for v in pair] for name, pair in named}
        by = errors_by(method, estimate)
        errors = estimate.problem.space.unflat(np.sqrt(np.diag(by.covariance)))
        found["standard_errors"] = {n: np.where(np.isnan(v), np.array(None), v).tolist() for n, v in errors.items()}
        found["held"] = estimate.reasons
        found["notes"] += by.notes
    except InferenceError as error:
        found["standard_errors_reason"] = str(error)
    with suppress(InferenceError):
        found["fraction_missing"] = estimate.scalar_information().fraction_missing
    return found
