"""A model of one's own: bivariate normal rows of which cells were not seen, as (y1, y2, seen1, seen2)."""

import jax.numpy as jnp
import numpy as np

import latens as lt


class Holes(lt.AbstractModel):
    """Potentials: Σ⁻¹μ, −½Σ⁻¹ and the log-partition; an unseen cell is integrated out of them."""

    @property
    def constraints(self):
        return {"mean": lt.Real((2,)), "covariance": lt.PositiveDefinite(2)}

    def potentials(self, params):
        precision = jnp.linalg.inv(params["covariance"])
        linear = precision @ params["mean"]
        constant = -0.5 * (params["mean"] @ linear + jnp.linalg.slogdet(2 * jnp.pi * params["covariance"])[1])
        return {"constant": constant, "linear": linear, "square": -0.5 * precision}

    def log_evidence(self, potentials, x):
        value, seen = x[:2], x[2:]
        y, hidden = value * seen, 1 - seen
        within = -2 * potentials["square"] * jnp.outer(hidden, hidden) + jnp.diag(seen)
        along = (potentials["linear"] + 2 * potentials["square"] @ y) * hidden
        shown = potentials["constant"] + potentials["linear"] @ y + y @ potentials["square"] @ y
        gone = 0.5 * (along @ jnp.linalg.solve(within, along) - jnp.linalg.slogdet(within)[1])
        return shown + gone + 0.5 * hidden.sum() * jnp.log(2 * jnp.pi)

    def estimate(self, stats):
        mean = stats["linear"] / stats["constant"]
        return {"mean": mean, "covariance": stats["square"] / stats["constant"] - jnp.outer(mean, mean)}


def rows(first, second):
    values = np.array([first, second], dtype=float).T
    return np.c_[np.nan_to_num(values), ~np.isnan(values)]
