"""ImageNet's classes read off features: the classifier's own answer, by another way."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from course_lib import encoders
from course_lib.errors import BadInput


@pytest.fixture(scope="module")
def encoder() -> encoders.ImageEncoder:
    return encoders.imagenet(96)


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    names = ("china.jpg", "flower.jpg")
    return np.stack([load_sample_image(name) for name in names])


def test_equals_what_classify_says(encoder, photographs) -> None:
    found = encoder.source_probabilities(photographs, progress=False)
    classes, probabilities = encoder.classify(photographs, top=1000)
    assert found.shape == (2, 1000) and found.dtype == np.float32
    assert np.allclose(np.take_along_axis(found, classes, axis=1), probabilities, rtol=2e-3, atol=1e-6)
    assert found.argmax(axis=1).tolist() == classes[:, 0].tolist()
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)


def test_cached_features_are_enough(encoder, photographs) -> None:
    first = encoder.source_probabilities(photographs, progress=False)
    encoder.source_probabilities(photographs, progress=False)
    assert encoder.last.from_cache
    assert np.array_equal(first, encoder.source_probabilities(photographs, cache=False, progress=False))
    assert encoder.source_probabilities(photographs[:0]).shape == (0, 1000)


def test_the_mirror_image_is_averaged_before_the_classifier(encoder, photographs) -> None:
    both = encoders.imagenet(96, flip=True).source_probabilities(photographs, progress=False)
    logs = [np.log(encoder.source_probabilities(p)) for p in (photographs, photographs[:, :, ::-1])]
    mean = np.exp(np.mean(logs, axis=0))  # the softmax of averaged logits
    assert np.allclose(both, mean / mean.sum(axis=1, keepdims=True), atol=1e-4)


def test_features_of_several_layers_are_refused(photographs) -> None:
    with pytest.raises(BadInput, match="layers='last'"):
        encoders.imagenet(96, layers="several").source_probabilities(photographs)


def test_a_network_without_its_classifier_is_refused(photographs) -> None:
    with pytest.raises(BadInput, match="without its ImageNet classifier"):
        encoders.imagenet(64, "MobileNetV2", weights="random").source_probabilities(photographs)
