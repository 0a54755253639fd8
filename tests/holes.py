"""A model of one's own: d-variate normal rows of which cells were not seen, as (y_1 .. y_d, seen_1 .. seen_d)."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

import latens as lt


class Holes(lt.AbstractModel):
    """Potentials: Σ⁻¹μ, −½Σ⁻¹ and the log-partition; an unseen cell is integrated out of them."""

    d: int = eqx.field(static=True, default=2)

    @property
    def constraints(self):
        return {"mean": lt.Real((self.d,)), "covariance": lt.PositiveDefinite(self.d)}

    def potentials(self, params):
        precision = jnp.linalg.inv(params["covariance"])
        linear = precision @ params["mean"]
        constant = -0.5 * (params["mean"] @ linear + jnp.linalg.slogdet(2 * jnp.pi * params["covariance"])[1])
        return {"constant": constant, "linear": linear, "square": -0.5 * precision}

    def log_evidence(self, potentials, x):
        value, seen = x[: self.d], x[self.d :]
        y, hidden = value * seen, 1 - seen
        within = -2 * potentials["square"] * jnp.outer(hidden, hidden) + jnp.diag(seen)
        along = (potentials["linear"] + 2 * potentials["square"] @ y) * hidden
        shown = potentials["constant"] + potentials["linear"] @ y + y @ potentials["square"] @ y
        gone = 0.5 * (along @ jnp.linalg.solve(within, along) - jnp.linalg.slogdet(within)[1])
        return shown + gone + 0.5 * hidden.sum() * jnp.log(2 * jnp.pi)

    def estimate(self, stats):
        mean = stats["linear"] / stats["constant"]
        return {"mean": mean, "covariance": stats["square"] / stats["constant"] - jnp.outer(mean, mean)}

    def health(self, params, n):
        values = jnp.linalg.eigvalsh(params["covariance"])
        return values[:1] / (1e-7 * values[-1])

    def ailment(self, part):
        return "the covariance is singular at the maximum: the likelihood has no bound, or is on the boundary"


def rows(*columns):
    values = np.array(columns, dtype=float).T
    return np.c_[np.nan_to_num(values), ~np.isnan(values)]
