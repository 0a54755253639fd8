"""EM maps in NumPy, in the parameters that textbooks give them: what accelerators are compared on.

Each is (map, objective, start, other starts); an objective is −inf outside the constraints.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, log_ndtr, logsumexp

REFERENCE = Path(__file__).resolve().parent.parent.parent / "shared" / "reference" / "data"


class Case(NamedTuple):
    """A map with its objective, the start of the paper or table, and how to draw another."""

    map: Callable[[np.ndarray], np.ndarray]
    objective: Callable[[np.ndarray], float]
    start: np.ndarray
    draw: Callable[[np.random.Generator], np.ndarray]

    def starts(self, number: int) -> list[np.ndarray]:
        """The start, and others."""
        return [self.start, *(self.draw(np.random.default_rng(i)) for i in range(1, number))]


def deaths() -> Case:
    """Two Poissons: deaths of women over 80, London Times 1910-12 (Hasselblad 1969, JASA 64, 1459)."""
    y, f = np.arange(10.0), np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1.0])

    def joint(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.log(p[0]) - p[1] + y * np.log(p[1]), np.log(1 - p[0]) - p[2] + y * np.log(p[2])

    def step(p: np.ndarray) -> np.ndarray:
        one, two = joint(p)
        z = 1 / (1 + np.exp(two - one))
        a, b = f * z, f * (1 - z)
        return np.array([a.sum() / f.sum(), a @ y / a.sum(), b @ y / b.sum()])

    def value(p: np.ndarray) -> float:
        if not (0 < p[0] < 1 and p[1] > 0 and p[2] > 0):
            return -np.inf
        return float(f @ (np.logaddexp(*joint(p)) - gammaln(y + 1)))

    return Case(step, value, np.array([0.3, 1.0, 2.5]), lambda rng: rng.uniform([0.2, 0.5, 2.0], [0.8, 2.0, 4.0]))


def factors() -> Case:
    """Four factors, restricted loadings: nine tests (Jöreskog 1967, Psychometrika 32, 443; Liu & Rubin 1998)."""
    above = ".554 .227 .296 .189 .219 .769 .461 .479 .237 .212 .506 .530 .243 .226 .520 .408 .425 .304 "
    above += ".291 .514 .473 .280 .311 .718 .681 .313 .348 .374 .241 .311 .730 .661 .245 .290 .306 .672"
    correlations = np.eye(9)
    column, row = np.tril_indices(9, -1)
    correlations[row, column] = correlations[column, row] = [float(word) for word in above.split()]
    loadings = """.5954912 .6449102 .7630006 .7163828 .6175647 .6464100 .6452737 .7868222 .7482302
        -.4893347 -.4408213 .5053083 .5258722 -.4714808 -.4628659 -.3260013 .3690580 .4326963
        -.3848925 -.3555598 -.0535340 .0219100 0 0 0 0 0 0 0 0 0 .1931459 .4606456 -.3622682 .0630371 .0431256"""
    begin = np.array([float(word) for word in loadings.split()]).reshape(4, 9).T
    free = np.ones((9, 4), bool)
    free[:4, 3] = free[4:, 2] = False

    def split(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        loading = np.zeros((9, 4))
        loading[free] = v[:27]
        return loading, v[27:]

    def step(v: np.ndarray) -> np.ndarray:
        loading, unique = split(v)
        back = np.linalg.solve(loading @ loading.T + np.diag(unique), loading)
        cross = correlations @ back
        inner = back.T @ cross + np.eye(4) - loading.T @ back
        new, rest = np.zeros((9, 4)), np.zeros(9)
        for j, chosen in enumerate(free):
            new[j, chosen] = np.linalg.solve(inner[np.ix_(chosen, chosen)], cross[j, chosen])
            rest[j] = correlations[j, j] - cross[j] @ new[j]
        return np.concatenate([new[free], rest])

    def value(v: np.ndarray) -> float:
        loading, unique = split(v)
        if (unique <= 0).any():
            return -np.inf
        covariance = loading @ loading.T + np.diag(unique)
        return float(-72 * (np.linalg.slogdet(covariance)[1] + np.trace(np.linalg.solve(covariance, correlations))))

    start = np.concatenate([begin[free], np.full(9, 1e-8)])
    return Case(step, value, start, lambda rng: start * (1 + 0.01 * rng.standard_normal(len(start))))


def multivariate_t(n: int = 100, d: int = 25, degrees: float = 1.0) -> Case:
    """Multivariate t with known degrees of freedom, simulated: the scales of the rows are hidden."""
    rng = np.random.default_rng(1)
    y = rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(degrees, n) / degrees)[:, None]
    upper = np.triu_indices(d)

    def split(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = np.zeros((d, d))
        scale[upper] = v[d:]
        return v[:d], scale + np.triu(scale, 1).T

    def step(v: np.ndarray) -> np.ndarray:
        mean, scale = split(v)
        weight = (degrees + d) / (degrees + ((y - mean) * np.linalg.solve(scale, (y - mean).T).T).sum(1))
        new = weight @ y / weight.sum()
        return np.concatenate([new, (((y - new) * weight[:, None]).T @ (y - new) / n)[upper]])

    def value(v: np.ndarray) -> float:
        mean, scale = split(v)
        try:
            factor = np.linalg.cholesky(scale)
        except np.linalg.LinAlgError:
            return -np.inf
        squares = (np.linalg.solve(factor, (y - mean).T) ** 2).sum(0)
        return float(-n * np.log(np.diag(factor)).sum() - (degrees + d) / 2 * np.log1p(squares / degrees).sum())

    def draw(rng: np.random.Generator) -> np.ndarray:
        some = y[rng.choice(n, 3 * n // 4, replace=False)]
        return np.concatenate([some.mean(0), np.cov(some.T)[upper]])

    return Case(step, value, np.concatenate([y.mean(0), np.cov(y.T)[upper]]), draw)


def probit(n: int = 500, p: int = 6) -> Case:
    """Probit regression, simulated: the latent normal is hidden."""
    rng = np.random.default_rng(2)
    x = np.c_[np.ones(n), rng.standard_normal((n, p - 1))]
    sign = np.where(x @ rng.uniform(-1.5, 1.5, p) + rng.standard_normal(n) > 0, 1.0, -1.0)
    solve = np.linalg.solve(x.T @ x, x.T)

    def step(b: np.ndarray) -> np.ndarray:
        eta = x @ b
        return solve @ (eta + sign * np.exp(-(eta**2) / 2 - np.log(2 * np.pi) / 2 - log_ndtr(sign * eta)))

    def value(b: np.ndarray) -> float:
        return float(log_ndtr(sign * (x @ b)).sum())

    return Case(step, value, np.zeros(p), lambda rng: rng.standard_normal(p) / 2)


def normals(n: int = 2000, k: int = 20) -> Case:
    """Twenty normals on a line, simulated: weights, means and variances."""
    rng = np.random.default_rng(4)
    centres = 4.0 * np.arange(k)
    y = centres[rng.integers(0, k, n)] + rng.standard_normal(n)

    def joint(v: np.ndarray) -> np.ndarray:
        weights, means, variances = np.split(v, 3)
        return np.log(weights) - np.log(2 * np.pi * variances) / 2 - (y[:, None] - means) ** 2 / (2 * variances)

    def step(v: np.ndarray) -> np.ndarray:
        logs = joint(v)
        z = np.exp(logs - logsumexp(logs, 1, keepdims=True))
        size = z.sum(0)
        means = z.T @ y / size
        return np.concatenate([size / n, means, (z * (y[:, None] - means) ** 2).sum(0) / size])

    def value(v: np.ndarray) -> float:
        weights, _, variances = np.split(v, 3)
        if (weights <= 0).any() or (variances <= 0).any() or abs(weights.sum() - 1) > 1e-6:
            return -np.inf
        return float((logsumexp(joint(v), 1) - np.log(weights.sum())).sum())

    def start(means: np.ndarray) -> np.ndarray:
        return np.concatenate([np.full(k, 1 / k), means, np.full(k, 2.0)])

    return Case(step, value, start(centres + 0.7), lambda rng: start(centres + 0.7 + 0.3 * rng.standard_normal(k)))


def classes(name: str, k: int) -> Case:
    """Latent classes of yes-no items, of poLCA's tables: values (Stouffer & Toby 1951), carcinoma (Agresti 2002)."""
    table = np.loadtxt(REFERENCE / name, delimiter=",", skiprows=1)
    items = (table == table.max()).astype(float)
    rows, counts = np.unique(items, axis=0, return_counts=True)
    d = rows.shape[1]

    def joint(v: np.ndarray) -> np.ndarray:
        yes = v[k:].reshape(k, d)
        logs = np.log(np.maximum(yes, 1e-300)), np.log(np.maximum(1 - yes, 1e-300))
        return np.log(v[:k]) + rows @ logs[0].T + (1 - rows) @ logs[1].T

    def step(v: np.ndarray) -> np.ndarray:
        logs = joint(v)
        z = np.exp(logs - logsumexp(logs, 1, keepdims=True)) * counts[:, None]
        yes = np.minimum(z.T @ rows / z.sum(0)[:, None], 1.0)  # which rounding may pass
        return np.concatenate([z.sum(0) / counts.sum(), yes.ravel()])

    def value(v: np.ndarray) -> float:
        if (v[:k] <= 0).any() or (v < 0).any() or (v > 1).any() or abs(v[:k].sum() - 1) > 1e-6:
            return -np.inf
        return float(counts @ (logsumexp(joint(v), 1) - np.log(v[:k].sum())))

    def draw(rng: np.random.Generator) -> np.ndarray:
        return np.r_[np.full(k, 1 / k), rng.uniform(0.2, 0.8, k * d)]

    return Case(step, value, draw(np.random.default_rng(0)), draw)


CASES = {
    "deaths": deaths,
    "factors": factors,
    "multivariate t": multivariate_t,
    "probit": probit,
    "20 normals": normals,
    "values, 3 classes": lambda: classes("lca_values.csv", 3),
    "carcinoma, 3 classes": lambda: classes("carcinoma.csv", 3),
}
