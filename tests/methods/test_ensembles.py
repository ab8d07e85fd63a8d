"""Ensembles: the mean of probabilities, at the sum of the prices."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import measure, methods
from course_lib.errors import BadInput
from tests.methods.conftest import make_task


class Columns:
    """An encoder that sees a part of the columns; `key` makes two of them one."""

    def __init__(self, first: int, last: int, key: str = "") -> None:
        self.name, self.dim, self.columns, self.key = f"{first} to {last}", last - first, (first, last), key

    def encode(self, data):
        return np.asarray(getattr(data, "x", data), np.float32)[:, slice(*self.columns)]


@pytest.fixture
def members(blobs):
    return [methods.linear_probe(Columns(*ends), blobs.task) for ends in ((0, 4), (4, 7), (7, 10))]


def test_it_is_the_weighted_mean_of_probabilities(blobs, members) -> None:
    test = blobs.task.test
    together = methods.ensemble(members, weights=[1, 2, 5])
    each = np.stack([m.predict_proba(test).astype(np.float64) for m in members])
    np.testing.assert_allclose(
        together.predict_proba(test), np.tensordot([1 / 8, 2 / 8, 5 / 8], each, 1), atol=1e-7
    )
    np.testing.assert_allclose(methods.ensemble(members).predict_proba(test), each.mean(axis=0), atol=1e-7)
    assert together.predict_proba(test).dtype == np.float32
    logits = np.log(each).mean(axis=0)  # the mean of logits, a product of experts, is another thing
    other = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(other - methods.ensemble(members).predict_proba(test)).max() > 1e-3


def test_equals_give_what_one_gives_and_a_weight_of_zero_counts_nothing(blobs, members) -> None:
    test, one = blobs.task.test, members[0]
    for m in (1, 2, 3, 5):
        assert np.array_equal(methods.ensemble([one] * m).predict_proba(test), one.predict_proba(test))
    alone = methods.ensemble(members, weights=[0, 1, 0])
    assert np.array_equal(alone.predict_proba(test), members[1].predict_proba(test))


def test_members_with_errors_of_their_own_are_better_together() -> None:
    """Three views with noise of their own; and forty that guess outvote one that knows."""
    rng = np.random.default_rng(3)
    y = rng.integers(3, size=900)
    x = rng.normal(size=(900, 9)) + np.tile(1.2 * np.eye(3)[y], 3)
    task = make_task(x.astype(np.float32), y, (300, 500), 3)
    views = [methods.linear_probe(Columns(3 * k, 3 * k + 3), task) for k in range(3)]
    scores = [measure.report(view, task.test).accuracy.value for view in views]
    together = measure.report(methods.ensemble(views), task.test).accuracy.value
    assert together > max(scores) + 0.05
    outvoted = methods.ensemble([views[0], *[methods.majority(task)] * 40])
    assert measure.report(outvoted, task.test).accuracy.value < scores[0] - 0.1


def test_it_costs_the_sum(blobs, members) -> None:
    together = methods.ensemble(members)
    assert together.parameters_trained == sum(m.parameters_trained for m in members)
    for what in ("fit", "features"):
        assert together.seconds[what] == pytest.approx(sum(m.seconds[what] for m in members))
    assert together.train_size == 300 and together.task_name == "made up"
    assert together.chosen["members"] == ["probe"] * 3
    same = [methods.linear_probe(Columns(0, 4, "shared"), blobs.task) for _ in range(2)]
    same[0].seconds["features"], same[1].seconds["features"] = 2.0, 3.0
    both = methods.ensemble([*same, members[1]])
    assert both.seconds["features"] == pytest.approx(3.0 + members[1].seconds["features"])


def test_what_cannot_answer_together(blobs, lopsided, encoder, members) -> None:
    with pytest.raises(BadInput, match="no classifier"):
        methods.ensemble([])
    other = methods.linear_probe(encoder, lopsided)
    with pytest.raises(BadInput, match="tells class 0, class 1, class 2 apart, probe class 0, class 1"):
        methods.ensemble([members[0], other])
    for weights in ([1, 2], [1, -1, 1], [0, 0, 0], [1, np.nan, 1]):
        with pytest.raises(BadInput, match="3 numbers, none negative"):
            methods.ensemble(members, weights=weights)
