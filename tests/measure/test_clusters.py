"""Clusters are scored against groups that they never saw, with an interval that covers."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure import clusters as module


def blobs(n, apart, seed=0):
    """Two blobs, and which of them each point belongs to."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) % 2
    return rng.standard_normal((n, 3)) + apart * groups[:, None], groups


def test_the_score_is_sklearns_mean_over_starts():
    x, groups = blobs(200, 1.5)
    found = measure.cluster_agreement(x, groups, 3, starts=3, seed=7)
    expected = [
        adjusted_mutual_info_score(groups, KMeans(3, n_init=1, random_state=7 + s).fit_predict(x))
        for s in range(3)
    ]
    assert found.starts == pytest.approx(expected)
    assert found.score.value == pytest.approx(np.mean(expected))
    assert found.score.low <= found.score.value <= found.score.high


def test_names_of_groups_do_not_matter():
    x, groups = blobs(100, 6)
    for names in (groups, 1 - groups, np.where(groups, "left", "right")):
        assert measure.cluster_agreement(x, names).score.value == pytest.approx(1)


def test_random_groups_score_nothing():
    x, _ = blobs(400, 6)
    inside = 0
    for seed in range(20):
        groups = np.random.default_rng(seed).integers(0, 2, 400)
        score = measure.cluster_agreement(x, groups, starts=1, seed=seed).score
        assert abs(score.value) < 0.05
        inside += score.low <= 0 <= score.high
    assert inside >= 16


def test_the_interval_covers_what_many_examples_say():
    truth = adjusted_mutual_info_score(*_drawn(200_000, 0))
    covered = 0
    for seed in range(40):
        groups, clusters = _drawn(400, seed + 1)
        table = module._table(clusters, groups)
        low, high = np.percentile(module._draws([table], 400, 0), (2.5, 97.5))
        covered += low <= truth <= high
    assert covered >= 34


def _drawn(n, seed):
    """Groups, and clusters that are right for 70% of them."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 4, n)
    return groups, np.where(rng.random(n) < 0.7, groups, rng.integers(0, 4, n))


def test_starts_that_differ_widen_the_interval():
    tables = [np.array([[90, 10], [10, 90]]), np.array([[60, 40], [40, 60]])]
    both = np.ptp(np.percentile(module._draws(tables, 400, 0), (2.5, 97.5)))
    alone = np.ptp(np.percentile(module._draws(tables[:1], 400, 0), (2.5, 97.5)))
    assert both > 1.5 * alone


def test_the_tightest_clusters_are_kept():
    x, groups = blobs(100, 6)
    clusters = measure.cluster_agreement(x, groups).clusters
    assert (clusters.shape, clusters.dtype) == ((100,), np.int64)
    assert len(set(zip(clusters, groups, strict=True))) == 2


@pytest.mark.parametrize(
    "features, groups, options, words",
    [
        (np.zeros((3, 2)), np.zeros(4), {}, r"shape \(3, 2\) and 4 groups"),
        (np.zeros(3), np.zeros(3), {}, r"shape \(3,\)"),
        (np.full((3, 1), np.nan), np.arange(3), {}, "NaN"),
        (np.zeros((3, 1)), np.zeros(3), {}, "1 clusters of 3 examples"),
        (np.zeros((3, 1)), np.arange(3), {"clusters": 4}, "4 clusters of 3"),
        (np.zeros((3, 1)), np.arange(3), {"starts": 0}, "starts=0"),
    ],
)
def test_bad_input(features, groups, options, words):
    with pytest.raises(BadInput, match=words):
        measure.cluster_agreement(features, groups, **options)
