"""Published numbers, each with its source. Small tables are typed in; larger data come from a package."""

from collections import Counter
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_iris

import latens as lt
from latens.data.files import columns_in

EXAMPLES = Path(lt.__file__).parent / "examples"
FAITHFUL = np.genfromtxt(EXAMPLES / "faithful.csv", delimiter=",", skip_header=1)
THIRD = {"C": 1 / 3, "I": 1 / 3, "T": 1 / 3}
COUNTS = {"c": 85, "i": 196, "t": 341}
EXACT = lt.Stop(tolerance=1e-10)


def test_exponential():
    """Givens & Hoeting (2013), ex. 4.1; by hand, the map is t → 2t/(5t + 1)."""
    data = [5.0, np.nan]
    fit = lt.fit(lt.IID(lt.Exponential()), data, start={"rate": 5.0}, stop=EXACT)
    assert float(fit.params["rate"]) == pytest.approx(0.2, abs=1e-12)
    assert float(fit.standard_errors()["rate"]) == pytest.approx(0.2, abs=1e-9)
    assert fit.information().fraction_missing == pytest.approx(0.5, abs=1e-9)
    steps = lt.iterate(lt.IID(lt.Exponential()), data, start={"rate": 5.0}, accelerate=lt.Plain())
    rates = [float(s.params["rate"]) for s in steps]
    for before, after in zip(rates, rates[1:], strict=False):
        assert after == pytest.approx(2 * before / (5 * before + 1), rel=1e-12)


# Givens & Hoeting (2013), table 4.1, as printed: p_C, p_I, R(t), D_C, D_I
MOTHS_TABLE = """\
0.333333 0.33333 -         -        -
0.081994 0.23741 0.57069   0.042502 0.33659
0.071249 0.19787 0.16312   0.036933 0.18765
0.070852 0.19036 0.035756  0.036727 0.1778
0.070837 0.18902 0.006586  0.036719 0.17624
0.070837 0.18879 0.0011683 0.036719 0.17595
0.070837 0.18875 0.0002058 0.036719 0.17589
0.070837 0.18874 3.6205e-05 0.036719 0.17588
"""


def test_moths_iteration_table_digit_for_digit():
    moths = lt.HardyWeinberg("C > I > T", {"c": "C", "i": "I", "t": "T"})
    stop = lt.Stop(tolerance=0, max_steps=7)
    steps = list(lt.iterate(moths, COUNTS, start=THIRD, accelerate=lt.Plain(), stop=stop))
    p = np.array([[float(s.params["C"]), float(s.params["I"])] for s in steps])
    last = lt.fit(moths, COUNTS, start=THIRD, accelerate=lt.Plain(), stop=lt.Stop(tolerance=0, max_steps=60))
    limit = np.array([float(last.params["C"]), float(last.params["I"])])
    rows = MOTHS_TABLE.splitlines()
    assert len(steps) == len(rows) == 8
    for t, row in enumerate(rows):
        c, i, change, d_c, d_i = row.split()
        assert f"{p[t, 0]:.6f}" == c
        assert f"{p[t, 1]:.5f}" == i
        if t:
            r = np.linalg.norm(p[t] - p[t - 1]) / np.linalg.norm(p[t - 1])
            assert f"{r:.5g}" == f"{float(change):.5g}"
            ratio = (p[t] - limit) / (p[t - 1] - limit)
            assert [f"{ratio[0]:.5g}", f"{ratio[1]:.5g}"] == [d_c, d_i]


