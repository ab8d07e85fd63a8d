"""Distances between domains against closed forms and slow sums; the bound's terms by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from course_lib import measure
from course_lib.errors import BadInput


def normal(n: int, d: int = 3, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def slow_mmd(x: np.ndarray, y: np.ndarray, sigma: float, unbiased: bool) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-np.sum((a - b) ** 2) / (2 * sigma**2)))

    def within(z: np.ndarray) -> float:
        pairs = [k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j or not unbiased]
        return float(np.mean(pairs))

    return within(x) + within(y) - 2 * float(np.mean([k(a, b) for a in x for b in y]))


@pytest.mark.parametrize("unbiased", [True, False])
def test_mmd_equals_its_sums(unbiased) -> None:
    x, y = normal(23), normal(31, seed=1, shift=0.7)
    found = measure.mmd(x, y, 1.3, unbiased, resamples=0)
    assert found.value == pytest.approx(slow_mmd(x, y, 1.3, unbiased), abs=1e-6)
    assert found.value != pytest.approx(slow_mmd(x, y, 1.3, not unbiased), rel=0.05)
    assert found.p == 1, "the given division alone"


def test_mmd_of_two_gaussians_is_their_closed_form() -> None:
    """N(0, I) and N(δ, I): 2 (σ²/(σ²+2))^(d/2) (1 - exp(-|δ|²/(2(σ²+2)))), whatever seeds say."""
    sigma, d, shift = 2.0, 3, 0.8
    expected = 2 * (sigma**2 / (sigma**2 + 2)) ** (d / 2)
    expected *= 1 - np.exp(-d * shift**2 / (2 * (sigma**2 + 2)))
    values = [
        measure.mmd(normal(300, seed=s), normal(200, seed=100 + s, shift=shift), sigma, resamples=0).value
        for s in range(40)
    ]
    error = np.std(values) / np.sqrt(len(values))
    assert np.mean(values) == pytest.approx(expected, abs=4 * error)
    assert error < 0.02 * expected


def test_the_unbiased_estimate_is_right_on_average_and_the_biased_one_is_not() -> None:
    both = {
        unbiased: [
            measure.mmd(normal(20, seed=s), normal(20, seed=1000 + s), 1.0, unbiased, resamples=0).value
            for s in range(200)
        ]
        for unbiased in (True, False)
    }
    error = np.std(both[True]) / np.sqrt(200)
    assert abs(np.mean(both[True])) < 4 * error
    assert np.mean(both[False]) > 20 * error and min(both[False]) >= 0
    assert min(both[True]) < 0


def test_mmd_of_identical_and_of_far_samples() -> None:
    x = normal(100)
    same = measure.mmd(x, x, unbiased=False)
    assert same.value == pytest.approx(0, abs=1e-6) and same.p > 0.9
    far = measure.mmd(x, x + 1000, 1.0)
    assert far.value == pytest.approx(slow_mmd(x, x + 1000, 1.0, True), abs=1e-5)
    assert far.p == pytest.approx(1 / 501), "no smaller p is possible"
    points = measure.mmd(np.zeros((5, 2)), np.full((5, 2), 9.0), 1.0, resamples=0)
    assert points.value == pytest.approx(2), "the largest there is"


def test_p_is_uniform_when_both_come_from_one_distribution() -> None:
    p = [
        measure.mmd(normal(25, seed=s), normal(35, seed=5000 + s), resamples=99, seed=s).p for s in range(300)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.035)


def test_p_finds_what_means_do_not_show() -> None:
    """Equal means and variances, another shape: no shift to be seen, and yet another distribution."""
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], size=(300, 1))
    assert measure.mmd(signs, normal(300, d=1), 0.5).p < 0.01


def test_median_bandwidth_is_the_median_distance() -> None:
    x, y = normal(40), normal(50, seed=1)
    z = np.vstack([x, y])
    distances = [np.linalg.norm(a - b) for i, a in enumerate(z) for b in z[:i]]
    assert measure.mmd(x, y, resamples=0).bandwidth == pytest.approx(np.median(distances), rel=1e-4)
    assert measure.mmd(1e4 * x, 1e4 * y, resamples=0).value == pytest.approx(
        measure.mmd(x, y, resamples=0).value, abs=1e-6
    )
    assert measure.mmd(np.ones((4, 2)), np.ones((4, 2))).value == 0


def test_large_samples_are_thinned_and_say_so() -> None:
    x, y = normal(500), normal(80, seed=1)
    found = measure.mmd(x, y, most=100, resamples=10)
    assert (found.n, found.m, found.given) == (100, 80, (500, 80))
    assert "100 and 80 of 500 and 80" in str(found)
    assert found == measure.mmd(x, y, most=100, resamples=10)
    assert found.value != measure.mmd(x, y, most=100, resamples=10, seed=1).value


def test_inputs_are_not_touched() -> None:
    x, y = normal(50).astype(np.float32), normal(60, seed=1).astype(np.float32)
    for array in (x, y):
        array.flags.writeable = False
    measure.mmd(x, y, resamples=10)
    measure.proxy_a_distance(x, y)
    assert np.array_equal(x, normal(50).astype(np.float32))


def test_proxy_a_distance_of_two_gaussians() -> None:
    """The best classifier of N(0, I) and N(δ, I) errs with probability Φ(-|δ|/2), and it is linear."""
    shift = 0.6
    best = stats.norm.cdf(-np.sqrt(3) * shift / 2)
    found = measure.proxy_a_distance(normal(2000), normal(2000, seed=1, shift=shift))
    assert found.error == pytest.approx(best, abs=0.03)
    assert found.value == pytest.approx(2 * (1 - 2 * found.error))
    assert found.low < 2 * (1 - 2 * best) < found.high
    assert found.n == 2000, "half of both"


def test_proxy_a_distance_of_alike_and_of_far_domains() -> None:
    wide = [
        measure.proxy_a_distance(normal(60, 200, s), normal(60, 200, 50 + s), seed=s).value for s in range(5)
    ]
    assert np.mean(wide) < 0.5, "on its own examples a classifier of 200 columns would make no mistake"
    assert measure.proxy_a_distance(normal(50), normal(50) + 1000).value == 2
    lopsided = measure.proxy_a_distance(normal(1500), normal(60, seed=1))
    assert lopsided.error == pytest.approx(0.5, abs=0.15), "always naming the larger domain is chance, not 4%"
    assert measure.proxy_a_distance(np.ones((20, 2)), np.ones((20, 2))).value == 0


def test_proxy_a_distance_repeats_with_its_seed() -> None:
    x, y = normal(100), normal(100, seed=1, shift=0.5)
    assert measure.proxy_a_distance(x, y, seed=3) == measure.proxy_a_distance(x, y, seed=3)
    assert measure.proxy_a_distance(x, y, seed=3) != measure.proxy_a_distance(x, y, seed=4)


def test_the_bound_is_the_sum_of_its_terms() -> None:
    bound = measure.target_error_bound(0.1, 0.5, 0.07, 4000, 1000, vc_dimension=4, delta=0.1)
    sampling = 4 * ((2 * 4 * np.log(2000) + np.log(20)) / 1000) ** 0.5
    assert bound.sampling == pytest.approx(sampling)
    assert bound.value == pytest.approx(0.1 + 0.25 + sampling + 0.07)
    assert bound.value != pytest.approx(0.1 + 0.5 + sampling + 0.07), "half of the divergence enters"
    quadruple = measure.target_error_bound(0.1, 0.5, 0.07, 4000, 4000, vc_dimension=4, delta=0.1)
    assert quadruple.sampling < bound.sampling
    assert json.loads(json.dumps(bound.to_dict()))["value"] == bound.value


def test_a_bound_above_one_says_that_it_says_nothing() -> None:
    void = measure.target_error_bound(0.1, 0.5, 0.07, 1000, 1000, vc_dimension=1281)
    assert void.value > 1 and not void.says_something
    assert "says nothing" in str(void) and "says nothing" in void._repr_html_()
    tight = measure.target_error_bound(0.1, 0.0, 0.0, 10**9, 10**9, vc_dimension=2)
    assert tight.says_something and "says nothing" not in str(tight)
    for term in ("source error", "½ divergence", "sampling", "λ", "measured", "assumed"):
        assert term in tight._repr_html_() and term in str(tight)


def test_shown_and_kept() -> None:
    near = measure.mmd(normal(30), normal(30, seed=1), resamples=9)
    apart = measure.proxy_a_distance(normal(30), normal(30, seed=1))
    assert json.loads(json.dumps(near.to_dict()))["given"] == [30, 30]
    assert "p, same distribution" in str(near) and "MMD²" in near._repr_html_()
    assert "held-out examples" in apart._repr_html_() and json.dumps(apart.to_dict())
    assert (float(near), float(apart)) == (near.value, apart.value)


@pytest.mark.parametrize("distance", [measure.mmd, measure.proxy_a_distance])
@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (np.zeros(5), normal(20), "first sample has shape"),
        (normal(20), normal(1), "examples or more"),
        (normal(20), np.full((20, 3), np.nan), "second sample holds NaN"),
        (normal(20), normal(20, d=4), "3 and 4 columns"),
        (normal(20).astype(str), normal(20), "expected numbers"),
    ],
)
def test_what_cannot_be_compared(distance, x, y, said) -> None:
    with pytest.raises(BadInput, match=said):
        distance(x, y)


@pytest.mark.parametrize("bandwidth", [0, -1.0, np.nan, np.inf])
def test_bandwidths_that_are_none(bandwidth) -> None:
    with pytest.raises(BadInput, match="bandwidth"):
        measure.mmd(normal(5), normal(5, seed=1), bandwidth)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source_error": 10.0}, "not per cents"),
        ({"divergence": 2.1}, "divergence=2.1"),
        ({"ideal_joint_error": np.nan}, "ideal_joint_error=nan"),
        ({"n_target": 0}, "n_target=0"),
        ({"vc_dimension": 0}, "VC dimension"),
        ({"delta": 1.0}, "delta=1.0"),
    ],
)
def test_terms_out_of_range(change, said) -> None:
    good = {
        "source_error": 0.1,
        "divergence": 0.2,
        "ideal_joint_error": 0.1,
        "n_source": 100,
        "n_target": 100,
        "vc_dimension": 3,
    }
    with pytest.raises(BadInput, match=said):
        measure.target_error_bound(**{**good, **change})
