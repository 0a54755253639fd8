"""A fit never changes: what goes in is copied, what comes out cannot be written to, and a copy says the same."""

import copy
import multiprocessing
import pickle
from contextlib import suppress

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latens as lt

from registry import COUNTS, MODELS, PAIR, PLANE, log_joint

BY_NAME = {each.name: each for each in MODELS}
POISSONS = lt.Mixture(lt.Poisson(), 2)
NORMALS = lt.Mixture(lt.Normal(), 2)
RNG = np.random.default_rng(1)
LARGE = RNG.normal(size=200_000)
HOLES = np.where(RNG.random(PLANE.shape) < 0.2, np.nan, PLANE)


def registered(name):
    each = BY_NAME[name]
    return lt.fit(each.model, each.data, start=each.start)


FITS = {
    "large": lambda: lt.fit(lt.IID(lt.Normal()), LARGE),
    "large-mixture": lambda: lt.fit(NORMALS, np.r_[LARGE, LARGE + 6], starts=1),
    "repeated": lambda: lt.fit(POISSONS, np.tile(COUNTS, 100), starts=2),
    "frame": lambda: lt.fit(lt.Mixture(lt.MultivariateNormal(2), 2), 1e3 + PLANE, seed=1),
    "holes": lambda: lt.fit(lt.IID(lt.MultivariateNormal(2)), HOLES),
    "table": lambda: registered("table"),
    "censored": lambda: registered("weibull-censored"),
    "different": lambda: lt.fit(
        BY_NAME["different"].model, BY_NAME["different"].data, start=BY_NAME["different"].start
    ),
    "prior": lambda: lt.fit(POISSONS, COUNTS, prior=lt.Prior(3.0, {"weights": [0.5, 0.5], "rate": [2.0, 8.0]})),
    "labels": lambda: lt.fit(NORMALS, PAIR, labels=[0, 1, None] * 50, weights=RNG.integers(0, 3, 150)),
    "single": lambda: lt.fit(NORMALS, PAIR, precision="single"),
    "cells": lambda: registered("moths"),
    "latent": lambda: registered("latent"),
}


def numbers(fit):
    """What a fit says, by passing over its rows and by drawing."""
    found = [fit.log_likelihood, fit.trace, fit.estimates, fit.log_density(), fit.n, fit.aic]
    found += [np.concatenate([np.ravel(each) for each in fit.standard_errors().values()]), fit.covariance("louis")]
    if fit.model.hidden is not None:
        found += [fit.posterior(), fit.entropy]
    with suppress(lt.ModelError):  # not every model can be sampled from
        found += jax.tree.leaves(fit.sample(3, seed=5))
    return found


