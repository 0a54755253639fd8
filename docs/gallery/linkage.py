"""
One parameter: EM's rate is what is missing
===========================================

197 animals in four groups; the first group is two cells, of probabilities 1/2 and t/4, that cannot be told apart (Rao
1973). Dempster, Laird & Rubin (1977), *JRSS B* 39, 1, begin with this example.
"""

import latens as lt

linkage = lt.Cells(
    {"a": "1/2", "b": "t/4", "c": "(1-t)/4", "d": "(1-t)/4", "e": "t/4"},
    seen={"AB": ["a", "b"], "Ab": "c", "aB": "d", "ab": "e"},
    parameters=["t"],
)
fit = lt.fit(linkage, {"AB": 125, "Ab": 18, "aB": 20, "ab": 34}, start={"t": 0.5}, accelerate=lt.Plain())
print(fit)

# %%
# If the cells of the first group had been told apart, the information about t would be the complete one. The share
# that is missing is also the factor by which each step of EM shortens the distance to the limit.

found = fit.information()
for name in ("complete", "missing", "observed"):
    print(f"{name:9}{getattr(found, name)[0, 0]:8.3f}")
print(f"fraction missing {found.fraction_missing:.4f}")
ax = fit.plot.rate()

# %%
# The log-likelihood is close to a parabola in t, so that the interval from the standard error will do.

ax = fit.plot.profile("t")
