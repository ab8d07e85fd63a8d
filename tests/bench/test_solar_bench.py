"""The solar cells' bench on known answers: test labels steer nothing, done splits are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from course_lib import tasks
from course_lib.bench import solar, solar_recipe
from course_lib.bench.solar_recipe import Cells, Settings


def made_up(x: np.ndarray, y: np.ndarray) -> tuple[Cells, tasks.Task]:
    """Return features and a task of one kind whose labels are `y`."""
    real = tasks.solar_cells("mono", split="cells")
    names = np.array([f"mono/cell{row}" for row in range(len(y))])
    order = np.random.default_rng(5).permutation(len(y))
    parts = {
        name: replace(getattr(real, name), x=np.zeros((len(rows), 1)), y=y[rows], ids=names[rows])
        for name, rows in zip(("train", "validation", "test"), np.array_split(order, 3), strict=True)
    }
    task = replace(real, **parts)
    cells = object.__new__(Cells)
    cells.cells = replace(task.train, x=np.zeros((len(y), 1)), y=y, ids=names)
    cells.rows = {name: row for row, name in enumerate(names.tolist())}
    cells.plain, cells.covariances = x.astype(np.float32), (x.astype(np.float32),)
    return cells, task


def accuracy(cells: Cells, task: tasks.Task, scores: np.ndarray) -> float:
    return float(np.mean((scores > 0) == task.test.y))


def test_the_kernel_machine_sees_what_no_straight_line_does() -> None:
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (300, 2)) + 0.2 * rng.standard_normal((300, 2))
    cells, task = made_up(x, (x.prod(axis=1) > 0).astype(np.int64))
    assert accuracy(cells, task, solar_recipe.kernel_scores(cells, task)) > 0.97
    assert accuracy(cells, task, solar_recipe.probe_scores(cells, task)) < 0.8


def test_test_labels_steer_nothing() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((300, 5)), rng.integers(0, 2, 300)
    cells, task = made_up(x, y)
    test = cells.of(task.test)
    other = y.copy()
    other[test] = 1 - other[test]
    turned, same_task = made_up(x, other)
    for scores in (solar_recipe.kernel_scores, solar_recipe.probe_scores):
        assert np.array_equal(scores(cells, task), scores(turned, same_task))


@pytest.fixture(scope="module")
def few() -> Cells:
    whole = tasks.solar_cells(split="cells")
    cells = solar_recipe.together((whole.train, whole.validation, whole.test), "some").sample(150)
    return Cells(cells, Settings().quick)


def test_test_labels_do_not_steer_the_network_either(few) -> None:
    task = tasks.solar_cells(split="cells", seed=1)
    test = few.of(task.test)
    before = solar_recipe.tuned_scores(few, task, test, seed=0)
    y = np.array(few.cells.y)
    y[test] = 1 - y[test]
    turned = object.__new__(Cells)
    turned.__dict__.update(few.__dict__, cells=replace(few.cells, y=y))
    after = solar_recipe.tuned_scores(turned, task, test, seed=0)
    assert np.allclose(before, after, atol=1e-6)
    assert (np.abs(before) <= 1).all()
    assert np.ptp(before) > 1e-3  # one epoch at 64 px says little, but not nothing
    y = np.array(few.cells.y)
    seen = few.of(task.train)
    y[seen] = 1 - y[seen]
    turned.__dict__.update(cells=replace(few.cells, y=y))
    assert not np.allclose(before, solar_recipe.tuned_scores(turned, task, test, seed=0), atol=0.1)


def test_every_cell_is_in_the_splits_once(few) -> None:
    task = tasks.solar_cells(split="cells", seed=1)
    rows = few.of(task.train, task.validation, task.test)
    assert sorted(rows) == list(range(150))
    kinds = [solar_recipe.of_kind(task, kind) for kind in ("mono", "poly")]
    assert sum(len(few.of(part.test)) for part in kinds) == len(few.of(task.test))


def test_done_splits_are_kept_for_the_same_settings_only(tmp_path) -> None:
    path = tmp_path / "bench" / "solar.jsonl"
    solar._Kept(path, Settings()).add("cells 0", {"seconds": 1.0})
    assert solar._Kept(path, Settings()).known == {"cells 0": {"seconds": 1.0}}
    assert solar._Kept(path, Settings(pixels=128)).known == {}
    assert solar._Kept(None, Settings()).known == {}


def test_the_figure_is_the_kernel_machines_mean_with_all_methods_beside_it() -> None:
    def run(kernel: float, tuned: float) -> dict:
        found = {"plain probe": 0.5, "kernel machine": kernel, "fine-tuned": tuned, "both": 0.6, "test": 20}
        return {"mono": found, "seconds": 3.0}

    figure = solar._figure("mono", [run(0.7, 0.9), run(0.9, 0.9)], "cell by cell")
    assert figure.accuracy == pytest.approx(0.8)
    assert figure.rival_accuracy == pytest.approx(0.5)
    assert "90.3%" in figure.goal
    assert "kernel machine 80.0% ± 20.0," in figure.note  # 2 · (0.2 / √2) / √2
    assert "best: fine-tuned" in figure.note
    assert solar._figure("mono", [run(0.7, 0.9)], "by module").goal == ""
