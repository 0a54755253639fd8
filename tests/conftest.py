"""Compiled programs are shared by the workers of a run, and kept for the next one.

Nearly all the time of the tests goes into compiling programs that run once, so they are compiled in the quickest way;
the benchmarks and the measured coverage run what users run.
"""

import gc
import os
import sys
from importlib.metadata import version
from itertools import count
from pathlib import Path

import numpy as np
import pytest

gc.set_threshold(1_000_000, 50, 100)  # tracing makes many small objects that live
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(HERE.parent / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")  # of less one is read while it is written

os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# of a program in 32 parts, as XLA cuts it, each takes about as long as all of a small one
FLAGS = ["--xla_cpu_parallel_codegen_split_count=1"]
if tuple(map(int, version("jax").split(".")[:2])) < (0, 10):  # which knows no such flag, and ends where it meets one
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))

MAPS, MEMORY = Path("/proc/self/maps"), Path("/proc/self/statm")
MOST_MAPS = 45_000  # Linux kills a process beyond 65,530 by default, and every compiled program holds several
MOST_PAGES = os.sysconf("SC_PHYS_PAGES") // 4 if MEMORY.exists() else 0  # compiled programs are most of what is held
EVERY = 8  # tests: to count the maps takes as long as a small one
TESTS = count()


@pytest.fixture(autouse=True)
def same_draws(request):
    """A test draws the same numbers whatever ran before it, in this worker or another."""
    generator = getattr(request.module, "RNG", None)
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = np.random.default_rng(1).bit_generator.state


@pytest.fixture(autouse=True)
def few_programs():
    """Forget compiled programs before a worker that runs thousands of them has too many: the disk has them still."""
    yield
    if not MEMORY.exists() or next(TESTS) % EVERY:
        return
    if int(MEMORY.read_text().split()[1]) > MOST_PAGES or MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        import ctypes

        import jax

        jax.clear_caches()
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # give back to the system what was freed
