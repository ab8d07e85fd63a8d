"""The probe against scikit-learn, against its own gradient, and against bad input."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from course_lib import methods
from course_lib.errors import BadInput
from course_lib.methods.probe import fit_probe


def sklearn_probabilities(x, y, x_new, c, **kw):
    x, x_new = x.astype(np.float64), x_new.astype(np.float64)
    mean, scale = x.mean(axis=0), cautious_scale(x)
    model = LogisticRegression(C=c, tol=1e-10, max_iter=20_000, **kw).fit((x - mean) / scale, y)
    return model.predict_proba((x_new - mean) / scale)


def cautious_scale(x):
    """The spread of each column after ten made-up examples of the mean spread were added."""
    spread = np.array([np.mean((column - column.mean()) ** 2) for column in x.T])
    return np.array([((len(x) * s + 10 * spread.mean()) / (len(x) + 10)) ** 0.5 for s in spread])


def test_few_examples_do_not_drown_in_columns_of_chance() -> None:
    """With six examples, columns whose spread is tiny by chance must not be blown up."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 3)
    noise = rng.normal(size=(500, 100)) * 0.05
    x = np.concatenate([rng.normal(size=(6, 100)) * 0.05, y[:, None] * 5.0], axis=1)
    new = np.concatenate([noise, rng.integers(0, 2, (500, 1)) * 5.0], axis=1)
    head = fit_probe(x, y, x, y, strengths=[1.0]).head
    right = head.predict_proba(new).argmax(axis=1) == (new[:, -1] > 0)
    scaled = LogisticRegression(C=1.0).fit((x - x.mean(0)) / x.std(0), y)
    naive = scaled.predict((new - x.mean(0)) / x.std(0)) == (new[:, -1] > 0)
    assert right.mean() > 0.95 > naive.mean()


def few(task):
    """The task with forty labels, where the strength matters."""
    return replace(task, train=task.train.take(np.arange(40)))


@pytest.mark.parametrize("strength", [1000.0, 10.0, 0.1])
@pytest.mark.parametrize("weight", [None, "balanced"])
def test_equals_scikit_learn(blobs, strength, weight) -> None:
    train, test = blobs.task.train, blobs.task.test
    keep = np.flatnonzero((train.y != 2) | (np.arange(len(train)) % 4 == 0))  # class 2 is rare
    x, y = train.x[keep], train.y[keep]
    ours = fit_probe(x, y, test.x, test.y, strengths=[strength], class_weight=weight).head
    theirs = sklearn_probabilities(x, y, test.x, 1 / strength, class_weight=weight)
    assert np.abs(ours.predict_proba(test.x) - theirs).max() < 1e-3
    other = sklearn_probabilities(x, y, test.x, 3 / strength, class_weight=weight)
    assert np.abs(ours.predict_proba(test.x) - other).max() > 1e-3, "the check must tell strengths apart"


def test_more_features_than_examples_equals_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 200)).astype(np.float32), np.arange(40) % 4
    x += 0.5 * rng.normal(size=(4, 200)).astype(np.float32)[y]
    new = rng.normal(size=(50, 200)).astype(np.float32)
    ours = fit_probe(x, y, x, y, strengths=[20.0]).head.predict_proba(new)
    assert np.abs(ours - sklearn_probabilities(x, y, new, 1 / 20.0)).max() < 1e-3


def test_two_classes_equal_scikit_learn_at_half_the_strength(blobs) -> None:
    rows = np.flatnonzero(blobs.y < 2)
    x, y = blobs.x[rows], blobs.y[rows]
    ours = fit_probe(x[:200], y[:200], x[200:], y[200:], strengths=[10.0]).head.predict_proba(x[200:])
    assert np.abs(ours - sklearn_probabilities(x[:200], y[:200], x[200:], 2 / 10.0)).max() < 1e-3


def test_gradient_vanishes_at_the_optimum(blobs) -> None:
    """Independent of any solver: d/dW = Zᵀ(P - Y) + λW and d/db = Σ(P - Y), in float64."""
    x, y = blobs.task.train.x.astype(np.float64), blobs.task.train.y
    head = fit_probe(x, y, x, y, strengths=[5.0]).head
    scale = cautious_scale(x)
    z, w = (x - x.mean(axis=0)) / scale, head.weights * scale[:, None]
    logits = x @ head.weights.astype(np.float64) + head.bias
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    residual = p - np.eye(3)[y]
    assert np.abs(residual.sum(axis=0)).max() < 0.03  # of 300 examples
    assert np.abs(z.T @ residual + 5.0 * w).max() < 0.03
    assert np.abs(z.T @ residual).max() > 1, "without its penalty the gradient must not vanish"


def test_the_lowest_validation_loss_is_chosen(blobs) -> None:
    task = few(blobs.task)
    strengths = [3000.0, 300.0, 30.0, 3.0, 0.3]
    chosen = methods.linear_probe(blobs.encoder, task, strengths=strengths).chosen["strength"]
    losses = {
        s: log_loss(
            task.validation.y, sklearn_probabilities(task.train.x, task.train.y, task.validation.x, 1 / s)
        )
        for s in strengths
    }
    assert chosen == min(losses, key=losses.__getitem__)
    assert chosen not in (strengths[0], strengths[-1]), "a choice at the edge would prove little"


def test_the_path_stops_after_the_loss_has_risen(blobs) -> None:
    path = methods.linear_probe(blobs.encoder, few(blobs.task)).chosen_path
    losses = [step["log_loss"] for step in path]
    assert losses[-1] > losses[-2] == min(losses)
    assert [s["strength"] for s in path] == sorted((s["strength"] for s in path), reverse=True)
    assert len(path) < len(methods.probe.STRENGTHS)


