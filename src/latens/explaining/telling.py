"""Which story is told of which model."""

from collections.abc import Sequence

from latens.engine.loop import Iterate
from latens.engine.problem import Problem
from latens.explaining.blocks import Explanation
from latens.explaining.cells import OfCells
from latens.explaining.latent import OfLatent
from latens.explaining.mixtures import OfMixture
from latens.explaining.rows import OfIID
from latens.explaining.story import Story
from latens.inference.estimate import Estimate
from latens.models.gene_counting import Cells
from latens.models.iid import IID
from latens.models.latent import Latent
from latens.models.mixture import Mixture

STORIES: dict[type, type[Story]] = {Mixture: OfMixture, IID: OfIID, Cells: OfCells, Latent: OfLatent}


def told(problem: Problem, path: Sequence[Iterate], steps: int, end: Estimate) -> Explanation:
    """Of a model, of the first `steps` of a run and of where it ends."""
    return Explanation(story_of(problem, path, steps, end).blocks())


def story_of(problem: Problem, path: Sequence[Iterate], steps: int, end: Estimate) -> Story:
    """The same before it is told; of a model that is not known, by its methods alone."""
    kind = next((story for of, story in STORIES.items() if isinstance(problem.given, of)), Story)
    return kind(problem, path, steps, end)
