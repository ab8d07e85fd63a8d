"""`course check` and `course variants`: the learner's whole notebook, and every student's own numbers."""

from __future__ import annotations

import nbformat
import numpy as np
import pytest
from typer.testing import CliRunner

from course_lib.cli.app import app
from course_lib.cli.exercises import number
from course_lib.errors import BadInput
from course_lib.grading import catalogue, check, tally
from course_lib.grading.grade import grade
from course_lib.grading.selfcheck import checked
from course_lib.grading.variants import roster, write_variants


def hand_in(course, answers):
    nbformat.write(course.notebook(answers), course.exercises / "99_try.ipynb")


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_a_notebook_is_tried_outside_of_jupyter(course):
    hand_in(course, {1: course.right[1].replace("(len(x) - 1)", "len(x)")})
    first, second = checked(course.exercises, "99")
    assert not first
    assert "off by up to" in repr(first)
    assert "waits for your code" in repr(second)


def test_the_command_keeps_progress_and_its_exit_code_says_whether_all_is_solved(course):
    hand_in(course, {1: course.right[1]})
    told = run("check", "99")
    assert told.exit_code == 1
    assert "99.1 Covariance: 2 of 2 cases pass" in told.output
    assert "1 of 2 exercises solved" in told.output
    hand_in(course, course.right)
    assert run("check").exit_code == 0
    assert tally.solved_ids() == {"99.1", "99.2"}


def test_a_loop_without_end_ends_at_the_limit(course):
    hand_in(course, {1: "def covariance(x):\n    while True: pass", 2: course.right[2]})
    first, second = checked(course.exercises, "99")
    assert "time limit" in repr(first)
    assert second


@pytest.mark.parametrize(("typed", "meant"), [("5", "05"), ("05", "05"), ("exercises/10_x.ipynb", "10")])
def test_numbers_are_read_as_they_are_typed(typed, meant):
    assert number(typed) == meant


@pytest.mark.parametrize("typed", ["", "x", "five", "5x"])
def test_what_is_no_number_is_told(typed):
    with pytest.raises(BadInput, match="names no notebook"):
        number(typed)


def test_make_exercises_says_what_changed(course):
    (course.exercises / "99_try.ipynb").unlink()
    told = run("make-exercises", "--solutions", course.solutions, "--out", course.exercises)
    assert told.exit_code == 0
    assert "1 files changed" in told.output
    assert (course.exercises / "99_try.ipynb").is_file()


def test_every_student_gets_numbers_of_their_own_and_the_same_tasks(course, tmp_path):
    ada, bob = write_variants(course.solutions, ["ada", "bob"], tmp_path / "out", 7)
    told = [catalogue.visible(folder, "99")["99.1"]["cases"][0] for folder in (ada, bob)]
    assert told[0]["name"] == told[1]["name"]
    assert not np.array_equal(told[0]["arguments"][0], told[1]["arguments"][0])
    again = write_variants(course.solutions, ["ada"], tmp_path / "again", 7)[0]
    assert (again / "cases" / "99.cases").read_bytes() == (ada / "cases" / "99.cases").read_bytes()
    other = write_variants(course.solutions, ["ada"], tmp_path / "other", 8)[0]
    assert (other / "cases" / "99.cases").read_bytes() != (ada / "cases" / "99.cases").read_bytes()


def test_a_variant_is_checked_and_graded_as_any_other(course, tmp_path, monkeypatch):
    (folder,) = write_variants(course.solutions, ["ada"], tmp_path / "out", 7)
    monkeypatch.chdir(folder)
    namespace = {"np": np, "check": check}
    exec(course.right[1], namespace)
    assert eval('check("99.1")', namespace)
    notebook = nbformat.read(folder / "99_try.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.id == "99-1-answer":
            cell.source = course.right[1]
    course.submit("ada", notebook=notebook)
    result = grade(course.submissions, tmp_path / "book", solutions=course.solutions, seed=7, say=str)
    assert result.graded[0].earned == 3


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("student,mail\nada,a@x\n\nbob,b@x\n", ["ada", "bob"]),
        ("学生\n李雷\n", ["李雷"]),
        ("ada\nbob", ["ada", "bob"]),
    ],
)
def test_rosters_are_read_with_a_heading_or_without(tmp_path, text, names):
    path = tmp_path / "roster.csv"
    path.write_text(text, encoding="utf-8")
    assert roster(path) == names


@pytest.mark.parametrize(
    ("data", "told"), [(b"", "nobody"), (b"ada\nada", "twice: ada"), (b"\xff\xfe\xff", "UTF-8")]
)
def test_a_roster_that_is_none_is_told(tmp_path, data, told):
    path = tmp_path / "roster.csv"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=told):
        roster(path)
    with pytest.raises(BadInput, match="cannot be read"):
        roster(tmp_path / "none.csv")


def test_a_class_is_graded_by_one_command(course):
    course.submit("ada", course.right)
    course.submit("bob", {1: course.right[1]})
    out = course.root / "book"
    told = run("grade", course.submissions, "--out", out, "--solutions", course.solutions, "--seed", 7)
    assert told.exit_code == 0, told.output
    assert "2 submissions, 2 of them new" in told.output
    assert "ada" in (out / "grades.csv").read_text(encoding="utf-8-sig")
    assert len(list((out / "feedback").glob("*.html"))) == 2
    told = run("grade", course.submissions, "--out", out, "--solutions", course.solutions, "--tier", "none")
    assert told.exit_code != 0
    assert isinstance(told.exception, BadInput)


def test_exercises_saved_half_way_are_named_with_the_way_back(course):
    hand_in(course, {})
    path = course.exercises / "99_try.ipynb"
    path.write_text(path.read_text()[:500])
    with pytest.raises(BadInput, match=r"99_try\.ipynb is not a whole notebook") as told:
        checked(course.exercises, "99")
    assert "git checkout -- " in told.value.remedy
