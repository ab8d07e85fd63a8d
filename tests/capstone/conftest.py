"""Data for projects, made here out of packaged ones."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import tasks


@pytest.fixture(scope="session")
def digits():
    """Pictures and labels of four digits, 60 of each."""
    task = tasks.some_classes(tasks.digits(), ("0", "1", "4", "7"))
    x = np.concatenate([task.train.x, task.test.x])
    y = np.concatenate([task.train.y, task.test.y])
    rows = np.concatenate([np.flatnonzero(y == c)[:60] for c in range(4)])
    return x[rows], y[rows], ("zero", "one", "four", "seven")


@pytest.fixture(scope="session")
def sentences():
    """English sentences of three topics, with their labels in words."""
    task = tasks.topics("en")
    counts = task.train.counts
    kept = sorted(counts, key=counts.get)[-3:]
    names = np.array(task.class_names)[task.train.y]
    rows = np.concatenate([np.flatnonzero(names == name)[:120] for name in kept])
    return task.train.x[rows].tolist(), names[rows].tolist()
