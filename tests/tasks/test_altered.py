"""Tasks without colour, without sense, and without some of their classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from course_lib import tasks
from course_lib.errors import BadInput

PARTS = ("train", "validation", "test")


def coloured() -> tasks.Task:
    """Digits, each channel a random picture."""
    task, rng = tasks.digits(), np.random.default_rng(0)
    parts = {}
    for name in PARTS:
        split = getattr(task, name)
        parts[name] = replace(split, x=rng.integers(0, 256, (len(split), 8, 8, 3)).astype(np.uint8))
    return replace(task, **parts)


def test_grey_is_what_pillow_makes_of_it() -> None:
    task = coloured()
    found = tasks.grey(task)
    for name in PARTS:
        split, before = getattr(found, name), getattr(task, name)
        assert split.x.shape == (*before.x.shape[:3], 1) and split.x.dtype == np.uint8
        assert np.array_equal(split.y, before.y) and np.array_equal(split.ids, before.ids)
    theirs = np.asarray(Image.fromarray(task.test.x[3]).convert("L"))
    assert np.abs(found.test.x[3, ..., 0].astype(int) - theirs).max() <= 1
    assert found.name == "digits, grey"


def test_grey_leaves_grey_alone_and_refuses_what_is_no_picture() -> None:
    task = tasks.digits()
    assert tasks.grey(task) is task
    flat = {name: replace(getattr(task, name), x=getattr(task, name).x.reshape(-1, 64)) for name in PARTS}
    with pytest.raises(BadInput, match=r"expected pictures \(height, width, 1 or 3\)"):
        tasks.grey(replace(task, **flat))


def test_shrunk_is_what_pillow_makes_of_it() -> None:
    task = coloured()
    found = tasks.shrunk(task)
    for name in PARTS:
        split, before = getattr(found, name), getattr(task, name)
        assert split.x.shape == (len(before), 4, 4, 3) and split.x.dtype == np.uint8
        assert np.array_equal(split.y, before.y) and np.array_equal(split.ids, before.ids)
    theirs = np.asarray(Image.fromarray(task.test.x[3]).reduce(2))
    assert np.abs(found.test.x[3].astype(int) - theirs).max() <= 1
    assert found.name == "digits, 2 times smaller"
    for by in (0, 3, 16):
        with pytest.raises(BadInput, match=rf"8 × 8 pixels; they cannot be made {by} times smaller"):
            tasks.shrunk(task, by)


def test_shuffled_labels_keep_their_shares_and_lose_their_sense() -> None:
    task = tasks.digits()
    found = tasks.shuffled_labels(task, seed=1)
    for name in PARTS[:2]:
        split, before = getattr(found, name), getattr(task, name)
        assert split.counts == before.counts
        assert 0.03 < (split.y == before.y).mean() < 0.2
        assert np.array_equal(split.x, before.x)
    assert found.test is task.test
    again, other = (tasks.shuffled_labels(task, seed=s) for s in (1, 2))
    assert np.array_equal(again.train.y, found.train.y)
    assert not np.array_equal(other.train.y, found.train.y)


def test_some_classes_keep_their_pictures_and_take_new_numbers() -> None:
    task = tasks.digits()
    found = tasks.some_classes(task, ("7", "2"))
    assert found.class_names == found.test.class_names == ("7", "2") and found.classes == 2
    for name in PARTS:
        split, before = getattr(found, name), getattr(task, name)
        rows = np.flatnonzero((before.y == 7) | (before.y == 2))
        assert np.array_equal(split.x, before.x[rows]) and np.array_equal(split.ids, before.ids[rows])
        assert np.array_equal(split.y == 0, before.y[rows] == 7)
        assert split.y.dtype == before.y.dtype
    assert task.classes == 10


@pytest.mark.parametrize("names", [("2", "x"), ("2", "2"), ("2",), ()])
def test_some_classes_refuses_what_is_no_choice(names: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match=r"expected two or more different ones of digits"):
        tasks.some_classes(tasks.digits(), names)
