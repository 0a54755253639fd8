"""Where EM begins: groups of rows by the methods that scikit-learn names, whatever units and order the rows have."""

from functools import lru_cache

import numpy as np

from latens.cells import taken
from latens.engine.evaluation import to_free
from latens.engine.problem import Problem
from latens.models.seeding import from_groups, partition, some_distinct
from latens.numerics.compiling import double
from latens.numerics.space import Params

SAME = 1e-6  # of a standard deviation; and of all rows in a group
LEAST = 1e-3  # of the largest variance within groups: a direction in which they are flatter counts no more
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


def rounded(rows: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Rows in coordinates in which a covariance (d, d) is that of a sphere, but for directions that are flat."""
    values, vectors = np.linalg.eigh(spread)
    return np.asarray(rows @ (vectors / np.sqrt(np.maximum(values, max(LEAST * values[-1], 1e-300)))))


class Seeds:
    """Rows that starts are made of: each distinct one once, in an order that is the data's own."""

    def __init__(self, X: np.ndarray, weights: np.ndarray, state: np.random.RandomState) -> None:
        rows, counts = some_distinct(X, weights, ROWS, state.randint(2**31))
        self.total = float(weights.sum())
        self.rows, self.values, self.weights, self.state = rows, X[rows], counts, state
        self.mean, self.scale, self.features = moments(self.values, counts)

    @lru_cache(maxsize=1)  # noqa: B019 - asked for twice, and gone with the fit
    def _within(self, k: int) -> np.ndarray:
        """(d, d) the covariance of the scaled rows within k groups, each cell by the rows in which it was seen."""
        member = np.eye(k)[self._kmeans(self.features, k, 0)] * self.weights[:, None]
        seen = ~np.isnan(self.values)
        means = member.T @ self.features / np.maximum(member.T @ seen, 1e-300)
        away = np.where(seen, self.features - (member > 0) @ means, 0.0)
        return np.asarray((away * self.weights[:, None]).T @ away / np.maximum(self.weights @ seen, 1e-300))

    def variance_within(self, k: int) -> np.ndarray:
        """(d,) the variance of each column within k groups; of all rows where that is 0."""
        within = np.diag(self._within(k))
        return np.asarray(np.where(within > SAME**2, within, 1.0) * self.scale**2)

    def memberships(self, k: int, how: str, covariance_type: str) -> np.ndarray:
        """(m, k) shares of the groups in each row."""
        if how != "kmeans":
            return self.several(k, how, 1)[0]
        labels = max(self._grouped(k), key=lambda found: self._likelihood(found, k, covariance_type))
        return self._shrunk(labels, k)

    def several(self, k: int, how: str, times: int) -> list[np.ndarray]:
        """At least so many of such (m, k) shares."""
        if how == "kmeans":
            sets = [self._grouped(k) for _ in range(-(-times // 3))]
            return [self._shrunk(labels, k) for found in sets for labels in found]
        if how == "random":
            shares = self.state.uniform(size=(times, len(self.rows), k))
            return list(shares / shares.sum(2, keepdims=True))
        rngs = [np.random.default_rng(self.state.randint(2**31, size=4)) for _ in range(times)]
        apart = how == "k-means++"
        return [partition(self.features, self.weights, k, rng.random(k), apart=apart) for rng in rngs]

    def _grouped(self, k: int) -> list[np.ndarray]:
        """(m,) the groups of k-means in units of the columns, in coordinates in which such groups are about round, and
        in such in which all rows together are."""
        rounds = [rounded(self.features, spread) for spread in (self._within(k), self._spread(self.features))]
        return [self._kmeans(rows, k, self.state.randint(2**31)) for rows in (self.features, *rounds)]

    def _spread(self, rows: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """(d, d) covariance of rows."""
        share = self.weights if weights is None else weights
        share = share / share.sum()
        away = rows - share @ rows
        return np.asarray((away * share[:, None]).T @ away)

    def _likelihood(self, labels: np.ndarray, k: int, covariance_type: str) -> float:
        """The log-likelihood of normals with these labels, up to a constant (Celeux & Govaert 1992, CSDA 14, 315)."""
        groups = [labels == j for j in range(k) if (labels == j).any()]
        sizes = np.array([self.weights[own].sum() for own in groups]) / self.weights.sum()
        spreads = np.stack([self._spread(self.features[own], self.weights[own]) for own in groups])
        if covariance_type == "tied":
            spreads = np.broadcast_to(np.einsum("k,kij->ij", sizes, spreads), spreads.shape)
        variances = np.linalg.eigvalsh(spreads)
        if covariance_type in ("diag", "spherical"):
            variances = np.diagonal(spreads, axis1=1, axis2=2)
        if covariance_type == "spherical":
            variances = np.broadcast_to(variances.mean(1, keepdims=True), variances.shape)
        return float(sizes @ (np.log(sizes) - 0.5 * np.log(variances + SAME).sum(1)))

    def nearest(self, means: np.ndarray) -> np.ndarray:
        """(m, k) memberships of the rows in the groups about given means."""
        centres = (means - self.mean) / self.scale
        return self._shrunk(np.argmin([((self.features - c) ** 2).sum(1) for c in centres], 0), len(means))

    def _kmeans(self, features: np.ndarray, k: int, seed: int) -> np.ndarray:
        from sklearn.cluster import KMeans

        found = KMeans(min(k, len(self.rows)), n_init=1, random_state=seed)
        return np.asarray(found.fit(features, sample_weight=self.weights).labels_)

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
