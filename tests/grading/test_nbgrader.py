"""The solution notebooks under nbgrader as they are: released, graded, told, with the same points."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from course_lib.bench import grading as bench
from course_lib.grading import catalogue, source
from course_lib.grading.attempt import attempt_all
from course_lib.grading.marking import Paper, marked, works
from course_lib.grading.release import make_exercises
from course_lib.grading.sandbox import probe
from course_lib.grading.slot import Slot
from course_lib.grading.submission import Found, read

ROOT = Path(__file__).parents[2]
REAL = "04"
SEED = 1
"""From which `check` makes hidden cases; the same here, so that the same ones fail."""

TWO = bench.Kind("NumPy", "", "import numpy as np", "numpy", bench.KINDS[0].answers[:2], 0)
COVARIANCE, STANDARDISED = (answer.body for answer in TWO.answers)
SMALL_FAULT = COVARIANCE.replace(
    "return ", "return (len(x) > 2) * "
)  # fails a visible case and no hidden one
LARGE_FAULT = COVARIANCE.replace("return ", "return (len(x) < 50) * ")  # fails two hidden ones of four
LOUD = f'import sys\nsys.stderr.write("careful")\nnp.float64(0) / 0\n{STANDARDISED}'
IN_PLACE = "x -= x.mean(axis=0)\nreturn x / x.std(axis=0)"
BODIES: dict[
    str, tuple[str | None, str | None]
] = {  # what students wrote for the two exercises; None: nothing
    "ada": (COVARIANCE, STANDARDISED),
    "blank": (None, None),
    "half": (COVARIANCE, None),
    "part": (LARGE_FAULT, LOUD),
    "seen": (SMALL_FAULT, "return ("),
    "wrong": ("return np.cov(x)", IN_PLACE),
}
EXPECTED = {"ada": [3, 3], "blank": [0, 0], "half": [3, 0], "part": [1.5, 3], "seen": [3, 0], "wrong": [0, 0]}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    """A course of two notebooks, one small, one real, released and graded by nbgrader's own commands."""
    folder = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_SOLUTIONS", str(folder / "solutions"))  # for the kernels, and nothing else is
        patch.setenv("COURSE_STATE", str(folder / "state"))
        patch.setenv("COURSE_OFFLINE", "1")
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # alembic, for nbgrader
        bench.write_course(folder, TWO, 0)
        add_real(folder)
        root, sources = folder / "nbgrader", folder / "nbgrader" / "source" / bench.ASSIGNMENT
        shutil.copytree(folder / "exercises" / "cases", sources / "cases")
        for path in catalogue.notebooks(folder / "solutions"):
            shutil.copy(path, sources)
        nbgrader(root, "generate_assignment")
        for name, bodies in BODIES.items():
            hand_in(root, name, bodies)
        nbgrader(root, "autograde")
        nbgrader(root, "generate_feedback")
        yield folder


def add_real(folder: Path) -> None:
    """Put a notebook of the course beside the small one."""
    solutions = folder / "solutions"
    shutil.copy(catalogue.notebook(ROOT / "solutions", REAL), solutions)
    for path in (ROOT / "solutions" / "checks").glob(f"*{REAL}*"):
        shutil.copy(path, solutions / "checks")
    make_exercises(solutions, folder / "exercises", [REAL])


