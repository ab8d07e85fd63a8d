"""Encoding: shapes, sizes, bad input, and a picture's features whatever stands beside it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from course_lib import encoders
from course_lib.encoders import images
from course_lib.errors import BadInput, DataUnavailable


@pytest.fixture(scope="module")
def encoder() -> encoders.ImageEncoder:
    return encoders.imagenet(64)


def pictures(n: int, side: int = 32, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


def test_a_picture_does_not_depend_on_its_neighbours(encoder) -> None:
    x = pictures(70)
    together = encoder.encode(x, cache=False)
    alone = encoder.encode(x[::-1][:5], cache=False)
    assert np.array_equal(together[::-1][:5], alone)


def test_order_and_repetition_are_kept(encoder) -> None:
    x = pictures(3)
    rows = [2, 0, 0, 1, 2]
    assert np.array_equal(encoder.encode(x[rows]), encoder.encode(x)[rows])


def test_grey_is_read_as_rgb(encoder) -> None:
    grey = pictures(2, channels=1)
    rgb = np.repeat(grey, 3, axis=3)
    assert np.allclose(encoder.encode(grey, cache=False), encoder.encode(rgb, cache=False), atol=1e-5)


@pytest.mark.parametrize("side", [32, 100])
def test_resizes_as_documented(encoder, side) -> None:
    x = pictures(2, side)
    resized = tf.image.resize(x.astype(np.float32), (64, 64), method="bilinear", antialias=side > 64)
    expected = np.asarray(encoder.model(resized, training=False))
    assert np.abs(encoder.encode(x, cache=False) - expected).max() < 1e-4 * np.abs(expected).max()


def test_flip_averages_with_the_mirror_image(encoder) -> None:
    x = pictures(2)
    plain, mirrored = (encoder.encode(p, cache=False) for p in (x, x[:, :, ::-1]))
    both = encoders.imagenet(64, flip=True).encode(x, cache=False)
    assert np.allclose(both, (plain + mirrored) / 2, atol=1e-4)


def test_no_pictures_give_no_rows(encoder) -> None:
    assert encoder.encode(pictures(0)).shape == (0, 1280)


def test_inputs_are_not_touched(encoder) -> None:
    x = pictures(2)
    before = x.copy()
    encoder.encode(x)
    assert np.array_equal(x, before)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 32, 32, 3), np.float32),
        np.full((2, 32, 32, 3), np.nan),
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((2, 32, 32, 4), np.uint8),
        np.zeros((2, 0, 32, 3), np.uint8),
    ],
)
def test_what_is_not_a_stack_of_pictures(encoder, wrong) -> None:
    with pytest.raises(BadInput, match=r"expected \(n, height, width"):
        encoder.encode(wrong)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pixels": 63}, "64 to 224"),
        ({"pixels": 225}, "64 to 224"),
        ({"network": "EfficientNetB99"}, "MobileNetV2"),
        ({"layers": "first"}, "several"),
        ({"weights": "mine"}, "random"),
        ({"network": "MobileNetV2", "layers": "several"}, "last"),
    ],
)
def test_choices_that_do_not_exist(arguments, said) -> None:
    with pytest.raises(BadInput, match=said):
        encoders.imagenet(**arguments)


def test_a_network_of_keras_applications(monkeypatch) -> None:
    """Random weights, so that nothing is downloaded: the route is what is tested."""
    import keras

    x = pictures(3)
    encoder = encoders.imagenet(64, "mobilenetv2", weights="random")
    features = encoder.encode(x, cache=False)
    assert features.shape == (3, encoder.dim) == (3, 1280)
    resized = tf.image.resize(x.astype(np.float32), (64, 64))
    direct = np.asarray(encoder.model(resized, training=False))
    assert np.allclose(features, direct, atol=1e-4 * np.abs(direct).max())
    prepared = keras.applications.mobilenet_v2.preprocess_input(np.array(resized))
    inner = encoder._built._model(prepared, training=False)
    assert np.allclose(features, inner, atol=1e-4 * np.abs(direct).max())
    with pytest.raises(BadInput, match="without its ImageNet classifier"):
        encoder.classify(x)


def test_a_download_that_fails_says_so(monkeypatch) -> None:
    def fail(**_):
        raise Exception("URL fetch failure on https://example.org: 404 -- Not Found")

    monkeypatch.setattr(images, "_applications", lambda: {"MobileNetV2": (fail, lambda x: x)})
    with pytest.raises(DataUnavailable, match=r"404(.|\n)*What to do"):
        encoders.imagenet(64, "MobileNetV2")


def test_timing_is_told_cached_or_not() -> None:
    encoder = encoders.imagenet(64)
    x = pictures(8)
    encoder.encode(x)
    first = encoder.last
    assert (first.examples, first.computed, first.from_cache) == (8, 8, False)
    assert first.per_second > 0
    encoder.encode(x)
    again = encoder.last
    assert (again.computed, again.seconds, again.from_cache) == (0, 0.0, True)
    assert again.seconds_each == pytest.approx(first.seconds_each, rel=1e-6)
