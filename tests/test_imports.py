"""Imports point downwards; the public namespace is pinned; JAX's settings are left alone; help is quick."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import latens as lt

SRC = Path(lt.__file__).parent
CONTRIBUTING = SRC.parent.parent / "CONTRIBUTING.md"
LAYERS = re.search(r"^`errors` < .*\.$", CONTRIBUTING.read_text(encoding="utf-8"), re.M)[0].split(" < ")
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in re.findall(r"`(\w+)`", names)}


def _uses(tree):
    """What a piece of code imports of the package, at its head, for type hints or inside functions: (part, line)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not any(name.name.split(".")[0] == "latens" for name in node.names), "import names from latens"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "latens":
            parts = [node.module.split(".")[1]] if "." in node.module else [name.name for name in node.names]
            yield from ((part, node.lineno) for part in parts if part != "__version__")


def _files():
    for path in SRC.rglob("*.py"):
        part = path.relative_to(SRC).parts[0].removesuffix(".py")
        if part not in ("__init__", "__main__"):
            yield path, part, ast.parse(path.read_text(encoding="utf-8"))


def test_imports_point_downwards():
    seen = 0
    for path, part, tree in _files():
        for used, line in _uses(tree):
            seen += 1
            assert used == part or LEVEL[used] < LEVEL[part], f"{path.name}, line {line}: imports latens.{used}"
    assert seen > 100


def test_imports_inside_functions_are_of_what_is_slow():
    """Of the package: reports load rich, pictures what few fits are asked for, commands JAX; SymPy may be lacking."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    for path, part, tree in _files():
        inside = {use for node in ast.walk(tree) if isinstance(node, functions) for use in _uses(node)}
        assert part in ("cli", "explaining") or {used for used, _ in inside} <= {"report", "plots", "document"}, (
            f"{path.name}: {inside}"
        )


def _length(path):
    """Lines that are not docstrings."""
    text = path.read_text(encoding="utf-8")
    strings = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr)]
    told = sum(s.end_lineno - s.lineno + 1 for s in strings if isinstance(getattr(s, "value", None), str))
    return len(text.splitlines()) - told


def test_files_are_short():
    lengths = {path: _length(path) for path in SRC.rglob("*.py")}
    assert max(lengths.values()) <= 350, max(lengths, key=lengths.get)
    assert sorted(lengths.values())[len(lengths) // 2] < 150


PUBLIC = """
AbstractAccelerator AbstractExponentialFamily AbstractFamily AbstractModel Anderson Auto Bernoulli Beta Binomial
AbstractReader Coefficient Covariance Location Rows Scale Stacked Variance logsumexp safe_log sequences
Bootstrap Categorical Cells DataError ExactSEM Exponential Fit FixedPoint Gamma Geometric Growing HardyWeinberg IID
InferenceError Iterate LatensError Latent LogNormal Louis Mixture ModelError Multinomial MultivariateNormal
NegativeBinomial Normal OPG Oakes Observed ParameterError ParametricBootstrap Plain Poisson Positive
PositiveDefinite Prior Product Profile QuasiNewton Real SEM Sandwich Simplex Squarem Starts Status Stop Support
Batches Processes Source Threads Truncated Unit Weibull accelerate choose compare explain fit
grouped h_function interval iterate keep_programs Many fit_many left_censored Online Streamed online
lower_bound one_of pool q_function read_cells right_censored testing
"""


def test_public_namespace_is_pinned_and_loads():
    assert set(lt.__all__) == set(PUBLIC.split())
    for name in lt.__all__:
        assert getattr(lt, name) is not None
    assert callable(lt.fit)


def _python(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_help_does_not_import_jax():
    for flag in ("--help", "--version"):
        code = f"""
import sys
from latens.cli import main
try:
    main(["{flag}"])
except SystemExit as ended:
    assert not ended.code
assert not {{"jax", "numpy", "equinox"}} & set(sys.modules)
"""
        assert "latens" in _python(code).lower()


def test_estimators_are_loaded_when_they_are_used():
    code = """
import sys
import latens.sklearn
assert not {"jax", "numpy", "sklearn"} & set(sys.modules)
assert all(getattr(latens.sklearn, name).__module__.startswith("latens.sklearn.") for name in latens.sklearn.__all__)
assert {*latens.sklearn.__all__} <= {*dir(latens.sklearn)}
"""
    _python(code)


def test_callers_settings_stay():
    code = """
import jax, jax.numpy as jnp, numpy as np
import latens as lt
fit = lt.fit(lt.IID(lt.Normal()), [1.0, 2.0, 4.0])
assert fit.params["mean"].dtype == np.float64
assert not jax.config.jax_enable_x64 and jnp.ones(2).dtype == jnp.float32
print(float(fit.params["mean"]))
"""
    assert float(_python(code)) == 7 / 3


KEPT = """
import jax
from collections import Counter
seen = Counter()
jax.monitoring.register_event_listener(lambda name, **_: seen.update([name.rsplit("/", 1)[-1]]))
import latens as lt
if {late}:
    lt.fit(lt.IID(lt.Poisson()), [1, 2, 5])
level = jax.config.jax_logging_level
before = jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs
assert before == (None, 1.0) and not seen["cache_hits"]
folder = lt.keep_programs({folder!r})
assert folder == lt.keep_programs() == lt.keep_programs({folder!r}) and str(folder).startswith({folder!r})
assert jax.config.jax_compilation_cache_dir == str(folder) and jax.config.jax_logging_level == level
lt.fit(lt.IID(lt.Gamma()), [1.0, 2.0, 4.0]).standard_errors()
print(seen["cache_hits"], seen["cache_misses"])
"""


def test_programs_are_kept_for_the_next_process_when_asked(tmp_path, monkeypatch):
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.delenv(name, raising=False)
    code = KEPT.format(late=False, folder=str(tmp_path / "own"))
    hits, misses = map(int, _python(code).split())
    assert hits == 0
    assert misses > 3
    assert _python(code).split() == [str(misses), "0"]
    after_a_fit = _python(KEPT.format(late=True, folder=str(tmp_path / "own"))).split()
    assert int(after_a_fit[0]) > 3
    assert after_a_fit[1] == "0"


def test_where_programs_are_kept(tmp_path, monkeypatch):
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.delenv(name, raising=False)
    code = "import latens as lt; print(lt.keep_programs())"
    monkeypatch.setenv("LATENS_CACHE", str(tmp_path / "named"))
    assert Path(_python(code).strip()).parent == tmp_path / "named"
    monkeypatch.setenv("LATENS_CACHE", "off")
    assert _python(code).strip() == "None"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "told"))
    assert _python(code).strip() == str(tmp_path / "told")
    (tmp_path / "file").touch()
    with pytest.raises(lt.DataError, match="cannot be kept in .*file"):
        lt.keep_programs(tmp_path / "file")
