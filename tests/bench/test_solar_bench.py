"""The solar cells' bench: its kernel machine on known answers; that it runs is tested with the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from course_lib import tasks
from course_lib.bench import solar


def cells_of(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> tuple[solar.Features, tasks.Task]:
    """Return features and a task whose labels are `y`, in the place of real cells."""
    real = tasks.solar_cells("mono", split="cells")
    order = rng.permutation(len(y))
    parts = {}
    for name, rows in zip(("train", "validation", "test"), np.array_split(order, 3), strict=True):
        ids = np.array([f"cell{row}" for row in rows])
        parts[name] = replace(getattr(real, name), x=np.zeros((len(rows), 1)), y=y[rows], ids=ids)
    task = replace(real, **parts)
    whole = solar._together(task)
    order = np.array([int(name[4:]) for name in whole.ids])
    return solar.Features(whole, x[order].astype(np.float32)), task


def test_the_kernel_machine_sees_what_no_straight_line_does() -> None:
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (300, 2)) + 0.2 * rng.standard_normal((300, 2))
    features, task = cells_of(rng, x, (x.prod(axis=1) > 0).astype(np.int64))
    assert solar.machine_accuracy(features, task) > 0.97
    assert solar._probe_accuracy(features, task) < 0.8


def test_test_labels_steer_nothing() -> None:
    """With labels that say nothing, the score stays near what the larger class gives."""
    rng = np.random.default_rng(1)
    features, task = cells_of(rng, rng.standard_normal((300, 5)), rng.integers(0, 2, 300))
    assert solar.machine_accuracy(features, task) < 0.65


def test_squared_distances() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((4, 6)), rng.standard_normal((3, 6))
    by_hand = ((a[:, None] - b[None]) ** 2).mean(axis=2) / 2
    assert np.allclose(solar._half_squares(a, b), by_hand)
