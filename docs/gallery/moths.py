"""
Six genotypes behind four colours
=================================

Moths of an English wood, by the colour of their wings. Alleles C, I and T dominate one another in this order, so that
three colours hide six genotypes, and 578 moths are known only to be insularia or typica (Givens & Hoeting 2013,
*Computational Statistics*, table 4.1 and exercise 4.1).
"""

import latens as lt

moths = lt.HardyWeinberg(
    "C > I > T",
    {"carbonaria": "C", "insularia": "I", "typica": "T", "either": ["I", "T"]},
)
fit = lt.fit(moths, {"carbonaria": 85, "insularia": 196, "typica": 341, "either": 578})
print(fit)

# %%
# If every genotype had been seen, the information about each frequency would be the whole bar. The data hold the
# first part of it. Almost nothing about C was lost, for whoever carries it is black; of what the genotypes tell about
# I and T more than half was.

ax = fit.plot.information()

# %%
# Standard errors come by several methods. The first is the exact curvature of the log-likelihood; "sem" uses nothing
# but runs of the EM map, and agrees; the bootstrap draws the moths anew.

ax = fit.plot.estimates(["observed", "sem", lt.Bootstrap(200, seed=1)])
