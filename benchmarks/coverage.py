"""How often the nominal 95 % intervals hold the truth: `python benchmarks/coverage.py [data sets] [seed] [first case]`.

Every line is one model and size; its data sets are drawn with NumPy alone, fitted from the truth, and each interval
asked whether it holds the true value. Where Wald's fail, profile or bootstrap intervals of the same data stand below.
"""

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import jax.numpy as jnp
import numpy as np

import latens as lt

Rng = np.random.Generator
HALF = (0.5, 0.5)


@dataclass(frozen=True)
class Case:
    """A model at a truth, and how to draw its data."""

    name: str
    n: int
    model: Any
    truth: dict[str, Any]
    draw: Any  # rng, n → data
    methods: tuple[Any, ...] = ("observed",)


def two_normals(rng: Rng, n: int) -> np.ndarray:
    return np.where(rng.random(n) < 0.4, rng.normal(-2, 1, n), rng.normal(2, 1.4142135623730951, n))


def two_planes(rng: Rng, n: int) -> np.ndarray:
    a = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], n)
    b = rng.multivariate_normal([3, 2], [[1, -0.3], [-0.3, 2]], n)
    return np.where((rng.random(n) < 0.5)[:, None], a, b)


def poissons(rng: Rng, n: int) -> np.ndarray:
    return rng.poisson(np.where(rng.random(n) < 0.5, 2.0, 9.0)).astype(float)


def tosses(rng: Rng, n: int) -> np.ndarray:
    trials = rng.integers(8, 20, n)
    return np.c_[rng.binomial(trials, np.where(rng.random(n) < 0.5, 0.8, 0.4)), trials].astype(float)


def holes(rng: Rng, n: int) -> np.ndarray:
    return np.where(rng.random(n) < 0.3, np.nan, rng.exponential(0.5, n))


def mixed(rng: Rng, n: int) -> dict[str, np.ndarray]:
    z = rng.random(n) < 0.5
    size = np.where(z, rng.normal(0, 1, n), rng.normal(3, 1, n))
    red = (rng.random(n) < np.where(z, 0.2, 0.7)).astype(float)
    return {"size": np.where(rng.random(n) < 0.1, np.nan, size), "red": np.where(rng.random(n) < 0.1, np.nan, red)}


def groups(rng: Rng, n: int, **shares: float) -> dict[str, int]:
    drawn = rng.multinomial(n, list(shares.values()))
    return {name: int(count) for name, count in zip(shares, drawn, strict=True)}


def moths(c: float, i: float) -> tuple[dict[str, float], Any]:
    """Allele frequencies, and a draw in which a third of the moths is known only not to be carbonaria."""
    t = 1 - c - i
    shares = {"c": c * (2 - c), "i": i * (i + 2 * t), "t": t * t}
    told = {"c": shares["c"], "i": 2 / 3 * shares["i"], "t": 2 / 3 * shares["t"]}
    return {"C": c, "I": i, "T": t}, partial(groups, **told, u=1 - sum(told.values()))


def log_joint(params: Any, x: Any, z: Any) -> Any:
    rate = jnp.where(z == 0, params["low"], params["low"] + params["gap"])
    share = jnp.where(z == 0, params["share"], 1 - params["share"])
    return jnp.log(share) + x * jnp.log(rate) - rate


