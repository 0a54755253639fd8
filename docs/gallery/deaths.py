"""
A slow EM, and a fast one
=========================

Notices of the death of women over 80 in the London *Times*, on 1096 days of 1910 to 1912 (Hasselblad 1969, *JASA* 64,
1459). The days have perhaps two rates, of summer and of winter. This is a known hard case for EM.
"""

import latens as lt

notices = list(range(10))
days = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
start = {"weights": [0.3, 0.7], "rate": [1.0, 2.5]}
model = lt.Mixture(lt.Poisson(), 2)
plain = lt.fit(model, notices, weights=days, start=start, accelerate=lt.Plain())
auto = lt.fit(model, notices, weights=days, start=start, accelerate=lt.Auto())
print(auto)

# %%
# Near the limit each step of plain EM leaves 0.996 of the distance: the fraction of information that is missing.

print(f"fraction missing {auto.information().fraction_missing:.4f}")
print(f"evaluations of the EM map: {plain.evaluations} by plain EM, {auto.evaluations} by the default")
ax = plain.plot.rate()

# %%
# The default goes to the same limit. Most of the way is along a ridge, where the log-likelihood hardly rises;
# diamonds are points that were extrapolated, and kept since they did not lower it.

ax = auto.plot.rate()

# %%
ax = auto.plot.trace()

# %%
# The two rates fit. Bars hang from the curve, on a root scale, so that those of rare counts can be judged like the
# others: a bar that ends above the line is of fewer days than fitted, one that goes through it of more.

ax = auto.plot.density(hanging=True)
