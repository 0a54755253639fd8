"""A Dask cluster as an engine."""

from collections.abc import Sequence
from threading import Lock
from typing import Any

from latens.engine.engines import Threads
from latens.engine.kept import MEMORY
from latens.engine.workers import AbstractRemote, WorkersLost, serve
from latens.errors import LatensError, first_line

PATIENCE = 30.0  # seconds that a cluster without workers is waited for
ANSWER = 10.0  # seconds that a scheduler has to answer
TURN = 1.0  # seconds after which it is looked whether a worker that is waited for is still there


class Dask(AbstractRemote):
    """The workers of a `distributed.Client`; rows are read by them, so all must see the files."""

    def __init__(self, client: Any, memory: int = MEMORY, patience: float = PATIENCE) -> None:
        """`memory`: bytes of rows that each worker keeps; `patience`: seconds that a first worker is waited for."""
        self.client, self.memory, self.patience, self.lost = client, memory, patience, 0
        self.bound: dict[str, str] = {}  # task → worker
        self.lock = Lock()

    @property
    def size(self) -> int:
        return len(self._known())

    def _known(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.scheduler_info(n_workers=-1)["workers"]
        return found

    def workers(self) -> list[str]:
        try:
            if not self._known():
                self.client.wait_for_workers(1, timeout=self.patience)
            found = sorted(self._known())
        except (TimeoutError, OSError) as error:
            raise self._gone(str(error)) from None
        if not found:
            raise self._gone("none is left")
        return found

    def _gone(self, why: str) -> WorkersLost:
        return WorkersLost(f"the Dask cluster has no worker ({why}): start some; what was done before is not lost")

    def submit(self, worker: str, *args: Any) -> Any:
        # retried by us, as a worker that is gone is seldom the fault of the rows
        sent = self.client.submit(serve, *args, workers=[worker], allow_other_workers=False, pure=False, retries=0)
        self.bound[sent.key] = worker
        return sent

    def threads(self, worker: str) -> int:
        return int(self._known().get(worker, {}).get("nthreads", 1))

    def first_done(self, pending: Sequence[Any]) -> list[Any]:
        from distributed import wait

        while True:
            try:
                return list(
                    wait(  # type: ignore[no-untyped-call]
                        pending, timeout=TURN, return_when="FIRST_COMPLETED"
                    ).done
                )
            except TimeoutError:
                # a task that is bound to a worker which has gone waits for one of that address for ever
                alive = self._known()
                gone = [future for future in pending if self.bound[future.key] not in alive]
                if gone:
                    return gone

    def close(self) -> None:
        self.bound.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return Threads, ()  # of a fit that goes elsewhere: its cluster does not

    def outcome(self, done: Any) -> bytes | None:
        from distributed import CancelledError
        from distributed.scheduler import KilledWorker, NoValidWorkerError

        worker = self.bound.pop(done.key)
        while done.status != "pending":
            try:
                return done.result(timeout=TURN)
            except TimeoutError:
                # it may have gone when it had done the task but not yet handed over what came of it
                if worker not in self._known():
                    break
            except (KilledWorker, NoValidWorkerError, CancelledError):
                return None
        done.cancel()
        return None


def cluster_at(address: str) -> Dask:
    """The cluster whose scheduler is at "dask://HOST:PORT"; raises `LatensError` if nobody answers there."""
    try:
        from distributed import Client
    except ImportError:
        raise LatensError('a Dask cluster needs its library: pip install "latens[dask]"') from None
    place = address.removeprefix("dask://")
    try:
        return Dask(Client(f"tcp://{place}", timeout=ANSWER))  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise LatensError(
            f"no Dask scheduler answers at {place} ({first_line(error) or type(error).__name__}): start it, or give "
            "its address as dask://HOST:PORT"
        ) from None
