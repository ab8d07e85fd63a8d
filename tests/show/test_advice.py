"""What to try first: every combination has an answer, and the answers fit what one has."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from course_lib import methods, show
from course_lib.errors import BadInput

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
EVERY = [
    dict(zip(show.QUESTIONS, answers, strict=True)) for answers in itertools.product(*show.QUESTIONS.values())
]


def test_every_combination_has_an_answer_that_says_where():
    for given in EVERY:
        text = show.advice(**given).text(NOTEBOOKS)
        assert text.startswith("**Try first: ")
        assert re.search(r"\*Where\*: .*\d\d", text)
        assert "*Compare with*" in text


def test_calls_exist():
    for given in EVERY:
        for name in re.findall(r"methods\.(\w+)", show.advice(**given).code):
            assert name in methods.__all__


def test_without_labels_nothing_is_fitted_on_target_labels():
    for given in EVERY:
        found = show.advice(**given)
        if given["target_labels"] == "none":
            assert "fine_tune" not in found.code
            assert "linear_probe(encoder, task)" not in found.code
        if given["compute"] == "a laptop, minutes":
            assert "fine-tun" not in found.method


@pytest.mark.parametrize(
    ("given", "method"),
    [
        (
            {"target_labels": "none", "source": "labels of the same task elsewhere", "pairs": "yes"},
            "rotation",
        ),
        (
            {"target_labels": "none", "source": "labels of the same task elsewhere", "unlabelled": "no"},
            "as it is",
        ),
        ({"target_labels": "none", "unlabelled": "no"}, "labelling"),
        ({"target_labels": "a handful per class"}, "nearest class mean"),
        (
            {"target_labels": "a handful per class", "source": "labels of the same task elsewhere"},
            "labels alone",
        ),
        ({"target_labels": "hundreds"}, "linear probe"),
        ({"target_labels": "hundreds", "compute": "a laptop, hours"}, "probe first"),
        ({"target_labels": "thousands", "compute": "a GPU or several machines"}, "distilling"),
    ],
)
def test_the_answer_fits(given, method):
    assert method in show.advice(**given).method


def test_an_answer_that_is_none():
    with pytest.raises(BadInput, match="'hundreds'"):
        show.advice(target_labels="many")
