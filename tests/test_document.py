"""The page of a fit: what is in it, and what a browser makes of it."""

import base64
import hashlib
import re
import shutil
import sys
import time
from contextlib import contextmanager
from itertools import islice

import jax.numpy as jnp
import numpy as np
import pytest

import latens as lt

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib").use("Agg")

EVIL = "<script>document.title='run'</script>"
DRAWS = np.random.default_rng(0)
TABLE = {EVIL: np.r_[DRAWS.normal(size=40), DRAWS.normal(5, 1, 40)], "a & b": DRAWS.poisson(3, 80).astype(float)}
TABLE[EVIL][:5] = np.nan


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    fit = lt.fit(lt.Mixture(lt.Product({EVIL: lt.Normal(), "a & b": lt.Poisson()}), 2), TABLE)
    path = tmp_path_factory.mktemp("page") / "report.html"
    fit.report(path, command="latens fit 'a & b.csv'")
    return fit, path


def test_page_tells_what_the_report_tells(page):
    fit, path = page
    text = path.read_text(encoding="utf-8")
    assert len(text) < 3_000_000
    for told in ("Converged", f"{fit.log_likelihood:.6f}", f"{fit.bic:.3f}", "5 missing (6%)", "distinct optim"):
        assert told in text
    assert "latens fit &#39;a &amp; b.csv&#39;" in text
    text = text.split("<script>")[0]
    assert text.count("<svg") == len(set(fit.plot.suited) - {"profile", "uncertainty"})
    assert '"weights"' not in text
    assert "&#34;weights&#34;" in text
    start = re.search(r"start = (\{.*?\})</pre>", text, re.S)[1]
    assert len(start) > 50


def test_nothing_of_the_user_is_run_and_nothing_is_asked_for(page):
    text = page[1].read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    assert text.count("<script") == len(scripts) == 2
    own = {f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts}
    policy = re.search(r"script-src (.*?)\"", text)[1].split()
    assert set(policy) == own | {"'unsafe-eval'"}  # which lets Vega compile its expressions, and runs nothing inline
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    text = text.replace(scripts[0], "").replace("https://vega.github.io/schema", "")
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", without_names)


def test_a_page_of_a_fit_without_standard_errors_says_why(tmp_path):
    start = {"weights": [0.5, 0.5], "mean": [-1.0, 1.0], "variance": [1.0, 1.0]}
    fit = lt.fit(lt.Mixture(lt.Normal(), 2), DRAWS.normal(size=40), start=start, stop=lt.Stop(max_steps=1))
    fit.report(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "not converged" in text
    assert "lt.fit(model, data, start=start) goes on from these estimates" in text
    assert re.search(r"Standard errors not given: .*has not converged", text, re.S)


def test_files_that_cannot_be_written(page, tmp_path, monkeypatch):
    fit = lt.fit(lt.IID(lt.Poisson()), [1, 2])
    with pytest.raises(lt.DataError, match="cannot be written: No such file or directory"):
        fit.report(tmp_path / "nowhere" / "page.html")
    with pytest.raises(lt.DataError, match="report takes the path of a file"):
        fit.report(3)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(lt.LatensError, match=r'pip install "latens\[report\]"'):
        fit.report(tmp_path / "page.html")


needs_browser = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="no chromium and chromedriver: apt-get install chromium chromium-driver",
)


@contextmanager
def _browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as browser:
        yield browser


def _quiet(browser, path):
    """Nothing is said in the console, nothing asked for but the page."""
    assert not browser.get_log("browser")
    asked = [entry["message"] for entry in browser.get_log("performance") if 'requestWillBeSent"' in entry["message"]]
    assert all(path.as_uri() in message for message in asked)


@needs_browser
def test_in_a_browser(page):
    fit, path = page
    with _browser() as browser:
        for width in (1280, 380):
            browser.set_window_size(width, 900)
            browser.get(path.as_uri())
            assert browser.title == fit.model.title  # which a script in it would have changed
            assert EVIL in browser.find_element("css selector", "#estimates").text
            inner = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
            assert inner[0] <= inner[1]  # nothing sticks out to the right
            assert _waited(browser, "return document.body.dataset.ready") == "yes"
            assert EVIL in browser.find_element("css selector", "#panel0").text
        _quiet(browser, path)


def _waited(browser, script, *given):
    """What a script gives, once it gives something."""
    for _ in range(200):
        if found := browser.execute_script(script, *given):
            return found
        time.sleep(0.05)
    raise AssertionError(script)


