"""Retrieval against brute force; planted hubs, twins and a network that says the same of all."""

from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest
from scipy.stats import skew
from sklearn.metrics.pairwise import cosine_similarity

from course_lib import encoders, measure, tasks
from course_lib.errors import BadInput


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Partners that are rather alike, 300 of them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 12)) + 0.5
    return x, 3 * (x + 0.9 * rng.normal(size=x.shape))


def by_hand(x, y, k=None):
    """The published formulas, row by row."""
    cosine = cosine_similarity(x, y)
    if k is None:
        return cosine
    near_x = np.array([np.mean(sorted(row)[-k:]) for row in cosine])
    near_y = np.array([np.mean(sorted(column)[-k:]) for column in cosine.T])
    return 2 * cosine - near_x[:, None] - near_y[None, :]


@pytest.mark.parametrize(("correction", "k"), [(None, 10), ("csls", 10), ("csls", 1), ("csls", 300)])
def test_equal_to_brute_force(pair, correction, k) -> None:
    x, y = pair
    found = measure.retrieval(x, y, correction=correction, k=k)
    scores = by_hand(x, y, k if correction else None)
    ranks = np.array([1 + (row > row[i]).sum() for i, row in enumerate(scores)])
    assert np.array_equal(found.nearest, scores.argmax(axis=1))
    assert np.array_equal(found.ranks, ranks) and np.array_equal(found.hits, ranks == 1)
    assert found.accuracy.value == pytest.approx(np.mean(ranks == 1)) and 0.1 < found.accuracy.value < 0.95
    assert found.reciprocal_rank.value == pytest.approx(np.mean(1 / ranks))
    assert np.allclose(measure.similarities(x, y, correction=correction, k=k), scores, atol=1e-5)
    rows = np.array([5, 299, 0])
    some = measure.similarities(x, y, rows=rows, correction=correction, k=k)
    assert np.allclose(some, scores[np.ix_(rows, rows)], atol=1e-5)


@pytest.mark.parametrize("correction", [None, "csls"])
def test_blocks_change_nothing(pair, correction, monkeypatch) -> None:
    x, y = pair
    whole = measure.retrieval(x, y, correction=correction)
    counts = measure.hubness(x, y, correction=correction).counts
    monkeypatch.setattr(sys.modules["course_lib.measure.retrieval"], "_CELLS", 7 * 300)
    parts = measure.retrieval(x, y, correction=correction)
    assert np.array_equal(parts.ranks, whole.ranks) and np.array_equal(parts.nearest, whole.nearest)
    assert np.array_equal(measure.hubness(x, y, correction=correction).counts, counts)


def test_memory_does_not_grow_with_the_square() -> None:
    x = np.random.default_rng(0).normal(size=(8000, 4)).astype(np.float32)
    tracemalloc.start()
    found = measure.retrieval(x, x, correction="csls")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.accuracy.value > 0.9
    assert peak < 200e6 < x.shape[0] ** 2 * 4, "the whole matrix is 256 MB"


def test_the_interval_covers_as_the_binomial_says(pair) -> None:
    found = measure.retrieval(*pair, resamples=4000)
    p = found.accuracy.value
    half = 1.96 * np.sqrt(p * (1 - p) / 300)
    assert found.accuracy.low == pytest.approx(p - half, abs=0.01)
    assert found.accuracy.high == pytest.approx(p + half, abs=0.01)
    again = measure.retrieval(*pair, resamples=4000)
    assert str(found) == str(again) != str(measure.retrieval(*pair, resamples=4000, seed=1))


def test_partners_in_another_order_are_not_found(pair) -> None:
    x, y = pair
    assert measure.retrieval(x, y[::-1]).accuracy.value < 0.05
    assert measure.retrieval(x, x).accuracy.value == 1
    assert measure.retrieval(x, -x).ranks.min() > 100


def test_csls_cures_a_planted_hub() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 50)) + 0.6
    y = x + 2 * rng.normal(size=x.shape)
    y[7] = x.mean(axis=0)  # in the middle of all, near to everything
    plain, cured = (measure.retrieval(x, y, correction=c) for c in (None, "csls"))
    taken = [(found.nearest == 7).mean() for found in (plain, cured)]
    assert taken[0] > 0.4 and taken[1] < 0.1
    assert cured.accuracy.value > plain.accuracy.value + 0.1
    before, after = (measure.hubness(x, y, correction=c) for c in (None, "csls"))
    assert before.hubs[0] == 7 and before.counts[7] > 2 * after.counts[7]
    assert before.skewness > after.skewness + 1


def test_twins_count_when_the_texts_are_given_and_are_shared_when_not() -> None:
    texts = np.array(["a", "b", "c", "c", "d"])
    x = np.eye(5, 7)[[0, 1, 2, 2, 4]] + 0.01
    blind, told = measure.retrieval(x, x), measure.retrieval(x, x, same=texts)
    assert blind.hits.tolist() == [1, 1, 0.5, 0.5, 1] and blind.ranks.tolist() == [1, 1, 1.5, 1.5, 1]
    assert told.hits.tolist() == [1, 1, 1, 1, 1] and told.ranks.tolist() == [1] * 5
    assert (blind.chance, told.chance) == (1 / 5, pytest.approx((3 * 1 + 2 * 2) / 25))
    assert len(blind.misses()) == 0
    # twins whose features differ in the last digits, as in batches of other lengths
    other = (x * (1 + 1e-7 * np.random.default_rng(0).normal(size=x.shape))).astype(np.float32)
    assert measure.retrieval(x, other).hits.tolist() == blind.hits.tolist()
    # a sentence with two translations: either is right
    y = np.eye(5, 7) + 0.01
    assert measure.retrieval(x, y).hits.tolist() == [1, 1, 1, 0, 1]
    assert measure.retrieval(x, y, same=texts).hits.tolist() == [1] * 5


