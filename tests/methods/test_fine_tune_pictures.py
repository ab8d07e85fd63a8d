"""What a fine-tuned network kept of its training goes into the pictures and measures made for it."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import encoders, measure, methods, show, tasks
from course_lib.errors import BadInput


@pytest.fixture(scope="module")
def encoder():
    return encoders.imagenet(64)


@pytest.fixture(scope="module")
def task():
    return tasks.solar_cells("mono", train=60)


@pytest.fixture(scope="module")
def few(task):
    return task.test.take(np.arange(40))


@pytest.fixture(scope="module")
def tuned(encoder, task):
    return methods.fine_tune(encoder, task, freeze_to="block5", epochs=1)


@pytest.fixture(scope="module")
def moved(tuned):
    """The same network, all of it behind the cut a tenth longer, whichever epoch was kept."""
    frozen = ("stem", *(f"block{k}_" for k in range(6)))
    weights = {
        name: value if name.startswith(frozen) else value * np.float32(1.1)
        for name, value in tuned.start.items()
    }
    return tuned.with_weights(weights, name="moved")


def test_how_far_each_block_moved(tuned, moved) -> None:
    assert {"block5_expand/kernel", "block5_expand_bn/moving_mean", "classifier/kernel"} <= tuned.start.keys()
    for kind in ("weights", "BatchNorm statistics"):
        relative = measure.movement(moved.start, moved.weights).of(kind)
        assert relative["stem"] == relative["block5"] == 0
        assert relative["block6"] == pytest.approx(0.1, rel=1e-4) == relative["head"]
    alt = show.weight_movement(moved.start, moved.weights).alt
    assert "stem to block5 0, block6 10%" in alt and "classifier 10%" in alt
    assert show.weight_movement(tuned.start, tuned.weights).alt.endswith("BatchNorm statistics stood still.")


def test_layers_before_the_cut_are_refused(tuned, few) -> None:
    with pytest.raises(BadInput, match="'block4' is not behind the cut"):
        tuned.activations(few, ["block4"])


def test_its_course_is_drawn(tuned) -> None:
    (epoch,) = tuned.history
    alone, itself = show.training(tuned.history), show.training(tuned)
    assert alone.alt == itself.alt
    assert f"{epoch['validation_accuracy']:.1%}" in alone.alt
