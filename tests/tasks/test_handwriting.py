"""Digits: counts, a split by writer that can be recomputed, altered files."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import datasets
from sklearn.neighbors import KNeighborsClassifier

from course_lib import tasks
from course_lib.errors import BadInput, Corrupt
from course_lib.tasks import handwriting


def parts(task: tasks.Task) -> list[tasks.Split]:
    return [task.train, task.validation, task.test]


def test_counts_pictures_and_labels_are_the_published_ones() -> None:
    task, found = tasks.digits(), datasets.load_digits()
    assert [len(split) for split in parts(task)] == [1029, 258, 510]
    x, y = (np.concatenate([getattr(split, name) for split in parts(task)]) for name in ("x", "y"))
    assert np.array_equal(y, found.target)
    assert x.shape == (1797, 8, 8, 1) and x.dtype == np.uint8 and x.max() == 255
    assert np.abs(x[..., 0] / 255 - found.images / 16).max() < 0.002
    assert all(min(split.counts.values()) > 20 for split in parts(task))


def test_every_form_lies_in_one_split() -> None:
    said = "".join(map(str, datasets.load_digits().target))
    starts = [found.start() for found in re.finditer("0123456789012345", said)]
    assert [*starts, len(said)] == list(handwriting.FORMS)
    split_of = np.repeat([0, 1, 2], [len(split) for split in parts(tasks.digits())])
    for first, last in zip(starts, [*starts[1:], len(said)], strict=True):
        assert len(set(split_of[first:last].tolist())) == 1


def test_splitting_by_writer_is_harder_than_splitting_by_picture() -> None:
    task = tasks.digits()
    x, y = (np.concatenate([getattr(split, name) for split in parts(task)]) for name in ("x", "y"))
    x = x.reshape(len(x), -1)
    order = np.random.default_rng(0).permutation(len(y))
    scores = []
    for rows in (np.arange(len(y)), order):
        nearest = KNeighborsClassifier(1).fit(x[rows[:1029]], y[rows[:1029]])
        scores.append(nearest.score(x[rows[-510:]], y[rows[-510:]]))
    assert scores[0] == pytest.approx(0.95, abs=0.01)
    assert scores[1] > scores[0] + 0.02


def test_subsets() -> None:
    task = tasks.digits(train=40)
    assert len(task.train) == 40 and set(task.train.counts.values()) == {4}
    assert set(task.train.ids) <= set(tasks.digits(train=80).train.ids)
    with pytest.raises(BadInput, match="Ask for at most 1,029"):
        tasks.digits(train=5000)


def test_an_altered_file_is_refused(monkeypatch) -> None:
    found = datasets.load_digits()
    other = found.target.copy()
    other[7] = 3
    monkeypatch.setattr(datasets, "load_digits", lambda: SimpleNamespace(images=found.images, target=other))
    with pytest.raises(Corrupt, match="force-reinstall scikit-learn"):
        handwriting._read()


def test_in_the_catalogue() -> None:
    assert tasks.available("digits") and tasks.status("digits").state == "here"
    assert tasks.load("digits", train=20).train.counts["7"] == 2
    assert tasks.first_available("digits") == "digits"
