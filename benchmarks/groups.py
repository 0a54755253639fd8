"""`lt.fit_many` beside a loop over `lt.fit`, and beside scikit-learn in a loop: 5,000 groups of 200 rows.

python benchmarks/groups.py
"""

import time
from functools import partial

import numpy as np
from sklearn.mixture import GaussianMixture

import latens as lt

GROUPS, LOOPED = 5_000, 100
DRAWS = np.random.default_rng(0)
CASES = {
    "two exponentials": (lt.Mixture(lt.Exponential(), 2), lambda: DRAWS.exponential(np.repeat([1.0, 8.0], 100)), None),
    "two normals": (
        lt.Mixture(lt.Normal(), 2),
        lambda: DRAWS.normal(np.repeat([0.0, 4.0], 100), 1.0),
        lambda rows, starts=1: GaussianMixture(2, n_init=starts).fit(rows[:, None]),
    ),
}


def seconds(function, rows):
    """For one group, from some of them."""
    function(rows[0])
    begin = time.perf_counter()
    for each in rows:
        function(each)
    return (time.perf_counter() - begin) / len(rows)


for name, (model, draw, peer) in CASES.items():
    parts = [draw() for _ in range(GROUPS)]
    data, keys = np.concatenate(parts), np.repeat(np.arange(GROUPS), 200)
    lt.fit_many(model, data, keys)
    begin = time.perf_counter()
    many = lt.fit_many(model, data, keys)
    own = (time.perf_counter() - begin) / GROUPS
    print(f"{name}: {many}; {own * 1e3:.2f} ms a group, standard errors included")
    for title, function in (
        ("lt.fit", lambda rows, model=model: lt.fit(model, rows)),
        ("lt.fit and standard errors", lambda rows, model=model: lt.fit(model, rows).standard_errors()),
        ("scikit-learn, one start", peer),
        ("scikit-learn, three starts, as here", peer and partial(peer, starts=3)),
    ):
        if function is not None:
            each = seconds(function, parts[:LOOPED])
            print(f"  {title}: {each * 1e3:.2f} ms, {each / own:.1f} times as long")
