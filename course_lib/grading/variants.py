"""`course variants`: every student's own visible cases, so that numbers cannot be copied."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import nbformat

from course_lib.errors import BadInput
from course_lib.grading import catalogue, source
from course_lib.grading.hostile import safe_name
from course_lib.grading.marking import seed_of
from course_lib.grading.release import visible_cases
from course_lib.grading.worker import values
from course_lib.runner.state import write_atomically


def roster(path: Path) -> list[str]:
    """Return the students in a roster: the first column of a CSV file, without its heading when it has one.

    Raises
    ------
    BadInput
        When it cannot be read, names nobody, or names somebody twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            names = [row[0].strip() for row in csv.reader(file) if row and row[0].strip()]
    except (OSError, UnicodeError, csv.Error) as error:
        raise BadInput(f"The roster {path} cannot be read: {error}.", "Save it as CSV in UTF-8.") from None
    if names and names[0].lower() in ("student", "name", "id", "学生", "姓名", "学号"):
        names = names[1:]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        raise BadInput(
            f"The roster {path} {'names twice: ' + ', '.join(twice) if twice else 'names nobody'}."
        )
    return names


def write_variants(solutions: Path, students: Sequence[str], out: Path, seed: int) -> list[Path]:
    """Write a folder of exercises for each student, with visible cases of their own.

    The tasks are the same for all; the numbers in the cases differ, as do those of the hidden cases when the
    class is graded with the same seed.

    Parameters
    ----------
    solutions : pathlib.Path
        The teacher's folder.
    students : sequence of str
    out : pathlib.Path
    seed : int
        Of the class.

    Returns
    -------
    list of pathlib.Path
        One folder for each student.
    """
    folders = []
    for student in students:
        folder = out / safe_name(student)
        (folder / "cases").mkdir(parents=True, exist_ok=True)
        for path in catalogue.notebooks(solutions):
            number = path.name[:2]
            made = source.without_answers(source.read(path), path.name)
            made.metadata["carryover"] = {"student": student}
            write_atomically(folder / path.name, str(nbformat.writes(made)).rstrip("\n") + "\n")  # type: ignore[no-untyped-call]
            cases = visible_cases(solutions, number, seed_of(seed, student))
            (folder / "cases" / f"{number}.cases").write_bytes(values.dumps(cases))
        folders.append(folder)
    return folders