def agree(one, other):
    for a, b in zip(numbers(one), numbers(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", list(FITS)[::2])
def test_copies_say_the_same(name):
    fit = FITS[name]()
    pickled = pickle.dumps(fit)
    for again in (pickle.loads(pickled), copy.deepcopy(fit), pickle.loads(pickle.dumps(pickle.loads(pickled)))):
        agree(fit, again)
        assert again.params.keys() == fit.params.keys()
        assert (again.names, again.half_seen, again.starts) == (fit.names, fit.half_seen, fit.starts)
        assert str(again) == str(fit)
        with pytest.raises(ValueError, match="read-only"):
            again.params[next(iter(again.params))][...] = 9.0


def test_a_copy_fills_in_and_compares_as_the_original_does():
    fits = [lt.fit(lt.IID(lt.MultivariateNormal(2, c)), HOLES) for c in ("full", "diagonal")]
    again = pickle.loads(pickle.dumps(fits))
    one, other = (each[0].impute(HOLES, draws=2, seed=3) for each in (fits, again))
    for a, b in zip((one.values, one.errors, *one.draws), (other.values, other.errors, *other.draws), strict=True):
        np.testing.assert_array_equal(a, b)
    assert fits[0].likelihood_ratio(fits[1]).statistic == again[0].likelihood_ratio(again[1]).statistic
    assert fits[0].likelihood_ratio(again[1]).statistic == fits[0].likelihood_ratio(fits[1]).statistic


def test_what_is_made_of_fits_can_be_copied():
    choice = lt.choose(POISSONS.resized, COUNTS, [1, 2], starts=2)
    fit = choice.fit
    share = fit.derive(lambda p: p["weights"][0] * p["rate"][0])
    filled = fit.impute(np.r_[COUNTS, np.nan], draws=1)
    things = (choice, choice.comparison, share, fit.information(), filled, fit.errors("opg"), fit.last)
    for thing in things:
        for again in (pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing)):
            assert type(again) is type(thing)
            assert isinstance(thing, lt.Iterate) or str(again) == str(thing)
    agree(pickle.loads(pickle.dumps(choice)).fit, fit)
    derived = pickle.loads(pickle.dumps(share))
    np.testing.assert_array_equal(derived.interval(), share.interval())


def test_a_fit_goes_to_another_process():
    fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), np.tile(HOLES, (400, 1)) + RNG.normal(size=(60_000, 2)))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(numbers, (fit,))
    for a, b in zip(numbers(fit), there, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_what_was_handed_over_may_change():
    weights, rows, counts = np.array([0.5, 0.5]), PAIR.copy(), np.ones(150)
    start, support = {"mean": np.array([-1.0, 1.0]), "variance": np.array([1.0, 1.0])}, np.array([0, 1])
    before = {"weights": np.array([0.5, 0.5]), "rate": np.array([2.0, 8.0])}
    labels = [0, 1, None] * 50
    kinds = {n: BY_NAME["latent"].model.constraints[n] for n in ("low", "gap", "share")}
    prior = lt.Prior(2.0, before)
    fits = [
        lt.fit(lt.Mixture(lt.Normal(), 2, weights=weights), rows, weights=counts, labels=labels, start=start),
        lt.fit(lt.Latent(log_joint, support, kinds), COUNTS, start=BY_NAME["latent"].start),
        lt.fit(POISSONS, COUNTS, prior=prior),
    ]
    said = [numbers(fit) for fit in fits]
    for array in (weights, rows, counts, support, *start.values(), *before.values()):
        array[...] = 3
    labels[:] = [1] * 150
    before.clear()
    for fit, words in zip(fits, said, strict=True):
        for a, b in zip(words, numbers(fit), strict=True):
            np.testing.assert_array_equal(a, b)
    assert fits[2].prior.params["rate"].tolist() == [2.0, 8.0]
    fits[2].prior.params.clear()
    assert len(fits[2].prior.params) == 2


@pytest.mark.parametrize("through", [lambda fit: fit, copy.deepcopy], ids=["itself", "copy"])
def test_what_is_handed_out_cannot_be_written_to(through):
    fit = through(lt.fit(NORMALS, PAIR, start={"weights": [0.5, 0.5], "mean": [-1, 1], "variance": [1, 1]}))
    said, resampled = str(fit), fit.errors(lt.Bootstrap(20))
    found = fit.information()
    handed = [*fit.params.values(), fit.estimates, fit.trace, fit.accelerated, fit.rejected, fit.covariance()]
    handed += [found.complete, found.observed, found.jacobian, resampled.covariance, resampled.replicates]
    handed += [fit.last.free, *fit.last.params.values(), fit.derive(lambda p: p["mean"]).estimate]
    for array in handed:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 99.0
    fit.params["mean"] = 99.0
    del fit.params["variance"]
    fit.last.params.clear()
    fit.names.clear()
    fit.half_seen.clear()
    found.labels.clear()
    assert str(fit) == said
    assert list(fit.params) == ["weights", "mean", "variance"]
    with pytest.raises(AttributeError):
        fit.last = None


def test_an_iterate_cannot_be_written_to():
    whole = [step.log_likelihood for step in lt.iterate(NORMALS, PAIR, starts=1)]
    for step, value in zip(lt.iterate(NORMALS, PAIR, starts=1), whole, strict=True):
        assert step.log_likelihood == value
        for array in (step.free, step.params["mean"]):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 99.0
        step.params["mean"] = 99.0
        assert isinstance(step.params["mean"], np.ndarray)


def test_params_are_taken_as_a_start_and_by_jax():
    fit = lt.fit(NORMALS, PAIR)
    assert lt.fit(NORMALS, PAIR, start=fit.params).evaluations <= 3
    assert float(jnp.sum(jnp.asarray(fit.params["weights"]))) == pytest.approx(1.0)
