"""The student's bench: validation chooses, the test is reported, a teacher is asked once."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from course_lib import tasks
from course_lib.bench import long_runs, student
from course_lib.encoders.efficientnet_lite import widths


def written(folder: Path, rows: list[tuple[str, str, int, float, float]]) -> None:
    """Write a long run: who, taught by, seed, accuracy on validation and on test."""
    figures = [
        {
            "setting": {"who": who, "taught": taught, "seed": seed},
            "validation_accuracy": chosen_by,
            "test_accuracy": told,
        }
        for who, taught, seed, chosen_by, told in rows
    ]
    content = {"what": "w", "command": "c", "hardware": "h", "date": "d", "versions": {}, "figures": figures}
    (folder / "results").mkdir()
    (folder / "results" / "topics_student.json").write_text(json.dumps(content))


def test_validation_chooses_and_labels_alone_are_the_control(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(
        tmp_path,
        [
            ("teacher", "labels", 0, 0.8, 0.80),
            ("teacher", "labels", 1, 0.8, 0.70),
            ("a", "teacher", 0, 0.6, 0.79),  # the best on test, which nobody may look at
            ("a", "teacher", 1, 0.6, 0.79),
            ("b", "teacher", 0, 0.7, 0.72),
            ("b", "teacher", 1, 0.7, 0.74),
            ("b", "labels", 0, 0.9, 0.66),  # a control is not chosen
            ("c", "teacher", 0, 0.99, 0.99),  # no longer a student
        ],
    )
    told = student.kept("topics_student", ["a", "b"])
    assert told["student"] == "b"
    assert told["accuracy"] == pytest.approx(0.73) and told["teacher's accuracy"] == pytest.approx(0.75)
    assert (
        "keeps 97.3%" in told["note"] and "labels alone: 66.0%" in told["note"] and "2 seeds" in told["note"]
    )


def test_without_a_long_run_there_is_a_command(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(student, "_run_of", lambda name: None)
    assert student.kept("cifar10_student", ["a"]) == {
        "note": "accuracies: run `python -m course_lib.bench.long_runs cifar10_student` first"
    }


@pytest.mark.parametrize("run", ["cifar10", "topics"])
def test_each_seed_has_its_teacher_first_and_nothing_twice(run) -> None:
    settings = list(long_runs.RUNS[f"{run}_student"][1]())
    assert len({json.dumps(setting) for setting in settings}) == len(settings)
    by_seed = [list(rows) for _, rows in groupby(settings, key=lambda setting: setting["seed"])]
    assert len(by_seed) == len(student.SEEDS[run]) > 1
    assert all(rows[0]["who"] == "teacher" for rows in by_seed)


def test_students_are_cheaper_networks() -> None:
    for pixels, block in student.PICTURE_STUDENTS.values():
        assert pixels**2 * 4 <= student.TEACHER_PIXELS**2 and block in widths()
    for layers in student.SENTENCE_STUDENTS.values():
        assert len(layers) * 4 <= student.sentence_encoder(None).depth
    who = next(iter(student.SENTENCE_STUDENTS))
    assert student.sentence_encoder(who).prefix == "" and student.sentence_encoder(who).depth == 3


def test_a_teacher_is_asked_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    whole = tasks.topics("en", train=48)
    task = replace(whole, test=whole.test.sample(32))
    monkeypatch.setattr(student, "_examples", lambda run, seed: (task, task.train.take(np.arange(0))))
    asked = []
    plain = student._answers

    def answers(*given: Any) -> Any:
        asked.append(len(list((tmp_path / "teachers").glob("*.npz"))))
        return plain(*given)

    monkeypatch.setattr(student, "_answers", answers)
    quick = {"epochs": 1, "freeze_to": 1}
    who = next(iter(student.SENTENCE_STUDENTS))
    for name, taught in (("teacher", "labels"), (who, "teacher"), ("teacher", "labels")):
        told = student.work("topics", {"who": name, "taught": taught, "seed": 0}, **quick)
        assert 0 <= told["test_accuracy"] <= 1 and told["seconds"] > 0
        assert ("epoch" in told) == (name != "teacher")
    assert asked == [0, 1, 1]
