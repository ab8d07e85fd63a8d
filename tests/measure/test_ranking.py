"""Rank correlations against pairs counted one by one, and honest when networks are few."""

from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure.ranking import _rho, _tau


def named(values) -> dict[str, float]:
    return {f"net {i}": float(v) for i, v in enumerate(values)}


def slow_tau(x: np.ndarray, y: np.ndarray) -> float:
    """Vigna's τ: pairs weigh 1/(r+1) + 1/(s+1) by rank from the top, averaged over both rankings."""
    found = []
    for by in ((x, y), (y, x)):
        rank = np.empty(len(x))
        rank[sorted(range(len(x)), key=lambda i, by=by: (by[0][i], by[1][i]), reverse=True)] = range(len(x))
        over = same = 0.0
        for i in range(len(x)):
            for j in range(i):
                weight = 1 / (rank[i] + 1) + 1 / (rank[j] + 1)
                over += weight
                same += weight * np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
        found.append(same / over)
    return float(np.mean(found))


@pytest.mark.parametrize("n", [3, 6, 12])
def test_equals_pairs_counted_one_by_one(n) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=n), rng.normal(size=n)
    found = measure.rank_correlation(named(x), named(y))
    assert found.weighted_tau.value == pytest.approx(slow_tau(x, y))
    d = np.argsort(np.argsort(x)) - np.argsort(np.argsort(y))
    assert found.spearman.value == pytest.approx(1 - 6 * (d**2).sum() / (n * (n**2 - 1)))


def test_ties_are_counted_as_scipy_counts_them() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(4, size=(50, 9)), rng.integers(4, size=(50, 9))
    expected = [stats.weightedtau(a, b).statistic for a, b in zip(x, y, strict=True)]
    assert np.allclose(_tau(x, y), expected)
    assert np.allclose(_rho(x, y), [stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)])


def test_p_is_the_share_of_orders() -> None:
    x, y = np.arange(5.0), np.array([0.0, 1, 2, 4, 3])
    found = measure.rank_correlation(named(x), named(y))
    for statistic, value in (
        (slow_tau, found.weighted_tau),
        (lambda a, b: np.corrcoef(a, b)[0, 1], found.spearman),
    ):
        orders = [abs(statistic(x, np.array(o, float))) for o in permutations(y)]
        assert value.p == pytest.approx(np.mean(np.array(orders) >= abs(value.value) - 1e-12))
    assert measure.rank_correlation(named(x), named(x)).spearman.p == pytest.approx(2 / 120)


def test_p_is_uniform_when_scores_say_nothing() -> None:
    rng = np.random.default_rng(0)
    p = [
        measure.rank_correlation(
            named(rng.normal(size=8)), named(rng.normal(size=8)), resamples=100
        ).spearman.p
        for _ in range(100)
    ]
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.08)
    assert np.mean(p) == pytest.approx(0.5, abs=0.1)


def test_few_networks_cannot_tell() -> None:
    four = measure.rank_correlation(named(range(4)), named(range(4)))
    tau = four.weighted_tau
    assert (tau.value, tau.low, tau.high) == (pytest.approx(1), -1, 1)
    assert "cannot tell" in str(four)
    many = measure.rank_correlation(named(range(20)), named(np.arange(20) + 3 * np.sin(np.arange(20))))
    assert 0.5 < many.spearman.low < many.spearman.value <= many.spearman.high <= 1
    assert "cannot tell" not in str(many)


def test_order_of_names_does_not_matter_and_seeds_repeat() -> None:
    rng = np.random.default_rng(0)
    scores, accuracies = named(rng.normal(size=10)), named(rng.normal(size=10))
    turned = dict(reversed(accuracies.items()))
    found = measure.rank_correlation(scores, accuracies)
    assert found == measure.rank_correlation(scores, turned)
    assert found != measure.rank_correlation(scores, accuracies, seed=1)
    assert json.loads(json.dumps(found.to_dict()))["n"] == 10
    assert "Spearman" in found._repr_html_()


def test_what_cannot_be_ranked() -> None:
    with pytest.raises(BadInput, match="net 3 in one mapping only"):
        measure.rank_correlation(named(range(4)), named(range(3)))
    with pytest.raises(BadInput, match="2 networks"):
        measure.rank_correlation(named(range(2)), named(range(2)))
    with pytest.raises(BadInput, match=r"scores are .*nan"):
        measure.rank_correlation(named([1, np.nan, 2]), named(range(3)))
    with pytest.raises(BadInput, match="not all the same"):
        measure.rank_correlation(named(range(3)), named([0.5, 0.5, 0.5]))
