"""Traps of image transfer that raise no error of their own: each is walked into, and something must notice.

Those of batch normalisation and of `trainable` are in test_fine_tune.py, those of the article's program in
test_article.py.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from course_lib import encoders, methods, tasks
from course_lib.errors import BadInput


@pytest.fixture(scope="module")
def task():
    task = tasks.solar_cells("mono", train=40)
    return replace(task, test=task.test.sample(30))


def test_take_and_skip_on_a_reshuffling_stream_leak(task) -> None:
    """The usual split: shuffle, take, skip. The stream shuffles anew each time that it is read."""
    rows = tf.data.Dataset.range(len(task.train)).shuffle(1000, seed=1)
    validation = set(rows.take(10).as_numpy_iterator())
    train = set(rows.skip(10).as_numpy_iterator())
    leaked = validation & train
    assert leaked, "TensorFlow has mended this; the course can stop warning of it"

    def part(chosen: set[int]) -> tasks.Split:
        return task.train.take(np.array(sorted(chosen)))

    with pytest.raises(BadInput, match=r"is in .* and in .*"):
        replace(task, train=part(train), validation=part(validation))


def test_the_course_s_own_splits_share_no_picture() -> None:
    for cells in ("mono", "poly"):
        task = tasks.solar_cells(cells)
        seen = [set(split.ids.tolist()) for split in (task.train, task.validation, task.test)]
        assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


def test_a_fine_tuned_network_is_saved_whole(task, tmp_path) -> None:
    tuned = methods.fine_tune(encoders.imagenet(64), task, freeze_to="block15", epochs=1, batch_size=16)
    x = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 3)).astype("float32")
    expected = np.asarray(tuned.model(x, training=False))
    with pytest.raises(ValueError, match="keras"):
        tuned.model.save(tmp_path / "network.weights")
    with pytest.raises(ValueError, match=r"\.weights\.h5"):
        tuned.model.save_weights(tmp_path / "network.h5")
    tuned.model.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    assert np.array_equal(np.asarray(again(x, training=False)), expected)


def test_pixels_of_the_wrong_range_change_the_features_without_an_error() -> None:
    """The packaged network takes 0 to 255; what the course gives it cannot be anything else."""
    encoder = encoders.imagenet(64)
    x = tasks.solar_cells("mono").test.x[:4]
    right = encoder.model(np.repeat(np.asarray(x[:, :64, :64], "float32"), 3, axis=3), training=False)
    wrong = encoder.model(np.repeat(np.asarray(x[:, :64, :64] / 255, "float32"), 3, axis=3), training=False)
    apart = np.linalg.norm(np.asarray(right) - np.asarray(wrong)) / np.linalg.norm(np.asarray(right))
    assert apart > 0.5
    with pytest.raises(BadInput, match="uint8"):
        encoder.encode(x / 255)
