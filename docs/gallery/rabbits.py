"""
How many were never seen?
=========================

Rabbits in an enclosure were trapped on 18 nights: 43 were caught once, 16 twice, ..., one seven times (Edwards &
Eberhardt 1967, *Journal of Wildlife Management* 31, 87). A rabbit that was never caught is in no table. Here 135 were
known to be there.
"""

import jax.numpy as jnp

import latens as lt

captures, rabbits = [1, 2, 3, 4, 5, 6, 7], [43, 16, 8, 6, 0, 2, 1]
families = {"Poisson": lt.Poisson(), "geometric": lt.NegativeBinomial(1)}
fits = {
    name: lt.fit(lt.IID(lt.Truncated(family, lower=1)), captures, weights=rabbits) for name, family in families.items()
}

# %%
# `lt.Truncated` is the family given that the value is 1 or more. In EM's complete data there are also the rabbits
# that were not seen, and how many is expected follows from the probability of 0. The intervals take the 76 that were
# caught as given.

zero = {"Poisson": lambda params: jnp.exp(-params["rate"]), "geometric": lambda params: params["probability"]}
for name, fit in fits.items():
    total = fit.derive(lambda params, name=name: 76 / (1 - zero[name](params)))
    low, high = total.interval()
    print(f"{name:10} total {float(total.estimate):6.1f}, 95 % interval {low:.0f} to {high:.0f}")

# %%
# The Poisson distribution has every rabbit as easy to catch as the next. Bars hang from the fitted curve: it has too
# few rabbits that were caught once and too few that were caught often, and the total is far below 135.

ax = fits["Poisson"].plot.density(hanging=True)

# %%
# The geometric one lets rabbits differ. It fits better; its total is above 135, and so, only just, is its interval.
# How many were never seen depends on the family more than on the data.

ax = fits["geometric"].plot.density(hanging=True)

# %%
# The criteria agree.

ax = lt.compare(fits).plot(["aic", "bic"])
