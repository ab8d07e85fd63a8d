"""`course check 05`: a learner's whole notebook tried on the visible cases, outside of Jupyter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from course_lib.grading import catalogue, source, submission
from course_lib.grading.attempt import Work, attempt
from course_lib.grading.check import Checked
from course_lib.grading.marking import WAITING, imports_of, verdicts_on
from course_lib.grading.sandbox import probe
from course_lib.grading.slot import Limits, Slot
from course_lib.grading.source import Item
from course_lib.grading.submission import Found
from course_lib.runner.plan import read_whole


def checked(folder: Path, number: str) -> list[Checked]:
    """Return what the visible cases say of every exercise in a learner's notebook.

    Parameters
    ----------
    folder : pathlib.Path
        The learner's exercises, with their folder ``cases``.
    number : str
        Of the notebook.

    Raises
    ------
    BadInput
        When there is no such notebook, or it is not whole.
    CourseError
        When its cases cannot be read, or no worker can be started.
    """
    path, known = catalogue.notebook(folder, number), catalogue.visible(folder, number)
    read_whole(path)  # says how to get one back that was saved half-way
    items = [_item(key, told) for key, told in known.items()]
    cells = {cell.id: cell.source for cell in source.read(path).cells}
    setup = cells.get(f"{number[:2]}-setup", "")
    functions = {key: told["answer"] for key, told in known.items()}
    found = submission.read(Found("", path.stem, path), items, functions, setup)
    with Slot(probe(), imports_of(setup, {told["tensors"] for told in known.values()})) as slot:
        return [_checked(slot, key, told, found.answers[key]) for key, told in known.items()]


def _item(key: str, told: dict[str, Any]) -> Item:
    return Item(key, told["title"], told["level"], told["minutes"], told["points"], "")


def _checked(slot: Slot, key: str, told: dict[str, Any], answer: submission.Answer) -> Checked:
    if not answer.cells:
        return Checked(key, told["title"], [], 0.0, answer.note)
    cases = [catalogue.case_of(plain) for plain in told["cases"]]
    limits = Limits(seconds=told["seconds"], memory=told["memory"])
    arguments = [case.arguments for case in cases]
    outcome = attempt(slot, Work(key, answer.cells, told["answer"], told["tensors"], arguments, limits))
    verdicts = verdicts_on(cases, outcome)
    if verdicts[0].problem == WAITING:
        verdicts = []
    points = told["points"] * sum(verdict.ok for verdict in verdicts) / len(cases)
    return Checked(key, told["title"], verdicts, round(points, 2), answer.note)
