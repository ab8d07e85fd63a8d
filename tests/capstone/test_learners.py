"""The learners of a project: what has no source, and what fits into the minutes."""

from __future__ import annotations

import types

import numpy as np
import pytest

from course_lib import capstone, methods, tasks
from course_lib.capstone.duplicates import without_duplicates
from course_lib.capstone.learners import Characters, Pixels
from course_lib.capstone.ledger import Ledger
from course_lib.cli.new import project_among
from course_lib.measure.budget import CUTS, Machine, Rate
from tests.capstone.made import write_pictures, write_table


@pytest.fixture
def pictures(tmp_path):
    """A project of 40 pictures that nothing was fitted on."""
    x = np.random.default_rng(0).integers(0, 256, (40, 20, 20, 3), dtype=np.uint8)
    data = write_pictures(tmp_path / "pets", x, np.arange(40) % 2, ("cat", "dog"))
    return capstone.load(capstone.new_project(tmp_path / "project", data, minutes=4.0))


def machine(seconds: float) -> Machine:
    """A machine that takes so long for whatever is asked of a picture."""
    rates = dict.fromkeys(CUTS, Rate(seconds, 0.0))
    return Machine(rates, rates, rates, dict.fromkeys(CUTS, 1.0), seconds)


def test_pixels_are_means_of_squares():
    x = np.zeros((2, 32, 32, 1), np.uint8)
    x[1, :2, :2] = 255
    found = Pixels().encode(x)
    assert found.shape == (2, Pixels.dim)
    assert found[0].max() == 0
    assert np.flatnonzero(found[1]).tolist() == [0, 1, 2]  # one square, three colours
    assert found.max() == 1


def test_characters_are_the_same_for_the_same_text():
    pair = np.array([["天气好", "good weather"]], object)
    found = Characters().encode(np.array(["天气好", "天气坏", "天气好"], object))
    assert found.shape == (3, Characters.dim)
    assert (found[0] == found[2]).all()
    assert 0 < found[0] @ found[1] < found[0] @ found[2] == pytest.approx(1.0)
    assert Characters().encode(pair).shape == (1, Characters.dim)


def test_the_planner_fits_fine_tuning_into_the_minutes(pictures, monkeypatch):
    monkeypatch.setattr(methods, "machine", lambda: machine(1e-4))
    tuning = pictures.tuning
    assert tuning.options["epochs"] >= 2
    assert "of 1.0 minutes each" in tuning.words  # three fits and the last one
    assert pictures.tunes
    assert pictures.names == ["probe", "fine-tuned", "from scratch", "largest class"]


def test_what_does_not_fit_is_left_out_and_told(pictures, monkeypatch):
    monkeypatch.setattr(methods, "machine", lambda: machine(60.0))
    assert not pictures.tunes
    assert "the least of all fine-tunings" in pictures.tuning.words
    assert "fine-tuned" not in pictures.names


def test_sentences_get_as_many_epochs_as_the_minutes_allow(tmp_path, monkeypatch):
    words = [f"{word} {k}" for k in range(20) for word in ("yes", "no")]
    data = write_table(tmp_path / "s.csv", words, ["a", "b"] * 20)
    place = capstone.new_project(tmp_path / "project", data, minutes=4.0)
    found = {}
    for each in (1e-4, 0.4, 60.0):
        project = capstone.load(place)
        monkeypatch.setattr(type(project.learners), "_forward_seconds", lambda self, each=each: each)
        found[each] = project.tuning
    assert found[1e-4].options == {"epochs": 6}
    assert found[0.4].options["epochs"] in (2, 3, 4)  # 24 sentences, a minute
    assert found[60.0].encoder is None
    assert "the least of all fine-tunings" in found[60.0].words


def test_pairs_groups_and_splits_are_settings(tmp_path):
    import pandas as pd

    rows = 60
    table = pd.DataFrame(
        {
            "one": [f"question {k}" for k in range(rows)],
            "two": [f"answer {k}" for k in range(rows)],
            "label": ["yes", "no"] * (rows // 2),
            "part": ["train"] * 30 + ["dev"] * 10 + ["test"] * 20,
            "writer": [k // 2 for k in range(rows)],
        }
    )
    table.to_csv(tmp_path / "pairs.csv", index=False)
    place = capstone.new_project(tmp_path / "project", tmp_path / "pairs.csv", text="one")
    path = place / "project.toml"
    text = path.read_text().replace('text = "one"', 'text = ["one", "two"]')
    path.write_text(text.replace('group = ""', 'group = "writer"'))
    task = capstone.load(place).task
    assert task.train.x.shape == (30, 2)
    assert (len(task.validation), len(task.test)) == (10, 20)


def test_an_interrupted_fit_is_no_result(pictures):
    ledger = Ledger(pictures.folder / "work", pictures.task)
    key = ledger.key(name="fine-tuned")
    with pytest.raises(KeyboardInterrupt):
        ledger.fit(key, 10, lambda: types.SimpleNamespace(interrupted=True))
    assert ledger.known(key) is None


def test_the_largest_class_has_a_balanced_score_of_chance(pictures):
    fits = pictures.fits("largest class")
    assert len(fits) == 3
    assert fits[0].report(pictures.task).balanced_accuracy.value == 0.5
    assert fits[0].report(pictures.task, "validation").n == len(pictures.task.validation)
    again = capstone.load(pictures.folder).fits("largest class")
    assert all((a.test == b.test).all() for a, b in zip(fits, again, strict=True))


def test_inputs_are_not_changed():
    task = tasks.digits()
    before = task.train.x.copy(), task.train.y.copy()
    cleaned = without_duplicates(task)
    assert (task.train.x == before[0]).all()
    assert (task.train.y == before[1]).all()
    assert len(cleaned.task.test) == len(task.test)


def test_a_number_names_a_notebook_unless_a_project_is_called_so(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "04").mkdir()
    assert project_among(["04"]) is None
    assert project_among(["project"]).name == "project"
    assert project_among(["no_such_notebook"]) is None
