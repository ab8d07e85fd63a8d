"""Every exercise of the course: its stub scores nothing, its solution everything, its wrong answers fail."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

from course_lib.grading import catalogue, source
from course_lib.grading.attempt import Work, attempt
from course_lib.grading.marking import Paper, verdicts_on
from course_lib.grading.release import learner_edition, same_cases, visible_cases
from course_lib.grading.sandbox import probe
from course_lib.grading.slot import Limits, Slot
from course_lib.grading.submission import definitions
from course_lib.grading.worker.run import ANSWER

ROOT = Path(__file__).parents[2]
SOLUTIONS, EXERCISES = ROOT / "solutions", ROOT / "exercises"
PAPERS = {path.name[:2]: Paper.load(SOLUTIONS, path) for path in catalogue.notebooks(SOLUTIONS)}
IDS = [key for paper in PAPERS.values() for key in paper.items]
SEEDS = (0, 1, (7, 8))
PROMISED = ("01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13")


@pytest.fixture(scope="module")
def slots():
    """One warm worker for each notebook, as when a class is graded."""
    open_ = {}

    def slot(number):
        if number not in open_:
            for other in [key for key in open_ if key != number]:
                open_.pop(other).close()
            open_[number] = Slot(probe(), PAPERS[number].imports)
        return open_[number]

    yield slot
    for one in open_.values():
        one.close()


def tried(slots, key, text, seed):
    """Return the verdicts on an answer as the grader comes to them: in a worker without this library."""
    paper = PAPERS[key[:2]]
    exercise = paper.exercises[key]
    cases = exercise.made(seed)
    cells = [("<set-up>", definitions(paper.setup, imports_only=True), False), (ANSWER, text, False)]
    limits = Limits(seconds=exercise.seconds, memory=exercise.memory)
    work = Work(key, cells, exercise.answer, exercise.tensors, [case.arguments for case in cases], limits)
    return verdicts_on(cases, attempt(slots(key[:2]), work))


def test_the_course_has_the_exercises_that_it_promises():
    assert tuple(PAPERS) == PROMISED
    counts = {number: len(paper.items) for number, paper in PAPERS.items()}
    assert all(2 <= count <= 4 for count in counts.values()), counts
    assert sum(counts.values()) >= 26


@pytest.mark.parametrize("key", IDS)
def test_the_stub_scores_nothing(key, slots):
    item = PAPERS[key[:2]].items[key]
    edition = nbformat.reads(learner_edition(catalogue.notebook(SOLUTIONS, key)), as_version=4)
    stub = next(cell.source for cell in edition.cells if cell.id == f"{item.cell}-answer")
    assert re.search(rf"# YOUR CODE HERE: {re.escape(key)}, ", stub)
    assert not any(verdict.ok for verdict in tried(slots, key, stub, 0))


@pytest.mark.parametrize("key", IDS)
def test_the_solution_passes_every_case_of_several_seeds(key, slots):
    answer = source.solution(PAPERS[key[:2]].items[key].answer)
    for seed in SEEDS:
        wrong = [
            (verdict.case, verdict.problem) for verdict in tried(slots, key, answer, seed) if not verdict.ok
        ]
        assert wrong == [], f"seed {seed}"


WRONG = [
    (key, wrong.name) for paper in PAPERS.values() for key, e in paper.exercises.items() for wrong in e.wrong
]


@pytest.mark.parametrize(("key", "name"), WRONG, ids=[f"{key}: {name}" for key, name in WRONG])
def test_a_wrong_answer_fails_the_case_that_names_its_fault(key, name, slots):
    paper = PAPERS[key[:2]]
    wrong = next(one for one in paper.exercises[key].wrong if one.name == name)
    text = wrong.applied(source.solution(paper.items[key].answer))
    for seed in SEEDS:
        failed = [verdict.case for verdict in tried(slots, key, text, seed) if not verdict.ok]
        assert wrong.fails in failed, f"seed {seed}"


@pytest.mark.parametrize("key", IDS)
def test_each_exercise_has_three_wrong_answers_and_cases_that_learners_do_not_have(key):
    exercise = PAPERS[key[:2]].exercises[key]
    assert len(exercise.wrong) >= 3
    cases = exercise.made(0)
    assert sum(case.visible for case in cases) >= 2
    assert sum(not case.visible for case in cases) >= 3


@pytest.mark.parametrize("key", IDS)
def test_each_exercise_is_told_as_the_others_are(key):
    paper = PAPERS[key[:2]]
    item = paper.items[key]
    notebook = source.read(catalogue.notebook(SOLUTIONS, key))
    cells = {cell.id: cell for cell in notebook.cells}
    hints = cells[f"{item.cell}-hints"].source
    assert re.findall(r"<summary>(.+?)</summary>", hints) == ["Hint 1", "Hint 2", "Hint 3"]
    check = cells[f"{item.cell}-check"]
    assert check.source.startswith(f'check("{key}")')
    assert check.metadata["nbgrader"]["points"] == item.points
    (function,) = ast.parse(source.solution(item.answer)).body
    assert isinstance(function, ast.FunctionDef)
    assert function.name == paper.exercises[key].answer
    assert ast.get_docstring(function)
    texts = [cell for name, cell in cells.items() if name.startswith(item.cell) and cell.cell_type != "code"]
    assert any(f"`{function.name}" in cell.source for cell in texts)


@pytest.mark.parametrize("number", PAPERS)
def test_the_learners_edition_is_what_the_source_gives(number):
    path = catalogue.notebook(SOLUTIONS, number)
    remedy = "run `course make-exercises`"
    assert (EXERCISES / path.name).read_text(encoding="utf-8") == learner_edition(path), remedy
    assert same_cases(EXERCISES / "cases" / f"{number}.cases", visible_cases(SOLUTIONS, number)), remedy


@pytest.mark.parametrize("number", PAPERS)
def test_the_notebook_adds_its_points_and_minutes_up(number):
    notebook = source.read(catalogue.notebook(SOLUTIONS, number))
    items = PAPERS[number].items.values()
    title = notebook.cells[0].source
    assert f"{sum(item.minutes for item in items)} minutes" in title
    assert f"{sum(item.points for item in items)} points" in title


def test_no_file_of_exercises_is_left_without_its_source():
    assert {path.name for path in EXERCISES.glob("*.ipynb")} == {
        path.name for path in SOLUTIONS.glob("*.ipynb")
    }
    assert {path.stem for path in (EXERCISES / "cases").iterdir()} == set(PAPERS)
