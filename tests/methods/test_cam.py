"""Grad-CAM in closed form is what a framework's gradient gives."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from course_lib import encoders, methods
from course_lib.errors import BadInput
from course_lib.methods.probe import LinearHead
from course_lib.tasks.task import Split, Task


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def encoder() -> encoders.ImageEncoder:
    return encoders.imagenet(96)


def probe(encoder, classes=5, seed=1, bias=None) -> SimpleNamespace:
    """Return a made-up probe with evidence of both signs: at right angles to the mean feature."""
    rng = np.random.default_rng(seed)
    mean = encoder.encode(pictures(3), cache=False).mean(axis=0)
    weights = rng.normal(size=(encoder.dim, classes))
    weights = (weights - np.outer(mean, mean @ weights) / (mean @ mean)).astype(np.float32)
    bias = np.zeros(classes, np.float32) if bias is None else bias
    return SimpleNamespace(name="probe", encoder=encoder, head=LinearHead(weights, bias))


def pictures(channels: int, n: int = 6) -> np.ndarray:
    coarse = np.random.default_rng(2).integers(0, 256, (n, 6, 6, channels))
    return coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)


def by_gradient(classifier, x, classes, relu=True) -> np.ndarray:
    """Grad-CAM as published, by TensorFlow's gradient of the class score through pooling and head."""
    model = classifier.encoder.model
    upper = tf.keras.Model(model.get_layer("head_relu").output, model.output)
    lower = tf.keras.Model(model.input, model.get_layer("head_relu").output)
    rgb = tf.image.resize(np.repeat(x, 3, axis=3) if x.shape[3] == 1 else x, (96, 96))
    found = []
    for picture, wanted in zip(rgb, classes, strict=True):
        with tf.GradientTape() as tape:
            maps = lower(picture[None], training=False)
            tape.watch(maps)
            logits = upper(maps, training=False) @ classifier.head.weights + classifier.head.bias
            score = logits[0, int(wanted)]
        alpha = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2))[0]
        weighted = tf.reduce_sum(alpha * maps[0], axis=-1)
        found.append((tf.nn.relu(weighted) if relu else weighted).numpy())
    found = np.stack(found)
    return found / np.maximum(np.abs(found).max(axis=(1, 2), keepdims=True), 1e-9)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_equal_to_the_published_formula_by_gradient(encoder, channels) -> None:
    classifier, x, classes = probe(encoder), pictures(channels), np.array([0, 1, 2, 3, 4, 0])
    maps = methods.grad_cam(classifier, x, classes)
    assert maps.shape == (6, 3, 3)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, by_gradient(classifier, x, classes), atol=1e-4)


def test_wrong_variants_differ(encoder) -> None:
    classifier, x, classes = probe(encoder), pictures(3), np.zeros(6, int)
    right = methods.grad_cam(classifier, x, classes)
    assert np.abs(right - by_gradient(classifier, x, classes, relu=False)).max() > 0.1
    assert np.abs(right - methods.grad_cam(classifier, x, 1)).max() > 0.1, "another class, another map"
    assert right.min() == 0 and (right.max(axis=(1, 2)) == 1).all()


def test_by_default_the_predicted_class_is_explained(encoder) -> None:
    classifier, x = probe(encoder), pictures(3, n=40)
    predicted = classifier.head.logits(encoder.encode(x, cache=False)).argmax(axis=1)
    assert len(set(predicted)) > 1
    np.testing.assert_allclose(methods.grad_cam(classifier, x), methods.grad_cam(classifier, x, predicted))


def test_the_bias_decides_the_class_but_not_the_map(encoder) -> None:
    x, sure = pictures(3), np.array([0, 0, 1e6, 0, 0], np.float32)
    plain, biased = probe(encoder), probe(encoder, bias=sure)
    np.testing.assert_array_equal(methods.grad_cam(biased, x), methods.grad_cam(plain, x, 2))


def test_a_fitted_probe_and_pictures_in_a_split(encoder) -> None:
    x, y, names = pictures(1, n=12), np.arange(12) % 2, ("good", "bad")
    parts = [
        Split(x[k : k + 4], y[k : k + 4], names, "part", "made up", np.arange(k, k + 4).astype(str))
        for k in (0, 4, 8)
    ]
    task = Task("made up", *parts, names, "made up", "CC0", "none")
    fitted = methods.linear_probe(encoder, task)
    assert methods.grad_cam(fitted, task.test).shape == (4, 3, 3)


class Bright:
    """A network of one map, the picture's brightness, at full size."""

    def maps(self, x):
        return np.asarray(x, np.float32) / 255


def test_what_a_map_looks_like_when_it_is_known() -> None:
    x = np.zeros((2, 4, 4, 1), np.uint8)
    x[0, 1, 2], x[0, 3, 3] = 200, 100
    head = LinearHead(np.array([[1.0, -1.0]], np.float32), np.zeros(2, np.float32))
    tuned = SimpleNamespace(name="tuned", head=head, maps=Bright().maps)
    maps = methods.grad_cam(tuned, x, 0)
    assert maps[0, 1, 2] == 1
    assert maps[0, 3, 3] == 0.5
    assert maps[0].sum() == 1.5
    assert not maps[1].any(), "a black picture has no evidence, and no division by zero"
    assert not methods.grad_cam(tuned, x, 1).any(), "evidence against a class is not shown"


def test_no_pictures(encoder) -> None:
    assert len(methods.grad_cam(probe(encoder), pictures(3)[:0])) == 0


def test_what_cannot_be_explained(encoder) -> None:
    x = pictures(3)
    with pytest.raises(BadInput, match="not the average of one layer's maps"):
        methods.grad_cam(probe(encoders.imagenet(96, layers="several")), x)
    with pytest.raises(BadInput, match="has no feature maps"):
        methods.grad_cam(SimpleNamespace(name="cnn"), x)
    with pytest.raises(BadInput, match="head of knn is not linear"):
        methods.grad_cam(SimpleNamespace(name="knn", encoder=encoder, head=SimpleNamespace()), x)
    with pytest.raises(BadInput, match="run from 5 to 5; expected 0 to 4"):
        methods.grad_cam(probe(encoder), x, 5)
    with pytest.raises(BadInput, match=r"shape \(2,\).*for 6 pictures"):
        methods.grad_cam(probe(encoder), x, np.array([0, 1]))
    with pytest.raises(BadInput, match="type float64"):
        methods.grad_cam(probe(encoder), x, np.zeros(6))