def nbgrader(root: Path, command: str) -> None:
    told = [sys.executable, "-m", "nbgrader", command, bench.ASSIGNMENT, "--course-dir", str(root)]
    done = subprocess.run(told, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def hand_in(root: Path, name: str, bodies: tuple[str | None, str | None]) -> None:
    """Hand in nbgrader's own release, with these answers written in."""
    there = root / "submitted" / name / bench.ASSIGNMENT
    there.mkdir(parents=True)
    for path in catalogue.notebooks(root / "release" / bench.ASSIGNMENT):
        real = path.name.startswith(REAL)
        if real and name not in ("ada", "half"):  # each takes seconds
            continue
        notebook = source.read(path)
        answers = real_answers(root.parent, name) if real else small_answers(notebook, bodies)
        for cell in notebook.cells:
            cell.source = answers.get(cell.id, cell.source)
        nbformat.write(notebook, there / path.name)


def small_answers(notebook: Any, bodies: tuple[str | None, str | None]) -> dict[str, str]:
    stubs = {cell.id: cell.source for cell in notebook.cells if cell.id.endswith("-answer")}
    return {
        key: stub.split("    # YOUR CODE HERE")[0] + "\n".join(f"    {line}" for line in body.splitlines())
        for (key, stub), body in zip(stubs.items(), bodies, strict=True)
        if body is not None
    }


def real_answers(folder: Path, name: str) -> dict[str, str]:
    """Return what solves the real notebook; of "half" only the first answer does, the second is not there."""
    solutions = folder / "solutions"
    answers = {}
    for place, (key, exercise) in enumerate(catalogue.exercises(solutions, REAL).items()):
        item = catalogue.items(solutions, REAL)[key]
        full = source.solution(item.answer)
        if name == "ada" or place == 0:
            answers[f"{item.cell}-answer"] = full
        elif place > 1:
            answers[f"{item.cell}-answer"] = exercise.wrong[0].applied(full)
    return answers


def ours(folder: Path, name: str, stem: str) -> dict[str, float]:
    """Return the points that we give, by exercise, on the hidden cases that `check` makes."""
    solutions = folder / "solutions"
    paper = Paper.load(solutions, solutions / f"{stem}.ipynb")
    path = folder / "nbgrader" / "submitted" / name / bench.ASSIGNMENT / f"{stem}.ipynb"
    found = read(Found(name, stem, path), list(paper.items.values()), paper.functions, paper.setup)
    with Slot(probe(), paper.imports) as slot:
        outcomes = attempt_all(slot, works(paper, found, SEED, True))
    return {result.id: result.earned for result in marked(paper, found, outcomes, SEED).results}


def theirs(folder: Path, name: str, stem: str) -> dict[str, float]:
    """Return the points in nbgrader's gradebook, by exercise."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder / 'nbgrader' / 'gradebook.db'}") as book:
        found = book.find_submission_notebook(stem, bench.ASSIGNMENT, name)
        assert not any(grade.needs_manual_grade for grade in found.grades)
        scores = {grade.cell.name: grade.score for grade in found.grades}
    return {key.removesuffix("-check").replace("-", "."): score for key, score in sorted(scores.items())}


def test_its_release_is_ours_but_for_the_words_of_the_stub(place) -> None:
    for path in catalogue.notebooks(place / "solutions"):
        solution = source.read(path)
        made = source.without_answers(copy.deepcopy(solution))
        release = source.read(place / "nbgrader" / "release" / bench.ASSIGNMENT / path.name)
        assert [cell.id for cell in release.cells] == [cell.id for cell in made.cells]
        for cell, same, full in zip(release.cells, made.cells, solution.cells, strict=True):
            assert "SOLUTION" not in cell.source and "HIDDEN" not in cell.source
            assert cell.cell_type == same.cell_type and cell.get("outputs", []) == same.get("outputs", [])
            if not cell.id.endswith("-answer"):
                assert cell.source.rstrip() == same.source.rstrip()
                continue
            head = full.source.split("    ### BEGIN SOLUTION")[0]
            assert cell.source.startswith(head) and same.source.startswith(head)
            assert "raise NotImplementedError(" in cell.source
            assert len(cell.source.splitlines()) == len(same.source.splitlines())


def test_its_points_are_ours_and_what_we_expect(place) -> None:
    for name, expected in EXPECTED.items():
        assert [*theirs(place, name, bench.STEM).values()] == expected, name
        assert theirs(place, name, bench.STEM) == ours(place, name, bench.STEM), name


def test_its_points_of_a_real_notebook_are_ours(place) -> None:
    (stem,) = [path.stem for path in catalogue.notebooks(place / "solutions") if path.name[:2] == REAL]
    full = {key: item.points for key, item in catalogue.items(place / "solutions", REAL).items()}
    assert theirs(place, "ada", stem) == ours(place, "ada", stem) == full
    half = theirs(place, "half", stem)
    assert half == ours(place, "half", stem)
    first, second, *others = full
    assert half[first] == full[first] and half[second] == 0
    assert others and all(half[key] < full[key] for key in others)


def test_its_feedback_tells_points_and_cases_but_no_check(place) -> None:
    folder = place / "nbgrader" / "feedback"
    pages = {name: folder / name / bench.ASSIGNMENT / f"{bench.STEM}.html" for name in BODIES}
    assert all(page.stat().st_size > 1000 for page in pages.values())
    text = pages["seen"].read_text(encoding="utf-8")
    assert "1 of 2 cases pass" in text and "Covariance" not in text
    assert "np.cov" not in text  # what the checks compare with
