"""Covariances between channels: against NumPy on the network's own maps, and their symmetries."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import encoders, tasks
from course_lib.errors import BadInput
from course_lib.methods import networks, second_order
from course_lib.methods.trunk import VIEWS


@pytest.fixture(scope="module")
def encoder() -> encoders.ImageEncoder:
    return encoders.imagenet(64)


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    return np.asarray(tasks.solar_cells("mono").test.x[:3, ::3, ::3])


def test_equals_numpy_on_the_networks_maps(encoder, cells) -> None:
    import keras

    from course_lib.encoders.images import resized

    network, preprocess = encoder.network_copy()
    layer = network.get_layer(networks.cut_points(network)["block4"])
    part = keras.Model(network.input, layer.output)
    views = ("plain", "left turn")
    maps = [np.asarray(part(preprocess(resized(VIEWS[v](cells), 64)))) for v in views]
    found = second_order.log_covariances(encoder, cells, ["block4", "block7"], views)
    assert set(found) == {"block4", "block7"}
    for i in range(len(cells)):
        places = np.concatenate([m[i].reshape(-1, m.shape[-1]) for m in maps]).astype(np.float64)
        c = places.shape[1]
        covariance = np.cov(places.T, bias=True)
        covariance += 0.1 * np.trace(covariance) / c * np.eye(c)
        from scipy.linalg import logm

        log = logm(covariance).real
        rows, columns = np.triu_indices(c)
        expected = log[rows, columns] * np.where(rows == columns, 1, np.sqrt(2))
        assert np.allclose(found["block4"][i], expected, atol=2e-3)


def test_distances_are_those_between_matrices() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((2, 5, 8))
    first, second = second_order.log_triangles(a @ a.transpose(0, 2, 1), shrinkage=0.0)
    from scipy.linalg import logm

    logs = [logm(m @ m.T).real for m in a]
    assert np.isclose(np.square(first - second).sum(), np.square(logs[0] - logs[1]).sum(), rtol=1e-4)


def test_all_symmetries_make_a_turned_picture_the_same(encoder, cells) -> None:
    straight = second_order.log_covariances(encoder, cells, ["block4"])["block4"]
    turned = second_order.log_covariances(encoder, np.rot90(cells, 1, (1, 2)), ["block4"])["block4"]
    assert np.allclose(straight, turned, atol=1e-3)
    one = second_order.log_covariances(encoder, np.rot90(cells, 1, (1, 2)), ["block4"], ["plain"])["block4"]
    assert not np.allclose(straight, one, atol=1e-2)


def test_a_picture_of_one_colour_stays_finite(encoder) -> None:
    assert np.isfinite(second_order.log_triangles(np.zeros((1, 4, 4)))).all()
    black = np.zeros((1, 64, 64, 1), np.uint8)
    assert np.isfinite(second_order.log_covariances(encoder, black, ["block4"], ["plain"])["block4"]).all()
    none = second_order.log_covariances(encoder, black[:0], ["block4"], ["plain"])["block4"]
    assert len(none) == 0


def test_refuses_unknown_blocks_and_views(encoder, cells) -> None:
    with pytest.raises(BadInput, match="block0"):
        second_order.log_covariances(encoder, cells, ["block99"])
    with pytest.raises(BadInput, match="mirror"):
        second_order.log_covariances(encoder, cells, ["block4"], ["sideways"])
