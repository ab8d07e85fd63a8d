"""Small tasks and an encoder without a framework."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from course_lib.tasks.task import Split, Task


@pytest.fixture
def trained_each_time(monkeypatch) -> None:
    """Nothing is found that was trained before: what repeats, repeats because it is trained again."""
    from course_lib.methods import scratch

    monkeypatch.setattr(scratch, "once", lambda *given: given[-1]())


class Pass:
    """An encoder whose features are the examples themselves; it notes what it was given."""

    name = "pass"

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.seen: list[str] = []

    def encode(self, data: Any) -> np.ndarray:
        if isinstance(data, Split):
            self.seen.append(data.name)
            return np.asarray(data.x, np.float32)
        return np.asarray(data, np.float32)


def make_task(x: np.ndarray, y: np.ndarray, cuts: tuple[int, int], classes: int) -> Task:
    """Cut arrays into a task: train up to the first cut, validation up to the second."""
    names = tuple(f"class {c}" for c in range(classes))

    def split(low: int, high: int, name: str) -> Split:
        ids = np.array([str(i) for i in range(low, high)])
        return Split(x[low:high], y[low:high], names, name, "made up", ids)

    a, b = cuts
    parts = split(0, a, "train"), split(a, b, "validation"), split(b, len(y), "test")
    return Task("made up", *parts, names, "made up", "CC0", "none")


@pytest.fixture
def blobs() -> SimpleNamespace:
    """Three overlapping clouds in ten correlated dimensions, one of them constant."""
    rng = np.random.default_rng(7)
    y = rng.integers(3, size=600)
    mix = rng.normal(size=(10, 10))
    x = (rng.normal(size=(600, 10)) + 0.45 * rng.normal(size=(3, 10))[y]) @ mix + 5
    x[:, 4] = 0.1
    x = x.astype(np.float32)
    return SimpleNamespace(task=make_task(x, y, (300, 400), 3), x=x, y=y, encoder=Pass(10))


@pytest.fixture
def lopsided() -> Task:
    """Two overlapping clouds, a tenth of the examples in class 1."""
    rng = np.random.default_rng(0)
    y = (rng.random(3000) < 0.1).astype(int)
    x = rng.normal(size=(3000, 4)) + 1.2 * y[:, None]
    return make_task(x, y, (1000, 2000), 2)


@pytest.fixture
def encoder() -> Pass:
    """For `lopsided`."""
    return Pass(4)


@pytest.fixture
def drift() -> SimpleNamespace:
    """Three clouds in ten dimensions and a target whose clouds have moved: `target` makes one of any kind.

    `score` is the share right on what `target` gave; `doubtful` the same task under noise, and `fog` a target
    that lies between all its classes: what minimising entropy collapses on.
    """

    def world(n: int, seed: int, shares: list[float] | None = None) -> tuple[np.ndarray, np.ndarray]:
        rng, centres = np.random.default_rng(seed), np.random.default_rng(99).normal(size=(3, 10)) * 1.3
        y = rng.choice(3, size=n, p=shares)
        return (centres[y] + rng.normal(size=(n, 10))).astype(np.float32), y

    def target(shift: float = 0.0, turn: float = 0.0, shares: list[float] | None = None) -> Split:
        x, y = world(600, 2, shares)
        cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        x = x @ np.kron(np.eye(5), [[cos, -sin], [sin, cos]]) + shift * direction
        return make_task(x.astype(np.float32), y, (598, 599), 3).train.take(np.arange(598), "target")

    def score(classifier: Any, split: Split) -> float:
        return float((classifier.predict(split) == split.y).mean())

    direction = np.random.default_rng(5).normal(size=10)
    x, y = world(700, 1)
    rng = np.random.default_rng(0)
    noisy = (x + 3 * rng.normal(size=x.shape)).astype(np.float32)
    return SimpleNamespace(
        task=make_task(x, y, (400, 550), 3),
        doubtful=make_task(noisy, y, (400, 550), 3),
        fog=(0.3 * rng.normal(size=(600, 10)) + x.mean(axis=0)).astype(np.float32),
        encoder=Pass(10),
        target=target,
        score=score,
    )
