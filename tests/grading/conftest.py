"""A small pair of notebook and checks, made anew for each test."""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_lib.grading import catalogue, source
from course_lib.grading.release import make_exercises

CHECKS = """
import numpy as np
from course_lib.grading import Case, Exercise, Wrong, close, equal

def covariances(rng):
    for n, seen in ((20, True), (2, True), (7, False), (50, False)):
        x = rng.normal(size=(n, 3)) + 5
        expected = close(np.cov(x, rowvar=False))
        yield Case(f"{n} rows", (x,), expected, visible=seen, reason="What does one divide by?")

def ranks(rng):
    for n, seen in ((5, True), (1, False), (9, False)):
        x = rng.permutation(n).astype(float)
        yield Case(f"{n} numbers", (x.tolist(),), equal(np.argsort(np.argsort(x)).tolist()), visible=seen)

EXERCISES = [
    Exercise("99.1", "covariance", covariances, (
        Wrong("divides by n", (("(len(x) - 1)", "len(x)"),), "2 rows"),
        Wrong("not centred", (("x - x.mean(axis=0)", "x"),), "20 rows"),
        Wrong("in place", (("centred = x - x.mean(axis=0)", "x -= x.mean(axis=0); centred = x"),), "20 rows"),
    ), seconds=2.0),
    Exercise("99.2", "ranks", ranks, (), seconds=2.0),
]
"""
TEXT = "## 99.{k} · {title}\n\n*★★ · 5 minutes · {points} points*\n\nWrite it."
ANSWERS = {
    1: '''def covariance(x):
    """Return the covariance of the rows of x, divided by n - 1."""
    ### BEGIN SOLUTION
    centred = x - x.mean(axis=0)
    return centred.T @ centred / (len(x) - 1)
    ### END SOLUTION''',
    2: '''def ranks(numbers):
    """Return the rank of each number."""
    ### BEGIN SOLUTION
    order = sorted(numbers)
    return [order.index(number) for number in numbers]
    ### END SOLUTION''',
}


def mark(cell, name, points=None):
    answer, check = name.endswith("-answer"), name.endswith("-check")
    cell.id = f"99-{name}"
    cell.metadata["nbgrader"] = {
        "grade": check,
        "grade_id": cell.id,
        "locked": not answer,
        "schema_version": 3,
        "solution": answer,
        "task": False,
    } | ({"points": points} if check else {})
    return cell


def solution_notebook():
    cells = [
        mark(new_markdown_cell("# 99 · Exercises"), "title"),
        mark(
            new_code_cell("import numpy as np\n\nfrom course_lib.grading import check, solved"),
            "setup",
        ),
    ]
    for k, (title, points) in enumerate((("Covariance", 3), ("Ranks", 2)), 1):
        check = f'check("99.{k}")\n{source.BEGIN_HIDDEN}\ncheck("99.{k}", hidden=True)\n{source.END_HIDDEN}'
        cells += [
            mark(new_markdown_cell(TEXT.format(k=k, title=title, points=points)), f"{k}-text"),
            mark(new_code_cell(ANSWERS[k]), f"{k}-answer"),
            mark(new_markdown_cell("<details><summary>Hint 1</summary>a</details>"), f"{k}-hints"),
            mark(new_code_cell(check), f"{k}-check", points),
        ]
    return new_notebook(cells=cells)


class Course:
    """A teacher's folder and a learner's, in a temporary place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.solutions, self.exercises = root / "solutions", root / "exercises"
        (self.solutions / "checks").mkdir(parents=True)
        (self.solutions / "checks" / "c99.py").write_text(CHECKS)
        nbformat.write(solution_notebook(), self.solutions / "99_try.ipynb")
        make_exercises(self.solutions, self.exercises)
        self.items = catalogue.items(self.solutions, "99")
        self.right = {k: source.solution(ANSWERS[k]) for k in ANSWERS}

    def notebook(self, answers=None):
        """Return the learner's notebook with these answers, by number of the exercise."""
        made = nbformat.read(self.exercises / "99_try.ipynb", as_version=4)
        for cell in made.cells:
            for k, text in (answers or {}).items():
                if cell.id == f"99-{k}-answer":
                    cell.source = text
        return copy.deepcopy(made)

    def submit(self, student, answers=None, notebook=None):
        """Hand in a notebook."""
        path = self.root / "submissions" / student / "99_try.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook or self.notebook(answers), path)
        return path

    @property
    def submissions(self):
        return self.root / "submissions"


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COURSE_SOLUTIONS", str(tmp_path / "solutions"))
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    made = Course(tmp_path)
    monkeypatch.chdir(made.exercises)
    return made
