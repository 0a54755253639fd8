"""Where the rows of a source are computed with: the threads of this process, other processes, a cluster."""

import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from threading import RLock
from typing import Any

from latens import __version__
from latens.data.source import Part
from latens.engine.blocks import cores
from latens.engine.dealer import Dealer
from latens.engine.kept import MEMORY, Kept
from latens.engine.sweep import AbstractJob, dumps, sweep
from latens.errors import LatensError, ParameterError, counted
from latens.numerics.asked import whole

SHARDS = 64  # at most: by the data, never by the workers, so that sums are the same on any number of them
SEVERAL = 2  # sets of rows that are kept at a time: a fit in single precision has two
ATTEMPTS = 3  # to have one shard computed, by workers that are lost

Shards = Sequence[Sequence[Part]]


_asking = RLock()


class WorkersLost(LatensError):
    """No worker is left that could go on; nothing that was computed before is lost."""


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

    def __post_init__(self) -> None:
        if self.number is not None:
            whole(self.number, "Threads: number", 1)
        whole(self.memory, "Threads: memory", 0)

    def evaluate(self, job: AbstractJob[Any], dealer: Dealer, shards: Shards) -> list[Any]:
        return sweep(job, self._of(dealer), shards, self.number or cores())

    def _of(self, dealer: Dealer) -> Kept:
        with _asking:
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

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": {}}


# -- in other processes --------------------------------------------------------------------------------

_here: dict[str, Kept] = {}  # of a worker: dealer → its rows


def serve(key: str, sent: bytes | None, job: bytes, shards: Shards, number: int, memory: int, version: str) -> bytes:
    """In a worker: what a job gives for shards, pickled; nothing if the dealer of that key has to be `sent` first."""
    if version != __version__:
        raise LatensError(f"a worker has latens {__version__}, the driver {version}: install one version everywhere")
    if key not in _here:
        if sent is None:
            return b""
        if len(_here) >= SEVERAL:
            _here.pop(next(iter(_here)))
        _here[key] = Kept(pickle.loads(sent), memory)
    return dumps(sweep(pickle.loads(job), _here[key], shards, number))


def _prepare(folder: str | None) -> None:
    """Before JAX is loaded in a new process: the folder of compiled programs that the driver uses."""
    if folder:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder)
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


