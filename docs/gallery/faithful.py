"""
Two kinds of eruption
=====================

Old Faithful waits longer after a long eruption. Which kind each of 272 eruptions was is hidden (Azzalini & Bowman
1990): a mixture of two bivariate normals, each parameter with its standard error.
"""

import polars as pl

import latens as lt

faithful = pl.read_csv("../../examples/faithful.csv")
fit = lt.fit(lt.Mixture(lt.MultivariateNormal(2), 2), faithful).sorted(by="weights")
print(fit)

# %%
# The ellipses hold 95 % of each component; colours tell which component made a row most probably.

ax = fit.plot.density()

# %%
# Does the model fit? Each column's quantiles, against those that the fit expects.

ax = fit.plot.fit()
