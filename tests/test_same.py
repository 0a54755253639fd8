"""Fits are compared if their rows are the same: under any model, in any frame, order and way of counting."""

import numpy as np
import pytest

import latens as lt
from latens.engine.problem import Problem
from latens.engine.same_data import same_data

NAN = np.nan
RNG = np.random.default_rng(0)
PLANE = RNG.normal(size=(100, 2)) @ [[1.0, 0.5], [0.0, 2.0]]
TIMES = RNG.gamma(2, 3, 200)
SEEN, ELSEWHERE = (RNG.random(200) < 0.6 for _ in range(2))
FULL, DIAGONAL, SPHERICAL = (lt.IID(lt.MultivariateNormal(2, c)) for c in ("full", "diagonal", "spherical"))
COLUMNS = lt.IID(lt.Product({"a": lt.Normal(), "b": lt.Normal()}))
POSITIVE = [lt.IID(family) for family in (lt.Gamma(), lt.LogNormal(), lt.Weibull(), lt.Exponential(), lt.Normal())]


def same(one, other):
    found = same_data(one, other)
    assert same_data(other, one) == found
    return found


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (30, 1.7e9), (1e-3, 5), (1e9, 0)])
def test_the_same_rows_in_other_frames_and_orders(scale, shift):
    rows = scale * PLANE + shift
    first = Problem(FULL, rows)
    for other in (
        Problem(DIAGONAL, rows),
        Problem(SPHERICAL, rows[::-1]),
        Problem(FULL, rows[:, ::-1]),
        Problem(COLUMNS, {"b": rows[:, 0], "a": rows[:, 1]}),
        Problem(lt.Mixture(lt.MultivariateNormal(2), 2), {"x": rows[:, 0], "y": rows[:, 1]}),
        Problem(FULL, rows, precision="single"),
    ):
        assert same(first, other)
    swapped, moved = rows.copy(), rows.copy()
    swapped[[0, 1], 1] = swapped[[1, 0], 1]
    moved[3, 0] += 0.1 * scale
    for data in (
        swapped,
        moved,
        rows + 1e-3 * scale,
        rows[:-1],
        np.r_[rows, rows[:1]],
        np.column_stack([rows[:, 0], RNG.permutation(rows[:, 1])]),
        rows[:, [0, 0]] + [0, scale],
    ):
        assert not same(first, Problem(DIAGONAL, data))


def test_weights_are_repetitions():
    items = lt.IID(lt.Product({f"i{j}": lt.Bernoulli() for j in range(5)}))
    answers = RNG.integers(0, 2, (300, 5)).astype(float)
    patterns, counts = np.unique(answers, axis=0, return_counts=True)
    grouped = Problem(items, patterns, counts)
    assert same(Problem(items, answers), grouped)
    assert same(Problem(items, answers[:, ::-1]), grouped)
    counts[:2] += [1, -1]
    assert not same(Problem(items, answers), Problem(items, patterns, counts))


@pytest.mark.parametrize(
    ("data", "other"),
    [
        (TIMES, TIMES[::-1] * 1.0001),
        (np.where(SEEN, TIMES, NAN), np.where(ELSEWHERE, TIMES, NAN)),
        (lt.right_censored(TIMES, SEEN), lt.right_censored(TIMES, ELSEWHERE)),
        (lt.left_censored(TIMES, SEEN), lt.left_censored(TIMES, ELSEWHERE)),
        (lt.interval(np.floor(TIMES), np.floor(TIMES) + 1), lt.interval(np.floor(TIMES), np.floor(TIMES) + 2)),
    ],
    ids=["exact", "missing", "right-censored", "left-censored", "interval"],
)
def test_half_seen_rows_are_the_same_under_every_family(data, other):
    first = Problem(POSITIVE[0], data)
    assert all(same(first, Problem(model, data)) for model in POSITIVE)
    assert not any(same(first, Problem(model, other)) for model in POSITIVE)


def test_cells_that_were_not_seen_take_part():
    holes = np.where(RNG.random(PLANE.shape) < 0.2, NAN, PLANE)
    first = Problem(FULL, holes)
    assert same(first, Problem(DIAGONAL, holes[::-1]))
    assert same(first, Problem(COLUMNS, holes))
    moved, seen = holes.copy(), ~np.isnan(holes[:, 1])
    at = [np.flatnonzero(seen)[0], np.flatnonzero(~seen)[0]]
    moved[at, 1] = moved[at[::-1], 1]
    assert not same(first, Problem(DIAGONAL, moved))
    assert not same(first, Problem(DIAGONAL, PLANE))


def test_rows_of_which_nothing_was_seen_are_none():
    assert same(Problem(FULL, PLANE), Problem(FULL, np.concatenate([PLANE, np.full((50, 2), NAN)])))


def test_sets_of_categories_and_labels_take_part():
    sets = [{0, 1}, 2, None, 0, 1, {1, 2}, {0, 2}] * 5
    first = Problem(lt.IID(lt.Categorical(3)), lt.one_of(sets))
    assert same(first, Problem(lt.Mixture(lt.Categorical(3), 2), lt.one_of(sets[::-1])))
    assert same(first, Problem(lt.IID(lt.Categorical(4)), lt.one_of(sets)))
    filled = lt.one_of([{0, 1, 2} if each == {0, 2} else each for each in sets])
    assert not same(first, Problem(lt.IID(lt.Categorical(3)), filled))
    counts, labels = np.arange(35.0) % 4, [0, None, 1, 1, None] * 7
    two, three = (lt.Mixture(lt.Poisson(), k) for k in (2, 3))
    told = Problem(two, counts, labels=labels)
    assert same(told, Problem(three, counts[::-1], labels=labels[::-1]))
    assert not same(told, Problem(two, counts, labels=labels[::-1]))
    assert not same(told, Problem(two, counts))


def test_groups_of_cells_are_known_by_name():
    moths = [lt.HardyWeinberg(o, {"c": "C", "i": "I", "t": "T"}) for o in ("C > I > T", "T > I > C")]
    one, other = (Problem(model, {"c": 85, "i": 196, "t": 341}) for model in moths)
    assert same(one, other)
    assert not same(one, Problem(other.given, {"c": 196, "i": 85, "t": 341}))


def test_fits_to_the_same_columns_but_other_rows_are_not_compared():
    other = np.column_stack([PLANE[:, 0], RNG.permutation(PLANE[:, 1])])
    full, diagonal = lt.fit(FULL, PLANE), lt.fit(DIAGONAL, other)
    with pytest.raises(lt.DataError, match="different data"):
        diagonal.likelihood_ratio(full)
    with pytest.raises(lt.DataError, match="other data"):
        lt.compare([full, diagonal])
