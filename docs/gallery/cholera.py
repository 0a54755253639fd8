"""
Your own model: who could not have been ill
===========================================

Households of an Indian village by the number of cases of cholera (Dahiya & Gross 1973, *Biometrics* 29, 785): 168 had
none. In some of them nobody was exposed; in others it was chance. The hidden part is which; the model is one
function.
"""

import jax.numpy as jnp
from jax.scipy.special import gammaln

import latens as lt

cases, households = [0, 1, 2, 3, 4], [168, 32, 16, 6, 1]


def log_joint(params, x, z):  # z = 1: exposed
    exposed = jnp.log(params["exposed"]) + x * jnp.log(params["rate"]) - params["rate"] - gammaln(x + 1.0)
    spared = jnp.log1p(-params["exposed"]) + jnp.where(x == 0, 0.0, -jnp.inf)
    return jnp.where(z == 1, exposed, spared)


inflated = lt.Latent(log_joint, [0, 1], {"exposed": lt.Unit(), "rate": lt.Positive()})
fit = lt.fit(inflated, cases, weights=households)
print(fit)

# %%
# Nothing but the joint density was written, and the standard errors are there, by every method. Most of the
# information about the share of the exposed is missing, because a household with a case was exposed, and of the
# others it is not known.

ax = fit.plot.estimates(["observed", "oakes", "profile"])

# %%
# How many of the 168 were exposed and spared by chance?

chance = fit.posterior([0.0])[0, 1]
print(f"probability {chance:.3f}, about {168 * chance:.0f} of 168 households")

# %%
# A Poisson distribution for all households is far worse. Two Poisson distributions fit no better than this model,
# with a parameter more, because the lower of their rates comes to nought.

others = {
    "Poisson": lt.fit(lt.IID(lt.Poisson()), cases, weights=households),
    "inflated": fit,
    "two Poissons": lt.fit(lt.Mixture(lt.Poisson(), 2), cases, weights=households),
}
print("rates of the two:", others["two Poissons"].sorted(by="rate").params["rate"].round(3))
ax = lt.compare(others).plot(["aic", "bic"])
