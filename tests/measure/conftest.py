"""Predictions of made-up methods, good and bad."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib.tasks.task import Split


class Fixed:
    """A method that answers what it was told to."""

    def __init__(self, name: str, answers: np.ndarray) -> None:
        self.name = name
        self.answers = answers

    def predict(self, data: object) -> np.ndarray:
        return self.answers


@pytest.fixture
def split() -> Split:
    """Five hundred examples of four classes, unequally frequent."""
    y = np.random.default_rng(0).choice(4, 500, p=[0.5, 0.3, 0.15, 0.05])
    ids = np.array([str(i) for i in range(500)])
    return Split(np.zeros((500, 1)), y, ("a", "b", "c", "d"), "made up/test", "made up", ids)


@pytest.fixture
def fixed():
    """Return a method that is right with the given probability, and independently so for each seed."""

    def make(split: Split, right: float, seed: int, name: str = "fixed") -> Fixed:
        rng = np.random.default_rng(seed)
        wrong = (split.y + rng.integers(1, len(split.class_names), len(split))) % len(split.class_names)
        return Fixed(name, np.where(rng.random(len(split)) < right, split.y, wrong))

    return make


@pytest.fixture
def told():
    """Return a method that gives the very answers it is told."""
    return Fixed
