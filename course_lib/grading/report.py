"""All reports on a class, written to one folder; equal results give equal bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from course_lib.errors import BadInput
from course_lib.grading import catalogue, source
from course_lib.grading.classpage import write_class_page
from course_lib.grading.feedback import write_feedback
from course_lib.grading.gradebook import by_student, write_csv, write_gradescope
from course_lib.grading.hostile import OURS, safe_name
from course_lib.grading.results import ClassResult, Graded
from course_lib.grading.similarity import similar, write_pairs

__all__ = ["known_code", "safe_name", "write_reports"]


def known_code(solutions: Path) -> dict[str, list[str]]:
    """Return, by exercise, what everybody may have written: the stub, and the teacher's solution.

    Two right answers may both be the obvious one, so what they share with the solution makes them no pair.
    """
    known: dict[str, list[str]] = {}
    for path in catalogue.notebooks(solutions):
        notebook = source.read(path)
        stubs = {cell.id: cell.source for cell in source.without_answers(notebook, path.name).cells}
        for item in source.items(notebook, path.name):
            known[item.id] = [stubs[f"{item.cell}-answer"], source.solution(item.answer)]
    return known


def write_reports(
    result: ClassResult, out: Path, *, known: Mapping[str, Iterable[str]] | None = None
) -> None:
    """Write everything that is told of a class, and remove the pages of students who are no longer in it.

    ``grades.csv``, ``similarity.csv`` and ``class.html`` are for the teacher; ``feedback/NAME.html`` and
    ``gradescope/NAME/results.json`` are for each student. Files that are not ours stay where they are.

    Parameters
    ----------
    result : ClassResult
    out : pathlib.Path
    known : dict, optional
        By exercise: code that everybody may have, as from `known_code`. It makes nobody similar.

    Raises
    ------
    BadInput
        When nothing was handed in.
    """
    if not result.graded:
        raise BadInput("There is no submission to report on.", "Grade a folder with one or more of them.")
    everybody = by_student(result)
    answers = {who: _answers(graded.values()) for who, graded in everybody.items()}
    pairs = similar(answers, known=known)
    write_csv(result, out / "grades.csv")
    write_pairs(pairs, out / "similarity.csv")
    pages = write_feedback(result, out / "feedback")
    for student, graded in everybody.items():
        write_gradescope(list(graded.values()), out / "gradescope" / safe_name(student) / "results.json")
    write_class_page(result, out / "class.html", pairs)
    _forget(out, {path.stem for path in pages})


def _answers(graded: Iterable[Graded]) -> dict[str, str]:
    return {exercise: answer for one in graded for exercise, answer in one.answers.items()}


def _forget(out: Path, names: set[str]) -> None:
    """Remove what an earlier report said of students who are not among `names`."""
    for page in (out / "feedback").glob("*.html"):
        if OURS.fullmatch(page.stem) and page.stem not in names:
            page.unlink()
    for folder in (out / "gradescope").iterdir():
        if not OURS.fullmatch(folder.name) or folder.name in names or folder.is_symlink():
            continue
        (folder / "results.json").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else's files are in it
            folder.rmdir()
