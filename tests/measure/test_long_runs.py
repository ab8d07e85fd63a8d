"""Long runs are found from anywhere, read as they were written, and never averaged over unlike fits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from course_lib import measure
from course_lib.bench import long_runs
from course_lib.errors import BadInput

FIGURES = [
    {"setting": {"pixels": 96, "depth": "a", "seed": 0}, "accuracy": 0.5, "seconds": 4.0},
    {"setting": {"pixels": 96, "depth": None, "seed": 0}, "accuracy": 0.9},
    {"setting": {"pixels": 96, "depth": "a", "seed": 1}, "accuracy": 0.75, "seconds": 2.0},
    {"setting": {"pixels": 160, "depth": "a", "seed": 0}, "accuracy": 0.1},
    {"setting": {"pixels": 96, "depth": "a", "init": "random", "seed": 0}, "accuracy": 0.2},
]
CONTENT = {
    "what": "made up",
    "command": "python x.py",
    "hardware": "a laptop",
    "date": "2026-01-02",
    "versions": {"numpy": "2"},
    "figures": FIGURES,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "results"
    place.mkdir()
    (place / "mine.json").write_text(json.dumps(CONTENT), "utf8")
    return place


def test_it_says_what_the_file_says(folder) -> None:
    run = measure.long_run("mine", folder)
    assert (run.what, run.versions, run.figures) == ("made up", {"numpy": "2"}, tuple(FIGURES))
    assert run.source == "`python x.py`, a laptop, 2026-01-02"


def test_only_like_fits_are_averaged(folder) -> None:
    run = measure.long_run("mine", folder)
    found = run.over("depth", "accuracy", pixels=96)
    assert found == {"a": measure.Interval(0.625, 0.5, 0.75), None: measure.Interval(0.9, 0.9, 0.9)}
    assert run.over("depth", "seconds", pixels=96) == {"a": measure.Interval(3.0, 2.0, 4.0)}
    assert [*run.over("pixels", "accuracy", depth="a")] == [96, 160]
    random = run.over("depth", "accuracy", pixels=96, init="random")
    assert random == {"a": measure.Interval(0.2, 0.2, 0.2)}


def test_it_is_found_from_a_folder_below_and_from_anywhere(folder, monkeypatch) -> None:
    below = folder.parent / "notebooks" / "copies"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert measure.long_run("mine").what == "made up"
    assert measure.long_run("cifar10_fine_tuning").command.endswith("cifar10_fine_tuning")


def test_the_runs_of_the_course_can_be_read(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(
        long_runs.RUNS, "tiny", ("tiny", lambda: iter([{"depth": 1, "seed": 0}]), lambda _: {"accuracy": 0.5})
    )
    long_runs.main("tiny", tmp_path)
    assert measure.long_run("tiny", tmp_path).over("depth", "accuracy")[1].value == 0.5


@pytest.mark.parametrize(
    ("name", "says"), [("other", "There are mine"), ("broken", "is not the file of a long run")]
)
def test_what_is_not_there_is_said(folder, name, says) -> None:
    if name == "broken":
        (folder / "broken.json").write_text(json.dumps({"figures": []}), "utf8")
    with pytest.raises(BadInput, match=says):
        measure.long_run(name, folder)


def test_an_unknown_setting_is_answered_with_the_known(folder) -> None:
    with pytest.raises(BadInput, match="accuracy, depth, init, pixels, seconds, seed"):
        measure.long_run("mine", folder).over("deep", "accuracy", pixels=96)
