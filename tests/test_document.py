"""The page of a fit: what is in it, and what a browser makes of it."""

import re
import shutil
import sys

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
    assert text.count("<svg") == len(set(fit.plot.suited) - {"profile", "uncertainty"})
    assert '"weights"' not in text
    assert "&#34;weights&#34;" in text
    start = re.search(r"start = (\{.*?\})</pre>", text, re.S)[1]
    assert len(start) > 50


def test_nothing_of_the_user_is_run_and_nothing_is_asked_for(page):
    text = page[1].read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", without_names)


def test_a_page_of_a_fit_without_standard_errors_says_why(tmp_path):
    start = {"weights": [0.5, 0.5], "mean": [-1.0, 1.0], "variance": [1.0, 1.0]}
    fit = lt.fit(lt.Mixture(lt.Normal(), 2), DRAWS.normal(size=40), start=start, stop=lt.Stop(max_steps=1))
    fit.report(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "not converged" in text
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


@pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="no chromium and chromedriver: apt-get install chromium chromium-driver",
)
def test_in_a_browser(page):
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    fit, path = page
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as browser:
        for width in (1280, 380):
            browser.set_window_size(width, 900)
            browser.get(path.as_uri())
            assert browser.title == fit.model.title  # which a script in it would have changed
            assert EVIL in browser.find_element("css selector", "#estimates").text
            inner = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
            assert inner[0] <= inner[1]  # nothing sticks out to the right
        assert not browser.get_log("browser")
        asked = [
            entry["message"] for entry in browser.get_log("performance") if 'requestWillBeSent"' in entry["message"]
        ]
        assert all(path.as_uri() in message for message in asked)


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
