"""Scores against scikit-learn, intervals against a plain bootstrap and a closed form."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure.report import scores


def test_scores_equal_scikit_learn(split, fixed) -> None:
    method = fixed(split, 0.7, seed=1)
    r, y, p = measure.report(method, split), split.y, method.answers
    assert r.accuracy.value == pytest.approx(metrics.accuracy_score(y, p))
    assert r.balanced_accuracy.value == pytest.approx(metrics.balanced_accuracy_score(y, p))
    assert r.macro_f1.value == pytest.approx(metrics.f1_score(y, p, average="macro"))
    assert np.array_equal(r.confusion, metrics.confusion_matrix(y, p))
    assert np.allclose(r.recall, metrics.recall_score(y, p, average=None))
    assert r.accuracy.value != pytest.approx(r.balanced_accuracy.value, abs=1e-4), "else a mix-up would pass"


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_a_class_without_examples_does_not_count_as_missed(split, told) -> None:
    few = split.take(split.y < 3)
    answers = np.where(np.arange(len(few)) % 10 == 0, 3, few.y)  # says "d" although there is none
    r = measure.report(told("odd", answers), few)
    assert np.isnan(r.recall[3]) and r.to_dict()["recall"]["d"] is None
    assert r.balanced_accuracy.value == pytest.approx(metrics.balanced_accuracy_score(few.y, answers))
    assert r.macro_f1.value == pytest.approx(metrics.f1_score(few.y, answers, average="macro"))


def test_accuracy_interval_is_close_to_wilson(split, fixed) -> None:
    r = measure.report(fixed(split, 0.7, seed=2), split, resamples=20_000)
    wilson = binomtest(int(np.trace(r.confusion)), 500).proportion_ci(method="wilson")
    assert r.accuracy.low == pytest.approx(wilson.low, abs=0.005)
    assert r.accuracy.high == pytest.approx(wilson.high, abs=0.005)
    assert 0.07 < r.accuracy.high - r.accuracy.low < 0.09  # 4 standard errors of sqrt(.7 * .3 / 500)


def test_intervals_equal_a_plain_bootstrap_of_rows(split, fixed) -> None:
    method = fixed(split, 0.6, seed=3)
    y, p, rng = split.y, method.answers, np.random.default_rng(9)
    drawn = {"balanced_accuracy": [], "macro_f1": []}
    for _ in range(1500):
        rows = rng.integers(500, size=500)
        drawn["balanced_accuracy"].append(metrics.recall_score(y[rows], p[rows], average="macro"))
        drawn["macro_f1"].append(metrics.f1_score(y[rows], p[rows], average="macro"))
    r = measure.report(method, split, resamples=10_000)
    for metric, values in drawn.items():
        low, high = np.percentile(values, (2.5, 97.5))
        assert r.score(metric).low == pytest.approx(low, abs=0.008)
        assert r.score(metric).high == pytest.approx(high, abs=0.008)


def test_intervals_cover_the_truth_about_19_times_in_20(split, fixed) -> None:
    inside = []
    for seed in range(300):
        r = measure.report(fixed(split, 0.7, seed), split, resamples=400, seed=seed)
        inside.append(r.accuracy.low <= 0.7 <= r.accuracy.high)
    assert 0.90 <= np.mean(inside) <= 0.985


def test_bootstrap_is_seeded() -> None:
    confusion = np.random.default_rng(0).multinomial(8000, np.full(100, 0.01)).reshape(10, 10)
    one = measure.bootstrap(confusion, seed=4)
    assert one == measure.bootstrap(confusion, seed=4) != measure.bootstrap(confusion, seed=5)


def test_perfect_answers_have_no_doubt_and_no_warning(split, told) -> None:
    r = measure.report(told("right", split.y), split)
    assert (r.accuracy.low, r.accuracy.value, r.accuracy.high) == (1, 1, 1)


def test_stacked_confusions_score_like_single_ones() -> None:
    stack = np.random.default_rng(1).integers(0, 9, (5, 3, 3))
    for metric, together in scores(stack).items():
        assert np.allclose(together, [scores(one)[metric] for one in stack])


def test_costs_are_copied_and_shown(split, fixed) -> None:
    method = fixed(split, 0.7, seed=1, name="<probe>")
    method.seconds, method.parameters_trained = {"features": 12.0, "fit": 3.0}, 12_810
    method.train_size, method.task_name = 5000, "cifar10"
    r = measure.report(method, split)
    assert r.seconds["features"] == 12 and set(r.seconds) == {"features", "fit", "predict"}
    assert "12,810" in str(r) and "5,000" in str(r) and r.task == "cifar10"
    assert "&lt;probe&gt;" in r._repr_html_() and "<probe>" not in r._repr_html_()
    back = json.loads(json.dumps(r.to_dict()))
    assert back["accuracy"]["value"] == r.accuracy.value and back["n"] == 500


def test_bad_input(split, told) -> None:
    with pytest.raises(BadInput, match="no examples"):
        measure.report(told("x", split.y), split.take([]))
    with pytest.raises(BadInput, match="expected one class number each"):
        measure.report(told("x", split.y[:-1]), split)
    with pytest.raises(BadInput, match="expected one class number each"):
        measure.report(told("x", split.y / 1), split)
    with pytest.raises(BadInput, match="has 4"):
        measure.report(told("x", split.y + 1), split)
    other = told("x", split.y)
    other.class_names = ("a", "b")
    with pytest.raises(BadInput, match="fitted for the classes a, b"):
        measure.report(other, split)
    with pytest.raises(BadInput, match="metric"):
        measure.report(told("x", split.y), split).score("luck")
