"""Solar cells: counts, honest splits, altered packages."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from course_lib import tasks
from course_lib.errors import BadInput, Corrupt, DataUnavailable
from course_lib.tasks import solar


@pytest.fixture(scope="module")
def labels() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = [line.split() for line in (solar._folder() / "labels.csv").read_text().splitlines()]
    numbers = np.array([int(row[0][-8:-4]) for row in rows])
    return numbers, np.array([float(row[1]) for row in rows]), np.array([row[2] for row in rows])


def parts(task: tasks.Task) -> list[tasks.Split]:
    return [task.train, task.validation, task.test]


def number(split: tasks.Split) -> np.ndarray:
    return np.array([int(name[-4:]) for name in split.ids])


def test_counts_and_labels_are_the_published_ones(labels) -> None:
    numbers, chance, kind = labels
    assert len(numbers) == 2624
    total = 0
    for name in ("mono", "poly"):
        task = tasks.solar_cells(name)
        for split in parts(task):
            rows = number(split) - 1
            assert (kind[rows] == name).all()
            assert np.array_equal(split.y, (chance[rows] > 0.6).astype(int))
            assert split.x.shape[1:] == (300, 300, 1)
            total += len(split)
    assert total == 2624 - 38
    both = tasks.solar_cells()
    assert sum(len(split) for split in parts(both)) == total


def test_the_pictures_belong_to_their_labels() -> None:
    from PIL import Image

    split = tasks.solar_cells("poly").test
    for row in (0, len(split) // 2, -1):
        with Image.open(solar._folder() / "images" / f"{split.ids[row][5:]}.png") as image:
            assert np.array_equal(split.x[row, :, :, 0], np.asarray(image))


def test_no_module_lies_in_two_splits(labels) -> None:
    """Wherever the odd module of an uneven run lies, every module's cells are in one split (or left out)."""
    kind = labels[2]
    split_of = np.full(len(kind) + 1, -1)
    for k, split in enumerate(parts(tasks.solar_cells())):
        split_of[number(split)] = k
    split_of = split_of[1:]
    ends = np.flatnonzero(kind[1:] != kind[:-1]) + 1
    modules = 0
    for run in np.split(np.arange(len(kind)), ends):
        count = max(round(len(run) / 60), 1)
        modules += count
        odd = len(run) - 60 * (count - 1)
        for place in range(count):  # every place that the odd module may have
            sizes = [60] * count
            sizes[place] = odd
            for module in np.split(run, np.cumsum(sizes)[:-1]):
                assert len(set(split_of[module].tolist()) - {-1}) == 1
    assert modules == 44  # as published


def test_splits_hold_similar_shares() -> None:
    for name in ("mono", "poly"):
        task = tasks.solar_cells(name)
        total = sum(map(len, parts(task)))
        for split, share in zip(parts(task), solar.SHARES.values(), strict=True):
            assert abs(len(split) / total - share) < 0.1
            assert 0.2 < split.y.mean() < 0.45


def test_subsets() -> None:
    task = tasks.solar_cells("mono", train=40)
    assert len(task.train) == 40
    assert set(task.train.ids) <= set(tasks.solar_cells("mono", train=80).train.ids)
    with pytest.raises(BadInput, match="Ask for at most"):
        tasks.solar_cells("mono", train=5000)
    with pytest.raises(BadInput, match="mono"):
        tasks.solar_cells("amorphous")


def test_cell_by_cell_splits_are_stratified_complete_and_another_for_each_seed(labels) -> None:
    _, chance, kind = labels
    for name, total in (("mono", 1074), ("poly", 1550)):
        task = tasks.solar_cells(name, split="cells", seed=3)
        assert sum(map(len, parts(task))) == total  # none left out, and Task refuses overlaps
        for split, share in zip(parts(task), (0.64, 0.16, 0.20), strict=True):
            rows = number(split) - 1
            assert (kind[rows] == name).all()
            assert np.array_equal(split.y, (chance[rows] > 0.6).astype(int))
            for level in np.unique(chance):  # each of the expert's four probabilities in its share
                assert abs((chance[rows] == level).sum() - share * (chance[kind == name] == level).sum()) <= 2
        again = tasks.solar_cells(name, split="cells", seed=3)
        other = tasks.solar_cells(name, split="cells", seed=4)
        assert np.array_equal(again.test.ids, task.test.ids)
        assert 0.1 < np.isin(other.test.ids, task.test.ids).mean() < 0.3
        both = tasks.solar_cells(split="cells", seed=3)  # a kind alone is split as it is among both
        assert set(task.test.ids) <= set(both.test.ids)
        assert set(task.train.ids) <= set(both.train.ids)


def test_cell_by_cell_splits_leak_modules_and_say_so() -> None:
    """Nearly every test cell has a direct neighbour in the file among those that are trained on."""

    def neighboured(task: tasks.Task) -> float:
        train = number(task.train)
        return float(np.mean([np.isin([k - 1, k + 1], train).any() for k in number(task.test)]))

    leaking = tasks.solar_cells(split="cells")
    assert neighboured(leaking) > 0.8
    assert "leak" in leaking.note
    assert "leak" in (tasks.solar_cells.__doc__ or "")
    assert neighboured(tasks.solar_cells()) < 0.02
    with pytest.raises(BadInput, match="split='rows'"):
        tasks.solar_cells(split="rows")


@pytest.mark.parametrize("which", ["labels.csv", "images/cell0007.png"])
def test_an_altered_package_is_refused(tmp_path, monkeypatch, which) -> None:
    copy = tmp_path / "data"
    shutil.copytree(solar._folder(), copy)
    raw = bytearray((copy / which).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / which).write_bytes(raw)
    monkeypatch.setattr(solar, "_folder", lambda: copy)
    with pytest.raises(Corrupt, match="force-reinstall"):
        solar._decode()
    (copy / which).unlink()
    with pytest.raises(Corrupt, match="incomplete"):
        solar._decode()


def test_a_missing_package(monkeypatch) -> None:
    monkeypatch.setattr(solar, "PACKAGE", "no-such-package-here==1")
    assert not solar.available()
    with pytest.raises(DataUnavailable, match="pip install"):
        solar._folder()