def _labels(browser, panel):
    """Of the marks in a panel, what they show: name → text."""
    marks = browser.execute_script(
        "return [...document.querySelectorAll(`#panel${arguments[0]} path[aria-label]`)]"
        ".map(mark => mark.getAttribute('aria-label'))",
        panel,
    )
    return [dict(part.rsplit(": ", 1) for part in mark.replace("−", "-").split("; ")) for mark in marks]


COINS = lt.Mixture(lt.Binomial(), 2, weights=(0.5, 0.5))
TOSSES, BEGIN = [[5, 10], [9, 10], [8, 10], [4, 10], [7, 10]], {"probability": [0.6, 0.5]}
MOTHS = lt.HardyWeinberg("C > I > T", {"carbonaria": "C", "insularia": "I", "typica": "T", "either": ["I", "T"]})
SEEN = {"carbonaria": 85, "insularia": 196, "typica": 341, "either": 578}
EQUAL = {"C": 1 / 3, "I": 1 / 3, "T": 1 / 3}


@needs_browser
@pytest.mark.parametrize(
    ("model", "data", "start"),
    [
        (COINS, TOSSES, BEGIN),
        (MOTHS, SEEN, EQUAL),
        (lt.IID(lt.Exponential()), [5.0, np.nan], {"rate": 5.0}),
        (lt.IID(lt.MultivariateNormal(2)), [[1.0, 2.0], [2.0, 3.5], [3.0, np.nan], [0.5, 2.5]], None),
    ],
    ids=["coins", "moths", "lifetimes", "holes"],
)
def test_stepping_shows_the_numbers_of_iterate(model, data, start, tmp_path):
    fit, path = lt.fit(model, data, start=start), tmp_path / "page.html"
    fit.report(path)
    if start is None:
        start = lt.iterate(model, data, starts=1, accelerate=lt.Plain())
        start = next(start).params
    steps = list(islice(lt.iterate(model, data, start=start, accelerate=lt.Plain()), 8))
    with _browser() as browser:
        browser.get(path.as_uri())
        assert _waited(browser, "return document.body.dataset.ready") == "yes"
        slider = browser.find_element("css selector", "#step")
        for wanted in (0, 1, 5):
            _waited(browser, "return document.querySelector('#panel3 path[aria-label]') !== null")
            slider.send_keys("\ue014" * (wanted - int(slider.get_attribute("value"))))  # arrow to the right
            here, there = steps[wanted], steps[wanted + 1]
            told = browser.find_element("css selector", f"[data-step='{wanted}']")
            assert told.is_displayed()
            assert len(browser.find_elements("css selector", "[data-step]:not([hidden])")) == 1
            assert f"= {here.log_likelihood:.6f}." in told.text
            assert f"to {there.log_likelihood:.6f}." in told.text
            for value in np.concatenate([np.ravel(v) for v in here.params.values()]):
                assert f"= {value:.6g}" in told.text
            _stood(lambda: float(_labels(browser, 3)[-1]["log-likelihood"]), here.log_likelihood)
            ends = _labels(browser, 2)[-2:]
            bound = lt.lower_bound(model, there.params, here.params, data)
            assert float(ends[0]["log-likelihood"]) == pytest.approx(here.log_likelihood, rel=1e-4)
            assert float(ends[1]["log-likelihood"]) == pytest.approx(bound, rel=1e-4)
            if model is COINS:
                given = lt.fit(model, data, start=here.params, stop=lt.Stop(max_steps=0)).posterior()
                shown = [float(mark["posterior probability"]) for mark in _labels(browser, 1)]
                np.testing.assert_allclose(shown, np.ravel(given), rtol=2e-4)
            if model is MOTHS:
                shown = [float(m["number"].replace(",", "")) for m in _labels(browser, 0)]
                assert sum(shown[: len(shown) // 2]) == pytest.approx(1200, rel=1e-3)
        _quiet(browser, path)


def _stood(read, wanted):
    """What is read comes to be what is wanted, to the digits that are shown."""
    for _ in range(100):
        if abs(read() - wanted) <= 1e-4 * abs(wanted):
            return
        time.sleep(0.05)
    assert read() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("change", [{}, {"starts": 3}, {"start": [BEGIN, {"probability": [0.1, 0.9]}]}, {"prior": 1.0}])
def test_the_way_leads_to_the_fit(change):
    from latens.document import tables
    from latens.document.walk import Walk

    model = lt.Mixture(lt.Poisson(), 2) if change.get("start") is None else COINS
    data = np.r_[DRAWS.poisson(2, 60), DRAWS.poisson(9, 40)] if model is not COINS else TOSSES
    fit = lt.fit(model, data, **change)
    walk = Walk(fit._estimate, fit.begun)
    assert walk.end.log_likelihood == pytest.approx(fit.last.log_likelihood, abs=1e-5)
    for name, value in walk.end.params.items():
        np.testing.assert_allclose(value, fit.params[name], rtol=1e-3, atol=1e-4)
    rises = np.diff([each.log_likelihood for each in walk.path])
    assert (rises > -1e-9).all()
    bound = tables.bound(walk)
    for number in walk.told:
        own = {s: bound["y"][(bound["series"] == s) & (bound["step"] == number)] for s in ("ℓ", "bound", "there")}
        assert (own["bound"] <= own["ℓ"] + 1e-9).all()
        assert own["there"] >= own["bound"].max() - 1e-9


def test_the_way_ends_at_the_very_point_of_the_fit():
    """Sorted components, a start that was given, and a likelihood that is as high elsewhere."""
    from latens.document.walk import Walk

    data, model = np.r_[DRAWS.normal(0, 1, 60), DRAWS.normal(4, 1, 40)], lt.Mixture(lt.Normal(), 2)
    start = {"weights": [0.5, 0.5], "mean": [1.0, 3.0], "variance": [1.0, 1.0]}
    fit = lt.fit(model, data, start=start).sorted(by="mean", descending=True)
    walk = Walk(fit._estimate, fit.begun)
    np.testing.assert_allclose(walk.end.params["mean"], fit.params["mean"], rtol=1e-5)

    def mirrored(params, x, z):
        return jnp.log(0.5) - 0.5 * (x - jnp.where(z == 1, params["a"], -params["a"])) ** 2

    signs = lt.fit(lt.Latent(mirrored, [0, 1], {"a": lt.Real()}), np.r_[data, -data], seed=0)
    walk = Walk(signs._estimate, signs.begun)
    same = np.sign(walk.end.params["a"]) == np.sign(signs.params["a"])
    assert same == ("where the fit ended, too" in walk.summary)

    single = lt.fit(model, data, precision="single")
    walk = Walk(single._estimate, single.begun)
    assert (np.diff([each.log_likelihood for each in walk.path]) > -1e-9).all()
    assert "where the fit ended, too" in walk.summary


@pytest.mark.parametrize(("origin", "scale"), [(1000, 0.01), (0, 1e-9), (1e4, 0.2)])
def test_panels_keep_the_shape_of_data_far_from_0(origin, scale):
    from latens.document.stepping import stepping

    data = np.r_[DRAWS.normal(0, 1, 60), DRAWS.normal(4, 1, 40)]
    fit = lt.fit(lt.Mixture(lt.Normal(), 2), origin + scale * data)
    shown = stepping(fit._estimate, fit.begun)
    bars, lines = (layer["data"]["values"] for layer in shown.panels[0].spec["layer"])
    widths = [bar["high"] - bar["low"] for bar in bars]
    assert min(widths) == pytest.approx(max(widths), rel=1e-2)
    assert len({row["x"] for row in lines}) == 80
    heavy = lt.fit(lt.Mixture(lt.Normal(), 2), data, weights=np.full(100, 1e9))
    shown = stepping(heavy._estimate, heavy.begun)
    assert len({row["y"] for row in shown.panels[2].spec["layer"][0]["data"]["values"]}) > 100


def test_pages_say_why_there_are_no_steps(tmp_path):
    def page(model, data, **options):
        lt.fit(model, data, **options).report(tmp_path / "page.html")
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    assert "Steps are not shown here: plain EM is at its end after " in page(lt.IID(lt.Poisson()), [1, 2, 5])
    text = page(lt.IID(lt.MultivariateNormal(3)), np.random.default_rng(0).normal(size=(20, 3)))
    assert "one or two columns" in text
    assert "<math" in text
    assert "<script" not in text
    assert "script-src 'none'" in text


def test_notebooks_show_tables(page):
    fit, _ = page
    shown = fit._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown
    assert f"Log-likelihood  {fit.log_likelihood:.6f}" in shown
    information = fit.information()._repr_html_()
    assert information.count("<tr>") == 1 + len(fit.information().labels)
    assert f"{fit.information().fraction_missing:.1%}" in information
    choice = lt.choose(lambda k: lt.Mixture(lt.Poisson(), k), TABLE["a & b"], (1, 2))
    assert "Chosen by BIC" in choice._repr_html_()
    assert f"{choice.fits[1].bic:.3f}*" in choice._repr_html_()


def test_pictures_of_the_page_have_the_method_of_its_table(tmp_path, monkeypatch):
    from latens.plots import Plots

    asked = []
    monkeypatch.setattr(
        Plots, "estimates", lambda self, methods="observed", **rest: asked.append(methods) or self.trace()
    )
    fit = lt.fit(lt.IID(lt.Poisson()), TABLE["a & b"])
    fit.report(tmp_path / "page.html", method="sandwich")
    assert asked == ["sandwich"]
