"""
Four questions, two kinds of people
===================================

In four situations of role conflict, A to D, 216 people took either side: that of a friend, or that of a rule for all
(Stouffer & Toby 1951, *American Journal of Sociology* 56, 395; Goodman 1974, *Biometrika* 61, 215, whose answers 1
and 2 are 0 and 1 here). Within a latent class the answers are independent; what makes them go together is that there
are two classes.
"""

from itertools import product

import numpy as np

import latens as lt

patterns = np.array(list(product([0, 1], repeat=4)))
people = [42, 23, 6, 25, 6, 24, 7, 38, 1, 4, 1, 6, 2, 9, 2, 20]
answers = dict(zip("ABCD", patterns.T, strict=True))
items = lt.Product({name: lt.Bernoulli() for name in answers})
fit = lt.fit(lt.Mixture(items, 2), answers, weights=people).sorted(by="weights")
print(fit)

# %%
# Each class by its probabilities of the answer 1. The classes differ in all four, and the questions in how often it
# is given.

ax = fit.plot.profiles()

# %%
# Some people have patterns that either class may give: their posterior probabilities are between 0 and 1.

ax = fit.plot.posterior()

# %%
# Do two classes suffice? The observed and expected number of each pattern of answers, its residual, and for each pair
# of questions what the model leaves of their connection: nothing to speak of.

ax = fit.plot.fit()

# %%
# For comparison, one class, that is independent answers.

single = lt.fit(lt.IID(items), answers, weights=people)
ax = single.plot.fit()
