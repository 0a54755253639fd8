"""
Three species, not told
=======================

Four lengths of 150 irises of three species (Fisher 1936, as in scikit-learn). The fit sees the lengths alone;
afterwards its three components are held against the species.
"""

import numpy as np
from sklearn.datasets import load_iris

import latens as lt

iris = load_iris(as_frame=True)
flowers = iris.data.rename(columns=lambda name: name.removesuffix(" (cm)"))
fit = lt.fit(lt.Mixture(lt.MultivariateNormal(4), 3), flowers, starts=10).sorted(by="mean[petal length]")

ax = fit.plot.density()

# %%
# Rows: species; columns: the component that is most probable.

table = np.zeros((3, 3), int)
np.add.at(table, (iris.target, fit.predict()), 1)
for species, row in zip(iris.target_names, table, strict=True):
    print(f"{species:<11}", *(f"{count:3d}" for count in row))

# %%
# One component is far from the others, and those two overlap. How sure is each flower of its component? Some of the
# five in the wrong one look sure, too: the probability supposes that the model is right.

wrong = iris.target != fit.predict()
print("1 - largest probability, of the five:", *(1 - fit.posterior().max(1))[wrong].round(2))
ax = fit.plot.uncertainty(["petal length", "petal width"])