def test_moths():
    """The same; standard errors and correlations from the exact observed information."""
    moths = lt.HardyWeinberg("C > I > T", {"c": "C", "i": "I", "t": "T"})
    fit = lt.fit(moths, COUNTS, start=THIRD, stop=EXACT)
    values = np.array([float(fit.params[a]) for a in "CIT"])
    errors = np.array([float(fit.standard_errors()[a]) for a in "CIT"])
    np.testing.assert_allclose(values, [0.070836908047384, 0.18873651810885, 0.74042657384377], atol=1e-11)
    np.testing.assert_allclose(errors, [0.00741121, 0.0122052, 0.0134751], rtol=1e-5)
    correlation = fit.covariance() / np.outer(errors, errors)
    np.testing.assert_allclose(correlation[[0, 0, 1], [1, 2, 2]], [-0.123341, -0.438275, -0.83792], atol=1e-5)
    assert fit.log_likelihood == pytest.approx(-600.480982919232, abs=1e-9)
    assert fit.information().fraction_missing == pytest.approx(0.17587290000731226, abs=1e-7)


def test_moths_with_unknown():
    """Givens & Hoeting (2013), exercise 4.1; direct maximisation."""
    moths = lt.HardyWeinberg("C > I > T", {"c": "C", "i": "I", "t": "T", "u": ["I", "T"]})
    fit = lt.fit(moths, COUNTS | {"u": 578}, start=THIRD, stop=EXACT)
    values = [float(fit.params[a]) for a in "CIT"]
    np.testing.assert_allclose(values, [0.03606708393865845, 0.19579914854772534, 0.7681337675136163], atol=1e-10)
    errors = [float(fit.standard_errors()[a]) for a in "CIT"]
    np.testing.assert_allclose(errors, [0.003841476849, 0.012589438477, 0.012932744817], rtol=1e-7)


def test_blood_groups():
    """McLachlan & Krishnan (2008), ex. 2.4: .2644 .0932 .6424; digits by direct maximisation."""
    blood = lt.HardyWeinberg("A = B > O", {"A": "A", "B": "B", "AB": "AB", "O": "O"})
    fit = lt.fit(blood, {"A": 182, "B": 60, "AB": 17, "O": 176}, stop=EXACT)
    found = [float(fit.params[a]) for a in "ABO"]
    np.testing.assert_allclose(found, [0.26444431384602, 0.09316881181403, 0.64238687433995], atol=1e-9)
    errors = [float(fit.standard_errors()[a]) for a in "ABO"]
    np.testing.assert_allclose(errors, [0.0162488201738, 0.0101190266773, 0.0176169875432], rtol=1e-6)


@pytest.mark.parametrize("third", ["t/4", "0.25*t", "t**1 * (1/4)", "1/4 - (1-t)/4"])
def test_linkage(third):
    """Dempster, Laird & Rubin (1977), table 1; informations: Louis (1982)."""
    model = lt.Cells(
        {"a": "1/2", "b": third, "c": "(1-t)/4", "d": "(1-t)/4", "e": "t/4"},
        seen={"AB": ["a", "b"], "Ab": "c", "aB": "d", "ab": "e"},
        parameters=["t"],
    )
    fit = lt.fit(model, [125, 18, 20, 34], start={"t": 0.5}, stop=EXACT)
    t = float(fit.params["t"])
    assert t == pytest.approx((15 + 53809**0.5) / 394, abs=1e-12)
    assert float(fit.standard_errors()["t"]) == pytest.approx(0.05146734920775, abs=1e-10)
    information = fit.information()
    found = [float(m[0, 0]) for m in (information.complete, information.observed, information.missing)]
    np.testing.assert_allclose(found, [435.3178537990, 377.5169002940, 57.8009535050], rtol=1e-8)
    assert information.fraction_missing == pytest.approx(0.13277873378569893, abs=1e-9)


def test_linkage_iteration_table():
    """Dempster, Laird & Rubin (1977), table 1."""
    model = lt.Cells(
        {"a": "1/2", "b": "t/4", "c": "(1-t)/4", "d": "(1-t)/4", "e": "t/4"},
        seen={"AB": ["a", "b"], "Ab": "c", "aB": "d", "ab": "e"},
        parameters=["t"],
    )
    stop = lt.Stop(tolerance=0, max_steps=8)
    steps = lt.iterate(model, [125, 18, 20, 34], start={"t": 0.5}, accelerate=lt.Plain(), stop=stop)
    printed = [
        0.5,
        0.608247423,
        0.624321051,
        0.626488879,
        0.626777323,
        0.626815632,
        0.626820719,
        0.626821395,
        0.626821484,
    ]
    # the paper's last digit is rounded up in four places
    np.testing.assert_allclose([float(s.params["t"]) for s in steps], printed, rtol=0, atol=1.1e-9)


