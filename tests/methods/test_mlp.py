"""The small network on features, its loop, and what it cannot be trained on."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from course_lib import methods
from course_lib.errors import BadInput, Diverged
from course_lib.methods import descent, mlp


@pytest.fixture
def source(drift) -> methods.FeatureClassifier:
    return methods.source_mlp(drift.encoder, drift.task, hidden=16)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_numpy_predicts_what_keras_does(drift, batch_norm) -> None:
    fitted = methods.source_mlp(drift.encoder, drift.task, hidden=16, batch_norm=batch_norm, steps=40)
    head, x = fitted.head, drift.task.test.x
    network = descent.Network(10, 16, batch_norm, 3)
    network.put(head)
    z = (x - head.mean) / head.scale
    logits = network.last(network.hidden(network.first(z), training=False))
    assert np.allclose(head.logits(x), np.asarray(logits), atol=1e-4)
    assert (
        head.parameters == sum(int(np.prod(v.shape)) for v in network.variables) == fitted.parameters_trained
    )
    assert np.allclose(head.predict_proba(x).sum(axis=1), 1, atol=1e-5)


def test_it_learns_and_repeats_exactly(drift, source) -> None:
    assert np.mean(source.predict(drift.task.test) == drift.task.test.y) > 0.9
    assert set(drift.encoder.seen) == {"train", "validation", "test"}
    drift.encoder.seen.clear()
    before = drift.task.train.x.copy()
    again, other = (methods.source_mlp(drift.encoder, drift.task, hidden=16, seed=s) for s in (0, 1))
    assert set(drift.encoder.seen) == {"train", "validation"}, "the test set was looked at"
    assert np.array_equal(drift.task.train.x, before)
    same = [np.array_equal(again.head.arrays()[n], a) for n, a in source.head.arrays().items()]
    assert all(same) and not np.array_equal(other.head.kernel, source.head.kernel)
    copied = pickle.loads(pickle.dumps(source))
    assert np.array_equal(copied.predict_proba(drift.task.test), again.predict_proba(drift.task.test))


def test_validation_chooses_in_the_second_half(source) -> None:
    later = [p for p in source.chosen_path if p["round"] > 10]
    assert (
        len(source.chosen_path) == 20
        and source.chosen["round"] == min(later, key=lambda p: p["log_loss"])["round"]
    )


def test_the_first_step_is_adams_on_the_smoothed_loss(drift) -> None:
    """Adam's first step is the rate times the gradient's sign, here that of the last layer's bias."""
    task = drift.task
    one = methods.source_mlp(
        drift.encoder, task, hidden=16, batch_norm=False, steps=1, batch_size=400, learning_rate=0.01
    ).head
    rng = np.random.default_rng([0, 0])
    kernel, last = descent.glorot(rng, 10, 16), descent.glorot(rng, 16, 3)
    z = (task.train.x - one.mean) / one.scale
    hidden = np.maximum(z @ kernel, 0).astype(np.float64)
    logits = hidden @ last
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    error = p - (0.9 * np.eye(3)[task.train.y] + 0.1 / 3)
    assert np.allclose(one.out_bias, -0.01 * np.sign(error.mean(axis=0)), atol=1e-5)
    assert np.allclose(one.out_kernel - last, -0.01 * np.sign(hidden.T @ error), atol=1e-4)
    wrong = p - np.eye(3)[task.train.y]
    assert not np.allclose(one.out_bias, 0.01 * np.sign(wrong.mean(axis=0)), atol=1e-5)


def test_statistics_of_another_domain(drift, source) -> None:
    x = drift.target(shift=2).x
    moved = source.head.on(x)
    a = source.head.before_norm(x).astype(np.float64)
    assert np.allclose(moved.norm.mean, a.mean(axis=0), atol=1e-4)
    assert np.allclose(moved.norm.variance, a.var(axis=0), rtol=1e-4)
    u = moved.norm.standard(moved.before_norm(x))
    assert np.allclose(u.mean(axis=0), 0, atol=1e-4) and np.allclose(u.std(axis=0), 1, atol=1e-2)
    assert moved.norm.gamma is source.head.norm.gamma and moved.kernel is source.head.kernel


def test_a_class_without_training_examples_is_allowed(drift) -> None:
    task = drift.task
    two = replace(task, train=task.train.take(task.train.y < 2))
    fitted = methods.source_mlp(drift.encoder, two, hidden=16, steps=200)
    assert set(fitted.predict(task.test)) == {0, 1} and fitted.predict_proba(task.test).shape == (150, 3)


def test_what_cannot_be_predicted(source) -> None:
    assert source.predict_proba(np.empty((0, 10), np.float32)).shape == (0, 3)
    with pytest.raises(BadInput, match="Features of 4 columns; the network was fitted on 10"):
        source.predict_proba(np.zeros((2, 4)))
    with pytest.raises(BadInput, match="NaN"):
        source.predict_proba(np.full((2, 10), np.nan))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hidden": 0}, "hidden=0"),
        ({"steps": 0}, "steps=0"),
        ({"batch_size": 1}, "batch_size=1"),
        ({"learning_rate": -1.0}, "learning_rate=-1"),
        ({"label_smoothing": 1.0}, "label_smoothing=1"),
    ],
)
def test_settings_out_of_range(drift, settings, said) -> None:
    with pytest.raises(BadInput, match=said):
        methods.source_mlp(drift.encoder, drift.task, **settings)


def test_tasks_that_teach_nothing(drift) -> None:
    task = drift.task
    one = replace(task, train=task.train.take(task.train.y == 1))
    with pytest.raises(BadInput, match="labels are of class 1"):
        methods.source_mlp(drift.encoder, one)
    with pytest.raises(BadInput, match="validation set is empty"):
        methods.source_mlp(drift.encoder, replace(task, validation=task.validation.take(np.arange(0))))
    x = task.train.x.copy()
    x[3, 2] = np.nan
    with pytest.raises(BadInput, match="rows 3"):
        methods.source_mlp(drift.encoder, replace(task, train=replace(task.train, x=x)))
    with pytest.raises(BadInput, match="training has 10 features and the validation 4"):
        methods.source_mlp(
            drift.encoder, replace(task, validation=replace(task.validation, x=task.validation.x[:, :4]))
        )
    assert mlp.mlp_of(methods.source_mlp(drift.encoder, task, hidden=16, steps=1)).classes == 3
    with pytest.raises(BadInput, match="probe is no small network"):
        mlp.mlp_of(methods.linear_probe(drift.encoder, task))


def test_a_loss_that_runs_away_is_said(drift) -> None:
    with pytest.raises(Diverged, match="Lower learning_rate"):
        methods.source_mlp(
            drift.encoder, drift.task, hidden=16, batch_norm=False, learning_rate=1e30, steps=40
        )