def test_a_network_that_says_the_same_of_all_finds_nothing() -> None:
    same = np.ones((200, 8))
    rng = np.random.default_rng(0)
    for found in (
        measure.retrieval(rng.normal(size=(200, 8)), same),
        measure.retrieval(same, same, correction="csls"),
    ):
        assert found.accuracy.value == pytest.approx(1 / 200) == found.chance
        assert np.allclose(found.ranks, 100.5)


def test_expected_ranks_are_those_of_shuffling() -> None:
    x = np.tile([1.0, 0.0], (6, 1))
    y = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 3)
    same = ["a", "a", "b", "b", "c", "c"]
    found = measure.retrieval(x, y, same=same)
    rng = np.random.default_rng(0)
    for row, letter in enumerate(same):
        firsts = []
        for _ in range(4000):
            order = [*rng.permutation(3), *(3 + rng.permutation(3))]
            firsts.append(1 + next(place for place, target in enumerate(order) if same[target] == letter))
        assert found.ranks[row] == pytest.approx(np.mean(firsts), abs=0.06)
        assert found.hits[row] == pytest.approx(np.mean(np.array(firsts) == 1), abs=0.03)


def test_misses_are_the_worst_first(pair) -> None:
    found = measure.retrieval(*pair)
    some, every = found.misses(5), found.misses(1000)
    assert some.shape == (5, 2) and np.array_equal(every[:5], some)
    assert len(every) == (found.hits == 0).sum()
    assert (np.diff(found.ranks[every[:, 0]]) <= 0).all()
    assert (every[:, 0] != every[:, 1]).all() and np.array_equal(every[:, 1], found.nearest[every[:, 0]])


def test_hubness_counts_neighbours(pair) -> None:
    x, y = pair
    found = measure.hubness(x, y, 5, names=("English", "Chinese"))
    near = np.argsort(by_hand(x, y), axis=1)[:, -5:]
    counts = np.bincount(near.ravel(), minlength=300)
    assert np.array_equal(found.counts, counts) and found.counts.mean() == 5
    assert found.skewness == pytest.approx(skew(counts))
    assert found.orphans == (counts == 0).mean() and counts[found.hubs[0]] == counts.max()
    assert "Hubness, English → Chinese" in str(found) and "5-occurrence" in found._repr_html_()
    assert found.to_dict()["largest"] == counts.max()
    assert measure.hubness(x, y, 300).skewness == 0, "everything is near to everything"


def test_both_ways_and_tables(pair) -> None:
    x, y = pair
    found = measure.retrieval_both_ways(x, y, names=("English", "Chinese"), correction="csls")
    assert np.array_equal(found.there.ranks, measure.retrieval(x, y, correction="csls").ranks)
    assert np.array_equal(found.back.ranks, measure.retrieval(y, x, correction="csls").ranks)
    assert found.accuracy == pytest.approx(np.mean([found.there.hits.mean(), found.back.hits.mean()]))
    assert str(found).splitlines()[0] == "Retrieval of 300 pairs with CSLS"
    assert str(found.back).startswith("Chinese → English, 300 queries with CSLS")
    assert found._repr_html_().count("<tr>") == 3 and "with CSLS" in found.there._repr_html_()
    assert found.to_dict()["there"]["accuracy"]["value"] == found.there.accuracy.value


def test_inputs_are_not_touched(pair) -> None:
    copies = [x.copy() for x in pair]
    measure.retrieval(*pair, correction="csls")
    assert all(np.array_equal(x, copy) for x, copy in zip(pair, copies, strict=True))


@pytest.mark.parametrize(
    ("x", "y", "options", "said"),
    [
        (np.eye(5), np.eye(5)[:4], {}, r"queries have shape \(5, 5\), the targets \(4, 5\)"),
        (np.eye(5), np.ones((5, 3)), {}, r"the targets \(5, 3\)"),
        (np.ones(5), np.ones(5), {}, r"queries have shape \(5,\)"),
        (np.empty((0, 5)), np.empty((0, 5)), {}, "expected"),
        (np.full((5, 3), "a"), np.eye(5), {}, "type <U1"),
        (
            np.eye(5),
            np.diag([1, 1, 0, 1, np.nan]),
            {},
            "2 of the targets are zero or not finite .* rows 2, 4",
        ),
        (np.eye(5), np.eye(5), {"correction": "isf"}, "correction='isf'"),
        (np.eye(5), np.eye(5), {"correction": "csls"}, "k=10 neighbours among 5"),
        (np.eye(5), np.eye(5), {"correction": "csls", "k": 0}, "k=0"),
        (np.eye(5), np.eye(5), {"same": ["a"]}, r"`same` has shape \(1,\) for 5 pairs"),
    ],
)
def test_what_cannot_be_looked_for(x, y, options, said) -> None:
    with pytest.raises(BadInput, match=said):
        measure.retrieval(x, y, **options)


def test_the_packaged_sentences_find_their_translations() -> None:
    pairs = tasks.parallel_sentences().part("test").take(np.arange(250))
    encoder = encoders.multilingual_bert(prefix="")
    english, chinese = encoder.encode(pairs.english), encoder.encode(pairs.chinese)
    found = measure.retrieval_both_ways(english, chinese, correction="csls", same=pairs.chinese)
    assert found.there.accuracy.low > 0.85 and found.back.accuracy.low > 0.85
    assert measure.retrieval(english, np.roll(chinese, 1, axis=0)).accuracy.value < 0.05
