"""A Ray cluster as an engine."""

from collections.abc import Sequence
from threading import Lock
from typing import Any

from latens.engine.engines import Threads
from latens.engine.kept import MEMORY
from latens.engine.workers import AbstractRemote, WorkersLost, serve
from latens.errors import LatensError, first_line

PATIENCE = 30.0  # seconds that new actors are waited for


class Ray(AbstractRemote):
    """An actor for each processor of a Ray cluster; rows are read by them, so all must see the files."""

    def __init__(self, ray: Any, memory: int = MEMORY, patience: float = PATIENCE) -> None:
        """`memory`: bytes of rows that each actor keeps; `patience`: seconds that new ones are waited for."""
        self.ray, self.memory, self.patience, self.lost = ray, memory, patience, 0
        self.actors: dict[Any, Any] = {}  # id → actor
        self.bound: dict[Any, Any] = {}  # what was submitted → the id of its actor
        self.lock = Lock()

    @property
    def size(self) -> int:
        return len(self.actors)

    def workers(self) -> list[Any]:
        missing = int(self.ray.cluster_resources().get("CPU", 0)) - len(self.actors)
        # by default they need a processor to begin, and leave it to others while they have nothing to do
        actor = self.ray.remote(_Worker).options(scheduling_strategy="SPREAD")
        new = [actor.remote() for _ in range(missing)]
        asked = {each.ready.remote(): each for each in new}
        there, _ = self.ray.wait(list(asked), num_returns=len(asked), timeout=self.patience) if asked else ([], [])
        for reference, each in asked.items():
            if reference in there:
                self.actors[each._actor_id] = each
            else:
                self.ray.kill(each)
        if not self.actors:
            raise WorkersLost("the Ray cluster has no free processor: start nodes; what was done before is not lost")
        return list(self.actors)

    def submit(self, worker: Any, *args: Any) -> Any:
        sent = self.actors[worker].serve.remote(*args)
        self.bound[sent] = worker
        return sent

    def first_done(self, pending: Sequence[Any]) -> list[Any]:
        done: list[Any] = self.ray.wait(pending)[0]
        return done

    def outcome(self, done: Any) -> bytes | None:
        worker = self.bound.pop(done)
        try:
            found: bytes = self.ray.get(done)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self.ray.exceptions.RayError:  # its actor, its node, or what it gave is gone
            self.actors.pop(worker, None)
            return None
        return found

    def close(self) -> None:
        for actor in self.actors.values():
            self.ray.kill(actor)
        self.actors, self.bound = {}, {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Threads, ()  # of a fit that goes elsewhere: its cluster does not


class _Worker:
    def ready(self) -> None:
        """Answered once it is there."""

    def serve(self, *args: Any) -> bytes:
        return serve(*args)


def ray_at(address: str) -> Ray:
    """The cluster at "ray://HOST:PORT", or of "ray" the one that this process has or can start."""
    try:
        import ray
    except ImportError:
        raise LatensError('a Ray cluster needs its library: pip install "latens[ray]"') from None
    try:
        if not ray.is_initialized():
            ray.init(address.removeprefix("ray").removeprefix("://") or None, log_to_driver=False)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        why = first_line(error) or type(error).__name__
        raise LatensError(f"no Ray cluster answers at {address} ({why}): start it, or give its address") from None
    return Ray(ray)
