"""
Two coins, and no note of which
===============================

Five times one of two coins was drawn fairly and tossed ten times. The heads were written down, the coin was not (Do &
Batzoglou 2008, *Nature Biotechnology* 26, 897).
"""

import latens as lt

tosses = {"heads": [5, 9, 8, 4, 7], "tosses": [10, 10, 10, 10, 10]}
coins = lt.Mixture(lt.Binomial(), 2, weights=(0.5, 0.5))
fit = lt.fit(coins, tosses, start={"probability": [0.6, 0.5]})
print(fit)

# %%
# The E-step asks how probable each coin is, given the heads. These probabilities are far from 0 and 1: no row is
# surely of one coin, and this is why EM must share each row out among both.

print(fit.posterior().round(3))
ax = fit.plot.posterior()

# %%
# Which coin is called the first is left open, so the profile likelihood has a second valley, at the value of the
# other coin. The rise between the two is low: five rows do not even say that there are two coins.

single = lt.fit(lt.IID(lt.Binomial()), tosses)
print(f"log-likelihood with two coins {fit.log_likelihood:.3f}, with one {single.log_likelihood:.3f}")
ax = fit.plot.profile("probability[0]")
