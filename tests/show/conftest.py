"""Small splits and reports to draw."""

from types import SimpleNamespace

import numpy as np
import pytest

from course_lib.tasks.task import Split


@pytest.fixture
def split():
    rng = np.random.default_rng(0)
    n = 24
    return Split(
        x=rng.integers(0, 256, (n, 16, 16, 3)).astype(np.uint8),
        y=np.arange(n) % 2,
        class_names=("cat", "dog"),
        name="pets/test",
        domain="noise",
        ids=np.array([str(k) for k in range(n)]),
    )


@pytest.fixture
def make_report():
    def make(confusion, names, method="probe"):
        counts = np.array(confusion)
        recall = np.diag(counts) / counts.sum(axis=1)
        return SimpleNamespace(method=method, class_names=tuple(names), confusion=counts, recall=recall)

    return make
