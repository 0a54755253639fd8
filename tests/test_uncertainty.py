"""Standard errors by every method against published numbers, and the reasons where there are none."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import latens as lt
from latens.inference.information import information

REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "data"
EXACT = lt.Stop(tolerance=1e-10)
EXACT_METHODS = ["observed", "louis", "oakes", "sem", "sem-exact"]
LINKAGE = lt.Cells(
    {"a": "1/2", "b": "t/4", "c": "(1-t)/4", "d": "(1-t)/4", "e": "t/4"},
    seen={"AB": ["a", "b"], "Ab": "c", "aB": "d", "ab": "e"},
    parameters=["t"],
)
NONE = np.nan
# Snedecor & Cochran (1967), as in the R package mvnmle: size of crop, worms in 100 fruits
SIZE = [8, 6, 11, 22, 14, 17, 18, 24, 19, 23, 26, 40, 4, 4, 5, 6, 8, 10]
WORMS = [59, 58, 56, 53, 50, 45, 43, 42, 39, 38, 30, 27, *[NONE] * 6]
# Murray (1977), in the discussion of Dempster, Laird & Rubin
MURRAY = np.array(
    [[1, 1, -1, -1, 2, 2, -2, -2, NONE, NONE, NONE, NONE], [1, -1, 1, -1, NONE, NONE, NONE, NONE, 2, 2, -2, -2]]
).T
PLANE = lt.IID(lt.MultivariateNormal(2))


@pytest.mark.parametrize("method", EXACT_METHODS)
def test_linkage(method):
    """Louis (1982): 435.3 − 57.8 = 377.5; Meng & Rubin (1991); digits in closed form."""
    fit = lt.fit(LINKAGE, [125, 18, 20, 34], start={"t": 0.5}, stop=EXACT)
    assert float(fit.standard_errors(method)["t"]) == pytest.approx(0.0514673492, abs=1e-8)
    found = fit.information()
    assert found.labels == ["t"]
    assert float(found.complete[0, 0]) == pytest.approx(435.3178537990, rel=1e-9)
    assert float(found.rate[0, 0]) == pytest.approx(0.1327787337, abs=1e-9)


@pytest.mark.parametrize("method", EXACT_METHODS)
def test_deaths(method):
    """The Hasselblad mixture, 99.6 % of the information about one direction missing; errors in 50 digits."""
    fit = lt.fit(
        lt.Mixture(lt.Poisson(), 2),
        np.arange(10),
        weights=[162, 267, 271, 185, 111, 61, 27, 8, 3, 1],
        start={"weights": [0.3, 0.7], "rate": [1.0, 2.5]},
        stop=EXACT,
    )
    errors = fit.standard_errors(method)
    found = [errors["weights"][0], *errors["rate"]]
    np.testing.assert_allclose(found, [0.1946842987, 0.3500297114, 0.2504782703], atol=1e-7)


@pytest.mark.parametrize("method", EXACT_METHODS)
def test_apples(method):
    """Meng & Rubin (1991), §4: 49.33 (2.73), log σ₂₂ 4.74 (.37), atanh ρ −1.45 (.274); EM does not move μ₁, σ₁₁."""
    fit = lt.fit(PLANE, {"size": SIZE, "worms": WORMS}, stop=EXACT)

    def scale(params):
        s = params["covariance"]
        return jnp.stack([params["mean"][1], jnp.log(s[1, 1]), jnp.arctanh(s[0, 1] / jnp.sqrt(s[0, 0] * s[1, 1]))])

    derived = fit.derive(scale, method)
    np.testing.assert_allclose(derived.estimate, [49.3333333333, 4.7422760399, -1.4465333803], atol=1e-8)
    np.testing.assert_allclose(derived.standard_error, [2.7308948, 0.3737203, 0.2736911], atol=1e-6)
    assert fit.log_likelihood == pytest.approx(-101.7856321278233, abs=1e-9)
    rates = np.linalg.eigvals(fit.information().rate)
    np.testing.assert_allclose(sorted(rates.real), [0, 0, 0.00971241561, 1 / 3, 0.614025045159], atol=1e-7)


def test_murray():
    """Murray (1977): maxima at ρ = ±1/2 (EM rate .8838), and a saddle at ρ = 0 that EM alone never leaves."""
    saddle = lt.fit(PLANE, MURRAY, start={"mean": [0.0, 0.0], "covariance": np.eye(2)})
    np.testing.assert_allclose(saddle.params["covariance"], 2.5 * np.eye(2), atol=1e-6)
    with pytest.raises(lt.InferenceError, match=r"saddle.*\+1·covariance\[1, 0\] \(EM"):
        saddle.standard_errors()
    with pytest.raises(lt.InferenceError, match="saddle"):  # replicates would begin there and stay
        saddle.standard_errors(lt.Bootstrap(20))
    assert "saddle" in str(saddle)
    there = information(saddle.last.problem, saddle.last.free)
    assert there.fraction_missing == pytest.approx(16 / 15, abs=1e-6)
    for side in (1, -1):
        start = {"mean": [0.0, 0.0], "covariance": [[2.0, side * 0.2], [side * 0.2, 2.0]]}
        fit = lt.fit(PLANE, MURRAY, start=start, stop=EXACT)
        np.testing.assert_allclose(fit.params["covariance"][0], [8 / 3, side * 4 / 3], atol=1e-7)
        assert fit.information().fraction_missing == pytest.approx(0.8837959396, abs=1e-7)


def test_marijuana():
    """Nine subjects, six columns with holes (R package norm2): the covariance is singular at the maximum."""
    path = REFERENCE / "norm2_marijuana.csv"
    if not path.exists():
        pytest.skip("the marijuana data may not be committed, and the folder that holds them is absent")
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    fit = lt.fit(lt.IID(lt.MultivariateNormal(6)), table)
    assert fit.status is lt.Status.DEGENERATE
    assert "the distribution has collapsed" in fit.message
    with pytest.raises(lt.InferenceError, match="no maximum"):
        fit.standard_errors()
    assert "Standard errors not given" in str(fit)


def test_item_responses():
    """LSAT7, two-parameter logistic by marginal likelihood (the R package mirt prints the estimates)."""
    path = REFERENCE / "LSAT7.csv"
    if not path.exists():
        pytest.skip("LSAT7 may not be committed, and the folder that holds it is absent")
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    log_weights = np.log(weights / weights.sum())

    def traits(params, x, z):
        logits = params["a"] * jnp.asarray(nodes)[z] + params["d"]
        return jnp.asarray(log_weights)[z] + (x * logits - jnp.logaddexp(0.0, logits)).sum()

    model = lt.Latent(traits, np.arange(41), {"a": lt.Real((5,)), "d": lt.Real((5,))})
    fit = lt.fit(model, table[:, :5], weights=table[:, 5], start={"a": np.ones(5), "d": np.ones(5)}, stop=EXACT)
    assert fit.log_likelihood == pytest.approx(-2658.805113552, abs=1e-6)
    np.testing.assert_allclose(fit.params["a"], [0.98754589, 1.08083714, 1.70747766, 0.76498987, 0.73567271], atol=1e-5)
    assert fit.information().condition_number == pytest.approx(30.360159749597276, rel=1e-4)
    for method in EXACT_METHODS:
        errors = fit.standard_errors(method)
        np.testing.assert_allclose(errors["a"], [0.17719482, 0.16876389, 0.32107695, 0.1341203, 0.15113395], rtol=1e-4)
        np.testing.assert_allclose(errors["d"], [0.13145012, 0.09124699, 0.20482511, 0.07491343, 0.11440872], rtol=1e-4)


def test_informations_are_labelled_and_add_up():
    fit = lt.fit(lt.HardyWeinberg("C > I > T", {"c": "C", "i": "I", "t": "T"}), {"c": 85, "i": 196, "t": 341})
    found = fit.information()
    assert found.labels == ["C", "I"]
    np.testing.assert_allclose(found.complete - found.missing, found.observed)
    np.testing.assert_allclose(found.complete @ found.rate, found.missing)
    np.testing.assert_allclose(found.covariance, fit.covariance(), rtol=1e-8)
    # Givens & Hoeting (2013), table 4.1: the two ratios of convergence
    np.testing.assert_allclose(sorted(np.linalg.eigvals(found.rate)), [0.0367189837, 0.1758729000], atol=1e-7)
    assert found.fraction_missing == pytest.approx(0.1758729000, abs=1e-7)


def test_what_is_not_identified_is_named():
    def log_joint(params, x, z):
        return -0.5 * (x - params["a"] - params["b"]) ** 2 + jnp.log(0.5) + 0.0 * z

    model = lt.Latent(log_joint, [0, 1], {"a": lt.Real(), "b": lt.Real()})
    fit = lt.fit(model, [1.0, 2.0, 4.0], start={"a": 0.0, "b": 0.0})
    with pytest.raises(lt.InferenceError, match="not identified|singular") as told:
        fit.standard_errors()
    assert "a" in str(told.value)


def test_too_far_from_the_limit_is_said():
    fit = lt.fit(lt.Mixture(lt.Poisson(), 2), np.arange(10), weights=[162, 267, 271, 185, 111, 61, 27, 8, 3, 1],
                 start={"weights": [0.3, 0.7], "rate": [1.0, 2.5]}, stop=lt.Stop(tolerance=0.5))  # fmt: skip
    assert fit.converged
    for method in ("observed", "sem"):
        with pytest.raises(lt.InferenceError, match=r"tolerance=1e-6"):
            fit.standard_errors(method)
    cut = lt.fit(LINKAGE, [125, 18, 20, 34], start={"t": 0.5}, stop=lt.Stop(max_steps=1))
    with pytest.raises(lt.InferenceError, match="not converged"):
        cut.standard_errors("bootstrap")
