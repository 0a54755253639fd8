"""How programs are compiled that run once, or over no data; and those that run beside others."""

from functools import partial

import jax

# it is their compilation that takes time, less so unoptimised
once = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False})

# where our own threads fill the cores, one of XLA's more for half a block costs more than it saves
ALONE = {"xla_disable_hlo_passes": "cpu-parallel-task-assigner"}
beside = partial(jax.jit, compiler_options=ALONE)
