"""Points for other programs: no formula, no markup and no hidden number gets through."""

from __future__ import annotations

import csv
import io
import json

import pytest
from rich.console import Console

from course_lib.grading.gradebook import by_student, gradescope, table, write_csv, write_gradescope
from course_lib.grading.judge import Verdict
from course_lib.grading.results import ClassResult, ExerciseResult, Graded
from course_lib.grading.spreadsheet import csv_text, defused
from tests.grading.classes import sample


def rows(result, folder):
    write_csv(result, folder / "grades.csv")
    data = (folder / "grades.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")  # Excel's mark
    assert data.count(b"\n") == data.count(b"\r\n")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def one(student="Ada", notes=(), **results):
    done = [
        ExerciseResult(key.replace("_", ".")[1:], "T", 4, earned, "part") for key, earned in results.items()
    ]
    return Graded(student, "05_x", done, list(notes))


def test_a_row_has_points_by_notebook_total_and_exercises(tmp_path):
    result = ClassResult([
        one("Ada", _05_1=1.33, _05_2=4.0),
        Graded("Ada", "08_y", [ExerciseResult("08.1", "T", 2, 2, "full", "stopped: time limit")], ["a link"]),
        one("Bo", _05_1=0.0, _05_2=0.0),
    ])  # fmt: skip
    ada, bo = rows(result, tmp_path)
    assert list(ada) == [
        "student", "05 points", "08 points", "total", "possible", "05.1", "05.2", "08.1", "notes",
    ]  # fmt: skip
    assert list(ada.values()) == [
        "Ada", "5.33", "2", "7.33", "10", "1.33", "4", "2", "08: a link; 08.1: stopped: time limit",
    ]  # fmt: skip
    assert (bo["05 points"], bo["08 points"], bo["08.1"], bo["total"]) == ("0", "", "", "0")


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "\n=1", "\xa0=1", "＝1", "x;=1", "x,=1"]
)
def test_no_cell_begins_a_formula(text, tmp_path):
    (row,) = rows(ClassResult([one(text, [text], _05_1=1.0)]), tmp_path)
    for cell in (row["student"], defused(text)):
        for piece in cell.replace(",", ";").split(";"):
            assert piece.lstrip()[:1] not in set("=+-@＝＋－＠\t\r\n"), cell


def test_harmless_names_stay_as_they_are():
    for name in ("陈省身", "O'Hara, Terence", "Anne-Marie", "a=b", 'the "quoted"'):
        assert defused(name) == name
        assert next(csv.reader(io.StringIO(csv_text([[name]])[1:]))) == [name]


def test_a_name_with_anything_is_one_row(tmp_path):
    (row,) = rows(ClassResult([one('a\n"b",\x00\ud800\u202e' + "c" * 9000, _05_1=1.0)]), tmp_path)
    assert row["total"] == "1"
    assert len(row["student"]) < 5000
    assert "\x00" not in row["student"]


def test_gradescope_holds_what_its_format_asks():
    made = gradescope([sample().graded[0]])
    assert made["score"] == pytest.approx(sum(test.get("score", 0) for test in made["tests"]))
    for test in made["tests"]:
        assert test["status"] in ("passed", "failed")
        assert test["visibility"] in ("visible", "after_published")
        assert test["output_format"] == "text"
        assert test.get("score", 0) <= test.get("max_score", 0)
    assert json.loads(json.dumps(made)) == made


def test_hidden_cases_wait_for_publication_and_never_tell_numbers():
    verdicts = [
        Verdict("seen", "off by 0.125", "hint", True),
        Verdict("unseen", "off by 0.625", "think", False),
    ]
    result = ExerciseResult("05.1", "T", 3, 0.0, "none", verdicts=verdicts)
    exercise, seen, unseen = gradescope([Graded("Ada", "05_x", [result])])["tests"]
    assert "0.125" in seen["output"]
    assert seen["visibility"] == "visible"
    assert unseen["output"] == "A hidden case failed.\nthink"
    assert unseen["visibility"] == exercise["visibility"] == "after_published"
    exercise, *_ = gradescope([Graded("Ada", "05_x", [result], hidden=False)])["tests"]
    assert exercise["visibility"] == "visible"  # its points come from cases that everybody sees


def test_gradescope_survives_hostile_text(tmp_path):
    bad = "<script>\x00\ud800\x1b[31m"
    result = ExerciseResult("05.1", bad, 3, 1, "part", bad, [Verdict(bad, bad, bad)])
    write_gradescope([Graded(bad, "05_x", [result], [bad])], tmp_path / "a" / "results.json")
    text = (tmp_path / "a" / "results.json").read_text(encoding="utf-8")
    assert not set(text) & set("\x00\x1b")
    assert json.loads(text)["score"] == 1


def shown(result):
    console = Console(width=200, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(table(result))
    return console.file.getvalue()


def test_the_table_shows_names_as_text_and_ends_somewhere():
    told = shown(ClassResult([one("[red]Ada[/red]\x1b]0;title\x07", _05_1=1.5)]))
    assert "[red]Ada[/red]⟨U+001B⟩" in told
    assert "\x07" not in told
    assert "1.5" in told
    many = shown(sample(100))
    assert "and 60 more" in many
    assert len(many.splitlines()) < 50


def test_equal_results_give_equal_bytes(tmp_path):
    result = sample()
    turned = ClassResult(list(reversed(result.graded)), result.tier)
    write_csv(result, tmp_path / "one")
    write_csv(turned, tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert by_student(result).keys() == by_student(turned).keys()
