"""How programs are compiled that run once, or over no data."""

from functools import partial

import jax

# it is their compilation that takes time, less so unoptimised
once = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False})
