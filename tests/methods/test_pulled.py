"""Heads pulled to a source: against scikit-learn, the conditions of a minimum, and bad input."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from course_lib import methods
from course_lib.errors import BadInput
from course_lib.methods.probe import LinearHead
from course_lib.methods.pulled import pulled_head, pulled_heads


@pytest.fixture
def labelled(blobs):
    return blobs.task.train.x[:40], blobs.task.train.y[:40]


@pytest.fixture
def source():
    rng = np.random.default_rng(3)
    return LinearHead(rng.normal(size=(10, 3)).astype(np.float32), np.array([0.5, -0.5, 0.1], np.float32))


def gradient(x, y, head, toward, strength):
    """Of the published objective, written out with ``np.eye`` and a column of ones."""
    x = np.hstack([x.astype(np.float64), np.ones((len(x), 1))])
    w, w0 = (np.vstack([h.weights, h.bias]).astype(np.float64) for h in (head, toward))
    p = np.exp(x @ w - (x @ w).max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return x.T @ (p - np.eye(p.shape[1])[y]) / len(x) + strength * (w - w0)


@pytest.mark.parametrize("strength", [10.0, 0.1, 0.001])
def test_without_a_source_it_is_scikit_learns_ridge(labelled, strength):
    x, y = labelled
    zeros = LinearHead(np.zeros((10, 3), np.float32), np.zeros(3, np.float32))
    ours = pulled_head(x, y, zeros, strength)
    ones = np.hstack([x.astype(np.float64), np.ones((len(x), 1))])
    theirs = LogisticRegression(C=1 / (len(x) * strength), fit_intercept=False, tol=1e-10, max_iter=50_000)
    theirs.fit(ones, y)
    assert np.abs(ours.predict_proba(x) - theirs.predict_proba(ones)).max() < 1e-4
    other = pulled_head(x, y, zeros, 3 * strength)
    assert np.abs(other.predict_proba(x) - theirs.predict_proba(ones)).max() > 1e-3


@pytest.mark.parametrize("strength", [10.0, 0.1, 0.001])
def test_nothing_pulls_at_the_minimum(labelled, source, strength):
    x, y = labelled
    found = pulled_head(x, y, source, strength)
    assert np.abs(gradient(x, y, found, source, strength)).max() < 1e-4
    assert np.abs(gradient(x, y, source, source, strength)).max() > 1e-2


def test_many_strengths_give_what_each_gives_alone(labelled, source):
    x, y = labelled
    for strength, head in zip((10, 0.1), pulled_heads(x, y, source, [10, 0.1]), strict=True):
        alone = pulled_head(x, y, source, strength)
        np.testing.assert_allclose(head.weights, alone.weights, atol=1e-4)


def test_more_features_than_examples_move_only_where_examples_lie(source):
    x, y = np.eye(10)[:2].astype(np.float32), np.array([0, 1])
    moved = pulled_head(x, y, source, 0.01).weights - source.weights
    assert np.abs(moved[:2]).max() > 0.1
    assert np.abs(moved[2:]).max() < 1e-6


def test_a_very_strong_pull_gives_the_source_itself(labelled, source):
    found = pulled_head(*labelled, source, 1e7)
    np.testing.assert_allclose(found.weights, source.weights, atol=1e-4)
    np.testing.assert_allclose(found.bias, source.bias, atol=1e-4)


def test_a_good_source_helps_where_labels_are_few(blobs):
    whole = methods.linear_probe(blobs.encoder, blobs.task)
    few = blobs.task.subset(train=6)
    pulled = methods.pulled_probe(blobs.encoder, few, toward=whole.head)
    plain = methods.pulled_probe(blobs.encoder, few)
    test = blobs.task.test
    score = {m.name: (m.predict(test) == test.y).mean() for m in (pulled, plain)}
    assert score["L2-SP"] > score["L2"] + 0.05


def test_validation_chooses_the_strength_and_test_is_not_looked_at(blobs, source):
    model = methods.pulled_probe(blobs.encoder, blobs.task, toward=source, strengths=[0.01, 1000])
    assert [row["strength"] for row in model.chosen_path] == [1000, 0.01]
    assert model.chosen["strength"] == min(model.chosen_path, key=lambda row: row["log_loss"])["strength"]
    assert blobs.encoder.seen == ["train", "validation"]


def test_a_class_without_a_label_keeps_what_the_source_knows(blobs, source):
    rows = np.flatnonzero(blobs.task.train.y != 2)
    task = replace(blobs.task, train=blobs.task.train.take(rows))
    assert methods.pulled_probe(blobs.encoder, task, toward=source).head.weights.shape == (10, 3)


@pytest.mark.parametrize("strengths", [[], [0.0], [-1.0], [float("nan")]])
def test_strengths_that_are_not_positive(labelled, source, strengths):
    with pytest.raises(BadInput, match="expected positive numbers"):
        pulled_heads(*labelled, source, strengths)


def test_a_head_of_another_encoder(labelled):
    wrong = LinearHead(np.zeros((7, 3), np.float32), np.zeros(3, np.float32))
    with pytest.raises(BadInput, match=r"weights \(7, 3\).*expected \(10, classes\)"):
        pulled_head(*labelled, wrong, 1.0)


def test_a_head_with_fewer_classes(labelled):
    with pytest.raises(BadInput, match="labels run from 0 to 2; expected 0 to 1"):
        pulled_head(*labelled, LinearHead(np.zeros((10, 2), np.float32), np.zeros(2, np.float32)), 1.0)


def test_nothing_to_choose_on(blobs):
    task = replace(blobs.task, validation=blobs.task.validation.take(np.arange(0)))
    with pytest.raises(BadInput, match="validation set is empty"):
        methods.pulled_probe(blobs.encoder, task)
