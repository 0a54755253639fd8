"""One pass over parts of rows by several threads: what they give is added up in the order of the rows."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Condition
from typing import Any, Generic, TypeVar

from latens.data.parts import Part
from latens.engine.dealer import Item
from latens.engine.jobs import AbstractJob
from latens.engine.kept import Kept
from latens.numerics.compiling import double, one_thread_each

T = TypeVar("T")


class _Shard(Generic[T]):
    """Parts that are added up in their order, whoever takes a piece when."""

    def __init__(self, job: AbstractJob[T], kept: Kept, parts: Sequence[Part]) -> None:
        self.job, self.kept, self.parts = job, kept, parts
        self.items = self._pieces()
        self.taken = self.added = 0
        self.early: dict[int, T] = {}
        self.total: Any = None

    def _pieces(self) -> Iterator[Item]:
        for part in self.parts:
            yield from self.job.items(self.kept, part)

    def put(self, number: int, value: T) -> None:
        self.early[number] = value
        while self.added in self.early:
            value = self.early.pop(self.added)
            self.total = value if self.added == 0 else self.job.plus(self.total, value)
            self.added += 1


class _Pass(Generic[T]):
    """The state that the threads of one pass share."""

    def __init__(self, shards: list[_Shard[T]]) -> None:
        self.ready = deque((i, shard) for i, shard in enumerate(shards))
        self.reading = 0  # threads that may put a shard back
        self.changed = Condition()
        self.wrong: dict[int, BaseException] = {}  # shard → what went wrong there
        self.stopped = False

    @double
    def work(self) -> None:
        while (found := self._next()) is not None:
            i, shard, number, item = found
            try:
                value = shard.job.of(shard.kept, item)
                with self.changed:
                    shard.put(number, value)
            except BaseException as error:
                self._fail(i, error)

    def _next(self) -> tuple[int, _Shard[T], int, Item] | None:
        while True:
            with self.changed:
                while not self.ready and self.reading and not self.stopped:
                    self.changed.wait()
                if self.stopped or not self.ready:
                    return None
                i, shard = self.ready.popleft()
                self.reading += 1
            item, failed = None, False
            try:
                item = next(shard.items, None)
            except BaseException as error:
                failed = True
                self._fail(i, error)
            with self.changed:
                self.reading -= 1
                if item is not None:
                    number = shard.taken
                    shard.taken += 1
                    self.ready.appendleft((i, shard))
                self.changed.notify_all()
            if item is not None:
                return i, shard, number, item
            if failed:
                return None

    def _fail(self, i: int, error: BaseException) -> None:
        with self.changed:
            self.wrong[i] = error
            self.stopped = True
            self.changed.notify_all()


def sweep(job: AbstractJob[T], kept: Kept, shards: Sequence[Sequence[Part]], most: int) -> list[T | None]:
    """What a job gives for each shard (None of one without rows), by `most` threads; the first error is raised."""
    own = [_Shard(job, kept, parts) for parts in shards]
    state = _Pass(own)
    with one_thread_each(), ThreadPoolExecutor(most) as pool:
        running = [pool.submit(state.work) for _ in range(most)]
        try:
            for each in running:
                each.result()
        finally:
            with state.changed:  # Ctrl-C: they stop after their piece
                state.stopped = True
                state.changed.notify_all()
    if state.wrong:
        raise state.wrong[min(state.wrong)]
    for shard in own:
        for part in shard.parts:
            job.ended(kept, part)
    return [shard.total for shard in own]
