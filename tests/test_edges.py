"""Edges that users live at, crossed with the models of the registry: a sample of the pairs, the same in every run."""

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import numpy as np
import pytest

import latens as lt
from latens.cells import Interval
from latens.engine import blocks

from registry import MODELS

EVERY = 3  # of how many pairs one is tried
EXACT = lt.Stop(tolerance=1e-9, max_steps=50_000)
LINE = ["normals", "normals-shared-variance", "normals-shared-mean", "planes", "planes-tied", "planes-diagonal"]
LINE += ["planes-spherical", "iid-normal-holes", "planes-missing-cells"]
POSITIVE = ["iid-gamma", "gammas", "weibull-censored", "different", "iid-exponential"]
HALVES = ["weibull-censored", "table-half-seen", "exponential-truncated-censored"]
COUNTED = ["linkage", "linkage-numeric", "moths"]  # each row of theirs is a group
ROWS = [c.name for c in MODELS if c.name not in COUNTED]
PLAIN = [n for n in ROWS if n not in HALVES]  # rows are arrays, or dicts of them
NUMBERS = ["normals", "poissons", "gammas", "geometrics", "different", "normals-shared-variance"]
MIXTURES = [c.name for c in MODELS if isinstance(c.model, lt.Mixture)]
CASES = {c.name: c for c in MODELS}


def fitted(case, data=None, **changes):
    given = {"start": case.start, "weights": case.weights, "stop": EXACT} | changes
    return honest(lt.fit(case.model, case.data if data is None else data, **given))


def honest(fit):
    """A fit never lies: how it ended, what it says of its estimates, and what it cannot say."""
    assert fit.status in (lt.Status.CONVERGED, lt.Status.DEGENERATE), fit.message
    assert fit.converged or fit.reason
    blur = 1e-6 if fit.last.problem.single else 1e-9  # of the log-likelihood that steps are judged by
    assert np.all(np.diff(fit.trace) >= -blur * (1 + abs(fit.log_likelihood)))
    assert ".. inf" not in str(fit)
    json.dumps(fit.to_dict(), allow_nan=False)
    if fit.converged:
        errors = np.concatenate([np.ravel(v) for v in fit.standard_errors().values()])
        assert np.array_equal(~np.isfinite(errors), [name in fit.held for name in fit.names])
    return fit


def same(one, other, rtol=1e-5):
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-9, abs=1e-8)
    for name, value in one.params.items():
        np.testing.assert_allclose(value, other.params[name], rtol=rtol, atol=1e-7)


def table(data, change):
    """A function of every column."""
    return {n: change(np.asarray(c)) for n, c in data.items()} if isinstance(data, dict) else change(np.asarray(data))


def length(data):
    return len(next(iter(data.values()))) if isinstance(data, dict) else len(data)


def weights(case, _):
    times = np.random.default_rng(1).integers(1, 4, length(case.data))
    repeated = table(case.data, lambda column: np.repeat(column, times, axis=0))
    same(fitted(case, weights=times), fitted(case, repeated))


def small_weights(case, _):
    small, usual = (fitted(case, weights=np.full(length(case.data), w)) for w in (0.25, 1.0))
    assert small.log_likelihood == pytest.approx(0.25 * usual.log_likelihood, rel=1e-9)
    ratio = [np.ravel(small.standard_errors()[n] / usual.standard_errors()[n]) for n in usual.params]
    np.testing.assert_allclose(np.concatenate(ratio), 2.0, rtol=1e-3)


def prior(case, _):
    """At the maximum of the likelihood, one with its mode there changes nothing."""
    plain = fitted(case)
    same(fitted(case, start=plain.params, prior=lt.Prior(3.0, plain.params)), plain)


def single(case, _):
    double, quick = fitted(case), fitted(case, precision="single", stop=lt.Stop())
    assert quick.log_likelihood == pytest.approx(double.log_likelihood, rel=1e-6)
    for name, error in double.standard_errors().items():
        assert np.all(np.abs(quick.params[name] - double.params[name]) < 0.05 * error), name


def shards(case, monkeypatch):
    one = fitted(case)
    monkeypatch.setattr(blocks, "WORTH", 1.0)
    monkeypatch.setattr(blocks.Load, "size", 32)
    same(fitted(case), one)


def far_origin(case, _):
    there = {n: np.asarray(v, float) + (1e7 if n == "mean" else 0.0) for n, v in case.start.items()}
    far, near = fitted(case, np.asarray(case.data) + 1e7, start=there), fitted(case)
    assert far.log_likelihood == pytest.approx(near.log_likelihood, rel=1e-7)
    np.testing.assert_allclose(np.asarray(far.params["mean"]) - 1e7, near.params["mean"], atol=1e-4)