def test_ties_go_to_the_stronger_regularisation() -> None:
    x, y = (
        np.zeros((8, 3), np.float32),
        np.array([0, 1] * 4),
    )  # features that say nothing: every strength is alike
    assert fit_probe(x, y, x, y, strengths=[1.0, 100.0, 10.0]).strength == 100.0


def test_the_test_split_is_never_touched(blobs) -> None:
    task = blobs.task
    with_test = methods.linear_probe(blobs.encoder, task)
    assert blobs.encoder.seen == ["train", "validation"]
    wrong = replace(task, test=replace(task.test, y=(task.test.y + 1) % 3))
    assert np.array_equal(methods.linear_probe(blobs.encoder, wrong).head.weights, with_test.head.weights)
    moved = replace(task, validation=replace(task.validation, y=(task.validation.y + 1) % 3))
    assert methods.linear_probe(blobs.encoder, moved).chosen != with_test.chosen, "validation does choose"


def test_repeats_exactly_and_changes_no_input(blobs) -> None:
    before = blobs.x.copy(), blobs.y.copy()
    x, x_val = blobs.x[:300], blobs.x[300:400]
    one, two = (fit_probe(x, blobs.y[:300], x_val, blobs.y[300:400]) for _ in range(2))
    assert np.array_equal(one.head.weights, two.head.weights)
    assert np.array_equal(blobs.x, before[0]) and np.array_equal(blobs.y, before[1])


def test_constant_columns_weigh_nothing(blobs) -> None:
    head = methods.linear_probe(blobs.encoder, blobs.task).head
    assert np.isfinite(head.weights).all()
    assert np.abs(head.weights[4]).max() < 1e-4 < np.abs(np.delete(head.weights, 4, axis=0)).max()


def test_a_class_without_training_examples_is_never_said(blobs) -> None:
    rows = np.flatnonzero(blobs.task.train.y != 1)
    task = replace(blobs.task, train=blobs.task.train.take(rows))
    p = methods.linear_probe(blobs.encoder, task).predict_proba(task.test)
    assert p.shape == (200, 3) and p[:, 1].max() == 0 and np.allclose(p.sum(axis=1), 1, atol=1e-5)


def test_balanced_finds_more_of_the_rare_class(blobs) -> None:
    train = blobs.task.train
    keep = np.flatnonzero((train.y != 2) | (np.arange(len(train)) % 8 == 0))
    task = replace(blobs.task, train=train.take(keep))
    rare = task.test.take(task.test.y == 2)
    plain, balanced = (methods.linear_probe(blobs.encoder, task, class_weight=w) for w in (None, "balanced"))
    assert (balanced.predict(rare) == 2).mean() > (plain.predict(rare) == 2).mean() + 0.05


def test_classifier_takes_a_split_or_its_examples_and_counts_itself(blobs) -> None:
    probe = methods.linear_probe(blobs.encoder, blobs.task)
    assert np.array_equal(probe.predict(blobs.task.test), probe.predict(blobs.task.test.x))
    assert probe.parameters_trained == 10 * 3 + 3
    assert probe.seconds["fit"] > 0 and probe.train_size == 300 and probe.task_name == "made up"
    assert probe.predict_proba(np.empty((0, 10))).shape == (0, 3)


def test_feature_seconds_come_from_the_encoder_when_it_remembers_them(blobs) -> None:
    blobs.encoder.last = SimpleNamespace(seconds_each=0.5)
    assert methods.linear_probe(blobs.encoder, blobs.task).seconds["features"] == 0.5 * 400


def test_bad_input_is_named(blobs) -> None:
    x, y, x_val, y_val = blobs.x[:300].copy(), blobs.y[:300], blobs.x[300:400], blobs.y[300:400]
    x[[17, 203], 2] = np.nan, np.inf
    with pytest.raises(BadInput, match=r"2 of 300 rows .* rows 17, 203(?s:.*)What to do"):
        fit_probe(x, y, x_val, y_val)
    x = blobs.x[:300]
    with pytest.raises(BadInput, match="validation features hold NaN"):
        fit_probe(x, y, np.full_like(x_val, np.nan), y_val)
    with pytest.raises(BadInput, match="All 300 training labels are of class 1"):
        fit_probe(x, np.ones(300, int), x_val, y_val)
    with pytest.raises(BadInput, match="validation set is empty"):
        fit_probe(x, y, x_val[:0], y_val[:0])
    with pytest.raises(BadInput, match="training set is empty"):
        fit_probe(x[:0], y[:0], x_val, y_val)
    with pytest.raises(BadInput, match="10 columns, validation features 9"):
        fit_probe(x, y, x_val[:, :9], y_val)
    with pytest.raises(BadInput, match="299 labels"):
        fit_probe(x, y[:299], x_val, y_val)
    with pytest.raises(BadInput, match="expected positive numbers"):
        fit_probe(x, y, x_val, y_val, strengths=[0.0])
    with pytest.raises(BadInput, match="class_weight"):
        fit_probe(x, y, x_val, y_val, class_weight="fair")
    with pytest.raises(BadInput, match="3 positive numbers"):
        fit_probe(x, y, x_val, y_val, class_weight=[1.0, 2.0])
    with pytest.raises(BadInput, match="integers"):
        fit_probe(x, y.astype(float), x_val, y_val)