class AbstractRemote(AbstractEngine):
    """Workers elsewhere: shards are dealt to them once, a lost worker's are computed again by another.

    To write another: `workers`, `submit`, `gathered`.
    """

    memory: int = MEMORY
    lost = 0

    @abstractmethod
    def workers(self) -> list[Any]:
        """Those there are now; raises `WorkersLost` if there is none."""

    @abstractmethod
    def submit(self, worker: Any, *args: Any) -> Any:
        """Have `serve(*args)` computed by a worker; what comes of it later."""

    @abstractmethod
    def first_done(self, pending: Sequence[Any]) -> list[Any]:
        """Those that are done, once at least one is."""

    @abstractmethod
    def outcome(self, done: Any) -> bytes | None:
        """What one gave, None if its worker was lost; raises what went wrong."""

    def evaluate(self, job: AbstractJob[Any], dealer: Dealer, shards: Shards) -> list[Any]:
        with _asking:  # profiles and bootstraps come from several threads
            return self._evaluate(job, dealer, shards)

    def _evaluate(self, job: AbstractJob[Any], dealer: Dealer, shards: Shards) -> list[Any]:
        sent, whole_dealer = dumps(job), dumps(dealer)
        found: dict[int, Any] = {}
        left, attempts = list(range(len(shards))), 0
        while left:
            if attempts == ATTEMPTS:
                raise WorkersLost(
                    f"{ATTEMPTS} times the workers were lost before they had gone over the same rows: see whether "
                    "their memory suffices, or what else stops them"
                )
            before = len(found)
            found |= self._round(dealer.key, whole_dealer, sent, shards, left)
            left = [i for i in left if i not in found]
            attempts = attempts + 1 if len(found) == before else 0
        return [found[i] for i in range(len(shards))]

    def _round(self, key: str, dealer: bytes, job: bytes, shards: Shards, left: list[int]) -> dict[int, Any]:
        """Every worker is handed its own; what came back."""
        workers = self.workers()
        # the same shards in every pass as long as the workers are the same, as they keep the rows
        share = [i * len(workers) // len(shards) for i in range(len(shards))]
        if len(left) < len(shards):
            share = [0] * len(shards)
            for place, i in enumerate(left):
                share[i] = place * len(workers) // len(left)
        pending = {}
        for number, worker in enumerate(workers):
            own = [i for i in left if share[i] == number]
            if own:
                pending[self._send(worker, key, None, job, [shards[i] for i in own])] = worker, own
        found: dict[int, Any] = {}
        while pending:
            for done in self.first_done(list(pending)):
                worker, own = pending.pop(done)
                came = self.outcome(done)
                if came is None:
                    self.lost += 1
                elif not came:
                    pending[self._send(worker, key, dealer, job, [shards[i] for i in own])] = worker, own
                else:
                    found |= dict(zip(own, pickle.loads(came), strict=True))
        return found

    def _send(self, worker: Any, key: str, dealer: bytes | None, job: bytes, shards: Shards) -> Any:
        return self.submit(worker, key, dealer, job, shards, self.threads(worker), self.memory, __version__)

    def threads(self, worker: Any) -> int:
        """How many a worker may use."""
        return 1

    @property
    def story(self) -> str:
        lost = "" if not self.lost else f"; {counted(self.lost, 'worker')} lost on the way, the rows gone over again"
        return f"{counted(self.size, 'worker')}{lost}"

    @property
    @abstractmethod
    def size(self) -> int:
        """How many workers there are."""


@dataclass(eq=False)
class Processes(AbstractRemote):
    """Processes of this machine, each with rows of its own; one that dies is started anew.

    A program that uses them keeps its own work under `if __name__ == "__main__":`, as they begin by importing it.

    **Arguments:** `number` of processes (None: one for each core); `memory`: bytes of rows that each keeps.
    **Example:**
        >>> import latens as lt
        >>> engine = lt.Processes(4)
        >>> fit = lt.fit(lt.Mixture(lt.Normal(), 3), "rides/*.parquet", engine=engine)  # doctest: +SKIP
    """

    number: int | None = None
    memory: int = MEMORY
    lost: int = field(default=0, init=False)
    _pools: list[ProcessPoolExecutor] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.number is not None:
            whole(self.number, "Processes: number", 1)

    @property
    def size(self) -> int:
        return self.number or cores()

    def workers(self) -> list[int]:
        while len(self._pools) < self.size:
            self._pools.append(self._pool())
        return list(range(self.size))

    def _pool(self) -> ProcessPoolExecutor:
        import jax

        folder = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
        return ProcessPoolExecutor(1, get_context("spawn"), _prepare, (folder,))

    def submit(self, worker: int, *args: Any) -> "Future[bytes]":
        try:
            found = self._pools[worker].submit(serve, *args)
        except BrokenProcessPool as error:
            found = Future()
            found.set_exception(error)
        found.worker = worker  # type: ignore[attr-defined]
        return found

    def first_done(self, pending: Sequence[Any]) -> list[Any]:
        return list(wait(pending, return_when=FIRST_COMPLETED).done)

    def outcome(self, done: Any) -> bytes | None:
        try:
            return done.result()
        except BrokenProcessPool:
            self._pools[done.worker].shutdown(wait=False)
            self._pools[done.worker] = self._pool()
            return None

    def close(self) -> None:
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
        self._pools = []

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_pools": []}


def engine_of(given: Any) -> AbstractEngine:
    """An engine; a Dask client, or "dask://HOST:PORT", "processes" or "threads:4", as one; None for threads."""
    if given is None:
        return Threads()
    if isinstance(given, AbstractEngine):
        return given
    if isinstance(given, str):
        kind, _, number = given.partition(":")
        if kind == "dask":
            from latens.engine.dask import joined

            return joined(given)
        if kind in ENGINES and (not number or number.isdigit()):
            return ENGINES[kind](int(number) if number else None)
    if type(given).__module__.split(".")[0] == "distributed":
        from latens.engine.dask import Dask

        return Dask(given)
    raise ParameterError(
        f"engine must be lt.Threads(), lt.Processes(), a Dask client, or 'dask://HOST:PORT', got {given!r}"
    )


ENGINES: dict[str, Callable[[int | None], AbstractEngine]] = {"threads": Threads, "processes": Processes}
