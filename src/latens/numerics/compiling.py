"""How programs are compiled and run: in double precision, on how many threads; and how much they compute."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache, partial, update_wrapper, wraps
from math import prod
from threading import Lock
from typing import Any, Generic, ParamSpec, TypeVar

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from threadpoolctl import ThreadpoolController

from latens.numerics.devices import small_here

P = ParamSpec("P")
R = TypeVar("R")

LARGEST = 2048  # rows that are filled up to one of few numbers, which few programs serve
MUCH = 1 << 12  # numbers in an argument that make it worth while to compile well
# in half the time; every pass over rows may take three times as long. JAX 0.12 has no such choice any more
QUICKLY = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__ < (0, 10) else {}

# for what runs once, or over no data: it is their compilation that takes time, less so unoptimised
once = partial(jax.jit, compiler_options=QUICKLY | {"xla_backend_optimization_level": 0})

# where our own threads fill the cores, one of XLA's more for half a block costs more than it saves
ALONE = {"xla_disable_hlo_passes": "cpu-parallel-task-assigner"}
ROUNDS = 10  # of a loop whose length is not known before


def rung(number: int) -> int:
    """The next number of the form 2ᵏ or 3·2ᵏ: so many rows or blocks have few shapes, and waste a third at most."""
    power = 1 << max(number - 1, 0).bit_length()
    return 3 * power // 4 if power >= 4 and number <= 3 * power // 4 else power


def evened(n: int) -> np.ndarray:
    """Numbers of n rows, filled up with the first where they are few, so that few programs serve rows of any number."""
    rows = np.zeros(rung(n) if n <= LARGEST else n, dtype=np.int64)
    rows[:n] = np.arange(n)
    return rows


class BySize(Generic[P, R]):
    """A function compiled quickly unless an argument is large; not one that another program calls."""

    def __init__(self, function: Callable[P, R], options: dict[str, Any], **settings: Any) -> None:
        update_wrapper(self, function)
        self._well = jax.jit(function, compiler_options=options, **settings)
        self._quickly = jax.jit(function, compiler_options=options | QUICKLY, **settings)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        much = any(np.size(leaf) > MUCH for leaf in jax.tree.leaves(args))
        return (self._well if much else self._quickly)(*args, **kwargs)

    def __reduce__(self) -> str:
        return self.__qualname__  # type: ignore[attr-defined]  # of its module: elsewhere it is the one compiled there

    @property
    def programs(self) -> int:
        """How many have been compiled."""
        return sum(each._cache_size() for each in (self._well, self._quickly))  # type: ignore[attr-defined]


def by_size(options: dict[str, Any] | None = None, **settings: Any) -> Callable[[Callable[P, R]], BySize[P, R]]:
    """A decorator that makes a `BySize`; `settings` of `jax.jit`."""
    return lambda function: BySize(function, options or {}, **settings)


beside = partial(by_size, ALONE)


def operations(function: jax.stages.Wrapped, *args: Any) -> float:
    """How many numbers it computes on the way; of arguments only the shapes matter, and it is traced once for each."""
    return _of(function.trace(*args).jaxpr.jaxpr)


@lru_cache(maxsize=256)
def _of(program: Jaxpr) -> float:
    return sum(_times(each) * sum(map(_of, inner)) if (inner := _inner(each)) else _own(each) for each in program.eqns)


def _inner(each: JaxprEqn) -> list[Jaxpr]:
    """The programs that an operation runs: the body of a loop, both branches."""
    parts = jax.tree.leaves(list(each.params.values()))
    return [p.jaxpr if isinstance(p, ClosedJaxpr) else p for p in parts if isinstance(p, ClosedJaxpr | Jaxpr)]


def _times(each: JaxprEqn) -> int:
    return int(each.params.get("length", ROUNDS if each.primitive.name == "while" else 1))


def _own(each: JaxprEqn) -> float:
    computed = sum(prod(_shape(out)) for out in each.outvars)
    if each.primitive.name != "dot_general":
        return computed
    summed = each.params["dimension_numbers"][0][0]
    return computed * prod(_shape(each.invars[0])[axis] for axis in summed)


def _shape(variable: Any) -> tuple[int, ...]:
    return getattr(variable.aval, "shape", ())


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # finding them takes 10 ms


class _Limit:
    """One thread of LAPACK for each of ours: its idle ones spin for a while, on the cores our own ones work on.

    Who came first limits, who goes last restores: fits may run side by side in threads of the caller.
    """

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


def double(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` with 64-bit JAX, small things on the processor. The switch is per thread and undone on return."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.enable_x64(True), small_here():
            return function(*args, **kwargs)

    return run
