"""When answers have collapsed."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib.methods import guard


def test_classes_in_use() -> None:
    assert guard.effective_classes(np.arange(12) % 4, 9) == pytest.approx(4)
    shares = np.array([0.7, 0.2, 0.1])
    found = guard.effective_classes(np.repeat([0, 1, 2], (shares * 100).astype(int)), 3)
    assert found == pytest.approx(np.exp(-np.sum(shares * np.log(shares))))
    assert guard.effective_classes(np.zeros(5, int), 3) == 1


@pytest.mark.parametrize(
    ("before", "after", "fell"),
    [
        (2.0, 1.0, True),
        (2.0, 1.6, False),
        (10.0, 5.6, False),
        (10.0, 5.4, True),
        (1.0, 1.0, False),
        (1.2, 2.0, False),
    ],
)
def test_where_the_line_is(before, after, fell) -> None:
    assert guard.collapsed(before, after) is fell
