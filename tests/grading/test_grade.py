"""Grading a class: right points, nothing lost, nothing done twice, and the limits hold."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from course_lib.errors import CourseError
from course_lib.grading import catalogue, sandbox
from course_lib.grading.grade import LEDGER, grade
from course_lib.grading.ledger import Ledger
from course_lib.grading.results import Graded

SEED = 7


def graded(course, **options):
    result = grade(
        course.submissions, course.root / "out", solutions=course.solutions, seed=SEED, say=str, **options
    )
    return {one.student: one for one in result.graded}


def problems(one, k=0):
    return [verdict.problem for verdict in one.results[k].verdicts]


@pytest.fixture
def a_class(course):
    right, wrong = course.right, course.right[1].replace("(len(x) - 1)", "len(x)")
    course.submit("full", right)
    course.submit("half", {1: right[1]})
    course.submit("blank")
    course.submit("wrong", {1: wrong, 2: right[2]})
    course.submit(
        "part", {1: right[1] + "\n_f = covariance\ndef covariance(x):\n    return _f(x) if len(x) < 9 else x"}
    )
    course.submit("error", {1: "def covariance(x):\n    raise KeyError(x.sum())", 2: "def ranks(:"})
    course.submit("ends", {1: "import os\ndef covariance(x):\n    os._exit(0)", 2: right[2]})
    course.submit("loops", {1: "def covariance(x):\n    while True: pass", 2: right[2]})
    course.submit("lucky", {1: "def covariance(x):\n    return np.cov(x.T) if len(x) in (7, 50) else x"})
    course.submit("talks", {1: "print('hello')\n" + right[1], 2: right[2]})
    return course


def test_everybody_gets_the_points_of_the_hidden_cases(a_class):
    found = graded(a_class)
    assert {who: one.earned for who, one in found.items()} == {
        "full": 5.0,
        "half": 3.0,
        "blank": 0.0,
        "wrong": 2.0,
        "part": 1.5,
        "lucky": 0.0,
        "error": 0.0,
        "ends": 2.0,
        "loops": 2.0,
        "talks": 5.0,
    }
    assert all(one.points == 5 and len(one.results) == 2 for one in found.values())
    status = {who: [result.status for result in one.results] for who, one in found.items()}
    assert status["full"] == ["full", "full"]
    assert status["half"] == ["full", "waiting"]
    assert status["wrong"] == ["none", "full"]
    assert status["part"][0] == "part"
    assert status["ends"] == status["loops"] == ["stopped", "full"]
    assert found["loops"].results[0].note == "stopped: time limit"
    assert found["talks"].results[0].said == "hello\n"
    assert "SyntaxError in line 1" in problems(found["error"], 1)[0]


def test_words_of_an_error_are_told_for_visible_cases_and_kept_back_for_hidden_ones(a_class):
    told = problems(graded(a_class)["error"])
    assert all("KeyError in line 2: " in problem for problem in told[:2])
    assert told[2:] == ["it raised KeyError"] * 2


def test_what_did_not_change_is_not_tried_again(a_class, monkeypatch):
    from course_lib.grading import grade as module

    first, tried = graded(a_class), []
    original = module.attempt_all
    monkeypatch.setattr(
        module, "attempt_all", lambda slot, works: tried.append(works) or original(slot, works)
    )
    assert graded(a_class) == first
    assert tried == []
    a_class.submit("half", a_class.right)
    assert graded(a_class)["half"].earned == 5
    assert len(tried) == 1
    (a_class.submissions / "blank" / "99_try.ipynb").unlink()
    assert "blank" not in graded(a_class)
    checks = a_class.solutions / "checks" / "c99.py"
    checks.write_text(checks.read_text() + "\n# changed\n")
    catalogue.exercises.cache_clear()
    tried.clear()
    graded(a_class)
    assert len(tried) == len(first) - 1


def test_hidden_cases_differ_between_students_and_repeat_for_each(a_class):
    from course_lib.grading.marking import cases_of, seed_of

    exercise = catalogue.exercises(a_class.solutions, "99")["99.1"]
    ada, bob = (cases_of(exercise, seed_of(SEED, who), True) for who in ("ada", "bob"))
    assert [case.name for case in ada] == [case.name for case in bob]
    assert (ada[0].arguments[0] == bob[0].arguments[0]).all()
    assert not (ada[-1].arguments[0] == bob[-1].arguments[0]).any()
    assert cases_of(exercise, seed_of(SEED, "ada"), True) is ada


def test_two_gradings_at_once_are_refused(course):
    from course_lib.runner.state import only_one

    course.submit("ada")
    with only_one(course.root / "out"), pytest.raises(CourseError, match="course grade"):
        graded(course)


def test_the_secret_seed_is_drawn_once(course):
    course.submit("ada", course.right)
    for _ in range(2):
        grade(course.submissions, course.root / "out", solutions=course.solutions, say=str)
    with Ledger(course.root / "out" / LEDGER) as ledger:
        seed = int(ledger.setting("seed", "0"))
    assert seed > 2**20
    assert Ledger(course.root / "other" / LEDGER).setting("seed", "5") == "5"


def test_the_lowest_tier_tries_visible_cases_only_unless_told_otherwise(a_class, monkeypatch):
    monkeypatch.setattr(
        "course_lib.grading.grade.probe", lambda tier: sandbox.Sandbox("plain", "as an example")
    )
    found = graded(a_class)
    assert not found["full"].hidden
    assert [verdict.visible for verdict in found["full"].results[0].verdicts] == [True, True]
    assert found["full"].tier == "plain"
    assert found["full"].earned == 5
    found = graded(a_class, allow_unsafe=True)
    assert found["full"].hidden
    assert len(found["full"].results[0].verdicts) == 4


def test_a_tier_that_does_not_work_is_told(monkeypatch):
    monkeypatch.setattr(sandbox, "bubblewrap", lambda: "")
    sandbox._probed.cache_clear()
    try:
        assert sandbox.probe().tier == "plain"
        assert "not installed" in str(sandbox.probe())
        with pytest.raises(CourseError, match="does not work here"):
            sandbox.probe("sandbox")
        monkeypatch.setattr(sandbox, "bubblewrap", lambda: sys.executable)  # a program that is no bubblewrap
        sandbox._probed.cache_clear()
        assert sandbox.probe().tier == "plain"
        assert "no worker could be started" in sandbox.probe().why
    finally:
        sandbox._probed.cache_clear()


def test_a_worker_that_keeps_being_lost_is_told(course, monkeypatch):
    from course_lib.grading.slot import Slot, Trouble

    def lost(self):
        raise Trouble("as an example")

    course.submit("ada", course.right)
    sandbox.probe()
    monkeypatch.setattr(Slot, "_ready", lost)
    with pytest.raises(CourseError, match="lost 3 times"):
        graded(course)


def test_a_file_that_is_no_ledger_is_told(tmp_path):
    (tmp_path / "x").write_text("no data base, but long enough to look like one" * 100)
    with pytest.raises(CourseError, match="not a ledger"):
        Ledger(tmp_path / "x")


def test_results_are_kept_as_text_that_gives_them_back(a_class):
    for one in graded(a_class).values():
        assert Graded.from_json(one.as_json()) == one
        assert Graded.from_json(one.as_json()).as_json() == one.as_json()


SCRIPT = """
import sys
from pathlib import Path
from course_lib.grading.grade import grade
root = Path(sys.argv[1])
grade(root / "submissions", root / sys.argv[2], solutions=root / "solutions", seed=7, jobs=2, say=str)
"""


def rows(path):
    base = sqlite3.connect(path)
    try:
        return base.execute(
            "SELECT student, notebook, key, result FROM graded ORDER BY student, notebook"
        ).fetchall()
    finally:
        base.close()


def test_killed_at_any_moment_it_goes_on_to_the_same_gradebook(a_class):
    """200 submissions: solved, half solved, blank, wrong, broken and hostile ones."""
    for k in range(190):
        a_class.submit(f"copy {k}", a_class.right if k % 2 else {2: a_class.right[2]})
        if k % 19 == 0:
            paper = a_class.submit(f"copy {k}", a_class.right)
            paper.write_text(paper.read_text()[: 40 * k])
    command = [sys.executable, "-c", SCRIPT, str(a_class.root)]
    subprocess.run([*command, "whole"], check=True, timeout=300)
    moments = np.random.default_rng().uniform(1.0, 5.0, size=3)
    for patience in moments:
        process = subprocess.Popen([*command, "killed"])
        time.sleep(patience)
        process.kill()
        process.wait()
    subprocess.run([*command, "killed"], check=True, timeout=300)
    killed, whole = (rows(a_class.root / name / LEDGER) for name in ("killed", "whole"))
    assert [row for row in killed if row not in whole] == [], f"killed after {moments} seconds"
    assert killed == whole
    assert len(whole) == 200


def test_a_roster_gives_names_back_and_tells_who_handed_in_nothing(course, tmp_path):
    from course_lib.grading.hostile import safe_name
    from course_lib.grading.report import write_reports

    course.submit(safe_name("李 雷"), course.right)
    course.submit("Ada", course.right)
    course.submit("a guest", course.right)
    told = []
    result = grade(
        course.submissions, course.root / "out", solutions=course.solutions, seed=SEED, say=told.append,
        roster=["李 雷", "Ada", "Bo\tB."],
    )  # fmt: skip
    assert result.students == ["Ada", "a guest", "李 雷"]
    assert list(result.absent) == ["Bo\tB."]
    assert "1 handed in nothing: Bo B.." in told
    assert "1 handed in, but are not on the roster: a guest." in told
    write_reports(result, course.root / "out")
    table = (course.root / "out" / "grades.csv").read_text(encoding="utf-8-sig").splitlines()
    assert [line.split(",")[0] for line in table[1:]] == ["Ada", "Bo B.", "a guest", "李 雷"]
    assert table[2].endswith("nothing was handed in")
    assert "Nothing was handed in by 1 student: Bo B.." in (course.root / "out" / "class.html").read_text()
    assert len(list((course.root / "out" / "feedback").glob("*.html"))) == 3


def test_what_the_sandbox_would_show_is_not_graded_from(course, monkeypatch):
    course.submit("ada", course.right)
    monkeypatch.setattr("course_lib.grading.grade.shown", lambda: [course.root.parent])
    with pytest.raises(CourseError, match="lies in a folder that the sandbox shows"):
        graded(course)
    monkeypatch.setattr("course_lib.grading.grade.shown", lambda: [course.root / "elsewhere"])
    assert graded(course)["ada"].earned == 5
