"""Explanations: formulas are read off the code, so they have its values; what is printed is parsed back."""

import re
import sys

import jax.numpy as jnp
import numpy as np
import pytest

import latens as lt
from latens.cli import main

from registry import FAMILIES, MODELS

sp = pytest.importorskip("sympy")
from latens.explaining.blocks import Equation, Rows, Words  # noqa: E402
from latens.explaining.formulas import line, parsed, symbols  # noqa: E402
from latens.explaining.law import SQUARE, Law, square_of  # noqa: E402
from latens.explaining.reading import NoFormula, read  # noqa: E402


@pytest.mark.parametrize("entry", FAMILIES, ids=lambda entry: entry.name)
def test_a_density_read_off_the_code_is_the_density(entry):
    params = {name: np.asarray(value, float) for name, value in entry.params.items()}
    row = np.atleast_1d(entry.like if entry.like is not None else np.ones(getattr(entry.family, "shape", ())))
    like = row if getattr(entry.family, "shape", ()) else float(row[0]) * (0.4 if entry.name == "beta" else 1.0)
    law = Law(entry.family.suited(np.atleast_2d(row)), params, like)
    density = law.density
    assert density is not None
    at = dict(law.at)
    if SQUARE in density.free_symbols:
        mean, covariance = sp.Matrix(params["mean"]), sp.Matrix(params["covariance"])
        away = sp.Matrix(row) - mean
        at[SQUARE] = (away.T * covariance.inv() * away)[0]
        assert "Σ⁻¹" in line(square_of(2))
        whole = float(np.linalg.det(2 * np.pi * params["covariance"]))
        density = density.replace(lambda part: isinstance(part, sp.Determinant), lambda part: sp.Float(whole, 17))
    at |= {s: float(s.name.endswith("=1]")) for s in density.free_symbols if s.name.startswith("[y=")}
    data = np.atleast_2d(row) if np.ndim(like) else [like]
    expected = entry.family.suited(np.atleast_2d(row)).log_density(params, data)[0]
    assert float(density.subs(at)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def _lines(explanation):
    return [block for block in explanation.blocks if isinstance(block, Equation)]


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry.name)
def test_every_model_explains_itself(entry):
    found = lt.explain(entry.model, entry.data, weights=entry.weights, start=entry.start, steps=1)
    text = str(found)
    for block in _lines(found):
        parts = block.parts(line)
        assert "    " + " = ".join(parts) in text
        if block.at is not None and block.value is not None and len(parts) > 3:
            told = parsed(parts[-2])
            size = max([1e-2, abs(block.value), *(abs(float(v)) for v in block.at.values())])
            assert told == pytest.approx(block.value, abs=1e-4 * size), parts
            exact = float(sp.sympify(block.right).subs(block.at))
            assert exact == pytest.approx(block.value, rel=1e-6, abs=1e-9), parts
    steps = lt.iterate(entry.model, entry.data, weights=entry.weights, start=entry.start, accelerate=lt.Plain())
    here, there = next(steps), next(steps)
    rise = next(b.text for b in found.blocks if isinstance(b, Words) and b.text.startswith("ℓ rises"))
    assert [float(x) for x in re.findall(r"-?\d+\.\d{6}", rise)[:2]] == [
        pytest.approx(each.log_likelihood, abs=1e-6) for each in (here, there)
    ]
    values = {float(block.value) for block in _lines(found) if block.value is not None}
    values |= {float(block.right) for block in _lines(found) if getattr(block.right, "is_Float", False)}
    shown = np.concatenate([np.ravel(value) for value in there.params.values()])
    if len(shown) <= 12:
        assert all(any(abs(v - x) <= 1e-6 * max(1, abs(x)) for v in values) for x in shown)
    latex, markdown = found.latex(), found.markdown()
    assert latex.count("{") == latex.count("}")
    assert markdown.count("$$") % 2 == 0


