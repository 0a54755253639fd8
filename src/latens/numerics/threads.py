"""One thread of LAPACK for each of ours: its idle threads spin for a while, on the cores our own ones work on."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # finding them takes 10 ms


class _Limit:
    """Who came first limits, who goes last restores: fits may run side by side in threads of the caller."""

    def __init__(self) -> None:
        self.lock, self.within = Lock(), 0
        self.limiter: Any = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self.lock:
            if not self.within:
                self.limiter = _libraries().limit(limits=1, user_api="blas")
            self.within += 1
        try:
            yield
        finally:
            with self.lock:
                self.within -= 1
                if not self.within:
                    self.limiter.restore_original_limits()


one_thread_each = _Limit()
