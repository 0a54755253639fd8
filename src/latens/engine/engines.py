"""Where the rows of a source are computed with: the threads of this process, other processes, a cluster."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from latens.data.parts import Part
from latens.engine.blocks import cores
from latens.engine.dealer import Dealer
from latens.engine.jobs import AbstractJob
from latens.engine.kept import MEMORY, Kept
from latens.engine.sweep import sweep
from latens.errors import counted
from latens.numerics.asked import whole

SHARDS = 64  # at most: by the data, never by the workers, so that sums are the same on any number of them
SEVERAL = 2  # sets of rows that are kept at a time: a fit in single precision has two

Shards = Sequence[Sequence[Part]]


def shards_of(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    """Parts that follow one another put together, so that shards have about as many bytes each."""
    total = sum(part.size for part in parts) or len(parts)
    found: list[list[Part]] = [[] for _ in range(min(SHARDS, len(parts)))]
    before = 0.0
    for i, part in enumerate(parts):
        size = part.size or total / len(parts)
        # by the middle of the part; a shard for each where there are few
        at = i if len(parts) <= SHARDS else int((before + size / 2) / total * len(found))
        found[min(at, len(found) - 1)].append(part)
        before += size
    return [tuple(parts) for parts in found if parts]


class AbstractEngine(ABC):
    """Who goes over the rows. To write another: the three methods below.

    A job is sent to whoever has the rows of a shard; results come back in the order of the shards, and the driver adds
    them up in it. Nothing else passes between workers.
    """

    @abstractmethod
    def evaluate(self, job: AbstractJob[Any], dealer: Dealer, shards: Shards) -> list[Any]:
        """What the job gives for each shard, in their order; None for one without rows."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is held."""

    @property
    @abstractmethod
    def story(self) -> str:
        """What there is to tell of it: how many workers, and how many were lost."""


@dataclass(eq=False)
class Threads(AbstractEngine):
    """The threads of this process: what a source is computed with if nothing else is said.

    **Arguments:** `number` of threads (None: one for each core); `memory`: bytes of rows kept between passes.
    **Example:**
        >>> import latens as lt
        >>> stream = lt.Batches(lambda: [{"calls": [3, 5]}, {"calls": [4]}])
        >>> float(lt.fit(lt.IID(lt.Poisson()), stream, engine=lt.Threads(2)).params["rate"].round(6))
        4.0
    """

    number: int | None = None
    memory: int = MEMORY
    _kept: dict[str, Kept] = field(default_factory=dict, init=False, repr=False)
    _lock: Any = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.number is not None:
            whole(self.number, "Threads: number", 1)
        whole(self.memory, "Threads: memory", 0)

    def evaluate(self, job: AbstractJob[Any], dealer: Dealer, shards: Shards) -> list[Any]:
        return sweep(job, self._of(dealer), shards, self.number or cores())

    def _of(self, dealer: Dealer) -> Kept:
        with self._lock:
            if dealer.key not in self._kept:
                for key in list(self._kept)[: len(self._kept) + 1 - SEVERAL]:
                    del self._kept[key]
                self._kept[dealer.key] = Kept(dealer, self.memory)
            return self._kept[dealer.key]

    def close(self) -> None:
        self._kept = {}

    @property
    def story(self) -> str:
        return counted(self.number or cores(), "thread")

    def __reduce__(self) -> tuple[Any, ...]:
        return Threads, (self.number, self.memory)
