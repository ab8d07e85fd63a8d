"""Floors and training-free methods against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from course_lib import methods
from course_lib.errors import BadInput
from course_lib.methods.simple import unit_rows


def test_majority_says_the_largest_training_class(blobs) -> None:
    floor = methods.majority(blobs.task)
    counts = np.bincount(blobs.task.train.y)
    assert set(floor.predict(blobs.task.test)) == {counts.argmax()}
    assert np.allclose(floor.predict_proba(blobs.task.test)[3], counts / 300)
    assert floor.parameters_trained == 0


def test_nearest_mean_equals_nearest_centroid(blobs) -> None:
    task = blobs.task
    ours = methods.nearest_mean(blobs.encoder, task)
    theirs = NearestCentroid().fit(task.train.x, task.train.y)
    assert np.array_equal(ours.predict(task.test), theirs.predict(task.test.x))
    means = np.stack([task.train.x[task.train.y == c].mean(axis=0) for c in range(3)])
    squares = ((task.test.x[:, None] - means) ** 2).sum(axis=2)
    spread = ((task.train.x - means[task.train.y]) ** 2).sum(axis=1).mean()
    expected = np.exp(-squares / spread)
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.allclose(ours.predict_proba(task.test), expected, atol=1e-3)
    assert ours.parameters_trained == 30
    assert blobs.encoder.seen[0] == "train" and "validation" not in blobs.encoder.seen


def test_nearest_mean_by_cosine_ignores_length(blobs) -> None:
    ours = methods.nearest_mean(blobs.encoder, blobs.task, metric="cosine")
    x = blobs.task.test.x
    means = unit_rows(
        np.stack([unit_rows(blobs.task.train.x[blobs.task.train.y == c]).mean(axis=0) for c in range(3)])
    )
    assert np.array_equal(ours.predict(x), (unit_rows(x) @ means.T).argmax(axis=1))
    assert np.array_equal(ours.predict(x), ours.predict(7 * x))
    plain = methods.nearest_mean(blobs.encoder, blobs.task)
    assert not np.array_equal(plain.predict(x), plain.predict(7 * x))


def test_knn_equals_scikit_learn_and_chooses_on_validation(blobs) -> None:
    task = blobs.task
    ours = methods.knn(blobs.encoder, task)
    validation: dict[tuple[int, str], float] = {}
    for k in (1, 3, 5, 10, 20, 50):
        for metric in ("euclidean", "cosine"):
            model = KNeighborsClassifier(k, metric=metric).fit(task.train.x, task.train.y)
            validation[k, metric] = model.score(task.validation.x, task.validation.y)
    best = max(validation.values())
    picked = ours.chosen["k"], ours.chosen["metric"]
    assert validation[picked] == best
    assert picked[0] == max(k for (k, _), score in validation.items() if score == best)
    model = KNeighborsClassifier(picked[0], metric=picked[1]).fit(task.train.x, task.train.y)
    assert np.array_equal(ours.predict(task.test), model.predict(task.test.x))
    assert np.allclose(ours.predict_proba(task.test), model.predict_proba(task.test.x))
    assert blobs.encoder.seen[:2] == ["train", "validation"]


def test_knn_leaves_out_k_above_the_training_size(blobs) -> None:
    small = blobs.task.subset(4)
    assert methods.knn(blobs.encoder, small).chosen["k"] <= 4
    with pytest.raises(BadInput, match="k from 1 to 4"):
        methods.knn(blobs.encoder, small, neighbours=[5])


def test_bad_input(blobs) -> None:
    one = blobs.task.train.take(blobs.task.train.y == 1)
    from dataclasses import replace

    with pytest.raises(BadInput, match="class 1"):
        methods.nearest_mean(blobs.encoder, replace(blobs.task, train=one))
    with pytest.raises(BadInput, match="validation set is empty"):
        methods.knn(blobs.encoder, replace(blobs.task, validation=one.take([])))
    with pytest.raises(BadInput, match="is empty"):
        methods.majority(replace(blobs.task, train=one.take([])))
    with pytest.raises(BadInput, match="metric"):
        methods.nearest_mean(blobs.encoder, blobs.task, metric="manhattan")
