"""The small CNN carried over: it begins where the source ended, and is the control in everything else."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from course_lib import measure, methods, tasks
from course_lib.errors import BadInput
from course_lib.methods import scratch
from tests.methods.test_scratch import striped_task

pytestmark = pytest.mark.usefixtures("trained_each_time")


@pytest.fixture(scope="module")
def task() -> tasks.Task:
    return striped_task(60)


@pytest.fixture(scope="module")
def source(task) -> scratch.ScratchClassifier:
    return methods.source_cnn(task, rounds=2, seed=3, name="stripes")


def test_a_source_is_trained_for_its_rounds_and_keeps_the_last_weights(task, source) -> None:
    assert source.chosen == {"round": 2, "steps": 2 * scratch.FEWEST_STEPS, "rounds": 2}
    model = scratch._network((32, 32, 3), 3, 3)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(3)
    for _ in range(2):
        for rows in scratch._batches(60, scratch.FEWEST_STEPS, rng):
            model.train_on_batch(task.train.x[rows].astype(np.float32), task.train.y[rows])
    for ours, theirs in zip(source.weights, model.get_weights(), strict=True):
        assert np.abs(ours - theirs).max() < 0.01


def test_validation_does_not_steer_a_source(task, source) -> None:
    senseless = tasks.shuffled_labels(task)
    other = tasks.Task(**{**vars(task), "validation": senseless.validation})
    again = methods.source_cnn(other, rounds=2, seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(again.weights, source.weights, strict=True))


def test_carried_layers_begin_where_the_source_ended(task, source, monkeypatch) -> None:
    begun = []
    step = scratch._Workshop.train

    def look(shop, *given):
        begun.append(given[5])
        return step(shop, *given)

    monkeypatch.setattr(scratch._Workshop, "train", look)
    for layers in (1, 4):
        methods.carried_cnn(source, task, layers=layers, epochs=1)
        assert len(begun[-1]) == 2 * layers
        assert all(a is b for a, b in zip(begun[-1], source.weights, strict=False))


def test_with_nothing_learnt_it_is_the_control(task, source) -> None:
    """A source of the control's own first weights changes nothing: only the beginning differs."""
    shop = source._workshop
    blank = scratch._network((32, 32, 3), 3, 5).get_weights()
    nothing = scratch.ScratchClassifier("blank", task, shop, blank, {"fit": 0.0}, {})
    carried = methods.carried_cnn(nothing, task, seed=5, epochs=2)
    control = methods.scratch_cnn(task, seed=5, epochs=2)
    assert all(np.array_equal(a, b) for a, b in zip(carried.weights, control.weights, strict=True))
    assert carried.chosen == control.chosen and carried.name == "carried over"


def test_another_task_gets_a_new_last_layer_and_its_own_size_of_pictures(source) -> None:
    target = striped_task(30, size=48)
    parts = {name: _four(getattr(target, name)) for name in ("train", "validation", "test")}
    target = tasks.Task(**{**vars(target), **parts, "class_names": parts["test"].class_names})
    found = methods.carried_cnn(source, target, epochs=2)
    assert found.shape == source.shape and found.predict_proba(target.test).shape[1] == 4
    assert measure.report(found, target.test).n == len(target.test)


def _four(split: tasks.Split) -> tasks.Split:
    """Return the split with a fourth class that has no examples."""
    return tasks.Split(split.x, split.y, (*split.class_names, "dots"), split.name, split.domain, split.ids)


def test_features_are_what_the_last_layer_reads(task, source) -> None:
    encoder = methods.cnn_encoder(source)
    x = encoder.encode(task.test)
    assert x.shape == (150, 64) == (len(task.test), encoder.dim) and x.min() >= 0
    kernel, bias = source.weights[-2:]
    logits = x @ kernel + bias
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    assert np.abs(encoder.source_probabilities(task.test) - p).max() < 1e-4
    assert encoder.name == "stripes" and encoder.last.computed == 150
    again = encoder.encode(task.test.x[5:8])
    assert np.array_equal(again, x[5:8]) and encoder.last.from_cache
    assert encoder.encode(task.test.x[:0]).shape == (0, 64)
    assert methods.cnn_encoder(source, "other").name == "other"


def test_colour_is_taken_away_or_made_up_for_the_encoder(task, source) -> None:
    grey = tasks.grey(task)
    made_up = np.repeat(grey.test.x, 3, axis=3)
    encoder = methods.cnn_encoder(source)
    assert np.array_equal(encoder.encode(grey.test), encoder.encode(made_up))
    colourless = methods.cnn_encoder(methods.source_cnn(grey, rounds=1))
    assert np.array_equal(colourless.encode(task.test), colourless.encode(grey.test))
    assert np.array_equal(
        colourless.source_probabilities(task.test), colourless.source_probabilities(grey.test)
    )


def test_a_probe_and_scores_take_the_encoder(task, source) -> None:
    encoder = methods.cnn_encoder(source)
    probe = methods.linear_probe(encoder, task)
    assert measure.report(probe, task.test).accuracy.value > 0.6
    scores = measure.transferability(encoder, task.train)
    senseless = measure.transferability(encoder, tasks.shuffled_labels(task).train)
    assert scores.leep is not None and scores.leep > senseless.leep and scores.log_me > senseless.log_me


def test_bad_input(task, source) -> None:
    for layers in (0, 5):
        with pytest.raises(BadInput, match=f"layers={layers}; expected 1 to 4"):
            methods.carried_cnn(source, task, layers=layers)
    with pytest.raises(BadInput, match="same number of channels"):
        methods.carried_cnn(source, tasks.grey(task))
    with pytest.raises(BadInput, match="epochs=0"):
        methods.source_cnn(task, rounds=0)
