"""
How many components?
====================

Flavanoids in 178 wines of three cultivars (Forina et al. 1988, as in scikit-learn). Mixtures of one to five log-normals
are fitted, without the cultivar; criteria weigh the log-likelihood against the number of parameters.
"""

from sklearn.datasets import load_wine

import latens as lt

flavanoids = load_wine(as_frame=True).data[["flavanoids"]]
choice = lt.choose(lambda k: lt.Mixture(lt.LogNormal(), k), flavanoids, range(1, 6))
print(choice)

# %%
# AIC and BIC have three components, as many as there are cultivars. ICL also asks that the components tell the rows
# apart, and has one. The question comes before the criterion: is it the density that is wanted, or groups?

ax = choice.plot()

# %%
# The three components overlap a good deal.

ax = choice.fits[choice.k].sorted(by="mean").plot.density()

# %%
# With four components the log-likelihood has several maxima. Thirty starts are tried by short runs and the better ones
# go on; the bars say how many came to which maximum. The curve is the last run, to the highest, which few starts find.

ax = choice.fits[4].plot.trace()