def test_two_coins_as_published():
    """Do & Batzoglou (2008), Nature Biotechnology 26, 897, fig. 1b."""
    coins = lt.Mixture(lt.Binomial(), 2, weights=(0.5, 0.5))
    tosses = [[5, 10], [9, 10], [8, 10], [4, 10], [7, 10]]
    found = lt.explain(coins, tosses, start={"probability": [0.6, 0.5]}, steps=1)
    assert "h cancels in γ" in str(found)
    rows = next(block for block in found.blocks if isinstance(block, Rows))
    second = dict(zip(rows.head, rows.rows[1], strict=True))
    assert [round(float(second[name]), 2) for name in ("γ[0]", "γ[1]")] == [0.80, 0.20]
    assert round(float(second["γ[0]·successes"]), 1) == 7.2
    assert [round(float(second[name]), 3) for name in ("g[0]", "g[1]")] == [0.004, 0.001]
    assert "p[0] = s[0]/c[0] = 21.2975/29.8697 = 0.713012" in str(found)


def test_an_unseen_lifetime_counts_with_its_mean():
    """Givens & Hoeting (2013), ex. 4.1: EM maps θ to 2θ/(5θ + 1); half the information is missing."""
    text = str(lt.explain(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0}, steps=2))
    assert "E(y) = 1/λ = 1/5 = 0.2" in text
    assert "λ = n/s = 2/5.2 = 0.384615" in text
    assert "observed(λ) = complete - missing = 50 - 25 = 25" in text
    assert "largest fraction of missing information is 0.5" in text


def test_moths_are_shared_out():
    """Givens & Hoeting (2013), ex. 4.2."""
    moths = lt.HardyWeinberg("C > I > T", {"black": "C", "mottled": "I", "light": "T"})
    text = str(lt.explain(moths, [85, 196, 341], start={"C": 1 / 3, "I": 1 / 3, "T": 1 / 3}, steps=1))
    assert "P(CI) = 2·C·I" in text
    assert "n[CI|black] = n[black]·P[CI]/(P[CC] + P[CI] + P[CT]) = 85·0.222222/" in text
    assert "(34 + 34 + 2·17)/" in text


def test_a_model_of_ones_own_explains_itself():
    import equinox as eqx

    class Zeros(lt.AbstractModel):
        """Poisson counts of which only is known whether they are 0."""

        base: float = eqx.field(default=1.0)

        @property
        def constraints(self):
            return {"rate": lt.Positive()}

        def potentials(self, params):
            return jnp.stack([-params["rate"], lt.safe_log(params["rate"])])

        def log_evidence(self, potentials, x):
            some = jnp.log(jnp.expm1(jnp.exp(potentials[1])))
            return potentials[0] + jnp.where(x == 0, 0.0, some)

        def estimate(self, stats):
            return {"rate": stats[1] / stats[0]}

    text = str(lt.explain(Zeros(), [0.0, 0.0, 1.0, 1.0], start={"rate": 1.0}, steps=2))
    assert "λ = s[1]/s[0]" in text
    assert "Zeros of your own" in text


@pytest.mark.parametrize("name", ["exponential", "moths", "moths-unknown", "known-variance", "coins"])
def test_from_the_command_line(name, capsys):
    for form in ("text", "latex") if name == "coins" else ("text",):
        with pytest.raises(SystemExit) as ended:
            main(["explain", name, "--steps", "1", "--format", form])
        assert ended.value.code == 0
        out = capsys.readouterr().out
        assert "3. Step 1 of EM" in out
        assert "3. Step 2" not in out


