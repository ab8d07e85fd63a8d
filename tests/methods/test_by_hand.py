"""Optimisers by hand against Keras to the last digit, and two linear layers against Keras's gradients."""

from types import SimpleNamespace

import numpy as np
import pytest

from course_lib.errors import BadInput
from course_lib.frameworks import quiet_tensorflow
from course_lib.methods.by_hand import keras_path, train_two_layers
from course_lib.methods.probe import LinearHead


@pytest.fixture
def problem():
    """Softmax regression with 100 batches."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 12)).astype(np.float32), rng.integers(4, size=200)
    batches = [rng.integers(200, size=16) for _ in range(100)]
    return SimpleNamespace(x=x, y=y, batches=batches, start=rng.normal(size=(12, 4)) / 10)


@pytest.fixture
def optimizers():
    quiet_tensorflow()
    import keras

    return keras.optimizers


def gradients(p):
    """Return the function from weights and rows to the gradient."""
    x, onehot = p.x.astype(np.float64), np.eye(4)[p.y]

    def gradient(w, rows):
        odds = np.exp(x[rows] @ w)
        return x[rows].T @ (odds / odds.sum(axis=1, keepdims=True) - onehot[rows]) / len(rows)

    return gradient


def single(value):
    """A number as Keras keeps it: rounded to 32 bits."""
    return float(np.float32(value))


def momentum_path(p, rate, beta):
    gradient, w, v, path = gradients(p), p.start, 0, []
    for rows in p.batches:
        v = beta * v - rate * gradient(w, rows)
        w = w + v
        path.append(w)
    return np.array(path)


def adam_path(p, rate, b1=0.9, b2=0.999, epsilon=1e-7, *, powers=None, inside=0.0, corrected=True):
    gradient, w, m, v, path = gradients(p), p.start, 0, 0, []
    p1, p2 = powers or (b1, b2)
    for t, rows in enumerate(p.batches, start=1):
        g = gradient(w, rows)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        scale = np.sqrt(1 - p2**t) / (1 - p1**t) if corrected else 1
        w = w - rate * scale * m / (np.sqrt(v + inside) + epsilon)
        path.append(w)
    return np.array(path)


def apart(a, b):
    return np.abs(a - b).max()


def test_gradient_descent_is_keras_to_the_last_digit(problem, optimizers):
    p = problem
    theirs = keras_path(optimizers.SGD(0.1), p.start, p.x, p.y, p.batches)
    assert theirs.shape == (100, 12, 4) and theirs.dtype == np.float64
    assert apart(momentum_path(p, single(0.1), 0), theirs) < 1e-13
    assert 1e-11 < apart(momentum_path(p, 0.1, 0), theirs) < 1e-6, "Keras rounds its rate to 32 bits"
    assert apart(momentum_path(p, 0.11, 0), theirs) > 1e-3


def test_momentum_is_keras_to_the_last_digit(problem, optimizers):
    p = problem
    theirs = keras_path(optimizers.SGD(0.1, momentum=0.9), p.start, p.x, p.y, p.batches)
    assert apart(momentum_path(p, single(0.1), single(0.9)), theirs) < 1e-13
    assert apart(momentum_path(p, 0.1, 0.9), theirs) < 1e-6
    assert apart(momentum_path(p, 0.1 * (1 - 0.9), 0.9), theirs) > 1e-2, "the averaged form is another method"


def test_adam_is_keras_to_the_last_digit(problem, optimizers):
    p = problem
    theirs = keras_path(optimizers.Adam(0.001), p.start, p.x, p.y, p.batches)
    kept = single(0.9), single(0.999)  # in the powers of the bias correction alone
    assert apart(adam_path(p, single(0.001), powers=kept), theirs) < 1e-13
    assert apart(adam_path(p, 0.001), theirs) < 1e-6
    assert apart(adam_path(p, 0.001, corrected=False), theirs) > 1e-3


def test_where_epsilon_stands_is_told_apart(problem, optimizers):
    p = problem
    theirs = keras_path(optimizers.Adam(0.001, epsilon=0.01), p.start, p.x, p.y, p.batches)
    kept = single(0.9), single(0.999)
    ours = adam_path(p, single(0.001), epsilon=0.01, powers=kept)
    inside = adam_path(p, single(0.001), epsilon=0, inside=0.01, powers=kept)
    assert apart(ours, theirs) < 1e-8 < 1e-4 < apart(inside, theirs)


def test_single_precision_stays_near(problem, optimizers):
    p = problem
    theirs = keras_path(optimizers.SGD(0.1), p.start, p.x, p.y, p.batches, dtype="float32")
    assert theirs.dtype == np.float32
    assert 1e-9 < apart(momentum_path(p, single(0.1), 0), theirs) < 1e-5


def test_an_optimiser_that_has_trained_is_refused(problem, optimizers):
    p, used = problem, optimizers.SGD(0.1)
    keras_path(used, p.start, p.x, p.y, p.batches[:1])
    with pytest.raises(BadInput, match="has trained before"):
        keras_path(used, p.start, p.x, p.y, p.batches[:1])


def test_start_of_another_width(problem, optimizers):
    p = problem
    with pytest.raises(BadInput, match=r"shape \(5, 4\), the features have 12"):
        keras_path(optimizers.SGD(0.1), p.start[:5], p.x, p.y, p.batches)


@pytest.fixture
def head():
    rng = np.random.default_rng(1)
    return LinearHead(rng.normal(size=(12, 4)).astype(np.float32), np.zeros(4, np.float32))


def test_two_layers_are_what_keras_trains(problem, optimizers, head):
    import keras

    p, x, y = problem, problem.x[:8], problem.y[:8]  # fewer examples than features
    early = keras.layers.Dense(12, use_bias=False, kernel_initializer="identity")
    last = keras.layers.Dense(4)
    model = keras.Sequential([keras.Input((12,)), early, last])
    last.set_weights([head.weights, head.bias])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizers.SGD(0.05), loss)
    losses = [float(model.train_on_batch(x, y)) for _ in range(20)]
    ours = train_two_layers(x, y, head, rate=0.05, steps=20)
    np.testing.assert_allclose(ours.early, early.get_weights()[0], atol=1e-5)
    np.testing.assert_allclose(ours.head.weights, last.get_weights()[0], atol=1e-5)
    np.testing.assert_allclose(ours.head.bias, last.get_weights()[1], atol=1e-5)
    assert ours.losses[0] == pytest.approx(losses[0], abs=1e-5)
    assert ours.moved == pytest.approx(np.linalg.norm(early.get_weights()[0] - np.eye(12)), abs=1e-4)
    said = model.predict(p.x, verbose=0).argmax(axis=1)
    assert (ours.predict(p.x) == said).mean() > 0.99


def test_a_frozen_early_layer_stays_and_a_slow_one_moves_less(problem, head):
    moved = [
        train_two_layers(problem.x, problem.y, head, rate=0.05, steps=20, early_rate=rate).moved
        for rate in (0, 0.1, 1)
    ]
    assert moved[0] == 0
    assert 0 < moved[1] < moved[2] / 3


def test_the_given_head_is_not_changed(problem, head):
    before = head.weights.copy()
    train_two_layers(problem.x, problem.y, head, rate=0.1, steps=3)
    np.testing.assert_array_equal(head.weights, before)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_too_large_a_rate_says_so(problem, head):
    with pytest.raises(BadInput, match=r"steps the loss is nan[\s\S]*Lower the rate"):
        train_two_layers(problem.x, problem.y, head, rate=1e4, steps=200)


def test_a_head_for_other_features(problem, head):
    with pytest.raises(BadInput, match=r"\(12, 4\) for 7 features"):
        train_two_layers(problem.x[:, :7], problem.y, head, rate=0.1, steps=1)
