"""
Numbers, counts and categories in one table
===========================================

178 wines of three cultivars from one region (Forina et al. 1988, as in scikit-learn). Of each: its alcohol in per
cent, the strength of its colour (positive), magnesium (whole milligrams), and flavanoids, cut here into three grades.
The fit is not told the cultivar.
"""

import numpy as np
from sklearn.datasets import load_wine

import latens as lt

wine = load_wine(as_frame=True)
table = wine.data[["alcohol", "color_intensity", "magnesium"]].rename(columns={"color_intensity": "colour"})
table["flavanoids"] = np.array(["low", "middle", "high"])[np.digitize(wine.data["flavanoids"], [1.3, 2.5])]
columns = {
    "alcohol": lt.Normal(),
    "colour": lt.LogNormal(),
    "magnesium": lt.NegativeBinomial(100),  # spread twice as wide as Poisson's
    "flavanoids": lt.Categorical(3),
}
fit = lt.fit(lt.Mixture(lt.Product(columns), 3), table, starts=10).sorted(by="alcohol.mean")

# %%
# Within a component the columns are independent, each of its own kind. The components, by their parameters: each has
# a grade of flavanoids that most of its wines have.

ax = fit.plot.profiles()

# %%
# The fitted distribution of some of the columns follows from that of all. On the diagonal each column by itself, the
# magnesium with a bar for every whole number.

ax = fit.plot.density(columns=["alcohol", "colour", "magnesium"])

# %%
# Rows: cultivars; columns: the component that is most probable.

counts = np.zeros((3, 3), int)
np.add.at(counts, (wine.target, fit.predict()), 1)
print(counts)
