"""Each kind of shift is found where it is, and none where there is none."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure.shift import wilson


def world(n, seed, centre=0.0, slope=2.0, start=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(centre, 1, n)
    return x, rng.random(n) < 1 / (1 + np.exp(-(start + slope * x)))


def found(first, second, **options):
    return measure.shift({"a": first, "b": second}, **options).verdicts


def test_covariate_shift_leaves_what_is_given_x():
    assert found(world(3000, 0), world(3000, 1, centre=0.5), bins=20) == {
        "P(X)": "differs",
        "P(Y)": "differs",
        "P(Y|X)": "cannot tell",
    }


def test_another_judge_leaves_x():
    assert found(world(2000, 0), world(2000, 1, start=1.0)) == {
        "P(X)": "cannot tell",
        "P(Y)": "differs",
        "P(Y|X)": "differs",
    }


def test_fewer_events_change_all_three():
    x, y = world(4000, 0)
    kept = ~y | (np.random.default_rng(2).random(4000) < 0.2)
    assert set(found(world(4000, 1), (x[kept], y[kept])).values()) == {"differs"}


def test_the_same_world_is_rarely_said_to_differ():
    verdicts = [found(world(400, 2 * s), world(400, 2 * s + 1)) for s in range(200)]
    for name in ("P(X)", "P(Y)", "P(Y|X)"):
        assert sum(v[name] == "differs" for v in verdicts) <= 7, "one in a hundred is expected"


def test_p_values_are_those_of_the_tests():
    (x, y), (u, v) = world(500, 0), world(300, 1, centre=0.3)
    shift = measure.shift({"a": (x, y), "b": (u, v)}, bins=5)
    assert shift.p_values["P(X)"] == pytest.approx(stats.ks_2samp(x, u, method="asymp").pvalue)
    table = [[y.sum(), (~y).sum()], [v.sum(), (~v).sum()]]
    assert shift.p_values["P(Y)"] == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    total = 0.0
    for low, high in zip(shift.bins[:-1], shift.bins[1:], strict=True):
        last = high == shift.bins[-1]
        one, other = (y[(x >= low) & ((x < high) | last)], v[(u >= low) & ((u < high) | last)])
        table = [[one.sum(), (~one).sum()], [other.sum(), (~other).sum()]]
        total += stats.chi2_contingency(table, correction=False).statistic
    assert shift.p_values["P(Y|X)"] == pytest.approx(stats.chi2.sf(total, 5))


def test_overlap():
    left, right = np.linspace(0, 1, 1000), np.linspace(2, 3, 1000)
    y = np.arange(1000) % 2
    apart = measure.shift({"left": (left, y), "right": (right, y)}, bins=4)
    assert apart.overlap == 0
    assert apart.common == ()
    assert apart.verdicts["P(Y|X)"] == "no overlap"
    assert apart.given[0][-1] is None and apart.given[0][0].value == pytest.approx(0.5)
    assert measure.shift({"a": (left, y), "b": (left, y)}).overlap == pytest.approx(1)
    half = measure.shift({"a": (left, y), "b": (left + 0.5, y)})
    assert half.overlap == pytest.approx(0.5, abs=0.05)


def test_histograms_hold_everybody():
    shift = measure.shift({"a": world(500, 0), "b": world(300, 1)})
    assert shift.density.sum(axis=1) == pytest.approx([1, 1])
    assert shift.sizes == (500, 300)


def test_a_bin_lies_where_its_numbers_lie():
    (x, y), (u, v) = world(500, 0), world(300, 1)
    shift = measure.shift({"a": (x, y), "b": (u, v)}, bins=4)
    pooled = np.sort(np.concatenate([x, u]))
    assert shift.centres == pytest.approx([pooled[k * 200 : (k + 1) * 200].mean() for k in range(4)])
    assert ((shift.bins[:-1] < shift.centres) & (shift.centres < shift.bins[1:])).all()


def test_wilson_against_its_definition():
    z = NormalDist().inv_cdf(0.975)
    for hits, n in ((0, 5), (3, 9), (40, 50)):
        interval = wilson(hits, n)
        for p in (interval.low, interval.high):
            if 0 < p < 1:
                assert abs(hits / n - p) == pytest.approx(z * np.sqrt(p * (1 - p) / n), rel=1e-4)


def test_many_equal_numbers_make_fewer_bins():
    x = np.repeat([0.0, 1.0], 100)
    shift = measure.shift({"a": (x, x), "b": (x, 1 - x)})
    assert [len(given) for given in shift.given] == [1, 1] or shift.verdicts["P(Y|X)"] == "differs"


@pytest.mark.parametrize(
    "domains, words",
    [
        ({"a": world(9, 0)}, "1 domains were given"),
        ({"a": world(9, 0), "b": (np.zeros(3), np.zeros(4))}, r"b has numbers of shape \(3,\)"),
        ({"a": world(9, 0), "b": (np.zeros(0), np.zeros(0))}, "b has numbers"),
        ({"a": world(9, 0), "b": (np.array([np.nan]), np.array([1]))}, "not finite"),
        ({"a": world(9, 0), "b": (np.zeros(2), np.array([1, 2]))}, "neither 0 nor 1"),
        ({"a": (np.ones(2), np.ones(2)), "b": (np.ones(2), np.ones(2))}, "All numbers are the same"),
    ],
)
def test_bad_input(domains, words):
    with pytest.raises(BadInput, match=words):
        measure.shift(domains)
