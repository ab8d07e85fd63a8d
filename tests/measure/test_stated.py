"""Facts that another notebook stated: read back, or missing in words."""

from __future__ import annotations

import math
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course_lib import measure
from course_lib.measure.facts import MIME

ROOT = Path(__file__).parents[2]


def write(path: Path, *facts: dict) -> Path:
    outputs = [
        new_output("display_data", {"text/plain": "as said", MIME: {"unit": "", "rounded": 0, **fact}})
        for fact in facts
    ]
    nbformat.write(new_notebook(cells=[new_code_cell("1", outputs=outputs)]), path)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    write(
        tmp_path / "04_features.ipynb",
        {"name": "score", "value": 0.76431, "unit": "%"},
        {"name": "labels", "value": 5000},
        {"name": "speed", "value": 3.14159, "unit": "images/s"},
        {"name": "answer", "value": "helped"},
        {"name": "yes", "value": True},
        {"name": "answer", "value": "hurt"},
    )
    write(tmp_path / "07_other.ipynb")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("score", "76.4%"),
        ("labels", "5,000"),
        ("speed", "3.14 images/s"),
        ("answer", "hurt"),
        ("yes", "yes"),
    ],
)
def test_a_fact_is_read_back(folder, name, words):
    found = measure.stated(4, name, folder=folder)
    assert found
    assert str(found) == words
    assert found == measure.stated("04", name, folder=folder)


def test_the_exact_value(folder):
    assert measure.stated(4, "score", folder=folder).number == 0.76431
    assert math.isnan(measure.stated(4, "answer", folder=folder).number)


def test_what_is_missing_is_said(folder):
    for number, name, words in (
        (4, "scor", "[notebook 04 has not recorded “scor”; it has “score”]"),
        (7, "anything", "[notebook 07 has not been run yet]"),
        (11, "anything", "[notebook 11 is not here]"),
    ):
        found = measure.stated(number, name, folder=folder)
        assert not found
        assert str(found) == words
        assert math.isnan(found.number)
    (folder / "12_torn.ipynb").write_text("{")
    assert "has not been run yet" in str(measure.stated(12, "x", folder=folder))


def test_a_change_is_seen(folder):
    assert measure.stated(7, "new", folder=folder).value is None
    path = write(folder / "07_other.ipynb", {"name": "new", "value": 1})
    assert measure.stated(7, "new", folder=folder).value == 1
    path.unlink()
    assert "not here" in str(measure.stated(7, "new", folder=folder))


def test_what_cell_says_and_what_is_read_agree():
    """As `course run` commits them; found from any working folder."""
    assert measure.stated(1, "mono → poly, balanced accuracy").number == pytest.approx(0.5, abs=0.1)
