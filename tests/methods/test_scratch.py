"""The control from scratch: it learns, repeats, counts its parameters, and is not left short of steps."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from course_lib import methods
from course_lib.errors import BadInput
from course_lib.methods import scratch
from course_lib.tasks.task import Split, Task

pytestmark = pytest.mark.usefixtures("trained_each_time")

ROUNDS = 10  # enough to learn stripes


def stripes(n: int, seed: int, name: str, size: int = 32, channels: int = 3) -> Split:
    """Noisy pictures of horizontal (0), vertical (1) and no (2) stripes."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    wave = 40 * np.sign(np.sin(np.arange(size)[None] * 1.5 * 32 / size + rng.uniform(0, 6, (n, 1))))
    x = rng.normal(128, 40, (n, size, size, channels))
    x[y == 0] += wave[y == 0][:, :, None, None]
    x[y == 1] += wave[y == 1][:, None, :, None]
    ids = np.array([f"{name}{i}" for i in range(n)])
    return Split(np.clip(x, 0, 255).astype(np.uint8), y, ("lying", "standing", "none"), name, "made up", ids)


def striped_task(n: int = 90, size: int = 32, channels: int = 3) -> Task:
    """Stripes to train on."""
    parts = (
        stripes(k, i, name, size, channels)
        for i, (k, name) in enumerate([(n, "train"), (60, "validation"), (150, "test")])
    )
    train, validation, test = parts
    return Task("stripes", train, validation, test, train.class_names, "made up", "CC0", "none")


@pytest.fixture(scope="module")
def task() -> Task:
    return striped_task()


@pytest.fixture(scope="module")
def fitted(task) -> scratch.ScratchClassifier:
    return methods.scratch_cnn(task, seed=1, epochs=ROUNDS)


def test_learns_what_can_be_learnt(task, fitted) -> None:
    assert (fitted.predict(task.test) == task.test.y).mean() > 0.9
    p = fitted.predict_proba(task.test)
    assert p.shape == (150, 3) and np.allclose(p.sum(axis=1), 1, atol=1e-5)
    shuffled = replace(task, train=replace(task.train, y=np.random.default_rng(0).permutation(task.train.y)))
    lost = methods.scratch_cnn(shuffled, seed=1, epochs=3)
    assert (lost.predict(task.test) == task.test.y).mean() < 0.7, "labels that mean nothing teach nothing"


def test_same_seed_same_bits_and_another_seed_another_network(task, fitted) -> None:
    methods.scratch_cnn(task, seed=2, epochs=1)  # something else in between, on the shared network
    keras.utils.set_random_seed(99)  # and a global seed that must not matter
    again = methods.scratch_cnn(task, seed=1, epochs=ROUNDS)
    assert all(np.array_equal(a, b) for a, b in zip(fitted.weights, again.weights, strict=True))
    other = methods.scratch_cnn(task, seed=2, epochs=1)
    assert not np.array_equal(fitted.weights[0], other.weights[0])


def test_classifiers_on_the_shared_network_keep_their_own_weights(task, fitted) -> None:
    before = fitted.predict_proba(task.test)
    other = methods.scratch_cnn(task, seed=3, epochs=1)
    assert not np.array_equal(other.predict_proba(task.test), before)
    assert np.array_equal(fitted.predict_proba(task.test), before)


def test_it_is_the_network_of_the_guides() -> None:
    assert scratch._network((32, 32, 3), 10, 0).count_params() == 122_570


def test_parameters_and_costs_are_counted(task, fitted) -> None:
    assert fitted.parameters_trained == scratch._network((32, 32, 3), 3, 0).count_params()
    assert fitted.seconds["fit"] > 0 and fitted.seconds["features"] == 0


def test_few_labels_get_forty_steps_a_round_and_the_best_round_is_kept(task, fitted) -> None:
    assert fitted.chosen["steps"] == fitted.chosen["round"] * scratch.FEWEST_STEPS
    assert fitted.chosen["rounds"] == min(fitted.chosen["round"] + scratch.PATIENCE, ROUNDS)
    best = methods.scratch_cnn(task, seed=1, epochs=fitted.chosen["round"])
    assert all(np.array_equal(a, b) for a, b in zip(fitted.weights, best.weights, strict=True))


def test_the_first_step_is_adam_on_the_mean_log_loss(task) -> None:
    """One step from the same weights, by Keras' own optimiser and loss."""
    rows = np.arange(16)
    shop = scratch._Workshop((32, 32, 3), 3)
    shop._train_round(task.train.x, task.train.y.astype(np.int32), rows[None].astype(np.int32))
    model = scratch._network((32, 32, 3), 3, 0)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.train_on_batch(task.train.x[rows].astype(np.float32), task.train.y[rows])
    for ours, theirs in zip(shop.model.get_weights(), model.get_weights(), strict=True):
        assert np.abs(ours - theirs).max() < 1e-4  # Adam's first step is 1e-3 for every weight


def test_no_new_graph_for_another_subset(task, fitted) -> None:
    shop = fitted._workshop
    before = shop._train_round.experimental_get_tracing_count()
    for n in (12, 60):
        methods.scratch_cnn(task.subset(n), epochs=1)
    assert shop._train_round.experimental_get_tracing_count() == before == 1


def test_test_split_is_not_used(task) -> None:
    blind = replace(task, test=task.test.take([]))
    with_test, without = (methods.scratch_cnn(t, epochs=1, seed=5) for t in (task, blind))
    assert all(np.array_equal(a, b) for a, b in zip(with_test.weights, without.weights, strict=True))


def test_large_grey_pictures_shrink_antialiased_and_stay_grey() -> None:
    task = striped_task(30, size=96, channels=1)
    small = methods.scratch_cnn(task, epochs=1)
    assert small._workshop.shape == (48, 48, 1)
    lines = np.zeros((1, 96, 96, 1), np.uint8)
    lines[:, :, ::4] = 252  # every fourth column: a quarter of the light
    shrunk = scratch._resized(lines, (24, 24, 1))
    assert shrunk.dtype == np.uint8 and np.abs(shrunk[0, :, 2:-2].astype(float) - 63).max() < 8
    assert tf.image.resize(lines, (24, 24)).numpy().max() == 0, "plain sampling loses the lines"
    assert methods.scratch_cnn(task, epochs=1, pixels=32)._workshop.shape == (32, 32, 1)


def test_bad_input(task, blobs) -> None:
    with pytest.raises(BadInput, match="takes pictures"):
        methods.scratch_cnn(blobs.task)
    with pytest.raises(BadInput, match="need 18"):
        methods.scratch_cnn(task, pixels=8)
    with pytest.raises(BadInput, match="validation set is empty"):
        methods.scratch_cnn(replace(task, validation=task.validation.take([])))
    with pytest.raises(BadInput, match="two classes"):
        methods.scratch_cnn(replace(task, train=task.train.take(task.train.y == 1)))
    with pytest.raises(BadInput, match="epochs=0"):
        methods.scratch_cnn(task, epochs=0)
    with pytest.raises(BadInput, match="same number of channels"):
        methods.scratch_cnn(task, epochs=1).predict(task.test.x[..., :1])


def test_batches_go_through_every_row_before_any_comes_twice() -> None:
    rows = scratch._batches(10, 4, np.random.default_rng(0)).ravel()
    assert all(sorted(rows[i : i + 10]) == list(range(10)) for i in range(0, 40, 10))
    assert scratch._batches(100, 7, np.random.default_rng(0)).shape == (7, 32)
