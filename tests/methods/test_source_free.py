"""SHOT's labels and loss by hand, what it may move, and where it must not help."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from course_lib import methods
from course_lib.errors import BadInput
from course_lib.methods import source_free as module


@pytest.fixture
def source(drift) -> methods.FeatureClassifier:
    return methods.source_mlp(drift.encoder, drift.task, hidden=16)


def by_loops(features: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The authors' procedure, written out one centroid at a time, with scipy's cosine distance."""
    g = np.array([np.append(f, 1.0) / np.sqrt(np.dot(f, f) + 1) for f in features])
    guess = p.argmax(axis=1)
    used = [c for c in range(p.shape[1]) if (guess == c).any()]
    centroids = [sum(p[i, c] * g[i] for i in range(len(g))) / p[:, c].sum() for c in used]
    nearest = np.array(used)[cdist(g, centroids, "cosine").argmin(axis=1)]
    kept = [c for c in used if (nearest == c).any()]
    centroids = [g[nearest == c].mean(axis=0) for c in kept]
    return np.array(kept)[cdist(g, centroids, "cosine").argmin(axis=1)]


@pytest.mark.parametrize("missing", [None, 2])
def test_centroids_by_loops(missing) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(5, size=300)
    features = np.maximum(rng.normal(size=(5, 8))[y] + 0.6 * rng.normal(size=(300, 8)), 0)
    logits = 2 * np.eye(5)[y] + 1.5 * rng.normal(size=(300, 5))
    if missing is not None:
        logits[:, missing] = -9
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = module.centroid_labels(features, p)
    assert np.array_equal(found, by_loops(features, p))
    assert (found == y).mean() > (p.argmax(axis=1) == y).mean(), "neighbours know more than one answer alone"
    assert missing is None or missing not in found


def test_the_loss_by_hand() -> None:
    import tensorflow as tf

    logits = np.random.default_rng(1).normal(size=(9, 4))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    mean = p.mean(axis=0)
    for weight in (0.0, 0.5, 1.0):
        expected = -(p * np.log(p)).sum(axis=1).mean() + weight * (mean * np.log(mean)).sum()
        assert float(module.information_loss(tf.constant(logits), weight)) == pytest.approx(
            expected, abs=1e-6
        )
    sure = 50 * np.eye(4)
    assert float(module.information_loss(tf.constant(sure), 1.0)) == pytest.approx(-np.log(4), abs=1e-6)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_last_layer_stays(drift, batch_norm) -> None:
    source = methods.source_mlp(drift.encoder, drift.task, hidden=16, batch_norm=batch_norm)
    before = {n: a.copy() for n, a in source.head.arrays().items()}
    target = drift.target(shift=1)
    adapted = methods.shot(source, target)
    after = adapted.head.arrays()
    stayed = {n for n in before if np.array_equal(before[n], after[n])}
    assert stayed == {"mean", "scale", "out_kernel", "out_bias"}
    assert adapted.parameters_trained == source.head.parameters - 3 * 17
    assert all(np.array_equal(a, before[n]) for n, a in source.head.arrays().items())
    if batch_norm:
        a = adapted.head.before_norm(target.x)
        assert np.allclose(adapted.head.norm.mean, a.mean(axis=0), atol=1e-4)
    again = methods.shot(source, target)
    assert all(np.array_equal(a, after[n]) for n, a in again.head.arrays().items())
    assert not np.array_equal(methods.shot(source, target, seed=1).head.kernel, adapted.head.kernel)


def test_it_helps_where_the_clouds_turned(drift, source) -> None:
    target = drift.target(turn=50)
    statistics = drift.score(methods.tent(source, target, steps=0), target)
    found = drift.score(methods.shot(source, target, learning_rate=1e-3), target)
    assert found > drift.score(source, target) + 0.05 and found > statistics + 0.02


def test_it_harms_where_a_class_is_missing(drift, source) -> None:
    """Diversity fills the class that is not there; the guard cannot see it, and the score does."""
    target = drift.target(shift=0.3, shares=[0.5, 0.5, 0.0])
    adapted = methods.shot(source, target)
    assert drift.score(adapted, target) < drift.score(source, target) - 0.05
    assert adapted.chosen["collapsed"] is False
    assert (adapted.predict(target) == 2).mean() > (source.predict(target) == 2).mean()


def test_it_does_not_help_where_classes_changed_places(drift, source) -> None:
    target = drift.target(shift=0.3)
    swapped = replace(target, y=(target.y + 1) % 3)
    assert drift.score(methods.shot(source, swapped), swapped) < 0.1


def test_without_diversity_it_collapses_and_the_source_answers(drift) -> None:
    unsure = methods.source_mlp(drift.encoder, drift.doubtful, hidden=16, steps=60, batch_norm=False)
    fog = drift.fog
    with pytest.warns(UserWarning, match="SHOT: predictions on the target collapsed"):
        adapted = methods.shot(unsure, fog, diversity=0, pseudo=0, learning_rate=0.01, epochs=30)
    assert np.array_equal(adapted.predict_proba(fog), unsure.predict_proba(fog))
    assert adapted.chosen["collapsed"] is True and adapted.parameters_trained == 0
    assert adapted.chosen["classes_after"] < 1.1 < adapted.chosen["classes_before"]
    assert adapted.name != unsure.name == "MLP"


def test_what_cannot_be_adapted(drift, source) -> None:
    target = drift.target()
    with pytest.raises(BadInput, match="largest class is no small network"):
        methods.shot(methods.majority(drift.task), target)
    with pytest.raises(BadInput, match="source has 10 features and the target 4"):
        methods.shot(source, target.x[:, :4])
    with pytest.raises(BadInput, match="NaN"):
        methods.shot(source, np.full((30, 10), np.inf))
    for settings in ({"epochs": 0}, {"diversity": -1.0}, {"pseudo": np.nan}, {"learning_rate": 0.0}):
        with pytest.raises(BadInput, match=next(iter(settings))):
            methods.shot(source, target, **settings)
    with pytest.warns(UserWarning, match="The target has 3 samples"):
        few = methods.shot(source, target.x[:3], epochs=1)
    assert np.isfinite(few.predict_proba(target)).all()
    with pytest.warns(UserWarning, match="labels are not used"):
        methods.shot(source, (target.x, target.y), epochs=1)
