"""
Six trees that were not counted
===============================

Size of the crop (hundreds of fruits) and worms per hundred fruits of 18 apple trees. The worms of six trees were not
counted (Snedecor & Cochran 1967; Little & Rubin 2019, *Statistical Analysis with Missing Data*).
"""

import latens as lt

nan = float("nan")
table = {
    "size": [8, 6, 11, 22, 14, 17, 18, 24, 19, 23, 26, 40, 4, 4, 5, 6, 8, 10],
    "worms": [59, 58, 56, 53, 50, 45, 43, 42, 39, 38, 30, 27, nan, nan, nan, nan, nan, nan],
}
fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), table)
print(fit)

# %%
# Trees without a count are marks on the axis of the size. They bear little, and small crops are wormy: the mean of
# the worms that were counted, 45, is too low, and the fit says so.

ax = fit.plot.density()

# %%
# The bars are about each parameter when the others are known: then a count of worms would tell of the mean size, too.
# The last column of the table above is about each parameter when all are unknown: so the mean size has lost nothing.

ax = fit.plot.information()

# %%
# An empty cell can be filled with its expectation. For anything that is computed further, draws are better: each of
# 50 tables is analysed as if it were whole, and `lt.pool` puts the answers together, with the uncertainty of the
# filling.

filled = fit.impute(table)
print("expected:", filled.values["worms"][12:].round(1), "give or take", filled.errors["worms"][12:].round(1))
draws = fit.impute(table, draws=50, seed=1).draws
pooled = lt.pool([draw["worms"].mean() for draw in draws], [draw["worms"].var(ddof=1) / 18 for draw in draws])
print("mean of the worms, pooled:", pooled.estimate.round(2), pooled.standard_error.round(2))
print("by the fit:", fit.params["mean"][1].round(2), fit.standard_errors()["mean"][1].round(2))