def test_coins():
    """Do & Batzoglou (2008), fig. 1b: .71 .58 after one step, .80 .52 after ten; the limit by direct maximisation."""
    tosses = np.array([[5, 10], [9, 10], [8, 10], [4, 10], [7, 10]])
    coins = lt.Mixture(lt.Binomial(), 2, weights=(0.5, 0.5))
    stop = lt.Stop(tolerance=0, max_steps=10)
    start = {"probability": [0.6, 0.5]}
    steps = list(lt.iterate(coins, tosses, start=start, accelerate=lt.Plain(), stop=stop))
    np.testing.assert_allclose(steps[1].params["probability"], [0.713012235400516, 0.581339308313663], rtol=1e-12)
    np.testing.assert_allclose(steps[10].params["probability"], [0.796744149475, 0.519658662204], rtol=1e-10)
    fit = lt.fit(coins, tosses, start=start, stop=EXACT)
    np.testing.assert_allclose(fit.params["probability"], [0.7967890669226, 0.5195831201451], atol=1e-9)
    np.testing.assert_allclose(fit.standard_errors()["probability"], [0.1014992170976, 0.1307689035266], rtol=1e-6)
    free = lt.fit(lt.Mixture(lt.Binomial(), 2), tosses, start={"weights": [0.5, 0.5], **start}, stop=EXACT)
    np.testing.assert_allclose(free.params["probability"], [0.793367649619, 0.513916591222], atol=1e-7)


