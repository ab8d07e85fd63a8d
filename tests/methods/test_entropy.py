"""TENT against its gradient by hand, what it may move, and where it must not help."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from course_lib import methods
from course_lib.errors import BadInput
from course_lib.methods import entropy as module
from course_lib.methods.loop import batches


@pytest.fixture
def source(drift) -> methods.FeatureClassifier:
    return methods.source_mlp(drift.encoder, drift.task, hidden=16)


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def entropy_and_slope(logits: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean entropy and its gradient: -p_j (log p_j + H) / n, worked out on paper."""
    p = softmax(logits)
    each = -(p * np.log(p)).sum(axis=1, keepdims=True)
    return float(each.mean()), -p * (np.log(p) + each) / len(p)


def test_entropy_and_its_gradient() -> None:
    import tensorflow as tf

    logits = np.random.default_rng(0).normal(size=(7, 4)) * 2
    given = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(given)
        value = module.mean_entropy(given)
    entropy, slope = entropy_and_slope(logits)
    assert float(value) == pytest.approx(entropy)
    assert np.allclose(tape.gradient(value, given), slope)
    assert float(module.mean_entropy(tf.zeros((2, 5)))) == pytest.approx(np.log(5))


def test_adam_on_two_vectors_by_hand(drift, source) -> None:
    x = drift.target(shift=1).x[:120]
    steps, size, rate = 12, 50, 0.02
    found = methods.tent(source, x, steps=steps, batch_size=size, learning_rate=rate, seed=3).head
    start = source.head
    a = ((x - start.mean) / start.scale).astype(np.float64) @ start.kernel + start.bias
    u = (a - a.mean(axis=0)) / np.sqrt(a.var(axis=0) + 1e-3)
    own = [start.norm.gamma.astype(np.float64), start.norm.beta.astype(np.float64)]
    first, second = [np.zeros(16) for _ in own], [np.zeros(16) for _ in own]
    for step, rows in enumerate(batches(120, size, steps, np.random.default_rng([3, 1])), start=1):
        pre = own[0] * u[rows] + own[1]
        _, slope = entropy_and_slope(np.maximum(pre, 0) @ start.out_kernel + start.out_bias)
        below = slope @ start.out_kernel.T * (pre > 0)
        for i, gradient in enumerate(((below * u[rows]).sum(axis=0), below.sum(axis=0))):
            first[i] = 0.9 * first[i] + 0.1 * gradient
            second[i] = 0.999 * second[i] + 0.001 * gradient**2
            own[i] = own[i] - rate * (first[i] / (1 - 0.9**step)) / (
                np.sqrt(second[i] / (1 - 0.999**step)) + 1e-7
            )
    assert np.allclose(found.norm.gamma, own[0], atol=2e-3)
    assert np.allclose(found.norm.beta, own[1], atol=2e-3)
    assert np.abs(found.norm.gamma - start.norm.gamma).max() > 0.05


def test_only_gamma_and_beta_move(drift, source) -> None:
    x = drift.target(shift=1).x
    before = {n: a.copy() for n, a in source.head.arrays().items()}
    adapted = methods.tent(source, x)
    after = adapted.head.arrays()
    assert {n for n in before if not np.array_equal(before[n], after[n])} == {
        "norm/mean",
        "norm/variance",
        "norm/gamma",
        "norm/beta",
    }
    control = methods.tent(source, x, steps=0)
    by_hand = source.head.on(x)
    assert np.array_equal(control.predict_proba(x), by_hand.predict_proba(x))
    assert np.array_equal(after["norm/mean"], by_hand.norm.mean), "statistics are those of the target"
    assert (adapted.parameters_trained, control.parameters_trained) == (32, 0)
    assert (adapted.name, control.name) == ("MLP, TENT", "MLP, AdaBN")
    entropies = [entropy_and_slope(c.head.logits(x).astype(np.float64))[0] for c in (control, adapted)]
    assert entropies[1] < entropies[0]
    for n, a in source.head.arrays().items():
        assert np.array_equal(a, before[n]), "the source's network was changed"
    again = methods.tent(source, x)
    assert all(np.array_equal(a, after[n]) for n, a in again.head.arrays().items())


def test_it_helps_where_everything_moved(drift, source) -> None:
    target = drift.target(shift=1)
    adapted = methods.tent(source, target)
    assert drift.score(adapted, target) > drift.score(source, target) + 0.05
    assert adapted.chosen["collapsed"] is False


def test_labels_are_not_read(drift, source) -> None:
    target = drift.target(shift=1)
    told = replace(target, y=(target.y + 1) % 3)
    honest = methods.tent(source, target)
    assert np.array_equal(methods.tent(source, told).head.norm.gamma, honest.head.norm.gamma)
    with pytest.warns(UserWarning, match="labels are not used"):
        pair = methods.tent(source, (target.x, target.y))
    assert np.array_equal(pair.head.norm.gamma, honest.head.norm.gamma)


def test_it_does_not_help_where_classes_changed_places(drift, source) -> None:
    target = drift.target(shift=0.3)
    swapped = replace(target, y=(target.y + 1) % 3)
    assert drift.score(methods.tent(source, swapped), swapped) < 0.1


def test_a_collapse_is_seen_and_the_source_answers(drift) -> None:
    unsure = methods.source_mlp(drift.encoder, drift.doubtful, hidden=16, steps=60, batch_norm=True)
    fog = drift.fog
    with pytest.warns(UserWarning, match=r"TENT: predictions on the target collapsed from [23]\.\d to 1\.0"):
        adapted = methods.tent(unsure, fog, steps=400, learning_rate=0.01)
    assert np.array_equal(adapted.predict_proba(fog), unsure.predict_proba(fog))
    assert adapted.chosen["collapsed"] is True and adapted.parameters_trained == 0
    assert adapted.chosen["classes_after"] < adapted.chosen["classes_before"] / 2
    assert adapted.name != unsure.name == "MLP"


def test_what_cannot_be_adapted(drift, source) -> None:
    x = drift.target().x
    plain = methods.source_mlp(drift.encoder, drift.task, hidden=16, batch_norm=False, steps=1)
    with pytest.raises(BadInput, match="MLP has no BatchNorm"):
        methods.tent(plain, x)
    with pytest.raises(BadInput, match="probe is no small network"):
        methods.tent(methods.linear_probe(drift.encoder, drift.task), x)
    with pytest.raises(BadInput, match="source has 10 features and the target 4"):
        methods.tent(source, x[:, :4])
    with pytest.raises(BadInput, match="target features hold NaN"):
        methods.tent(source, np.full((30, 10), np.nan))
    with pytest.raises(BadInput, match="1 row of target"):
        methods.tent(source, x[:1])
    with pytest.raises(BadInput, match="steps=-1"):
        methods.tent(source, x, steps=-1)
    with pytest.warns(UserWarning, match="The target has 3 samples"):
        few = methods.tent(source, x[:3], steps=2)
    assert np.isfinite(few.predict_proba(x)).all()
