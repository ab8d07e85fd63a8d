"""Where exercises and their checks lie, and reading them."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import course_lib
from course_lib.errors import BadInput, CourseError
from course_lib.grading import source
from course_lib.grading.compare import Expectation
from course_lib.grading.exercise import Case, Exercise
from course_lib.grading.worker import values

LIBRARY = Path(course_lib.__file__).parent
ID = re.compile(r"\d\d\.\d")


def exercises_folder() -> Path:
    """Return the folder of the learner's exercises: the one that we are in, or the one of this clone.

    Raises
    ------
    BadInput
        When there is none.
    """
    places = [Path.cwd(), Path.cwd() / "exercises", LIBRARY.parent / "exercises"]
    for place in places:
        if (place / "cases").is_dir():
            return place
    raise BadInput(
        f"There are no exercises in {' or '.join(map(str, dict.fromkeys(places)))}.",
        "Run this in the folder of the exercises, or in your clone of the course.",
    )


def solutions_folder() -> Path:
    """Return the teacher's folder: ``$COURSE_SOLUTIONS``, the one here, or the one of this clone.

    Raises
    ------
    BadInput
        When there is none, as in what learners get.
    """
    named = os.environ.get("COURSE_SOLUTIONS", "").strip()
    places = [Path(named)] if named else [Path.cwd() / "solutions", LIBRARY.parent / "solutions"]
    for place in places:
        if (place / "checks").is_dir():
            return place
    raise BadInput(
        f"There are no solutions in {' or '.join(map(str, dict.fromkeys(places)))}.",
        "Hidden cases stay with the teacher; name the teacher's folder in COURSE_SOLUTIONS.",
    )


def notebooks(folder: Path) -> list[Path]:
    """Return the exercise notebooks in `folder`, in the order of their numbers."""
    return sorted(path for path in folder.glob("[0-9][0-9]_*.ipynb"))


def notebook(folder: Path, number: str) -> Path:
    """Return the notebook of that number.

    Raises
    ------
    BadInput
        When there is none.
    """
    found = [path for path in notebooks(folder) if path.name.startswith(number[:2])]
    if not found:
        there = ", ".join(path.name[:2] for path in notebooks(folder))
        raise BadInput(f"There are no exercises numbered {number!r} in {folder}.", f"There are {there}.")
    return found[0]


@cache
def exercises(folder: Path, number: str) -> dict[str, Exercise]:
    """Return the exercises of a notebook, hidden side and all, from the teacher's ``checks/cNN.py``.

    Raises
    ------
    BadInput
        When the file is not there, or names one exercise twice.
    """
    path = folder / "checks" / f"c{number[:2]}.py"
    if not path.is_file():
        raise BadInput(f"There are no checks at {path}.")
    spec = importlib.util.spec_from_file_location(f"carryover_checks_{number[:2]}", path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]  # the file is there
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    found = {exercise.id: exercise for exercise in module.EXERCISES}
    if len(found) != len(module.EXERCISES) or any(key[:2] != number[:2] for key in found):
        raise BadInput(f"{path} names an exercise twice, or one of another notebook: {sorted(found)}.")
    return found


@cache
def items(folder: Path, number: str) -> dict[str, source.Item]:
    """Return titles, points and solutions of a notebook's exercises, by id."""
    path = notebook(folder, number)
    return {item.id: item for item in source.items(source.read(path), path.name)}


def visible(folder: Path, number: str) -> dict[str, dict[str, Any]]:
    """Return what the learner's copy knows of each exercise of a notebook: titles, points, visible cases.

    Raises
    ------
    CourseError
        When the file of cases is missing or damaged.
    """
    path = folder / "cases" / f"{number[:2]}.cases"
    try:
        read: dict[str, dict[str, Any]] = values.loads(path.read_bytes())
    except (OSError, values.NotPlain) as error:
        raise CourseError(
            f"The cases of notebook {number[:2]} cannot be read from {path}: {error}.",
            "Fetch the exercises again; in a clone, `course make-exercises` writes them.",
        ) from None
    return read


def written(case: Case) -> dict[str, Any]:
    """Return a case as a plain value."""
    expected = case.expected
    return {
        "name": case.name,
        "arguments": case.arguments,
        "how": expected.how,
        "value": expected.value,
        "options": expected.options,
        "reason": case.reason,
        "mutates": case.mutates,
        "visible": case.visible,
    }


def case_of(plain: Mapping[str, Any]) -> Case:
    """Return the case that `written` wrote."""
    return Case(
        plain["name"],
        plain["arguments"],
        Expectation(plain["how"], plain["value"], plain["options"]),
        plain["visible"],
        plain["reason"],
        plain["mutates"],
    )
