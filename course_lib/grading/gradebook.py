"""A class's points for other programs: a table as CSV, Gradescope's results, a table in the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from course_lib.grading.hostile import clean, one_line
from course_lib.grading.judge import Verdict
from course_lib.grading.results import ClassResult, ExerciseResult, Graded
from course_lib.grading.spreadsheet import csv_text, number
from course_lib.runner.state import write_atomically

if TYPE_CHECKING:
    from rich.table import Table

STATUS: Final[Mapping[str, str]] = {
    "full": "solved",
    "part": "partly solved",
    "none": "not solved yet",
    "waiting": "not begun: the stub is as it was",
    "stopped": "stopped: a limit was hit, or the program ended itself",
    "missing": "no answer was found",
}
HIDDEN: Final = "A hidden case failed."
ROWS: Final = 40


def by_student(result: ClassResult) -> dict[str, dict[str, Graded]]:
    """Return everybody's submissions: by student, then by notebook, both in order."""
    found: dict[str, dict[str, Graded]] = {student: {} for student in result.students}
    for one in sorted(result.graded, key=lambda one: one.notebook):
        found[one.student][one.notebook] = one
    return found


def possible(result: ClassResult) -> dict[str, float]:
    """Return the points that each notebook of a class is worth.

    Examples
    --------
    >>> possible(ClassResult([Graded("Ada", "05_x", [ExerciseResult("05.1", "Means", 3, 3, "full")])]))
    {'05_x': 3}
    """
    worth = {one.notebook: one.points for one in result.graded}
    return {notebook: worth[notebook] for notebook in result.notebooks}


def short(notebook: str) -> str:
    """Return the number of a notebook: ``"05"`` of ``"05_imagenet_to_cifar_fine_tuning"``."""
    return notebook.partition("_")[0]


def write_csv(result: ClassResult, path: Path) -> None:
    """Write one row for each student: points of each notebook, total, points of each exercise, notes.

    Parameters
    ----------
    result : ClassResult
    path : pathlib.Path
        The file is UTF-8 with a byte-order mark, so that Excel opens it. A notebook that was not handed in
        leaves its cells empty; it counts nothing in the total. Who handed in nothing has a row as well.
    """
    notebooks, worth = result.notebooks, possible(result)
    exercises = sorted({one.id for graded in result.graded for one in graded.results})
    points = [f"{short(notebook)} points" for notebook in notebooks]
    rows: list[list[str | float | None]] = [["student", *points, "total", "possible", *exercises, "notes"]]
    everybody = by_student(result) | {student: {} for student in result.absent}
    for student, graded in sorted(everybody.items()):
        earned = {one.id: one.earned for each in graded.values() for one in each.results}
        rows.append(
            [
                student,
                *(graded[notebook].earned if notebook in graded else None for notebook in notebooks),
                sum(one.earned for one in graded.values()),
                sum(worth.values()),
                *(earned.get(exercise) for exercise in exercises),
                _notes(list(graded.values())) if graded else "nothing was handed in",
            ]
        )
    write_atomically(path, csv_text(rows))


def _notes(graded: Sequence[Graded]) -> str:
    """Return what was wrong with files and answers, in one line."""
    parts = []
    for one in graded:
        parts += [f"{short(one.notebook)}: {note}" for note in one.notes]
        parts += [f"{each.id}: {each.note}" for each in one.results if each.note]
    return "; ".join(parts)


def gradescope(graded: Sequence[Graded]) -> dict[str, Any]:
    """Return one student's submissions as Gradescope's ``results.json``.

    Each exercise is a test with a score; each of its cases follows as a test without one, since points are
    rounded for an exercise and not for a case. What comes from hidden cases, points included, is shown
    ``after_published``: on Gradescope one may hand in again and again, and points shown at once would say of
    each attempt whether a hidden case passed. Until then students see the visible cases, as in the notebook.
    Where hidden cases were not tried, everything is ``visible``.

    Parameters
    ----------
    graded : sequence of Graded
        All of one student.

    Returns
    -------
    dict
        For ``json.dumps``; every output is plain text.

    Examples
    --------
    >>> solved = ExerciseResult("05.1", "Means", 3, 3, "full", verdicts=[Verdict("a case", "")])
    >>> made = gradescope([Graded("Ada", "05_x", [solved])])
    >>> made["score"], [(one["name"], one["status"], one["visibility"]) for one in made["tests"]]
    (3, [('Means', 'passed', 'after_published'), ('a case', 'passed', 'visible')])
    """
    notes = [f"{short(one.notebook)}: {note}" for one in graded for note in one.notes]
    tests: list[dict[str, Any]] = []
    for one in graded:
        for each in one.results:
            tests.append(_exercise(each, one.hidden))
            tests += [_case(each, k, verdict) for k, verdict in enumerate(each.verdicts, 1)]
    return {
        "score": round(sum(one.earned for one in graded), 2),
        "output": clean("\n".join(notes)),
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": tests,
    }


def _exercise(result: ExerciseResult, hidden: bool) -> dict[str, Any]:
    return {
        "number": result.id,
        "name": one_line(result.title),
        "score": result.earned,
        "max_score": result.points,
        "status": "passed" if result.status == "full" else "failed",
        "output": "\n".join(filter(None, [STATUS[result.status], clean(result.note)])),
        "output_format": "text",
        "visibility": "after_published" if hidden else "visible",
    }


def _case(result: ExerciseResult, place: int, verdict: Verdict) -> dict[str, Any]:
    return {
        "number": f"{result.id}.{place}",
        "name": one_line(verdict.case),
        "status": "passed" if verdict.ok else "failed",
        "output": "\n".join(filter(None, [told(verdict), clean(verdict.reason)])),
        "output_format": "text",
        "visibility": "visible" if verdict.visible else "after_published",
    }


def told(verdict: Verdict) -> str:
    """Return what a student is told of a case; of a hidden one never in what the answer differs.

    Examples
    --------
    >>> told(Verdict("one row", "off by up to 0.25", visible=False))
    'A hidden case failed.'
    """
    if verdict.ok:
        return ""
    return clean(verdict.problem) if verdict.visible else HIDDEN


def write_gradescope(graded: Sequence[Graded], path: Path) -> None:
    """Write `gradescope` of one student's submissions to `path`."""
    write_atomically(path, json.dumps(gradescope(graded), ensure_ascii=False, indent=1) + "\n")


def table(result: ClassResult, rows: int = ROWS) -> Table:
    """Return everybody's points as a table for the terminal.

    Parameters
    ----------
    result : ClassResult
    rows : int
        At most so many students; below stands how many more there are.

    Examples
    --------
    >>> table(ClassResult([Graded("Ada", "05_x", []), Graded("Bo", "05_x", [])]), rows=1).caption
    'and 1 more, in grades.csv'
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    worth = possible(result)
    everybody = by_student(result)
    made = Table(box=box.SIMPLE_HEAD)
    made.add_column("student", max_width=40, no_wrap=True, overflow="ellipsis")
    for name, most in [*((short(one), worth[one]) for one in worth), ("total", sum(worth.values()))]:
        made.add_column(f"{name} (of {number(most)})", justify="right", min_width=5)
    for student, graded in list(everybody.items())[:rows]:
        points = [number(graded[one].earned) if one in graded else "–" for one in worth]
        total = number(sum(one.earned for one in graded.values()))
        # as Text, since a name such as "[red]" would be markup
        made.add_row(Text(one_line(student)), *points, total)
    if len(everybody) > rows:
        made.caption = f"and {len(everybody) - rows:,} more, in grades.csv"
    return made
