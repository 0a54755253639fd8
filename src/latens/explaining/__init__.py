"""`lt.explain`: a model, and EM on the reader's own numbers, in formulas that are read off the code."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from latens.engine.accelerators.base import Plain
from latens.engine.loop import run
from latens.engine.problem import Problem
from latens.engine.solve import beginning, solve
from latens.engine.starts import draw
from latens.engine.stop import Stop
from latens.errors import LatensError, ModelError
from latens.inference.estimate import Estimate
from latens.models.base import AbstractModel
from latens.numerics.asked import whole
from latens.numerics.space import Params

if TYPE_CHECKING:
    from latens.explaining.blocks import Explanation

MOST, FOLLOWED = 20, 60  # steps told at most, and of plain EM gone through for its rate


def explain(
    model: AbstractModel,
    data: Any,
    *,
    steps: int = 3,
    weights: Any = None,
    labels: Any = None,
    start: Params | Sequence[Params] | None = None,
    seed: int = 0,
) -> "Explanation":
    """A model and EM on these data, in formulas and with their numbers.

    The complete-data log-likelihood and what is hidden of it; Q, the E-step and the M-step; the first steps, every
    expectation with its numbers; and how much information was missing. The formulas are read off the code that
    computes, so a family or model of your own is explained, too. Needs SymPy: `pip install "latens[explain]"`.

    **Arguments:** `steps`: how many steps of plain EM to tell, up to 20; `start`: where they begin (default: a start
    drawn with `seed`); the others as in `lt.fit`.
    **Returns:** an `Explanation`: print it; `.markdown()` and `.latex()` are the same for other readers.
    **Raises:** as `lt.fit`; `LatensError` without SymPy.
    **Example:** two exponential lifetimes, one of them not seen; EM maps λ to 2/(5 + 1/λ):
        >>> import latens as lt
        >>> told = lt.explain(lt.IID(lt.Exponential()), [5.0, float("nan")], steps=1, start={"rate": 5.0})
        >>> print(*[line for line in str(told).splitlines() if line.startswith("    λ = ")], sep="\\n")
            λ = n/s
            λ = n/s = 2/5.2 = 0.384615
            λ = 0.2

    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1.
    """
    try:
        from latens.explaining.telling import told
    except ImportError:
        raise LatensError('explanations need SymPy: pip install "latens[explain]"') from None
    whole(steps, "explain: steps", 1)
    problem = Problem(model, data, weights, labels)
    if problem.lengths is not None:
        raise ModelError("explain tells of rows; sequences have as many statistics as steps")
    if start is None:
        free = draw(problem, whole(seed, "seed", 0), 0)
    else:
        free = beginning(problem, start, None, seed).reach(problem)[0]
    path = list(islice(run(problem, free, Plain(), Stop(max_steps=max(FOLLOWED, steps))), FOLLOWED + 1))
    end = Estimate(solve(problem, start=path[-1].params).last)  # of the same run: another rule may lead elsewhere
    return told(problem, path, min(steps, MOST), end)
