"""What a student gets back: one page with points, cases, hints and their own code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from course_lib.grading.gradebook import STATUS, by_student, told
from course_lib.grading.hostile import clean, one_line, safe_name
from course_lib.grading.judge import Verdict
from course_lib.grading.results import ClassResult, ExerciseResult, Graded
from course_lib.grading.sheet import code, rendered
from course_lib.grading.spreadsheet import number
from course_lib.runner.state import write_atomically

__all__ = ["feedback", "safe_name", "write_feedback"]

NAME: Final = 80
UNTRIED: Final = ("waiting", "missing")
"""Where no case was tried, a list of failed cases would say nothing."""
WITH_HIDDEN: Final = "Points come from the hidden cases that passed."
WITHOUT_HIDDEN: Final = "Hidden cases were not tried: points come from the visible cases that passed."


def feedback(student: str, graded: Sequence[Graded]) -> str:
    """Return a student's page: everything on it is text, whatever they wrote, and nothing of it is run.

    Of a hidden case the page tells the name, whether it passed, and the hint; never in what the answer
    differed.

    Parameters
    ----------
    student : str
    graded : sequence of Graded
        The student's submissions.

    Examples
    --------
    >>> case = Verdict("one row", "off by up to 0.25", "What is the mean of one row?", visible=False)
    >>> part = ExerciseResult("05.1", "Means", 3, 1.5, "part", verdicts=[case])
    >>> page = feedback("<b>Ada</b>", [Graded("<b>Ada</b>", "05_means", [part])])
    >>> "&lt;b&gt;Ada" in page, "0.25" in page, "What is the mean of one row?" in page
    (True, False, True)
    """
    return rendered(
        "feedback.html",
        one_line(student, NAME),
        student=one_line(student, NAME),
        earned=number(sum(one.earned for one in graded)),
        points=number(sum(one.points for one in graded)),
        notebooks=[_notebook(k, one) for k, one in enumerate(graded, 1)],
    )


def write_feedback(result: ClassResult, folder: Path) -> list[Path]:
    """Write everybody's page to ``folder/NAME.html``, with names from `safe_name`; return the files."""
    written = []
    for student, graded in by_student(result).items():
        path = folder / f"{safe_name(student)}.html"
        write_atomically(path, feedback(student, list(graded.values())))
        written.append(path)
    return written


def _notebook(place: int, graded: Graded) -> dict[str, Any]:
    how = WITH_HIDDEN if graded.hidden else WITHOUT_HIDDEN
    return {
        "anchor": f"notebook-{place}",
        "name": one_line(graded.notebook.replace("_", " ")),
        "earned": number(graded.earned),
        "points": number(graded.points),
        "notes": [clean(note) for note in graded.notes],
        "how": f"{how} Sandbox: {one_line(graded.tier)}." if graded.tier else how,
        "exercises": [_exercise(one, graded.answers.get(one.id, "")) for one in graded.results],
    }


def _exercise(result: ExerciseResult, answer: str) -> dict[str, Any]:
    cases = [] if result.status in UNTRIED else [_case(verdict) for verdict in result.verdicts]
    return {
        "id": result.id,
        "title": one_line(result.title),
        "status": result.status,
        "words": STATUS[result.status].capitalize() + ".",
        "earned": number(result.earned),
        "points": number(result.points),
        "note": clean(result.note),
        "cases": cases,
        "said": clean(result.said).strip(),
        "code": code(answer) if answer.strip() else "",
    }


def _case(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": one_line(verdict.case),
        "ok": verdict.ok,
        "visible": verdict.visible,
        "problem": told(verdict),
        "reason": clean(verdict.reason),
    }