def test_bad_requests(capsys, monkeypatch):
    with pytest.raises(lt.ParameterError, match="steps"):
        lt.explain(lt.IID(lt.Poisson()), [1, 2], steps=0)
    with pytest.raises(SystemExit) as ended:
        main(["explain", "mothes"])
    assert ended.value.code == 2
    assert "there is no file and no example 'mothes'; there are apples" in capsys.readouterr().err
    found = lt.explain(lt.IID(lt.Poisson()), [1, 2], steps=1)
    with pytest.raises(lt.ParameterError, match="unknown format 'pdf'"):
        found.written("pdf")
    for module in [name for name in sys.modules if name.startswith("latens.explaining.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(lt.LatensError, match=r'pip install "latens\[explain\]"'):
        lt.explain(lt.IID(lt.Poisson()), [1, 2])


def test_many_rows_are_summed_and_few_are_shown():
    data = np.random.default_rng(0).normal(size=10_000)
    text = str(lt.explain(lt.Mixture(lt.Normal(), 2), data, steps=1, seed=3))
    assert "and so on for the other 9995 rows." in text
    assert len(text.splitlines()) < 120


def test_a_search_is_no_formula():
    at = {}
    a, means = symbols("a", 2.0, at), symbols("s", [0.2, 2.0], at)
    with pytest.raises(NoFormula, match="procedure"):
        read(lt.Gamma().estimate, means, at=at)
    assert line(read(lambda x: jnp.where(x > 0, x**2, -x) / 2, a, at=at).item()) == "a²/2"


def test_explanations_say_what_is_hidden_and_how_rows_count():
    beyond = str(lt.explain(lt.IID(lt.Truncated(lt.Exponential(), lower=1.0)), [1.5, 2.0, 4.0, 2.5], steps=1))
    assert "could never have been" in beyond
    assert "Nothing is hidden" not in beyond
    sets = str(lt.explain(lt.IID(lt.Categorical(3)), lt.one_of([0, 1, {0, 2}, None, 2]), steps=1))
    assert "0|2" in sets
    weighted = str(lt.explain(lt.Mixture(lt.Poisson(), 2), [1, 2, 9, 8], weights=[1, 2, 1, 0.5], steps=1))
    assert "Row i stands for m[i] observations" in weighted
    assert "Q = Σ_ij (m[i]·γ[i,j]·" in weighted


def test_a_joint_density_is_told_for_a_row():
    def log_joint(params, x, z):
        count = x * jnp.log(params["rate"]) - params["rate"]
        return jnp.where(z == 1, jnp.where(x == 0, 0.0, -jnp.inf), count) + jnp.log(0.5)

    model = lt.Latent(log_joint, [0, 1], {"rate": lt.Positive()})
    for data in ([0.0, 0.0, 2.0, 3.0], [3.0, 2.0, 0.0, 0.0]):
        text = str(lt.explain(model, data, start={"rate": 1.0}, steps=1))
        assert "as the code decides for row" in " ".join(text.split())
        assert "log(f(x, 1)) = -∞" in text


def test_half_seen_rows_in_the_sums_of_a_mixture():
    """What a row that was not seen adds to a sum is what is expected of it under the component."""
    draws = np.random.default_rng(0)
    data = np.r_[draws.normal(0, 1, 20), draws.normal(5, 1, 20), np.nan, np.nan]
    start = {"weights": [0.5, 0.5], "mean": [1.0, 4.0], "variance": [1.0, 1.0]}
    told = lt.explain(lt.Mixture(lt.Normal(), 2), {"y": data}, start=start, steps=1)
    assert {"s1[j] = Σ_i (γ[i,j]·E(y[i]))", "E(y) = μ"} <= {" = ".join(b.parts(line)) for b in _lines(told)}
    seen = data[:40]
    fit = lt.fit(lt.Mixture(lt.Normal(), 2), seen, start=start, stop=lt.Stop(max_steps=0))
    sums = next(b for b in _lines(told) if str(b.left) == "μ[0]" and b.at is not None)
    s1 = {str(letter): value for letter, value in sums.at.items()}["s1[0]"]
    assert s1 == pytest.approx(fit.posterior()[:, 0] @ seen + 2 * 0.5 * 1.0, rel=1e-6)


def test_data_far_from_the_origin():
    data = np.r_[np.linspace(-1, 1, 8), np.linspace(4, 6, 8)]
    told = lt.explain(lt.Mixture(lt.Normal(), 2), data + 1e4, steps=1)
    for block in _lines(told):
        if block.at is not None and block.value:  # with as many digits as give the value
            assert parsed(block.parts(line)[-2]) == pytest.approx(block.value, rel=1e-5)
    with pytest.raises(lt.DataError, match="take a round number off"):
        lt.explain(lt.Mixture(lt.Normal(), 2), data + 1e9, steps=1)
    assert "f[0]" in str(lt.explain(lt.Mixture(lt.Poisson(), 2), [2000, 3000, 2010, 3100, 1999], steps=1))


def test_names_of_the_data_are_names_in_every_form():
    told = lt.explain(lt.IID(lt.Categorical()), {"a": ["x<i>", "$y$", "$y$", "x<i>"]}, steps=1)
    assert "<i>" not in told.markdown()
    assert r"\left[\mathrm{y=0}\right]" in told.latex()
    assert r"\$y\$" in told.latex()
