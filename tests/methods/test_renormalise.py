"""AdaBN against a plain BatchNorm in closed form, on networks small enough to follow."""

from __future__ import annotations

import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from course_lib import encoders, methods
from course_lib.encoders import efficientnet_lite
from course_lib.encoders.images import ImageEncoder, Network, resized
from course_lib.errors import BadInput
from course_lib.tasks.task import Split, Task

PIXELS = 8


class Small(Network):
    """Two convolutions with BatchNorm, and a Dropout that would make statistics noisy."""

    def __init__(self, norms: bool = True, seed: int = 0) -> None:
        self.norms, self.seed, self._model = norms, seed, None

    def _new(self):
        import keras

        rng = np.random.default_rng(self.seed)
        inputs = keras.Input((PIXELS, PIXELS, 3))
        x = keras.layers.Rescaling(1 / 128, offset=-1.0)(inputs)
        x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="one")(x)
        if self.norms:
            x = keras.layers.BatchNormalization(epsilon=1e-3, name="one_bn")(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.Dropout(0.5)(x)
        x = keras.layers.Conv2D(6, 1, use_bias=False, name="two")(x)
        if self.norms:
            x = keras.layers.BatchNormalization(epsilon=1e-3, name="two_bn")(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = keras.Model(inputs, x)
        model.set_weights([0.3 * rng.normal(size=weight.shape) for weight in model.get_weights()])
        for layer in model.layers:
            if layer.name.endswith("_bn"):
                layer.gamma.assign(rng.uniform(0.5, 2, layer.gamma.shape))
                layer.moving_variance.assign(rng.uniform(0.5, 2, layer.moving_variance.shape))
        return model

    def model(self):
        if self._model is None:
            self._model = self._new()
        return self._model

    def frozen(self):
        model = self.model()
        return lambda x: model(x, training=False)

    def copy(self, dtype):
        return self._new(), lambda pixels: pixels


def small(**options) -> ImageEncoder:
    return ImageEncoder(
        "small", PIXELS, key=f"small-{options}", network=lambda: Small(**options), dim=6, flip=False
    )


def pictures(n: int, seed: int = 0, bright: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(120 + bright, 40, size=(n, PIXELS, PIXELS, 3)) + rng.normal(0, 25, size=(n, 1, 1, 1))
    return np.clip(x, 0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))


def by_hand(x: np.ndarray) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Return the statistics and the features, layer after layer in NumPy."""
    model = Small().model()
    weights = {layer.name: [np.asarray(w, np.float64) for w in layer.get_weights()] for layer in model.layers}
    z = x / 128.0 - 1
    padded = np.pad(z, ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernel = weights["one"][0]
    z = sum(padded[:, i : i + PIXELS, j : j + PIXELS] @ kernel[i, j] for i in range(3) for j in range(3))
    found = {}
    for name in ("one_bn", "two_bn"):
        gamma, beta = weights[name][:2]
        found[name] = z.mean(axis=(0, 1, 2)), z.var(axis=(0, 1, 2))
        z = gamma * (z - found[name][0]) / np.sqrt(found[name][1] + 1e-3) + beta
        if name == "one_bn":
            z = np.maximum(z, 0) @ weights["two"][0][0, 0]
    return found, z.mean(axis=(1, 2))


def test_statistics_and_features_are_those_of_a_batchnorm_by_hand() -> None:
    x = pictures(40)
    encoder = small()
    before = encoder.encode(x), [w.copy() for w in encoder.model.get_weights()]
    adapted = methods.adabn(encoder, x)
    found, features = by_hand(x)
    assert list(adapted.statistics) == ["one_bn", "two_bn"]
    for name, (mean, variance) in found.items():
        assert np.allclose(adapted.statistics[name][0], mean, atol=1e-5)
        assert np.allclose(adapted.statistics[name][1], variance, rtol=1e-4)
    assert np.allclose(adapted.encode(x), features, atol=1e-5)
    assert not np.allclose(before[0], features, atol=0.1), "the network's own statistics are others"
    assert np.array_equal(encoder.encode(x), before[0]), "the given encoder is as it was"
    assert all(np.array_equal(a, b) for a, b in zip(encoder.model.get_weights(), before[1], strict=True))
    # The last normalisation sees statistics of its own pictures: mean beta, whatever the weights.
    beta = Small().model().get_layer("two_bn").get_weights()[1]
    assert np.allclose(adapted.encode(x).mean(axis=0), beta, atol=1e-5)


def test_a_network_that_has_the_pictures_statistics_keeps_them() -> None:
    x = pictures(40)
    once = methods.adabn(small(), x)
    twice = methods.adabn(once, x)
    for name in once.statistics:
        for a, b in zip(once.statistics[name], twice.statistics[name], strict=True):
            assert np.allclose(a, b, atol=1e-6)
    assert np.allclose(once.encode(x), twice.encode(x), atol=1e-5)


def test_batches_are_pooled_with_the_scatter_of_their_means(monkeypatch) -> None:
    """The first layer's input does not depend on the batch: its statistics are exact for any batches."""
    x = np.concatenate([pictures(30, bright=-80), pictures(21, seed=1, bright=80)])
    exact = by_hand(x)[0]["one_bn"]
    monkeypatch.setattr("course_lib.methods.renormalise._BATCH", 0.1)  # at 8 px: 14 pictures at a time
    mean, variance = methods.adabn(small(), x).statistics["one_bn"]
    assert np.allclose(mean, exact[0], atol=1e-5) and np.allclose(variance, exact[1], rtol=1e-4)
    of_batches = [by_hand(part)[0]["one_bn"][1] for part in np.array_split(x, 4)]
    assert not np.allclose(variance, np.mean(of_batches, axis=0), rtol=0.1), "means of variances are less"


def test_a_prior_mixes_both_statistics() -> None:
    x = pictures(20)
    own = Small().model()
    adapted = {prior: methods.adabn(small(), x, prior=prior) for prior in (0, 5, 1e9)}
    layer = own.get_layer("one_bn")
    for place, source in enumerate((layer.moving_mean.numpy(), layer.moving_variance.numpy())):
        full = adapted[0].statistics["one_bn"][place]
        mixed = (5 * source + 20 * full) / 25
        assert np.allclose(adapted[5].statistics["one_bn"][place], mixed, atol=1e-5)
        assert np.allclose(adapted[1e9].statistics["one_bn"][place], source, atol=1e-5)
    assert np.allclose(adapted[1e9].encode(x), small().encode(x), atol=1e-4)


def test_every_choice_has_a_key_of_its_own() -> None:
    x, y = pictures(20), pictures(20, seed=1)
    adapted = [methods.adabn(small(), given, prior=prior) for given, prior in ((x, 0), (y, 0), (x, 5))]
    keys = {small().key, *(a.key for a in adapted)}
    assert len(keys) == 4
    assert methods.adabn(small(), x).key == adapted[0].key, "the same pictures, the same features on disk"
    few = methods.adabn(small(), pictures(60), most=20)
    assert few.pictures == 20 and few.key != methods.adabn(small(), pictures(60), most=20, seed=1).key
    first = adapted[0].encode(x)
    assert np.array_equal(methods.adabn(small(), x).encode(x), first)
    assert not np.allclose(adapted[1].encode(x), first, atol=1e-3)


def split(x: np.ndarray, y: np.ndarray, name: str) -> Split:
    return Split(x, y, ("dark", "light"), name, "made up", np.array([f"{name}-{i}" for i in range(len(y))]))


@pytest.fixture
def lamps() -> SimpleNamespace:
    """Dark and light pictures; the target's camera turns the light up."""

    def sample(n: int, seed: int, name: str, camera: float = 0.0, share: float = 0.5) -> Split:
        y = (np.arange(n) < share * n).astype(int)
        apart = pictures(n, seed).astype(float) + 30 * (2 * y[:, None, None, None] - 1) + camera
        return split(np.clip(apart, 0, 255).astype(np.uint8), y, name)

    parts = sample(80, 1, "train"), sample(60, 2, "validation"), sample(60, 3, "test")
    task = Task("lamps", *parts, ("dark", "light"), "made up", "CC0", "none")
    return SimpleNamespace(
        task=task,
        sample=sample,
        target=sample(100, 4, "target", camera=60),
        one_sided=sample(100, 5, "one-sided", camera=0, share=1.0),
    )


def right(classifier, split: Split) -> float:
    return float(np.mean(classifier.predict(split) == split.y))


def test_it_undoes_a_camera_and_breaks_where_one_class_is_missing(lamps) -> None:
    encoder = methods.adabn(small(), lamps.task.train)  # as if trained on the source
    probe = methods.linear_probe(encoder, lamps.task)
    plain = methods.FeatureClassifier(
        "probe", lamps.task, small_with(encoder), probe.head, seconds={"fit": 0.0}
    )
    assert right(probe, lamps.task.test) > 0.8
    adapted = methods.adabn_probe(plain, lamps.target)
    assert right(plain, lamps.target) < 0.65 < 0.8 < right(adapted, lamps.target)
    # The camera is the same, only the dark pictures are missing: nothing was to be mended.
    assert right(plain, lamps.one_sided) > 0.8
    assert right(methods.adabn_probe(plain, lamps.one_sided), lamps.one_sided) < 0.65


def small_with(encoder: methods.RenormalisedEncoder) -> ImageEncoder:
    """Return a plain encoder that has these statistics as its own."""
    network = encoder.base.renormalised_network(encoder.statistics)
    return ImageEncoder("trained", PIXELS, key="trained", network=lambda: network, dim=6, flip=False)


def test_the_adapted_probe_says_what_it_is(lamps) -> None:
    probe = methods.linear_probe(small(), lamps.task)
    kept = methods.adabn_probe(probe, lamps.target)
    assert kept.head is probe.head and kept.encoder.base is probe.encoder
    assert kept.name == "probe, AdaBN" and kept.parameters_trained == 2 * (4 + 6)
    assert kept.seconds["fit"] > 0 and (kept.train_size, kept.task_name) == (80, "lamps")
    again = methods.adabn_probe(probe, lamps.target, lamps.task, name="both renewed")
    assert again.head is not probe.head and again.name == "both renewed"
    source = methods.adabn(small(), lamps.task.train)
    assert again.encoder.base.key == source.key, "source examples go through the source's statistics"
    refit = methods.linear_probe(source, lamps.task)
    assert np.allclose(again.head.weights, refit.head.weights)
    assert right(again, lamps.target) > 0.8
    x = again.head.predict_proba(again.encoder.encode(lamps.target))
    assert np.array_equal(x, again.predict_proba(lamps.target))
    assert not isinstance(probe.encoder, methods.RenormalisedEncoder)


def test_labels_are_not_read(lamps) -> None:
    swapped = replace(lamps.target, y=1 - lamps.target.y)
    probe = methods.linear_probe(small(), lamps.task)
    honest, told = (
        methods.adabn_probe(probe, t).predict_proba(lamps.target) for t in (lamps.target, swapped)
    )
    assert np.array_equal(honest, told)
    with pytest.warns(UserWarning, match="labels are not used"):
        methods.adabn(small(), (lamps.target.x, lamps.target.y))


def test_few_pictures_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="statistics of 3 pictures are guesses") as told:
        methods.adabn(small(), pictures(3))
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        methods.adabn(small(), pictures(3), prior=16)


def test_the_packaged_network_folds_the_new_statistics() -> None:
    x = np.random.default_rng(0).integers(0, 256, (18, 32, 32, 1)).astype(np.uint8)
    adapted = methods.adabn(encoders.imagenet(pixels=64), x)
    features = adapted.encode(x, cache=False)
    unfolded = np.asarray(adapted.model(resized(x, 64), training=False))
    assert np.allclose(features, unfolded, atol=1e-2 * np.abs(unfolded).max())
    names = [f"{part.layer}_bn" for part in efficientnet_lite.convolutions()]
    assert list(adapted.statistics) == names and len(names) == 49


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: methods.adabn(small(), pictures(0)), "no picture"),
        (lambda: methods.adabn(small(), pictures(20).astype(float)), "expected .n, height"),
        (lambda: methods.adabn(small(), np.full((20, 8, 8, 3), np.nan)), "NaN cannot be pictures"),
        (lambda: methods.adabn(small(), pictures(20), prior=-1), "prior=-1"),
        (lambda: methods.adabn(small(), pictures(20), most=0), "most=0"),
        (lambda: methods.adabn(small(norms=False), pictures(20)), "small has no BatchNorm layer"),
        (lambda: methods.adabn("imagenet", pictures(20)), "is no image encoder"),
    ],
)
def test_what_has_no_statistics(call, said) -> None:
    with pytest.raises(BadInput, match=said):
        call()


def test_what_is_no_probe_on_pictures(lamps, blobs) -> None:
    with pytest.raises(BadInput, match="largest class has no frozen image encoder"):
        methods.adabn_probe(methods.majority(lamps.task), lamps.target)
    with pytest.raises(BadInput, match="no frozen image encoder"):
        methods.adabn_probe(methods.linear_probe(blobs.encoder, blobs.task), lamps.target)
    probe = methods.linear_probe(small(), lamps.task)
    with pytest.raises(BadInput, match="renewed statistics already"):
        methods.adabn_probe(methods.adabn_probe(probe, lamps.target), lamps.target)
