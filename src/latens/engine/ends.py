"""Where a fit could not begin, or had no maximum to come to, in words."""

from typing import Any

import jax
import numpy as np

from latens.engine.emmap import evidences
from latens.engine.evaluation import AbstractEvaluation
from latens.errors import DataError, LatensError, ParameterError
from latens.families.frame import Identity
from latens.numerics.precision import double

TOO_LITTLE = "there is not enough in the data to tell, so fix that parameter or use a smaller model"


def edge(problem: AbstractEvaluation, here: np.ndarray, there: np.ndarray) -> str:
    """The likelihood rises towards an edge."""
    change = _change(problem, here, there)
    gone = [i for i in np.flatnonzero(problem.space.distinct) if abs(change[i]) > 3]
    where = ", ".join(f"{problem.names[i]} goes to {'infinity' if change[i] > 0 else '0'}" for i in gone[:4])
    return (
        f"the likelihood has no maximum: as {where or 'the params run away'}, it rises to a limit that no params "
        f"attain; {TOO_LITTLE}"
    )


@double
def attains(problem: AbstractEvaluation, here: np.ndarray, there: np.ndarray) -> bool:
    """Whether only probabilities run to an edge: they may be 0 or 1, where shapes and variances may not."""
    gone = np.abs(_change(problem, here, there)) > 3
    return bool(gone.any() and (problem.space.links[gone] == "logit").all())


def plateau(problem: AbstractEvaluation, here: np.ndarray, there: np.ndarray, gain: float) -> str:
    """A long way led up by next to nothing."""
    change = _change(problem, here, there)
    most = [i for i in np.argsort(-np.abs(change)) if problem.space.distinct[i] and change[i]]
    where = ", ".join(f"{problem.names[i]} {'grows' if change[i] > 0 else 'shrinks'}" for i in most[:2])
    return (
        f"the likelihood has no maximum that the data tell: as {where or 'the params move'}, it goes on rising, by "
        f"{gain:.1g} for the last {np.abs(change).max():.0%}; {TOO_LITTLE}"
    )


@double
def _change(problem: AbstractEvaluation, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(P,) of the logarithms of the reported scalars."""
    before, after = (np.asarray(problem.space.flat(problem.params(free))) for free in (here, there))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.log(np.abs(after)) - np.log(np.abs(before)))


def _cells(cells: dict[str, Any]) -> str:
    """A row's cells, where they are few."""
    shown = [f"{name or 'x'} = {float(cell):g}" for name, cell in cells.items() if np.size(cell) == 1]
    return f" ({', '.join(shown)})" if 0 < len(shown) <= 6 else ""


@double
def unusable(problem: AbstractEvaluation, free: np.ndarray) -> LatensError:
    """The first row that a start gives no probability to."""
    logs = problem.each(evidences, free)
    bad = ~np.isfinite(logs)
    if not bad.any():
        return ParameterError("start: the log-likelihood is not finite where the fit begins; give another (start=...)")
    row = int(np.argmax(bad))
    where, columns = f"row {problem.numbers[row]}", problem.xs if isinstance(problem.xs, dict) else {"": problem.xs}
    cells = {name: leaf[row] for name, leaf in columns.items() if isinstance(leaf, np.ndarray | jax.Array)}
    holes = [name for name, cell in cells.items() if np.isnan(cell).any()]
    if holes:
        column = f" in column '{holes[0]}'" if holes[0] else ""
        return DataError(
            f"{where} has a missing cell{column}, and the model gives it the log-likelihood {logs[row]}: let it leave "
            "that cell out, with y = jnp.where(jnp.isnan(x), 0.0, x) in what is computed and "
            "jnp.where(jnp.isnan(x), 0.0, ...) around what is added, or drop the row"
        )
    own = _cells(cells) if isinstance(problem.frame, Identity) else ""  # in a frame they are other numbers
    return ParameterError(
        f"start: {where} has log-likelihood {logs[row]} where the fit begins{own}: correct the row if the "
        "model gives it no probability, or give another start (start=...), or the data in other units"
    )
