"""Cells by the thousand, against gene counting written out."""

import pickle
from itertools import combinations_with_replacement

import jax
import numpy as np
import pytest

import latens as lt
from latens.engine.emmap import one_step
from latens.models import gene_counting as module

HAPLOTYPES = [f"h{i}" for i in range(90)]
PAIRS = np.array(list(combinations_with_replacement(range(90), 2)))
ORDERS = np.where(PAIRS[:, 0] == PAIRS[:, 1], 1.0, 2.0)
CELLS = {
    f"h{i}/h{j}": f"h{i}*h{i}" if i == j else f"2*h{i}*h{j}" for i, j in combinations_with_replacement(range(90), 2)
}
TRUTH = np.random.default_rng(3).dirichlet(np.full(90, 3.0))
GROUPS = np.array_split(np.random.default_rng(4).permutation(len(PAIRS)), 220)
WIDE = [*GROUPS, np.arange(len(PAIRS))]  # one group of all cells beside narrow ones


def groups(parts):
    names = list(CELLS)
    return {f"g{i}": [names[c] for c in part] for i, part in enumerate(parts)}


def counted(parts, counts, p):
    """The log-likelihood at p, and where gene counting goes from there."""
    chances = ORDERS * p[PAIRS].prod(1)
    sums = np.array([chances[part].sum() for part in parts])
    expected = np.zeros(len(PAIRS))
    for part, count, total in zip(parts, counts, sums, strict=True):
        expected[part] += count * chances[part] / total
    genes = np.bincount(PAIRS.ravel(), np.repeat(expected, 2))
    return counts @ np.log(sums), genes / genes.sum()


def drawn(parts):
    chances = ORDERS * TRUTH[PAIRS].prod(1)
    seen = np.array([chances[part].sum() for part in parts])
    return np.random.default_rng(5).multinomial(50_000, seen / seen.sum())


@pytest.mark.parametrize("parts", [GROUPS, WIDE], ids=["apart", "one wide"])
def test_ninety_haplotypes(parts):
    model, counts, p = lt.Cells(CELLS, seen=groups(parts), parameters=[HAPLOTYPES]), drawn(parts), np.full(90, 1 / 90)
    steps = lt.iterate(
        model,
        counts,
        start=dict(zip(HAPLOTYPES, p, strict=True)),
        accelerate=lt.Plain(),
        stop=lt.Stop(tolerance=0, max_steps=3),
    )
    for step in steps:
        log_likelihood, image = counted(parts, counts, p)
        assert step.log_likelihood == pytest.approx(log_likelihood, rel=1e-13)
        np.testing.assert_allclose([step.params[h] for h in HAPLOTYPES], p, rtol=1e-11)
        p = image
    fit = lt.fit(model, counts)
    p = np.array([fit.params[h] for h in HAPLOTYPES])
    log_likelihood, image = counted(parts, counts, p)
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(log_likelihood, rel=1e-13)
    np.testing.assert_allclose(image, p, atol=1e-6)
    assert len(model.members) == sum(map(len, parts))  # groups are not padded to the widest
    posterior = fit.posterior()
    for g in (0, 7, len(parts) - 1):
        chances = ORDERS[parts[g]] * p[PAIRS[parts[g]]].prod(1)
        np.testing.assert_allclose(posterior[g, parts[g]], chances / chances.sum(), rtol=1e-9)
        assert posterior[g].sum() == pytest.approx(1.0)


def test_informations_of_many_parameters():
    """Nothing is hidden, so they are those of a multinomial of genes."""
    model = lt.HardyWeinberg(HAPLOTYPES)
    genotypes = np.random.default_rng(6).multinomial(20_000, ORDERS * TRUTH[PAIRS].prod(1))
    fit = lt.fit(model, genotypes)
    p = np.bincount(PAIRS.ravel(), np.repeat(genotypes, 2)) / 40_000
    np.testing.assert_allclose([fit.params[h] for h in HAPLOTYPES], p, rtol=1e-8)
    for method in ("observed", "oakes", "sem-exact", "louis"):
        errors = fit.standard_errors(method)
        np.testing.assert_allclose([errors[h] for h in HAPLOTYPES], np.sqrt(p * (1 - p) / 40_000), rtol=1e-6)
    assert fit.information().fraction_missing == pytest.approx(0.0, abs=1e-6)


def inbred(n):
    """Genotypes with inbreeding: no products of powers."""
    cells = {
        f"{a}/{b}": f"(1-F)*{a}**2 + F*{a}" if a == b else f"2*(1-F)*{a}*{b}"
        for a, b in combinations_with_replacement(HAPLOTYPES[:n], 2)
    }
    return lt.Cells(cells, seen={c: c for c in cells}, parameters=[HAPLOTYPES[:n], "F"])


def test_cells_that_are_no_products():
    n, f = 12, 0.3
    p = TRUTH[:n] / TRUTH[:n].sum()
    pairs = np.array(list(combinations_with_replacement(range(n), 2)))
    alike = pairs[:, 0] == pairs[:, 1]
    chances = (1 - f) * np.where(alike, 1, 2) * p[pairs].prod(1)
    chances[alike] += f * p
    counts = np.random.default_rng(7).multinomial(5000, chances)
    start = dict(zip(HAPLOTYPES[:n], p, strict=True)) | {"F": f}
    fit = lt.fit(inbred(n), counts, start=start)
    assert fit.trace[0] == pytest.approx(counts @ np.log(chances), rel=1e-13)
    assert fit.converged
    assert abs(fit.params["F"] - f) < 4 * fit.standard_errors()["F"]


@pytest.mark.parametrize("make", [lambda: lt.HardyWeinberg(HAPLOTYPES), lambda: inbred(8)], ids=["products", "others"])
def test_an_expression_is_read_once(monkeypatch, make):
    read, parse = [], module.parse
    monkeypatch.setattr(module, "parse", lambda text, *rest: read.append(text) or parse(text, *rest))
    model = make()
    assert len(read) == len(model.cells)
    lt.fit(model, np.ones(len(model.seen)), stop=lt.Stop(max_steps=3))
    assert len(read) == len(model.cells)


def test_a_copy_runs_the_same_programs():
    model, counts = lt.Cells(CELLS, seen=groups(GROUPS), parameters=[HAPLOTYPES]), drawn(GROUPS)
    stop = lt.Stop(max_steps=4)
    fit = lt.fit(model, counts, stop=stop)
    before = one_step.programs
    again = pickle.loads(pickle.dumps(model))
    assert again.cells == model.cells
    assert lt.fit(again, counts, stop=stop).log_likelihood == fit.log_likelihood
    assert one_step.programs == before
    assert pickle.loads(pickle.dumps(fit)).log_likelihood == fit.log_likelihood


def test_nothing_is_as_large_as_groups_by_cells():
    model = lt.Cells(CELLS, seen=groups(WIDE), parameters=[HAPLOTYPES])

    def total(potentials):
        return model.log_evidences(potentials, np.arange(len(WIDE))).sum()

    def largest(jaxpr):
        for equation in jaxpr.eqns:
            yield max(variable.aval.size for variable in equation.outvars)
            for inner in jax.core.jaxprs_in_params(equation.params):
                yield from largest(inner)

    program = jax.make_jaxpr(jax.grad(total))(np.zeros(90))
    assert max(largest(program.jaxpr)) <= 2 * len(model.members)


def test_arrays_of_a_model_cannot_be_written_to():
    model = inbred(3)
    for leaf in jax.tree.leaves(model):
        with pytest.raises(ValueError, match="read-only"):
            leaf[...] = 0
