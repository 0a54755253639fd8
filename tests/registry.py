"""One line per family and per model: every law runs over all of them."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy import stats

import latens as lt

Density = Any


@dataclass(frozen=True)
class Family:
    name: str
    family: Any
    params: dict[str, Any]
    scipy: Density  # log-density of an array of data
    like: Any = None


COV = np.array([[2.0, 0.6], [0.6, 1.0]])
MEAN = np.array([1.0, -2.0])

FAMILIES = [
    Family("normal", lt.Normal(), {"mean": 1.5, "variance": 4.0}, lambda y: stats.norm(1.5, 2).logpdf(y)),
    Family("normal-known", lt.Normal(variance=4.0), {"mean": 1.5}, lambda y: stats.norm(1.5, 2).logpdf(y)),
    Family(
        "mvn-full",
        lt.MultivariateNormal(2),
        {"mean": MEAN, "covariance": COV},
        lambda y: stats.multivariate_normal(MEAN, COV).logpdf(y),
    ),
    Family(
        "mvn-diagonal",
        lt.MultivariateNormal(2, "diagonal"),
        {"mean": MEAN, "variance": [2.0, 0.5]},
        lambda y: stats.multivariate_normal(MEAN, np.diag([2.0, 0.5])).logpdf(y),
    ),
    Family(
        "mvn-spherical",
        lt.MultivariateNormal(2, "spherical"),
        {"mean": MEAN, "variance": 0.7},
        lambda y: stats.multivariate_normal(MEAN, 0.7 * np.eye(2)).logpdf(y),
    ),
    Family("exponential", lt.Exponential(), {"rate": 2.5}, lambda y: stats.expon(scale=1 / 2.5).logpdf(y)),
    Family("gamma", lt.Gamma(), {"shape": 2.5, "rate": 0.5}, lambda y: stats.gamma(2.5, scale=2.0).logpdf(y)),
    Family("poisson", lt.Poisson(), {"rate": 3.2}, lambda y: stats.poisson(3.2).logpmf(y)),
    Family("poisson-exposure", lt.Poisson(exposure=2.0), {"rate": 3.2}, lambda y: stats.poisson(6.4).logpmf(y)),
    Family(
        "poisson-exposures",
        lt.Poisson(exposure=None),
        {"rate": 3.2},
        lambda y: stats.poisson(3.2 * y[:, 1]).logpmf(y[:, 0]),
        like=[4, 1.5],
    ),
    Family("bernoulli", lt.Bernoulli(), {"probability": 0.3}, lambda y: stats.bernoulli(0.3).logpmf(y)),
    Family("binomial", lt.Binomial(trials=7), {"probability": 0.3}, lambda y: stats.binom(7, 0.3).logpmf(y)),
    Family(
        "binomial-trials",
        lt.Binomial(),
        {"probability": 0.3},
        lambda y: stats.binom(y[:, 1], 0.3).logpmf(y[:, 0]),
        like=[3, 9],
    ),
    Family("geometric", lt.Geometric(), {"probability": 0.3}, lambda y: stats.geom(0.3).logpmf(y)),
    Family(
        "negative-binomial", lt.NegativeBinomial(2.5), {"probability": 0.3}, lambda y: stats.nbinom(2.5, 0.3).logpmf(y)
    ),
    Family(
        "categorical",
        lt.Categorical(3),
        {"probabilities": [0.2, 0.5, 0.3]},
        lambda y: np.log(np.array([0.2, 0.5, 0.3])[y.astype(int)]),
    ),
    Family(
        "multinomial",
        lt.Multinomial(3),
        {"probabilities": [0.2, 0.5, 0.3]},
        lambda y: stats.multinomial(y.sum(1), [0.2, 0.5, 0.3]).logpmf(y),
        like=[2, 3, 4],
    ),
    Family(
        "log-normal",
        lt.LogNormal(),
        {"mean": 0.5, "variance": 0.49},
        lambda y: stats.lognorm(0.7, scale=np.exp(0.5)).logpdf(y),
    ),
    Family("beta", lt.Beta(), {"a": 2.0, "b": 3.5}, lambda y: stats.beta(2.0, 3.5).logpdf(y)),
]


@dataclass(frozen=True)
class Model:
    name: str
    model: Any
    data: Any
    start: dict[str, Any]
    weights: Any = None
    brute: Any = None  # params → log-likelihood of all rows, by summation with SciPy


RNG = np.random.default_rng(7)
PAIR = np.concatenate([RNG.normal(-2, 1, 60), RNG.normal(2, 1.5, 90)])
PLANE = np.concatenate([RNG.multivariate_normal([0, 0], COV, 80), RNG.multivariate_normal([4, 3], np.eye(2), 70)])
COUNTS = np.concatenate([RNG.poisson(2, 60), RNG.poisson(9, 60)]).astype(float)
HOLES = np.where(RNG.random(150) < 0.2, np.nan, PAIR)
TABLE = {
    "size": np.where(RNG.random(150) < 0.1, np.nan, PAIR),
    "red": np.where(RNG.random(150) < 0.1, np.nan, (PAIR + 3 * RNG.normal(size=150) > 0).astype(float)),
    "kind": RNG.integers(0, 3, 150).astype(float),
}
POSITIVE = np.concatenate([RNG.gamma(2, 1, 80), RNG.gamma(12, 1, 80)])
MISSING = np.where(RNG.random(PLANE.shape) < 0.25, np.nan, PLANE)
NUMBERS = lt.right_censored(np.minimum(RNG.geometric(0.2, 150), 8), RNG.random(150) < 0.7)
LINKAGE = lt.Cells(
    {"a": "1/2", "b": "t/4", "c": "(1-t)/4", "d": "(1-t)/4", "e": "t/4"},
    seen={"AB": ["a", "b"], "Ab": ["c"], "aB": ["d"], "ab": ["e"]},
    parameters=["t"],
)
# the same cells written so that no product of powers is recognised: numerical M-step
LINKAGE_NUMERIC = lt.Cells(
    {"a": "1/2", "b": "1/4 - (1-t)/4", "c": "(1-t)/4", "d": "(1-t)/4", "e": "t/4 + t**2 - t*t"},
    seen={"AB": ["a", "b"], "Ab": ["c"], "aB": ["d"], "ab": ["e"]},
    parameters=["t"],
)
MOTHS = lt.HardyWeinberg("C > I > T", {"c": "C", "i": "I", "t": "T", "i or t": ["I", "T"]})
# a tuple beside a single parameter, no products of powers
INBRED = lt.Cells(
    {"AA": "(1-F)*A**2 + F*A", "AB": "2*(1-F)*A*B", "BB": "(1-F)*B**2 + F*B"},
    seen={"AA": "AA", "AB": "AB", "BB": "BB", "A?": ["AA", "AB"]},
    parameters=[("A", "B"), "F"],
)
THIRD = {"C": 1 / 3, "I": 1 / 3, "T": 1 / 3}


def log_joint(params: Any, x: Any, z: Any) -> Any:
    """Two Poisson rates, written as a user would."""
    rate = jnp.where(z == 0, params["low"], params["low"] + params["gap"])
    share = jnp.where(z == 0, params["share"], 1 - params["share"])
    return jnp.log(share) + x * jnp.log(rate) - rate


def _brute_mixture(logpdf: Any) -> Any:
    """log Σ_j w_j f_j, the sum taken over every component of every row."""
    return lambda p: np.log(sum(w * np.exp(logpdf(p, j)) for j, w in enumerate(p["weights"]))).sum()


HALF = [0.5, 0.5]
MODELS = [
    Model("iid-exponential", lt.IID(lt.Exponential()), [5.0, 2.0, np.nan], {"rate": 5.0}),
    Model("iid-normal-holes", lt.IID(lt.Normal()), HOLES, {"mean": 0.0, "variance": 1.0}),
    Model("iid-gamma", lt.IID(lt.Gamma()), [*POSITIVE, np.nan, np.nan], {"shape": 1.0, "rate": 1.0}),
    Model("iid-beta", lt.IID(lt.Beta()), [0.2, 0.4, 0.7, 0.35, np.nan], {"a": 1.0, "b": 1.0}),
    Model(
        "normals",
        lt.Mixture(lt.Normal(), 2),
        PAIR,
        {"weights": HALF, "mean": [-1, 1], "variance": [1, 1]},
        brute=_brute_mixture(lambda p, j: stats.norm(p["mean"][j], p["variance"][j] ** 0.5).logpdf(PAIR)),
    ),
    Model("normals-holes", lt.Mixture(lt.Normal(), 2), HOLES, {"weights": HALF, "mean": [-1, 1], "variance": [1, 1]}),
    Model(
        "normals-shared-variance",
        lt.Mixture(lt.Normal(), 2, shared=("variance",)),
        PAIR,
        {"weights": HALF, "mean": [-1, 1], "variance": 1.0},
    ),
    Model(
        "normals-shared-mean",
        lt.Mixture(lt.Normal(), 2, shared=("mean",)),
        np.r_[PAIR, 5 * PAIR],
        {"weights": HALF, "mean": 0.3, "variance": [1.0, 30.0]},
    ),
    Model("normals-known-variance", lt.Mixture(lt.Normal(variance=1.7), 2), PAIR, {"weights": HALF, "mean": [-1, 1]}),
    Model(
        "planes",
        lt.Mixture(lt.MultivariateNormal(2), 2),
        PLANE,
        {"weights": HALF, "mean": [[0, 0], [3, 3]], "covariance": [np.eye(2), np.eye(2)]},
        brute=_brute_mixture(lambda p, j: stats.multivariate_normal(p["mean"][j], p["covariance"][j]).logpdf(PLANE)),
    ),
    Model(
        "planes-tied",
        lt.Mixture(lt.MultivariateNormal(2), 2, shared=("covariance",)),
        PLANE,
        {"weights": HALF, "mean": [[0, 0], [3, 3]], "covariance": np.eye(2)},
    ),
    Model(
        "planes-diagonal",
        lt.Mixture(lt.MultivariateNormal(2, "diagonal"), 2),
        PLANE,
        {"weights": HALF, "mean": [[0, 0], [3, 3]], "variance": np.ones((2, 2))},
    ),
    Model(
        "planes-spherical",
        lt.Mixture(lt.MultivariateNormal(2, "spherical"), 2),
        PLANE,
        {"weights": HALF, "mean": [[0, 0], [3, 3]], "variance": [1.0, 1.0]},
    ),
    Model(
        "poissons",
        lt.Mixture(lt.Poisson(), 2),
        COUNTS,
        {"weights": HALF, "rate": [1.0, 5.0]},
        brute=_brute_mixture(lambda p, j: stats.poisson(p["rate"][j]).logpmf(COUNTS)),
    ),
    Model(
        "gammas",
        lt.Mixture(lt.Gamma(), 2),
        POSITIVE,
        {"weights": HALF, "shape": [2.0, 10.0], "rate": [1.0, 1.0]},
        brute=_brute_mixture(lambda p, j: stats.gamma(p["shape"][j], scale=1 / p["rate"][j]).logpdf(POSITIVE)),
    ),
    Model(
        "geometrics",
        lt.Mixture(lt.Geometric(), 2),
        np.r_[RNG.geometric(0.8, 80), RNG.geometric(0.1, 80)],
        {"weights": HALF, "probability": [0.7, 0.2]},
    ),
    Model(
        "different",
        lt.Mixture([lt.Exponential(), lt.Gamma()]),
        POSITIVE,
        {"weights": HALF, "0.rate": 1.0, "1.shape": 10.0, "1.rate": 1.0},
    ),
    Model(
        "coins",
        lt.Mixture(lt.Binomial(), 2, weights=HALF),
        [[5, 10], [9, 10], [8, 12], [4, 10], [7, 9]],
        {"probability": [0.6, 0.5]},
    ),
    Model(
        "table",
        lt.Mixture(lt.Product({"size": lt.Normal(), "red": lt.Bernoulli(), "kind": lt.Categorical(3)}), 2),
        TABLE,
        {
            "weights": HALF,
            "size.mean": [-1, 1],
            "size.variance": [1, 1],
            "red.probability": [0.3, 0.6],
            "kind.probabilities": [[0.3, 0.3, 0.4], [0.4, 0.3, 0.3]],
        },
    ),
    Model(
        "weibull-censored",
        lt.IID(lt.Weibull()),
        lt.right_censored(np.minimum(POSITIVE, 9.0), POSITIVE <= 9.0),
        {"shape": 1.0, "scale": 5.0},
    ),
    Model(
        "exponential-truncated-censored",
        lt.IID(lt.Truncated(lt.Exponential(), lower=1.0)),
        lt.right_censored(np.clip(POSITIVE, 1.0, 12.0), (POSITIVE > 1.0) & (POSITIVE < 12.0)),
        {"rate": 1.0},
    ),
    Model(
        "planes-missing-cells",
        lt.Mixture(lt.MultivariateNormal(2), 2),
        MISSING,
        {"weights": HALF, "mean": [[0, 0], [3, 3]], "covariance": [np.eye(2), np.eye(2)]},
    ),
    Model(
        "table-half-seen",
        lt.IID(lt.Product({"size": lt.Normal(), "kind": lt.Categorical(3), "number": lt.Geometric()})),
        {
            "size": lt.interval(np.floor(PAIR), np.where(RNG.random(150) < 0.3, np.inf, np.floor(PAIR) + 1)),
            "kind": lt.one_of([{int(c), (int(c) + 1) % 3} if i % 3 else None for i, c in enumerate(TABLE["kind"])]),
            "number": NUMBERS,
        },
        {"size.mean": 0.0, "size.variance": 1.0, "kind.probabilities": [0.3, 0.3, 0.4], "number.probability": 0.3},
    ),
    Model(
        "linkage",
        LINKAGE,
        [125, 18, 20, 34],
        {"t": 0.5},
        brute=lambda p: np.dot(
            [125, 18, 20, 34], np.log([0.5 + p["t"] / 4, (1 - p["t"]) / 4, (1 - p["t"]) / 4, p["t"] / 4])
        ),
    ),
    Model("linkage-numeric", LINKAGE_NUMERIC, [125, 18, 20, 34], {"t": 0.5}),
    Model("moths", MOTHS, {"c": 85, "i": 196, "t": 341, "i or t": 578}, THIRD),
    Model(
        "inbred",
        INBRED,
        [30, 25, 20, 40],
        {"A": 0.5, "B": 0.5, "F": 0.3},
        brute=lambda p: np.dot(
            [30, 25, 20, 40],
            np.log(
                [
                    (1 - p["F"]) * p["A"] ** 2 + p["F"] * p["A"],
                    2 * (1 - p["F"]) * p["A"] * p["B"],
                    (1 - p["F"]) * p["B"] ** 2 + p["F"] * p["B"],
                    1 - (1 - p["F"]) * p["B"] ** 2 - p["F"] * p["B"],
                ]
            ),
        ),
    ),
    Model(
        "latent",
        lt.Latent(log_joint, [0, 1], {"low": lt.Positive(), "gap": lt.Positive(), "share": lt.Unit()}),
        COUNTS,
        {"low": 1.0, "gap": 5.0, "share": 0.5},
    ),
]
