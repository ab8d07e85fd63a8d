"""What a fine-tuned network kept of its training goes into the pictures and measures made for it."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import encoders, measure, methods, show, tasks
from course_lib.errors import BadInput

LAYERS = ["block6", "block10", "head"]


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
def start(tuned):
    return tuned.with_weights(tuned.start, name="start")


@pytest.fixture(scope="module")
def moved(tuned):
    """The same network, all of it behind the cut a tenth longer, whichever epoch was kept."""
    frozen = ("stem", *(f"block{k}_" for k in range(6)))
    weights = {
        name: value if name.startswith(frozen) else value * np.float32(1.1)
        for name, value in tuned.start.items()
    }
    return tuned.with_weights(weights, name="moved")


def test_maps_at_the_start_are_those_of_the_encoder(start, encoder, few) -> None:
    np.testing.assert_allclose(start.maps(few), encoder.maps(few), atol=0.02)


def test_the_head_reads_the_average_of_the_maps(tuned, few) -> None:
    features = tuned.maps(few).mean(axis=(1, 2))
    np.testing.assert_allclose(features, tuned.activations(few, ["head"])["head"], atol=1e-5)
    said = (features @ tuned.head.weights + tuned.head.bias).argmax(axis=1)
    maps = methods.grad_cam(tuned, few)
    assert maps.shape == (len(few), 2, 2)
    np.testing.assert_array_equal(maps, methods.grad_cam(tuned, few, said))
    assert "evidence" in show.attention(few, maps, classes=said).alt


def test_a_changed_network_has_other_maps_and_the_first_keeps_its_own(tuned, moved, few) -> None:
    before = tuned.maps(few)
    assert np.abs(moved.maps(few) - before).max() > 0.01
    np.testing.assert_array_equal(tuned.maps(few), before)


def test_layers_before_and_after(start, moved, few) -> None:
    before, after = (network.activations(few, LAYERS) for network in (start, moved))
    assert [len(a) for a in before.values()] == [40] * 3 and before["head"].shape[1] == 1280
    assert list(measure.cka_matrix(before, before).same.values()) == pytest.approx([1, 1, 1])
    found = measure.cka_matrix(before, after)
    assert found.rows == found.columns == tuple(LAYERS)
    assert all(0.05 < value < 1 - 1e-6 for value in found.same.values())
    assert f"head {found.same['head']:.0%}" in show.layer_similarity(found).alt


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
