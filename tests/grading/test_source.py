"""One source for exercise and solution: what learners get is what stands there, less the answers."""

from __future__ import annotations

import ast

import nbformat
import pytest

from course_lib.errors import BadInput
from course_lib.grading import catalogue, source
from course_lib.grading.release import learner_edition, make_exercises, same_cases, visible_cases
from course_lib.grading.worker import values

from .conftest import ANSWERS, solution_notebook


def cell(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def test_headings_say_what_an_exercise_is(course):
    item = course.items["99.1"]
    assert (item.title, item.level, item.minutes, item.points, item.cell) == ("Covariance", 2, 5, 3, "99-1")
    assert "centred" in item.answer


def test_the_learners_edition_has_stubs_that_name_their_task_and_no_trace_of_answers(course):
    text = learner_edition(course.solutions / "99_try.ipynb")
    made = nbformat.reads(text, as_version=4)
    stub = cell(made, "99-1-answer").source
    assert "centred" not in text
    assert "HIDDEN" not in text
    assert "SOLUTION" not in text
    assert "hidden=True" not in text
    ast.parse(stub)
    assert stub.splitlines()[2:] == [
        "    # YOUR CODE HERE: 99.1, Covariance",
        '    raise NotImplementedError("99.1 waits for your code")',
    ]
    assert '"""Return the covariance' in stub


def test_the_solution_without_marks_is_the_answer():
    assert "###" not in source.solution(ANSWERS[1])
    namespace = {}
    exec(source.solution(ANSWERS[2]), namespace)
    assert namespace["ranks"]([3.0, 1.0]) == [1, 0]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("99-1-answer", "def f():\n    pass", "0 solutions"),
        ("99-1-answer", ANSWERS[1] + "\n" + ANSWERS[1], "2 solutions"),
        ("99-1-answer", ANSWERS[1].replace(source.END, ""), "without"),
        ("99-1-check", f"{source.END_HIDDEN}\n{source.BEGIN_HIDDEN}", "do not pair"),
        ("99-setup", ANSWERS[1], "only answer cells"),
        ("99-1-text", "## 99.1 Covariance", "does not begin"),
        ("99-1-text", "## 99.2 · Covariance\n\n*★ · 5 minutes · 3 points*", "does not begin"),
    ],
)
def test_a_notebook_that_would_give_answers_away_is_refused(name, text, told):
    notebook = solution_notebook()
    cell(notebook, name).source = text
    with pytest.raises(BadInput, match=told):
        source.without_answers(notebook)


def test_an_exercise_without_all_its_cells_is_refused():
    notebook = solution_notebook()
    notebook.cells = [one for one in notebook.cells if one.id != "99-2-hints"]
    with pytest.raises(BadInput, match=r"99\.2 .* hints"):
        source.items(notebook)


def test_making_twice_changes_nothing_and_a_changed_source_does(course):
    assert make_exercises(course.solutions, course.exercises) == []
    path = course.solutions / "99_try.ipynb"
    path.write_text(path.read_text().replace("divided by n - 1", "divided by n less one"))
    catalogue.items.cache_clear()
    assert [p.name for p in make_exercises(course.solutions, course.exercises)] == ["99_try.ipynb"]


def test_cases_that_differ_are_seen_and_last_digits_are_not(course):
    kept = course.exercises / "cases" / "99.cases"
    made = visible_cases(course.solutions, "99")
    assert same_cases(kept, made)
    made["99.1"]["cases"][0]["value"] = made["99.1"]["cases"][0]["value"] * (1 + 1e-12)
    assert same_cases(kept, made)
    made["99.1"]["cases"][0]["value"] = made["99.1"]["cases"][0]["value"] * (1 + 1e-3)
    assert not same_cases(kept, made)
    for part, other in (("name", "x"), ("reason", "x"), ("arguments", (1,))):
        made = visible_cases(course.solutions, "99")
        made["99.1"]["cases"][0][part] = other
        assert not same_cases(kept, made)
    kept.write_bytes(b"damaged")
    assert not same_cases(kept, made)


def test_learners_get_no_hidden_case(course):
    told = values.loads((course.exercises / "cases" / "99.cases").read_bytes())
    names = [case["name"] for case in told["99.1"]["cases"]]
    assert names == ["20 rows", "2 rows"]


def test_notebook_and_checks_must_name_the_same_exercises(course):
    checks = course.solutions / "checks" / "c99.py"
    checks.write_text(checks.read_text().replace('"99.2", "ranks"', '"99.3", "ranks"'))
    catalogue.exercises.cache_clear()
    with pytest.raises(BadInput, match=r"99\.3"):
        visible_cases(course.solutions, "99")
