"""Engines whose workers are other processes, of this machine or of a cluster."""

import ctypes
import os
import pickle
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from threading import Lock
from typing import Any

from latens import __version__
from latens.engine.blocks import cores
from latens.engine.dealer import Dealer
from latens.engine.engines import SEVERAL, AbstractEngine, Shards
from latens.engine.jobs import AbstractJob, dumps
from latens.engine.kept import MEMORY, Kept
from latens.engine.sweep import sweep
from latens.errors import LatensError, counted
from latens.numerics.asked import whole

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt(3)
ROOM = 1 << 26  # bytes
ATTEMPTS = 3  # to have one shard computed, by workers that are lost


class WorkersLost(LatensError):
    """No worker is left that could go on; nothing that was computed before is lost."""


_here: dict[str, Kept] = {}  # of a worker: dealer → its rows


def serve(key: str, sent: bytes | None, job: bytes, shards: Shards, number: int, memory: int, version: str) -> bytes:
    """In a worker: what a job gives for shards, pickled; nothing if the dealer of that key has to be `sent` first."""
    if version != __version__:
        raise LatensError(f"a worker has latens {__version__}, the driver {version}: install one version everywhere")
    _keep_room()
    if key not in _here:
        if sent is None:
            return b""
        if len(_here) >= SEVERAL:
            _here.pop(next(iter(_here)))
        _here[key] = Kept(pickle.loads(sent), memory)
    return dumps(sweep(pickle.loads(job), _here[key], shards, number))


@cache
def _keep_room() -> None:
    """Where Dask has had glibc give back what is freed at once (MALLOC_TRIM_THRESHOLD_), let it keep some.

    Else every array is asked of the system anew, page by page: passes took four times as long.
    """
    if "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        return
    with suppress(OSError, AttributeError):  # another library
        setting = ctypes.CDLL(None).mallopt
        setting(MMAP_THRESHOLD, ROOM // 2)
        setting(TRIM_THRESHOLD, ROOM)


def _prepare(folder: str | None) -> None:
    """Before JAX is loaded in a new process: the folder of compiled programs that the driver uses."""
    if folder:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder)
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


class AbstractRemote(AbstractEngine):
    """Workers elsewhere: shards are dealt to them once, a lost worker's are computed again by another.

    To write another: the methods below, and a `lock`.
    """

    memory: int = MEMORY
    lost = 0
    hint = ""  # what else may be the cause
    lock: Any

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
        with self.lock:  # profiles and bootstraps come from several threads
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
                    f"{self.hint}"
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
    hint = '; a program that uses lt.Processes keeps its own work under if __name__ == "__main__":'
    lock: Any = field(default_factory=Lock, init=False, repr=False)
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

    def __reduce__(self) -> tuple[Any, ...]:
        return Processes, (self.number, self.memory)
