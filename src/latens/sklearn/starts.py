"""Where EM begins: groups of rows by the methods that scikit-learn names, whatever units and order the rows have."""

import numpy as np

from latens.cells import taken
from latens.engine.evaluation import to_free
from latens.engine.problem import Problem
from latens.models.seeding import distinct, from_groups, partition
from latens.numerics.compiling import double
from latens.numerics.space import Params

SAME = 1e-6  # of a standard deviation; and of all rows in a group
ROWS = 10_000  # that starts look at, at most


def moments(X: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column (1 where it does not vary), and the rows in these units (0: NaN)."""
    seen = ~np.isnan(X)
    share = weights[:, None] * seen
    share = share / np.maximum(share.sum(0), 1e-300)
    mean = np.sum(share * np.where(seen, X, 0.0), 0)
    centred = np.where(seen, X - mean, 0.0)
    scale = np.sqrt(np.sum(share * centred**2, 0))
    scale = np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)
    return mean, scale, centred / scale


class Seeds:
    """Rows that starts are made of: each distinct one once, in an order that is the data's own."""

    def __init__(self, X: np.ndarray, weights: np.ndarray, state: np.random.RandomState) -> None:
        rows, counts = distinct(X, weights)
        self.total = float(counts.sum())
        if len(rows) > ROWS:
            few = np.sort(state.choice(len(rows), ROWS, replace=False))
            rows, counts = rows[few], counts[few]
        self.rows, self.values, self.weights, self.state = rows, X[rows], counts, state
        self.mean, self.scale, self.features = moments(self.values, counts)

    def variance_within(self, k: int) -> np.ndarray:
        """(d,) the variance of each column within k groups; of all rows where that is 0."""
        groups = self._kmeans(k, 0)
        squares, seen = np.zeros(len(self.mean)), np.zeros(len(self.mean))
        for j in range(k):
            own = self.values[groups == j]
            if len(own):
                here = np.where(np.isnan(own), 0.0, self.weights[groups == j, None])
                mean = np.nansum(here * own, 0) / np.maximum(here.sum(0), 1e-300)
                squares += np.nansum(here * (own - mean) ** 2, 0)
                seen += here.sum(0)
        within = squares / np.maximum(seen, 1e-300)
        return np.asarray(np.where(within > (SAME * self.scale) ** 2, within, self.scale**2))

    def memberships(self, k: int, how: str) -> np.ndarray:
        """(m, k) shares of the groups in each row."""
        if how == "kmeans":
            return self._shrunk(self._kmeans(k, self.state.randint(2**31)), k)
        if how == "random":
            shares = self.state.uniform(size=(len(self.rows), k))
            return np.asarray(shares / shares.sum(1, keepdims=True))
        rng = np.random.default_rng(self.state.randint(2**31, size=4))
        return partition(self.features, self.weights, k, rng.random(k), apart=how == "k-means++")

    def nearest(self, means: np.ndarray) -> np.ndarray:
        """(m, k) memberships of the rows in the groups about given means."""
        centres = (means - self.mean) / self.scale
        return self._shrunk(np.argmin([((self.features - c) ** 2).sum(1) for c in centres], 0), len(means))

    def _kmeans(self, k: int, seed: int) -> np.ndarray:
        from sklearn.cluster import KMeans

        found = KMeans(min(k, len(self.rows)), n_init=1, random_state=seed)
        return np.asarray(found.fit(self.features, sample_weight=self.weights).labels_)

    def _shrunk(self, labels: np.ndarray, k: int) -> np.ndarray:
        """The group itself, and so little of all rows that no covariance is singular."""
        member = np.eye(k)[labels]
        sizes = np.maximum(self.weights @ member / self.weights.sum(), SAME)  # of none, too
        return np.asarray((1 - SAME) * member + SAME * sizes / sizes.sum())


@double
def led_to(problem: Problem, seeds: Seeds, memberships: np.ndarray) -> Params:
    """The M-step from memberships of the seeds' rows."""
    rows = taken(problem.xs, seeds.rows)
    params = from_groups(problem.model, rows, memberships * seeds.weights[:, None], problem.pseudo)
    return problem.params(np.asarray(to_free(problem.space, params)))