LINKAGE = lt.Cells(
    {"a": "1/2", "b": "t/4", "c": "(1-t)/4", "d": "(1-t)/4", "e": "t/4"},
    seen={"AB": ["a", "b"], "Ab": "c", "aB": "d", "ab": "e"},
    parameters=["t"],
)
MOTHS = lt.HardyWeinberg("C > I > T", {"c": "C", "i": "I", "t": "T", "u": ["I", "T"]})
OWN = lt.Latent(log_joint, [0, 1], {"low": lt.Positive(), "gap": lt.Positive(), "share": lt.Unit()})
TABLE = lt.Product({"size": lt.Normal(), "red": lt.Bernoulli()})
NORMALS = {"weights": (0.4, 0.6), "mean": (-2.0, 2.0), "variance": (1.0, 2.0)}
PLANES = {"weights": HALF, "mean": [(0, 0), (3, 2)], "covariance": [[(1, 0.5), (0.5, 1)], [(1, -0.3), (-0.3, 2)]]}
COLUMNS = {"weights": HALF, "size.mean": (0, 3), "size.variance": (1, 1), "red.probability": (0.2, 0.7)}
SHARES = partial(groups, AB=0.65, Ab=0.1, aB=0.1, ab=0.15)
BOTH = ("observed", "profile")
CASES = [
    Case("exponential, 30 % missing", 200, lt.IID(lt.Exponential()), {"rate": 2.0}, holes),
    Case("gamma", 200, lt.IID(lt.Gamma()), {"shape": 2.0, "rate": 1.0}, lambda rng, n: rng.gamma(2.0, 1.0, n)),
    Case("linkage", 197, LINKAGE, {"t": 0.6}, SHARES),
    Case("moths, a third half-named", 622, MOTHS, *moths(0.07, 0.19)),
    Case("two normals", 500, lt.Mixture(lt.Normal(), 2), NORMALS, two_normals),
    Case("two planes", 600, lt.Mixture(lt.MultivariateNormal(2), 2), PLANES, two_planes),
    Case("two Poissons", 400, lt.Mixture(lt.Poisson(), 2), {"weights": HALF, "rate": (2.0, 9.0)}, poissons),
    Case("two coins", 150, lt.Mixture(lt.Binomial(), 2, weights=HALF), {"probability": (0.8, 0.4)}, tosses),
    Case("mixed table, 10 % missing", 600, lt.Mixture(TABLE, 2), COLUMNS, mixed),
    Case("own joint density", 400, OWN, {"low": 2.0, "gap": 7.0, "share": 0.5}, poissons),
    Case("gamma", 10, lt.IID(lt.Gamma()), {"shape": 2.0, "rate": 1.0}, lambda rng, n: rng.gamma(2.0, 1.0, n), BOTH),
    Case("moths, a third half-named", 60, MOTHS, *moths(0.02, 0.19), BOTH),
    Case("two coins", 8, lt.Mixture(lt.Binomial(), 2, weights=HALF), {"probability": (0.8, 0.4)}, tosses, BOTH),
    Case(
        "two normals",
        40,
        lt.Mixture(lt.Normal(), 2),
        NORMALS,
        two_normals,
        ("observed", "profile", lt.ParametricBootstrap(200, seed=1)),
    ),
]


def one(case: int, method: int, seed: int, replicate: int) -> tuple[np.ndarray | None, str]:
    """(S,) whether each scalar's interval holds the truth, or the reason why there is none."""
    it = CASES[case]
    data = it.draw(np.random.default_rng([seed, case, replicate]), it.n)
    try:
        fit = lt.fit(it.model, data, start=it.truth)
        ends = fit.intervals(0.95, it.methods[method])
    except lt.LatensError as error:
        return None, " ".join(str(error).split()[-30:])[:60]
    truth = np.concatenate([np.reshape(it.truth[name], -1) for name in fit.params]).astype(float)
    inside = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    return inside[fit.shown], ""


def line(case: int, method: int, found: list[tuple[np.ndarray | None, str]]) -> str:
    it = CASES[case]
    hits = np.array([each for each, _ in found if each is not None])
    share = hits.mean(0)
    none = sum(each is None for each, _ in found)
    name = it.methods[method] if isinstance(it.methods[method], str) else it.methods[method].name
    sound = share.min() >= 0.93 and share.max() <= 0.97
    cells = (
        it.name,
        it.n,
        name,
        len(found),
        hits.shape[1],
        f"{share.mean():.1%}",
        f"{share.min():.1%} .. {share.max():.1%}",
    )
    return "| " + " | ".join(map(str, (*cells, none, "yes" if sound else "**no**"))) + " |"


def main() -> None:
    sets, seed, begin = (int(a) for a in (*sys.argv[1:], *("1000", "1", "0")[len(sys.argv) - 1 :]))
    error = (0.95 * 0.05 / sets) ** 0.5
    print(f"{sets} data sets each, seed {seed}; nominal level 95 %; Monte-Carlo error of a share {error:.1%}")
    print("(a fifth as many data sets for profile, a twentieth for the bootstrap)")
    print("\n| model | n | intervals | data sets | scalars | mean coverage | least .. most | without | 93 to 97 % |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    reasons: Counter[str] = Counter()
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for case, it in list(enumerate(CASES))[begin:]:
            for method in range(len(it.methods)):
                shares = 1 if method == 0 else 5 if isinstance(it.methods[method], str) else 20
                times = range(sets // shares)  # profiles and bootstraps take their time
                found = list(pool.map(partial(one, case, method, seed), times, chunksize=10))
                print(line(case, method, found), flush=True)
                reasons.update(reason for _, reason in found if reason)
    print("\nWhere there were none, the library said:\n")
    for reason, times in reasons.most_common(8):
        print(f"- {times} × ... {reason}")


if __name__ == "__main__":
    main()