def times(data, unit):
    return lt.interval(unit * data.lower, unit * data.upper) if isinstance(data, Interval) else unit * data


def other_units(case, _):
    given = case.data if case.name in HALVES else np.asarray(case.data)
    seen, usual = np.sum(given.exact if case.name in HALVES else ~np.isnan(given)), fitted(case)
    for unit in (1e-6, 1e6):
        scaled = {n: np.asarray(v) * unit ** (n.endswith("scale") - n.endswith("rate")) for n, v in case.start.items()}
        moved = fitted(case, times(given, unit), start=scaled)
        assert moved.log_likelihood + seen * np.log(unit) == pytest.approx(usual.log_likelihood, rel=1e-7)


def exact_intervals(case, _):
    same(fitted(case, lt.interval(case.data, case.data)), fitted(case))


def narrow_intervals(case, _):
    values = np.asarray(case.data)
    half = 1e-6 * np.std(values)
    if np.all(values == np.floor(values)):
        half = 0.3  # of whole numbers, each holds just one
        same(fitted(case, lt.interval(values - half, values + half)), fitted(case))
        return
    narrow = fitted(case, lt.interval(values - half, values + half))
    exact = fitted(case).log_likelihood + len(values) * np.log(2 * half)
    assert narrow.log_likelihood == pytest.approx(exact, abs=1e-4)


def unseen_rows(case, _):
    none = table(case.data, lambda c: np.concatenate([np.asarray(c, float), np.full((7, *c.shape[1:]), np.nan)]))
    more, usual = fitted(case, none), fitted(case)
    assert more.n == usual.n
    assert more.bic == pytest.approx(usual.bic, abs=1e-5)
    assert more.unseen == usual.unseen + 7


def other_sizes(case, _):
    for k in (1, 3):
        honest(lt.fit(case.model.resized(k), case.data))


def labels(case, _):
    told = [int(j) if i % 2 else None for i, j in enumerate(fitted(case).predict())]
    fit = fitted(case, labels=told)
    known = np.array([[j is None or j == k for k in range(2)] for j in told])
    assert np.all(fit.posterior()[~known] == 0)


def odd_names(case, _):
    names = ["a.b [c]", "a.b", "", "mean"]
    rows = np.atleast_2d(np.asarray(case.data).T)
    fit = fitted(case, dict(zip(names, rows, strict=False)))
    assert fit.columns == tuple(names[: len(rows)])
    same(fit, fitted(case))


def again(case, _):
    """A second call, another thread, a pickle and a copy: the same to the last bit."""
    one = fitted(case)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(fitted, case).result()
    for fit in (other, pickle.loads(pickle.dumps(one)), copy.deepcopy(one)) if case.name != "latent" else (other,):
        assert fit.log_likelihood == one.log_likelihood
        for name, value in one.params.items():
            np.testing.assert_array_equal(fit.params[name], value)
            np.testing.assert_array_equal(fit.standard_errors()[name], one.standard_errors()[name])


FINITE = [n for n in CASES if CASES[n].model.finite]
KEPT = [n for n in PLAIN if n not in ("coins", "latent", "iid-beta")]
EDGES = {
    weights: PLAIN,
    small_weights: [n for n in PLAIN if n != "coins"],
    prior: [n for n in FINITE if n not in ("exponential-truncated-censored",)],
    single: [n for n in ROWS if n not in ("iid-exponential", "iid-beta", "coins")],
    shards: [n for n in FINITE if n in ROWS],
    far_origin: LINE,
    other_units: POSITIVE,
    exact_intervals: NUMBERS,
    narrow_intervals: NUMBERS,
    unseen_rows: KEPT,
    other_sizes: [n for n in MIXTURES if n not in ("coins", "different")],
    labels: [n for n in MIXTURES if n != "coins"],
    odd_names: [*NUMBERS, "planes", "planes-diagonal", "planes-missing-cells"],
    again: list(CASES),
}
PAIRS = [(edge, name) for edge, names in EDGES.items() for name in names]
SAMPLE = [pair for pair in PAIRS if crc32(f"{pair[0].__name__} {pair[1]}".encode()) % EVERY == 0]


def test_every_edge_and_most_models_are_in_the_sample():
    assert {edge for edge, _ in SAMPLE} == set(EDGES)
    assert len({name for _, name in SAMPLE}) > 0.8 * len(CASES)


@pytest.mark.parametrize(
    ("edge", "name"),
    [pytest.param(e, n, id=f"{e.__name__}-{n}", marks=pytest.mark.xdist_group(n)) for e, n in SAMPLE],
)
def test_edge(edge, name, monkeypatch):
    edge(CASES[name], monkeypatch)
