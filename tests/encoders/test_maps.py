"""Feature maps are what the features are the average of."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from course_lib import encoders
from course_lib.errors import BadInput


def pictures(n: int, side: int = 40, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_their_mean_over_places_is_the_features(flip, channels) -> None:
    encoder, x = encoders.imagenet(64, flip=flip), pictures(5, channels=channels)
    maps = encoder.maps(x, batch_size=2)
    assert maps.shape == (5, 2, 2, 1280)
    assert maps.dtype == np.float32
    features = encoder.encode(x, cache=False)
    assert np.allclose(maps.mean(axis=(1, 2)), features, atol=1e-4 * np.abs(features).max())


def test_mirrored_pictures_have_mirrored_maps() -> None:
    encoder, x = encoders.imagenet(96, flip=True), pictures(2)
    maps = encoder.maps(x)
    assert np.allclose(encoder.maps(x[:, :, ::-1]), maps[:, :, ::-1], atol=1e-4 * maps.max())
    assert not np.allclose(maps, maps[:, :, ::-1], atol=0.1)


def test_a_network_of_keras_applications(monkeypatch) -> None:
    keras.utils.set_random_seed(0)
    encoder = encoders.imagenet(64, "MobileNetV2", weights="random")
    x = pictures(2)
    assert np.allclose(encoder.maps(x).mean(axis=(1, 2)), encoder.encode(x, cache=False), atol=1e-5)


def test_no_pictures_no_maps() -> None:
    assert encoders.imagenet(64).maps(pictures(0)).shape[0] == 0


def test_features_that_are_no_average_have_no_maps() -> None:
    with pytest.raises(BadInput, match="not the average of one layer's maps"):
        encoders.imagenet(64, layers="several").maps(pictures(1))
    normalised = encoders.imagenet(64, "ConvNeXtTiny", weights="random")
    with pytest.raises(BadInput, match="layer_norm"):
        normalised.maps(pictures(1))
