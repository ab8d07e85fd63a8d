"""Density ratios against ones that are known, and what their effective sample size says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.linear_model import LogisticRegression

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure.density_ratio import _logistic, _with_ones


@pytest.fixture
def gaussians() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source, target, and the true ratio at the source's examples."""
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(4000, 3)), rng.normal((1, 0, 0), 1, size=(3000, 3))
    truth = multivariate_normal([1, 0, 0]).pdf(source) / multivariate_normal([0, 0, 0]).pdf(source)
    return source, target, truth


def test_known_ratios_are_found(gaussians) -> None:
    source, target, truth = gaussians
    found = measure.density_ratio(source, target)
    assert np.corrcoef(found.weights, truth)[0, 1] > 0.98
    assert np.median(np.abs(np.log(found.weights / truth))) < 0.15
    assert found.weights.mean() == pytest.approx(1) and (found.weights > 0).all()
    # E w² = exp(1) for a shift by one standard deviation, so that 1 of e examples counts
    assert found.effective / 4000 == pytest.approx(1 / np.e, rel=0.2)


def test_weighted_source_means_are_the_target_s(gaussians) -> None:
    source, target, _ = gaussians
    found = measure.density_ratio(source, target)
    assert np.allclose(np.average(source, axis=0, weights=found.weights), target.mean(axis=0), atol=0.12)


def test_new_examples_get_weights_on_the_same_scale(gaussians) -> None:
    source, target, _ = gaussians
    found = measure.density_ratio(source, target)
    again = found(source)
    assert np.corrcoef(np.log(again), np.log(found.weights))[0, 1] > 0.999
    assert again.mean() == pytest.approx(1, rel=0.05)
    assert found(target).mean() > 1.5


def test_equal_domains_weigh_alike() -> None:
    rng = np.random.default_rng(1)
    found = measure.density_ratio(rng.normal(size=(1000, 20)), rng.normal(size=(1000, 20)))
    assert found.effective > 950 and abs(found.told_apart - 0.5) < 0.06 and found.weights.max() < 2


def test_far_domains_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    source, target = rng.normal(size=(500, 5)), rng.normal(size=(500, 5)) + 6
    found = measure.density_ratio(source, target)
    assert found.told_apart > 0.99 and np.isfinite(found.weights).all()
    mean = np.average(source, axis=0, weights=found.weights)
    assert (mean < target.mean(axis=0) - 3).all(), "no weights make the source's mean the target's"


def test_the_logistic_regression_is_scikit_learn_s() -> None:
    rng = np.random.default_rng(3)
    z, domain = rng.normal(size=(300, 4)), (np.arange(300) < 80).astype(float)
    z[domain > 0] += 0.7
    ours = _logistic(_with_ones(z), domain, 2.0)
    rival = LogisticRegression(C=1 / 2, class_weight="balanced", tol=1e-10, max_iter=1000).fit(z, domain)
    assert np.allclose(ours[:-1], rival.coef_[0], atol=1e-4)
    assert ours[-1] == pytest.approx(rival.intercept_[0], abs=1e-4)


def test_sizes_of_the_domains_do_not_matter(gaussians) -> None:
    source, target, _ = gaussians
    few, all_ = (measure.density_ratio(source, target[:n]).weights for n in (600, 3000))
    assert np.corrcoef(np.log(few), np.log(all_))[0, 1] > 0.95 and few.mean() == pytest.approx(1)


def test_wide_and_singular_features_and_inputs_unchanged(gaussians) -> None:
    source, target, _ = gaussians
    wide = [np.hstack([x, x[:, :1], np.zeros((len(x), 200))])[:100] for x in (source, target)]
    before = [x.copy() for x in wide]
    found = measure.density_ratio(*wide)
    assert np.isfinite(found.weights).all() and np.array_equal(wide[0], before[0])
    assert np.array_equal(found.weights, measure.density_ratio(*wide).weights)


def test_said_in_words(gaussians) -> None:
    found = measure.density_ratio(*gaussians[:2])
    assert "effective examples" in str(found) and "of 4,000" in found._repr_html_()
    assert found.to_dict()["effective"] == found.effective


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a: measure.density_ratio(a, a[:9]), "10 examples or more"),
        (lambda a: measure.density_ratio(a, a[:, :2]), "3 and 2 columns"),
        (lambda a: measure.density_ratio(a, a * np.nan), "NaN"),
        (lambda a: measure.density_ratio(a, a, dims=0), "dims=0"),
        (lambda a: measure.density_ratio(a, a, folds=1), "folds=1"),
    ],
)
def test_bad_input(gaussians, call, words) -> None:
    with pytest.raises(BadInput, match=words):
        call(gaussians[0])
