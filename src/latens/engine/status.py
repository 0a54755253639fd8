"""How a fit ended, in words."""

from enum import Enum


class Status(Enum):
    """How a fit ended; `sentence` says it in words."""

    RUNNING = "running"
    CONVERGED = "converged"
    MAX_STEPS = "stopped at max steps"
    DEGENERATE = "degenerate"
    INTERRUPTED = "interrupted"

    @property
    def sentence(self) -> str:
        """What that means and what to do."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.RUNNING: "The iteration has not ended.",
    Status.CONVERGED: "Converged: the projected distance to the limit is within the tolerance.",
    Status.MAX_STEPS: (
        "Stopped at the largest number of steps before converging: the estimates may still move; "
        "go on with stop=lt.Stop(max_steps=...) and start=fit.params."
    ),
    Status.DEGENERATE: "Degenerate: the estimates shown are the last usable ones, not a maximum.",
    Status.INTERRUPTED: "Interrupted: the estimates shown are the best found so far.",
}

UNFOUND = "the M-step"  # how a reason begins that says nothing of the likelihood
NO_STEP = (
    f"{UNFOUND} cannot be computed at these params: Q or its derivatives are not finite there, or rounding hides how Q "
    "rises; try other starts, give columns that are neither nearly collinear nor far from 0, or write the density so "
    "that it stays finite"
)


def as_near(length: float) -> str:
    """Why a run has converged where rounding hides the rest of the way."""
    return f"as near as rounding lets it be seen; a step of {length:.1g} standard errors is nothing else here"
