"""Resampling and thresholds against counts by hand and an exhaustive search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from course_lib import methods
from course_lib.errors import BadInput
from course_lib.methods.imbalance import best_threshold


def test_oversampling_repeats_every_row_equally_often(lopsided) -> None:
    task = methods.resample(lopsided, "over")
    counts = np.bincount(lopsided.train.y)
    assert list(task.train.counts.values()) == [counts[0], counts[0]]
    original = [i.split("#")[0] for i in task.train.ids]
    times = {i: original.count(i) for i in set(original)}
    assert set(times) == set(lopsided.train.ids), "no row is lost"
    rare = [times[i] for i in lopsided.train.ids[lopsided.train.y == 1]]
    assert max(rare) - min(rare) <= 1 and sum(rare) == counts[0]
    by_id = dict(zip(lopsided.train.ids, lopsided.train.x, strict=True))
    assert all(np.array_equal(by_id[i], x) for i, x in zip(original, task.train.x, strict=True))
    assert task.test is lopsided.test and task.validation is lopsided.validation


def test_undersampling_leaves_rows_out(lopsided) -> None:
    task = methods.resample(lopsided, "under", seed=1)
    rare = np.bincount(lopsided.train.y)[1]
    assert list(task.train.counts.values()) == [rare, rare]
    assert set(task.train.ids) < set(lopsided.train.ids)
    assert not np.array_equal(task.train.ids, methods.resample(lopsided, "under", seed=2).train.ids)
    assert np.array_equal(task.train.ids, methods.resample(lopsided, "under", seed=1).train.ids)
    with pytest.raises(BadInput, match="over"):
        methods.resample(lopsided, "sideways")


@pytest.mark.parametrize(
    ("metric", "by_sklearn"),
    [
        ("accuracy", accuracy_score),
        ("balanced_accuracy", balanced_accuracy_score),
        ("macro_f1", lambda y, p: f1_score(y, p, average="macro")),
    ],
)
def test_threshold_is_the_best_of_all(metric, by_sklearn) -> None:
    rng = np.random.default_rng(5)
    y = (rng.random(120) < 0.3).astype(int)
    p = np.round(np.clip(0.3 * y + 0.8 * rng.random(120) - 0.1, 0, 1), 2)
    found = by_sklearn(y, p >= best_threshold(p, y, metric))
    exhaustive = max(by_sklearn(y, p >= t) for t in np.arange(-0.005, 1.01, 0.01))
    assert found == pytest.approx(exhaustive)
    assert found > by_sklearn(y, p >= 0.9), "a bad threshold must score less"


def test_threshold_helps_the_rare_class(lopsided, encoder) -> None:
    probe = methods.linear_probe(encoder, lopsided)
    moved = methods.with_threshold(probe, lopsided.validation)
    before, after = (
        balanced_accuracy_score(lopsided.test.y, c.predict(lopsided.test)) for c in (probe, moved)
    )
    assert after > before + 0.04
    assert moved.chosen["threshold"] < 0.4 and "strength" in moved.chosen
    assert np.array_equal(moved.predict_proba(lopsided.test), probe.predict_proba(lopsided.test))
    assert np.array_equal(
        moved.predict(lopsided.test), moved.predict_proba(lopsided.test)[:, 1] >= moved.threshold
    )
    assert moved.parameters_trained == probe.parameters_trained and moved.name == "probe, threshold"


def test_threshold_needs_two_classes(blobs, lopsided, encoder) -> None:
    with pytest.raises(BadInput, match="two classes"):
        methods.with_threshold(methods.linear_probe(blobs.encoder, blobs.task), blobs.task.validation)
    one = lopsided.validation.take(lopsided.validation.y == 0)
    probe = methods.linear_probe(encoder, lopsided)
    with pytest.raises(BadInput, match="holds 1"):
        methods.with_threshold(probe, one)
    with pytest.raises(BadInput, match="validation set is empty"):
        methods.with_threshold(probe, one.take([]))
    with pytest.raises(BadInput, match="metric"):
        methods.with_threshold(probe, lopsided.validation, metric="luck")


def test_class_weight_as_numbers_equals_balanced(lopsided, encoder) -> None:
    counts = np.bincount(lopsided.train.y)
    numbers = (counts.sum() / (2 * counts)).tolist()
    by_name = methods.linear_probe(encoder, lopsided, class_weight="balanced")
    by_number = methods.linear_probe(encoder, lopsided, class_weight=numbers)
    assert np.allclose(by_name.head.weights, by_number.head.weights)
    empty = replace(lopsided, train=lopsided.train.take(lopsided.train.y == 0))
    with pytest.raises(BadInput, match="two classes"):
        methods.linear_probe(encoder, empty, class_weight="balanced")
