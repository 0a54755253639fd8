"""Damped Newton: the M-step of every model that has no closed form."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

STEPS = 60
ROUNDING = 4 * 2.0**-52  # of an objective's slope, by its size
RIDGE = 1e-13  # of each coordinate's own curvature, so that what the objective does not depend on stays


class _State(NamedTuple):
    point: Array
    value: Array
    hessian: Array  # where the last step began
    damping: Array
    left: Array
    done: Array
    steps: Array


class Maximum(NamedTuple):
    """Where a search ended, and whether that is a maximum; if not, nothing is claimed of it."""

    point: Array  # (p,)
    arrived: Array  # a boolean


def maximum(objective: Callable[[Array], Array], start: Array) -> Array:
    """The point (p,) alone, NaN if the search did not arrive."""
    found = maximise(objective, start)
    return jnp.where(found.arrived, found.point, jnp.nan)


def maximise(objective: Callable[[Array], Array], start: Array, *, bounded: Any = False) -> Maximum:
    """A local maximum of a smooth function, never below its value at `start`.

    Each step solves (−H + λ·diag|H|) δ = g (Levenberg–Marquardt damping) and is taken only if the
    objective does not fall; λ shrinks after success and grows after failure.

    **Arguments:** `objective` (p,) → scalar, `start` (p,), `bounded` (p,): which coordinates are logarithms or logits,
    whose slope by rounding is no slope.
    **Returns:** a `Maximum`, which has arrived if the squared Newton decrement gᵀδ fell below 1e-13, or 1e-16 of the
    objective's size; it is looked for until that is below 1e-22. A NaN among the derivatives ends the search.
    **Source:** Marquardt (1963), SIAM J. Appl. Math. 11, 431; Nocedal & Wright (2006), ch. 10.
    """
    gradient = jax.grad(objective)
    both = jax.jacfwd(lambda at: (gradient(at),) * 2, has_aux=True)  # the Hessian, and the gradient with it

    def step(state: _State) -> _State:
        hessian, g = both(state.point)
        # beside a boundary, where there is no curvature to hold it, rounding in the slope would lead far away
        g = jnp.where(bounded & (jnp.abs(g) <= ROUNDING * (1.0 + jnp.abs(state.value))), 0.0, g)
        scale = jnp.maximum(jnp.abs(jnp.diag(hessian)), 1e-12)
        delta = jnp.linalg.solve(state.damping * jnp.diag(scale) - hessian, g)
        decrement = g @ delta
        candidate = state.point + delta
        value = objective(candidate)
        # near the optimum the change of the objective is below its rounding, so judge by that
        slack = 1e-14 * (1.0 + jnp.abs(state.value))
        good = (decrement > 0) & (value >= state.value - slack) & jnp.all(jnp.isfinite(candidate))
        tiny = (jnp.abs(decrement) <= 1e-22 * (1.0 + jnp.abs(state.value))) & (state.damping <= 1e-3)
        lost = ~jnp.isfinite(g).all() | ~jnp.isfinite(hessian).all()
        near = jnp.all(jnp.abs(delta) <= ROUNDING * jnp.abs(state.point)) & (state.damping <= 1e-2)
        still = jnp.all(g == 0) | near
        return _State(
            jnp.where(good, candidate, state.point),
            jnp.where(good, value, state.value),
            hessian,
            jnp.where(good, state.damping * 0.05, jnp.maximum(state.damping, 1e-4) * 10.0),
            # of a step that damping holds back the decrement says nothing
            jnp.where(still, 0.0, jnp.where(lost, jnp.nan, jnp.where(state.damping <= 1e-2, decrement, state.left))),
            tiny | lost | still | (state.damping > 1e12),
            state.steps + 1,
        )

    none, unknown = jnp.zeros((len(start), len(start))), jnp.asarray(jnp.inf)
    first = _State(start, objective(start), none, jnp.asarray(1e-4), unknown, jnp.asarray(False), jnp.asarray(0))
    end = jax.lax.while_loop(lambda s: ~s.done & (s.steps < STEPS), step, first)
    arrived = jnp.abs(end.left) <= jnp.maximum(1e-13, 1e-16 * (1.0 + jnp.abs(end.value)))
    point, hessian = jax.lax.stop_gradient((end.point, end.hessian))
    return Maximum(_differentiable(point, gradient(point), hessian), arrived)


def _differentiable(end: Array, g: Array, hessian: Array) -> Array:
    """The same point, with the derivative of an argmax: −H⁻¹ ∂g, not that of the steps that led there.

    The last of them was so short that where it began the Hessian is the same.
    """
    curvature = -hessian
    step = jnp.linalg.solve(curvature + RIDGE * jnp.diag(jnp.abs(jnp.diag(curvature))), g)
    step = jnp.where(jnp.isfinite(step), step, 0.0)
    return end + (step - jax.lax.stop_gradient(step))