DEATHS = (np.arange(10), [162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
DEATHS_START = {"weights": [0.3, 0.7], "rate": [1.0, 2.5]}


def _evaluations_until_still(accelerate):
    """Varadhan & Roland (2008): evaluations until a step of (p, mu1, mu2) is at most 1e-7 long."""
    model = lt.Mixture(lt.Poisson(), 2)
    stop = lt.Stop(tolerance=0, max_steps=5000)
    before = None
    for s in lt.iterate(model, DEATHS[0], weights=DEATHS[1], start=DEATHS_START, accelerate=accelerate, stop=stop):
        now = np.array([s.params["weights"][0], *s.params["rate"]])
        if before is not None and not s.accelerated and np.linalg.norm(now - before) <= 1e-7:
            return s.evaluations
        before = now
    raise AssertionError("did not stop")


def test_deaths_evaluations():
    """Varadhan & Roland (2008): 2055 evaluations of plain EM; the last image is one more evaluation away."""
    assert _evaluations_until_still(lt.Plain()) - 1 == 2055
    assert _evaluations_until_still(lt.Squarem()) <= 90


def test_deaths():
    """R packages SQUAREM and turboEM; standard errors in 50 digits (the printed ones are 7e-4 too high)."""
    model = lt.Mixture(lt.Poisson(), 2)
    fit = lt.fit(model, DEATHS[0], weights=DEATHS[1], start=DEATHS_START)
    assert fit.evaluations <= 90
    assert fit.log_likelihood == pytest.approx(-1989.945859882964, abs=1e-9)
    exact = lt.fit(model, DEATHS[0], weights=DEATHS[1], start=DEATHS_START, stop=EXACT)
    found = [exact.params["weights"][0], *exact.params["rate"]]
    np.testing.assert_allclose(found, [0.3598853969849, 1.2560951012243, 2.6634043566325], atol=1e-8)
    errors = [exact.standard_errors()["weights"][0], *exact.standard_errors()["rate"]]
    np.testing.assert_allclose(errors, [0.1946842987, 0.3500297114, 0.2504782703], atol=1e-7)
    assert exact.information().fraction_missing == pytest.approx(0.9956662232920012, abs=1e-7)


def test_deaths_is_not_called_converged_where_a_published_rule_stopped():
    """turboEM's vignette stops after 447 steps at −1989.948187, 2.3e-3 below the maximum, and says converged."""
    steps = lt.iterate(
        lt.Mixture(lt.Poisson(), 2),
        DEATHS[0],
        weights=DEATHS[1],
        start={"weights": [0.5, 0.5], "rate": [1.0, 3.0]},
        accelerate=lt.Plain(),
    )
    at_447 = next(s for s in steps if s.step == 447)
    assert at_447.log_likelihood == pytest.approx(-1989.948186528, abs=2e-5)
    assert at_447.status is lt.Status.RUNNING
    assert at_447.distance > 0.1


def test_faithful_waiting():
    """Everitt & Hothorn, HSAUR ch. 8 (V2); Benaglia et al. (2009), JSS 32(6), §2 (E2)."""
    waiting = FAITHFUL[:, 1]
    free = lt.fit(lt.Mixture(lt.Normal(), 2), waiting, stop=EXACT)
    order = np.argsort(free.params["mean"])
    assert free.log_likelihood == pytest.approx(-1034.0017498316079, abs=1e-8)
    np.testing.assert_allclose(free.params["mean"][order], [54.61485614035988, 80.0910694025827], atol=1e-6)
    np.testing.assert_allclose(free.params["variance"][order] ** 0.5, [5.871219411887, 5.867734423867], atol=1e-6)
    np.testing.assert_allclose(free.standard_errors()["mean"][order], [0.69967497896, 0.50459471389], rtol=1e-5)
    shared = lt.fit(lt.Mixture(lt.Normal(), 2, shared=("variance",)), waiting, stop=EXACT)
    order = np.argsort(shared.params["mean"])
    assert shared.log_likelihood == pytest.approx(-1034.0017603578297, abs=1e-8)
    np.testing.assert_allclose(shared.params["weights"][order], [0.360849442703792, 0.639150557296208], atol=1e-8)
    assert float(shared.params["variance"]) ** 0.5 == pytest.approx(5.86909139771677, abs=1e-7)
    np.testing.assert_allclose(shared.standard_errors()["mean"][order], [0.6460892156855, 0.4763244514178], rtol=1e-5)


@pytest.mark.parametrize(
    ("k", "shared", "log_likelihood", "parameters"),
    [(2, (), -1130.2639601847418, 11), (2, ("covariance",), -1140.186759437082, 8)],
)
def test_faithful_bivariate(k, shared, log_likelihood, parameters):
    """mclust's VVV and EEE with 2 components; log-likelihoods by direct maximisation."""
    fit = lt.fit(lt.Mixture(lt.MultivariateNormal(2), k, shared=shared), FAITHFUL)
    assert fit.log_likelihood == pytest.approx(log_likelihood, abs=1e-7)
    assert fit.free_parameters == parameters
    assert fit.starts.optima


def test_faithful_three_tied():
    """mclust's EEE with 3 components prints −1126.326 at its tolerance; that mode's maximum is −1126.3159."""
    start = {
        "weights": [0.475, 0.356, 0.169],
        "mean": [[4.47, 80.9], [2.04, 54.5], [3.80, 77.5]],
        "covariance": [[0.078, 0.47], [0.47, 33.7]],
    }
    fit = lt.fit(lt.Mixture(lt.MultivariateNormal(2), 3, shared=("covariance",)), FAITHFUL, start=start)
    assert fit.log_likelihood == pytest.approx(-1126.3159278267594, abs=1e-7)


def test_iris():
    """mclust's VVV with 3 components: −180.1855, from one flower of each species."""
    flowers = load_iris().data
    start = {
        "weights": np.full(3, 1 / 3),
        "mean": flowers[[0, 60, 120]],
        "covariance": np.stack([np.cov(flowers.T)] * 3),
    }
    fit = lt.fit(lt.Mixture(lt.MultivariateNormal(4), 3), flowers, start=start)
    assert fit.log_likelihood == pytest.approx(-180.18547713130346, abs=1e-6)
    np.testing.assert_allclose(sorted(fit.params["weights"]), [0.2991931921635, 1 / 3, 0.3674734745031], atol=1e-6)
    again = lt.fit(lt.Mixture(lt.MultivariateNormal(4), 3), flowers)
    assert again.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-6)


# survival::aml (Miller 1997): time, and 1 where the end of remission was seen; both groups
AML_TIME = [9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161, 5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45]
AML_SEEN = [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]


def test_aml():
    """R's survival 3.5: exponential rate 18/678; Weibull intercept 3.6425 (.2171), log scale −.0922 (.1695)."""
    x = lt.right_censored(AML_TIME, AML_SEEN)
    fit = lt.fit(lt.IID(lt.Exponential()), x, stop=EXACT)
    assert float(fit.params["rate"]) == pytest.approx(18 / 678, rel=1e-10)
    assert float(fit.standard_errors()["rate"]) == pytest.approx(18**0.5 / 678, rel=1e-8)
    assert fit.log_likelihood == pytest.approx(-83.31795954079615, abs=1e-9)
    fit = lt.fit(lt.IID(lt.Weibull()), x, stop=EXACT)
    assert fit.log_likelihood == pytest.approx(-83.17866923280523, abs=1e-8)

    def survreg(params):
        return jnp.stack([jnp.log(params["scale"]), -jnp.log(params["shape"])])

    for method in ("observed", "louis", "oakes", "sem-exact"):
        found = fit.derive(survreg, method)
        np.testing.assert_allclose(found.estimate, [3.6424901941, -0.0922227694], atol=1e-6)
        np.testing.assert_allclose(found.standard_error, [0.2170764965, 0.1694849688], rtol=1e-5)


# MASS::motors (Schmee & Hahn 1979), hours to failure, + where the test ended first; survival::tobin (Tobin 1958)
MOTORS = ["8064+"] * 10 + "1764 2772 3444 3542 3780 4860 5196 5448+ 5448+ 5448+ 408 408 1344 1344 1440".split()
MOTORS += ["1680+"] * 5 + "408 408 504 504 504".split() + ["528+"] * 5
TOBIN = [0, 0.7, 0, 0, 0, 0, 0, 3.7, 0, 3, 10.4, 0, 0, 0, 1.5, 0, 0, 3.5, 6.1, 0]


def test_motors_and_tobin():
    """R's survreg (survival 3.5) without covariates, intercept and log scale with their errors."""
    motors = lt.read_cells({"hours": MOTORS})
    tobin = lt.left_censored(TOBIN, np.array(TOBIN) > 0)
    log_scale = 8.63555814629, 0.552007864423, 0.369306557994, 0.18532431056
    gaussian = -2.22743943982, 1.78259463634, 2.06029833962, 0.308542923766
    for family, data, log_likelihood, printed in [
        (lt.LogNormal(), motors, -167.865919968, log_scale),
        (lt.Normal(), tobin, -29.4921995482, gaussian),
    ]:
        fit = lt.fit(lt.IID(family), data, stop=EXACT)
        assert fit.log_likelihood == pytest.approx(log_likelihood, abs=1e-8)
        found = fit.derive(lambda p: jnp.stack([p["mean"], 0.5 * jnp.log(p["variance"])]))
        np.testing.assert_allclose([*found.estimate, *found.standard_error], printed, rtol=1e-7)


def test_cholesterol():
    """The R package norm2's guide, §6: log-likelihoods without 2π, from column means and variances (n − 1)."""
    path = Path(__file__).parents[2] / "shared" / "reference" / "data" / "norm2_cholesterol.csv"
    if not path.exists():
        pytest.skip("the cholesterol data may not be committed, and the folder that holds them is absent")
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    start = {"mean": np.nanmean(table, 0), "covariance": np.diag(np.nanvar(table, 0, ddof=1))}
    constant = 0.5 * np.log(2 * np.pi) * np.count_nonzero(~np.isnan(table))
    model, stop = lt.IID(lt.MultivariateNormal(3)), lt.Stop(tolerance=0, max_steps=15)
    steps = list(lt.iterate(model, table, start=start, accelerate=lt.Plain(), stop=stop))
    printed = [-323.5527, -310.3163, -308.5807, -308.1113, -308.0162, -307.9990, -307.9958, -307.9952, -307.9951]
    printed += [-307.9950819156, -307.9950767361, -307.9950756336, -307.9950753972, -307.9950753463, -307.9950753353]
    np.testing.assert_allclose([s.log_likelihood + constant for s in steps[:15]], printed, atol=6e-5)
    np.testing.assert_allclose(steps[15].params["mean"], [253.9286, 230.6429, 222.2371], atol=6e-5)
    printed_covariance = [
        [2194.9949, 1454.6173, 835.3973],
        [1454.6173, 2127.158, 1515.4584],
        [835.3973, 1515.458, 1952.2182],
    ]
    np.testing.assert_allclose(steps[15].params["covariance"], printed_covariance, atol=6e-4)
    fit = lt.fit(model, table, stop=EXACT)
    assert fit.information().fraction_missing == pytest.approx(0.46575161988946334, abs=1e-8)
    np.testing.assert_allclose(fit.standard_errors()["mean"], [8.85396370, 8.71607325, 9.22163935], rtol=1e-6)


def test_carcinoma_is_on_the_boundary():
    """poLCA: −317.2568, −293.705 and, above its manual's local maximum, −289.2858; probabilities of exactly 0 and 1."""
    path = Path(__file__).parents[2] / "shared" / "reference" / "data" / "carcinoma.csv"
    if not path.exists():
        pytest.skip("the carcinoma data may not be committed, and the folder that holds them is absent")
    ratings = np.genfromtxt(path, delimiter=",", skip_header=1) - 1
    table = {name: ratings[:, j] for j, name in enumerate("ABCDEFG")}
    items = lt.Product(dict.fromkeys(table, lt.Bernoulli()))
    for k, best in ((2, -317.256837299494), (3, -293.70497878076026), (4, -289.28584881099437)):
        fit = lt.fit(lt.Mixture(items, k), table, starts=40)
        assert fit.log_likelihood == pytest.approx(best, abs=1e-5)
        assert fit.held
        assert all("boundary" in reason for reason in fit.held.values())
        errors = np.concatenate([np.ravel(v) for v in fit.standard_errors().values()])
        assert np.array_equal(np.isnan(errors), [name in fit.held for name in fit.names])


GSS_MAXIMA = [-2754.5454, -2755.6168, -2755.7389, -2762.0047, -2762.2308]


def test_every_maximum_of_the_gss_latent_classes():
    """poLCA's manual, table 1: five maxima of three classes; shares at the best .621, .207, .172."""
    path = Path(__file__).parents[2] / "shared" / "reference" / "data" / "gss82.csv"
    if not path.exists():
        pytest.skip("the GSS data may not be committed, and the folder that holds them is absent")
    columns = columns_in(path)
    patterns = Counter(zip(*(column.sets for column in columns.values()), strict=True))
    table = {
        name: [columns[name].labels[next(iter(cell))] for cell in cells]
        for name, cells in zip(columns, zip(*patterns, strict=True), strict=True)
    }
    weights = list(patterns.values())
    assert (len(weights), sum(weights)) == (33, 1202)
    model = lt.Mixture(lt.Product({name: lt.Categorical() for name in columns}), 3)
    best = [lt.fit(model, table, weights=weights, seed=seed) for seed in range(30)]
    assert sum(fit.log_likelihood > GSS_MAXIMA[0] - 1e-3 for fit in best) >= 29
    np.testing.assert_allclose(
        np.sort(best[0].params["weights"]), [0.1722875528, 0.2069604864, 0.6207519107], atol=1e-5
    )
    met = lt.fit(model, table, weights=weights, starts=300).starts
    np.testing.assert_allclose([found.log_likelihood for found in met.optima], GSS_MAXIMA, atol=2e-4)
    assert met.settled + met.degenerate == met.tried == 300
