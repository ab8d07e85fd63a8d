"""Neighbours are those that scikit-learn finds; strangers are told from the usual."""

import re
import sys

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from course_lib import measure
from course_lib.errors import BadInput


@pytest.fixture
def drawn():
    """Known, usual and new rows of one cloud, away from the origin."""
    rng = np.random.default_rng(0)
    return tuple(rng.normal(0.5, 1, (n, 12)) for n in (80, 60, 40))


def test_rows_and_cosines_are_those_of_an_independent_search(drawn):
    known, usual, new = drawn
    near = measure.neighbourhood(known, usual).nearest(new, k=7)
    distance, rows = NearestNeighbors(n_neighbors=7, metric="cosine").fit(known).kneighbors(new)
    assert (near.rows == rows).all()
    assert np.allclose(near.cosine, 1 - distance, atol=1e-6)
    assert near.cosine.dtype == np.float32 and near.rows.shape == (40, 7)


def test_the_share_is_counted_among_the_usual(drawn):
    known, usual, new = drawn
    around = measure.neighbourhood(known, usual)
    index = NearestNeighbors(n_neighbors=1, metric="cosine").fit(known)
    typical, here = index.kneighbors(usual)[0], index.kneighbors(new)[0]
    expected = (typical[:, 0] < here).mean(axis=1)
    assert np.allclose(around.nearest(new).nearer, expected)
    assert (np.diff(around.typical) >= 0).all() and len(around.typical) == 60


def test_of_the_usual_kind_about_one_in_twenty_is_called_strange():
    rng = np.random.default_rng(1)
    known, usual, new = (rng.normal(0.5, 1, (n, 6)) for n in (400, 400, 2000))
    near = measure.neighbourhood(known, usual).nearest(new, k=1)
    assert 0.03 < np.mean([near.strange(row) for row in range(len(new))]) < 0.075


def test_another_direction_is_strange_and_another_length_is_not(drawn):
    known, usual, _ = drawn
    around = measure.neighbourhood(known + 3, usual + 3)
    near = around.nearest(np.array([-np.ones(12), 50 * (known[4] + 3), np.zeros(12)]))
    assert [near.strange(row) for row in range(3)] == [True, False, True]
    assert near.rows[1, 0] == 4 and near.cosine[1, 0] == pytest.approx(1, abs=1e-6) and near.nearer[1] == 0
    assert near.cosine[2].tolist() == [0] * 5, "a row of zeros is like nothing"


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (1.0, "Nothing in the training pictures is like it: each of 1,000 validation pictures"),
        (0.999, "Little in the training pictures is like it: 999 of 1,000 validation"),
        (0.95, "Little in .* 950 of 1,000"),
        (0.949, "It lies among the training pictures: the nearest has cosine 0.70, and 949 of 1,000"),
        (0.0, "It lies among the training pictures: .* and 0 of 1,000"),
    ],
)
def test_words_follow_the_share(share, words):
    near = measure.Nearest(np.array([[3]]), np.array([[0.7]]), np.array([share]), 500, 1000)
    assert near.strange() == (share >= 0.95)
    assert re.search(words, near.sentence())


def test_parts_of_a_large_search_are_put_together(drawn, monkeypatch):
    known, usual, new = drawn
    whole = measure.neighbourhood(known, usual).nearest(new)
    monkeypatch.setattr(sys.modules["course_lib.measure.neighbourhood"], "_CELLS", 200)
    parts = measure.neighbourhood(known, usual).nearest(new)
    assert (parts.rows == whole.rows).all() and np.allclose(parts.nearer, whole.nearer)


def test_nothing_is_changed(drawn):
    before = [x.copy() for x in drawn]
    measure.neighbourhood(*drawn[:2]).nearest(drawn[2])
    assert all((a == b).all() for a, b in zip(before, drawn, strict=True))


@pytest.mark.parametrize(
    ("known", "usual", "words"),
    [
        (np.ones(4), np.ones((2, 4)), r"known features have shape \(4,\)"),
        (np.ones((0, 4)), np.ones((2, 4)), r"known features have shape \(0, 4\)"),
        (np.ones((2, 4)), np.ones((2, 5)), "usual features have 5 columns, the known ones 4"),
        (np.ones((2, 4)), np.full((2, 4), np.nan), "usual features hold NaN"),
        (np.array([["a"]]), np.ones((2, 1)), "type <U1"),
    ],
)
def test_bad_features(known, usual, words):
    with pytest.raises(BadInput, match=words):
        measure.neighbourhood(known, usual)


@pytest.mark.parametrize("k", [0, 3])
def test_bad_k(k):
    with pytest.raises(BadInput, match=f"k={k} with 2 known"):
        measure.neighbourhood(np.eye(2), np.eye(2)).nearest(np.eye(2), k=k)
