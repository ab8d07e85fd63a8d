"""What was trained before is found again: the same network, and never another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from course_lib import methods
from course_lib.methods import checkpoint, finished, scratch
from tests.methods.test_scratch import striped_task


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "networks"


@pytest.fixture
def trainings(monkeypatch) -> list[int]:
    """One entry, the seed, per network that is really trained."""
    seeds: list[int] = []
    train = scratch._Workshop.train

    def counted(shop, *given):
        seeds.append(given[4])
        return train(shop, *given)

    monkeypatch.setattr(scratch._Workshop, "train", counted)
    return seeds


def test_a_network_is_trained_once_and_found_as_it_was(cache, trainings) -> None:
    task = striped_task(30)
    first = methods.scratch_cnn(task, epochs=2, seed=7)
    found = methods.scratch_cnn(task, epochs=2, seed=7, name="another name")
    assert trainings == [7] and len(list(cache.iterdir())) == 1
    assert all(np.array_equal(a, b) for a, b in zip(first.weights, found.weights, strict=True))
    assert found.chosen == first.chosen and found.name == "another name"
    assert found.seconds == first.seconds, "the seconds of the training, not of the reading"
    assert found.predict_proba(task.test).tobytes() == first.predict_proba(task.test).tobytes()


def test_whatever_decides_the_result_is_trained_anew(cache, trainings) -> None:
    task = striped_task(30)
    one = methods.scratch_cnn(task, epochs=1)
    turned = replace(task.train, y=(task.train.y + 1) % 3)
    pictures = task.train.x.copy()
    pictures[0, 0, 0, 0] ^= 1
    for changed in (
        lambda: methods.scratch_cnn(task, epochs=1, seed=1),
        lambda: methods.scratch_cnn(task, epochs=2),
        lambda: methods.scratch_cnn(task, epochs=1, pixels=24),
        lambda: methods.scratch_cnn(replace(task, train=turned), epochs=1),
        lambda: methods.scratch_cnn(replace(task, train=replace(task.train, x=pictures)), epochs=1),
        lambda: methods.scratch_cnn(replace(task, validation=task.validation.take(range(30))), epochs=1),
        lambda: methods.source_cnn(task, rounds=1),
        lambda: methods.carried_cnn(one, task, epochs=1),
        lambda: methods.carried_cnn(one, task, epochs=1, layers=2),
    ):
        before = len(trainings)
        changed()
        assert len(trainings) == before + 1
        changed()
        assert len(trainings) == before + 1
    blind = replace(task, test=task.test.take([]))
    before = len(trainings)
    methods.scratch_cnn(blind, epochs=1)
    assert len(trainings) == before, "the test split decides nothing"
    methods.scratch_cnn(task, epochs=1, cache=False)
    assert len(trainings) == before + 1


@pytest.mark.parametrize("damage", ["cut off", "a byte", "empty"])
def test_a_damaged_file_is_trained_again_and_replaced(cache, trainings, damage) -> None:
    task = striped_task(30)
    first = methods.scratch_cnn(task, epochs=1)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut off": whole[:middle],
            "a byte": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
            "empty": b"",
        }[damage]
    )
    again = methods.scratch_cnn(task, epochs=1)
    assert trainings == [0, 0]
    assert all(np.array_equal(a, b) for a, b in zip(first.weights, again.weights, strict=True))
    methods.scratch_cnn(task, epochs=1)
    assert trainings == [0, 0], "the whole file is there again"


def test_where_nothing_can_be_written_it_is_trained_each_time(tmp_path, monkeypatch, trainings) -> None:
    (tmp_path / "file").write_text("a file is no folder")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file"))
    task = striped_task(30)
    for _ in range(2):
        methods.scratch_cnn(task, epochs=1)
    assert trainings == [0, 0]


def test_another_recipe_finds_nothing_of_the_old_one(cache, tmp_path) -> None:
    trained = []

    def train() -> checkpoint.State:
        trained.append(1)
        return checkpoint.State({"best": {"0": np.ones(2)}})

    recipe = tmp_path / "recipe.py"
    for text, count in (("lr = 1", 1), ("lr = 1", 1), ("lr = 2", 2), ("lr = 1", 2)):
        recipe.write_text(text)
        finished.once("example", str(recipe), {}, {"x": np.zeros(1)}, train)
        assert len(trained) == count
