"""Splits and tasks: disjoint, read-only, stratified, nested."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from course_lib.errors import BadInput
from course_lib.tasks import Split, Task, stratified_rows


def split(n: int, name: str = "train", start: int = 0) -> Split:
    ids = np.array([f"example{k}" for k in range(start, start + n)])
    return Split(np.zeros((n, 2, 2, 1), np.uint8), np.arange(n) % 3, ("a", "b", "c"), name, "here", ids)


def task() -> Task:
    parts = split(60), split(30, "validation", 100), split(30, "test", 200)
    return Task("made up", *parts, ("a", "b", "c"), "here", "none", "none")


def test_an_example_in_two_splits_is_refused() -> None:
    whole = task()
    with pytest.raises(BadInput, match="example0' is in train and in test"):
        replace(whole, test=split(5, "test"))


def test_arrays_are_read_only_and_the_callers_stay_writable() -> None:
    x = np.zeros((3, 2, 2, 1), np.uint8)
    made = Split(x, np.zeros(3, np.int64), ("a",), "train", "here", np.array(["1", "2", "3"]))
    with pytest.raises(ValueError, match="read-only"):
        made.x[0] = 1
    x[0] = 1
    assert x.flags.writeable


@pytest.mark.parametrize("y", [[0, 1], [0, 1, 3], [0, -1, 1]])
def test_labels_that_do_not_fit(y) -> None:
    with pytest.raises(BadInput):
        Split(np.zeros((3, 1, 1, 1)), np.array(y), ("a", "b", "c"), "s", "here", np.array(["1", "2", "3"]))


@pytest.mark.parametrize("sizes", [(50, 50), (90, 10), (7, 3, 90), (97, 1, 1, 1)])
def test_every_subset_keeps_the_shares(sizes) -> None:
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    previous: set[int] = set()
    for n in range(len(sizes), len(y) + 1):
        rows = stratified_rows(y, n, seed=3)
        assert len(set(rows.tolist())) == n
        assert previous <= set(rows.tolist())
        previous = set(rows.tolist())
        got = np.bincount(y[rows], minlength=len(sizes))
        assert (got >= 1).all()
        if n >= 20 * len(sizes):
            assert np.abs(got - n * np.array(sizes) / len(y)).max() <= len(sizes)


def test_seeds_choose_other_rows_and_repeat() -> None:
    y = np.tile([0, 1], 50)
    assert stratified_rows(y, 10, seed=1).tolist() == stratified_rows(y, 10, seed=1).tolist()
    assert set(stratified_rows(y, 10, seed=1)) != set(stratified_rows(y, 10, seed=2))


def test_too_many_and_too_few_labels() -> None:
    with pytest.raises(BadInput, match="61 labels asked for; train has 60"):
        task().subset(61)
    with pytest.raises(BadInput, match="at least 3, one per class"):
        task().subset(2)


def test_validation_shrinks_along_and_test_does_not() -> None:
    small = task().subset(40)
    assert (len(small.train), len(small.validation), len(small.test)) == (40, 10, 30)
    assert len(task().subset(6).validation) == 3
    assert len(task().subset(6, validation=20).validation) == 20
    assert set(task().subset(20).train.ids) <= set(task().subset(40).train.ids)


def test_counts_and_words() -> None:
    assert task().train.counts == {"a": 20, "b": 20, "c": 20}
    assert repr(task()) == "Task('made up': 3 classes, 60 / 30 / 30 train / validation / test, here)"
