"""Where EM begins: groups of rows by the methods that scikit-learn names, whatever units and order the rows have."""

from functools import cached_property

import numpy as np

from latens.cells import taken
from latens.engine.evaluation import to_free
from latens.engine.problem import Problem
from latens.models.seeding import from_groups, partition, some_distinct
from latens.numerics.compiling import double
from latens.numerics.space import Params

SAME = 1e-6  # of a standard deviation; and of all rows in a group
LEAST = 1e-3  # of the largest variance within groups: a direction in which they are flatter counts no more
WIDE = 100  # columns, of more than which no coordinates are made for a start
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
    """Rows that k groups begin from: each distinct one once, in an order that is the data's own."""

    def __init__(self, X: np.ndarray, weights: np.ndarray, k: int, state: np.random.RandomState) -> None:
        rows, counts = some_distinct(X, weights, ROWS, state.randint(2**31))
        self.total, self.k = float(weights.sum()), k
        self.rows, self.values, self.weights, self.state = rows, X[rows], counts, state
        self.mean, self.scale, self.features = moments(self.values, counts)

    @cached_property
    def _away(self) -> np.ndarray:
        """(m, d) the scaled rows about the means of groups of k-means, 0 where nothing was seen, times √weight."""
        member = np.eye(self.k)[self._kmeans(self.features, 0)]
        seen = ~np.isnan(self.values)
        share = (member * self.weights[:, None]).T
        means = share @ self.features / np.maximum(share @ seen, 1e-300)
        return np.where(seen, self.features - member @ means, 0.0) * np.sqrt(self.weights)[:, None]

    @property
    def variance_within(self) -> np.ndarray:
        """(d,) the variance of each column within the groups; of all rows where that is 0."""
        counts = self.weights @ ~np.isnan(self.values)
        within = (self._away**2).sum(0) / np.maximum(counts, 1e-300)
        return np.asarray(np.where(within > SAME**2, within, 1.0) * self.scale**2)

    def memberships(self, how: str, covariance_type: str) -> np.ndarray:
        """(m, k) shares of the groups in each row."""
        if how != "kmeans":
            return self.several(how, 1)[0]
        found = self._grouped()
        if len(found) == 1:
            return self._shrunk(found[0])
        return self._shrunk(max(found, key=lambda labels: self._likelihood(labels, covariance_type)))

    def several(self, how: str, times: int) -> list[np.ndarray]:
        """At least so many of such (m, k) shares."""
        if how == "kmeans":
            found: list[np.ndarray] = []
            while len(found) < times:
                found += map(self._shrunk, self._grouped())
            return found
        if how == "random":
            shares = self.state.uniform(size=(times, len(self.rows), self.k))
            return list(shares / shares.sum(2, keepdims=True))
        rngs = [np.random.default_rng(self.state.randint(2**31, size=4)) for _ in range(times)]
        apart = how == "k-means++"
        return [partition(self.features, self.weights, self.k, rng.random(self.k), apart=apart) for rng in rngs]

    def _grouped(self) -> list[np.ndarray]:
        """(m,) the groups of k-means in units of the columns; unless these are many, in coordinates in which such
        groups are about round, and in such in which all rows together are."""
        rows = [self.features]
        if self.features.shape[1] <= WIDE:
            within = self._away.T @ self._away / self.weights.sum()
            rows += [rounded(self.features, spread) for spread in (within, self._spread(self.features))]
        return [self._kmeans(each, self.state.randint(2**31)) for each in rows]

    def _spread(self, rows: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """(d, d) covariance of rows."""
        share = self.weights if weights is None else weights
        share = share / share.sum()
        away = rows - share @ rows
        return np.asarray((away * share[:, None]).T @ away)

    def _likelihood(self, labels: np.ndarray, covariance_type: str) -> float:
        """The log-likelihood of normals with these labels, up to a constant (Celeux & Govaert 1992, CSDA 14, 315)."""
        groups = [labels == j for j in range(self.k) if (labels == j).any()]
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
        return self._shrunk(np.argmin([((self.features - c) ** 2).sum(1) for c in centres], 0))

    def _kmeans(self, features: np.ndarray, seed: int) -> np.ndarray:
        from sklearn.cluster import KMeans

        found = KMeans(min(self.k, len(self.rows)), n_init=1, random_state=seed)
        return np.asarray(found.fit(features, sample_weight=self.weights).labels_)

    def _shrunk(self, labels: np.ndarray) -> np.ndarray:
        """The group itself, and so little of all rows that no covariance is singular."""
        member = np.eye(self.k)[labels]
        sizes = np.maximum(self.weights @ member / self.weights.sum(), SAME)  # of none, too
        return np.asarray((1 - SAME) * member + SAME * sizes / sizes.sum())


@double
def led_to(problem: Problem, seeds: Seeds, memberships: np.ndarray) -> Params:
    """The M-step from memberships of the seeds' rows."""
    rows = taken(problem.xs, seeds.rows)
    params = from_groups(problem.model, rows, memberships * seeds.weights[:, None], problem.pseudo)
    return problem.params(np.asarray(to_free(problem.space, params)))
