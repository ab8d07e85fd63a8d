"""Layers one by one: the columns that they are, one pass for all."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from course_lib import encoders, measure, tasks
from course_lib.errors import BadInput


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    return np.stack([load_sample_image(name) for name in ("china.jpg", "flower.jpg")])


def test_the_layers_are_the_network_s_own(photographs) -> None:
    import keras

    layers = encoders.by_layer(64)
    model = encoders.imagenet(64).model
    ends = {name: model.get_layer(f"{name}{'' if name == 'head' else '_depthwise'}_relu") for name in layers}
    taps = keras.Model(model.input, [end.output for end in ends.values()])
    small = keras.ops.image.resize(photographs.astype("float32"), (64, 64), antialias=True)
    for (name, encoder), maps in zip(layers.items(), taps(small), strict=True):
        found = encoder.encode(photographs, cache=False, progress=False)
        assert found.shape == (2, encoder.dim) and name in encoder.name
        assert np.abs(found - np.asarray(maps).mean(axis=(1, 2))).max() < 2e-3


def test_one_pass_for_all(photographs) -> None:
    layers = encoders.by_layer(64)
    parts = [encoder.encode(photographs, progress=False) for encoder in layers.values()]
    assert layers["block14"].last.from_cache and layers["head"].last.from_cache
    whole = encoders.imagenet(64, layers="several").encode(photographs)
    assert np.array_equal(np.hstack(parts), whole)


def test_the_head_alone_knows_imagenet_s_classes(photographs) -> None:
    layers, plain = encoders.by_layer(64), encoders.imagenet(64)
    ours, theirs = (e.source_probabilities(photographs, progress=False) for e in (layers["head"], plain))
    assert np.allclose(ours, theirs, rtol=1e-3, atol=1e-6)
    for name in ("block10", "block14"):
        with pytest.raises(BadInput, match="Ask the head"):
            layers[name].source_probabilities(photographs)


def test_scores_take_layers_and_random_weights_are_another_network(photographs) -> None:
    task = tasks.digits(train=40)
    known = measure.transferability(encoders.by_layer(64)["head"], task.train)
    blank = measure.transferability(encoders.by_layer(64, weights="random")["head"], task.train)
    assert known.leep is not None and blank.leep is not None and known.leep > blank.leep
    assert measure.transferability(encoders.by_layer(64)["block10"], task.train).leep is None
    with pytest.raises(BadInput, match="pixels=8"):
        encoders.by_layer(8)
