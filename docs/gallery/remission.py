"""
Remissions that had not ended
=============================

Weeks of remission of 42 children with leukaemia, half of them on 6-mercaptopurine, half on a placebo (Freireich et
al. 1963, *Blood* 21, 699). Twelve remissions were still going on when the study ended: ``9+`` is one that had lasted
nine weeks.
"""

import jax.numpy as jnp

import latens as lt

drug = [6, 6, 6, "6+", 7, "9+", 10, "10+", "11+", 13, 16, "17+", "19+", "20+", 22, 23, "25+"]
drug += ["32+", "32+", "34+", "35+"]
placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
treated, control = (lt.fit(lt.IID(lt.Weibull()), lt.read_cells({"weeks": weeks})) for weeks in (drug, placebo))
print(treated)

# %%
# A censored time is an arrow: all that is known is that the end lies further right. EM takes the expectation over
# what it may have been.

ax = treated.plot.density()

# %%
# Does a Weibull distribution fit? Its quantiles against those of Kaplan and Meier, who assume no distribution.

ax = treated.plot.fit()

# %%
# The median is a function of the parameters, and gets its standard error and interval from theirs.

for name, fit in (("drug", treated), ("placebo", control)):
    median = fit.derive(lambda params: params["scale"] * jnp.log(2) ** (1 / params["shape"]))
    low, high = median.interval()
    print(f"{name:8} median {float(median.estimate):5.1f} weeks, 95 % interval {low:.1f} to {high:.1f}")

# %%
# Nine ends in 21 remissions leave the scale uncertain, and more so upwards: the profile likelihood leans to the
# right, which no parabola can.

ax = treated.plot.profile("scale")
