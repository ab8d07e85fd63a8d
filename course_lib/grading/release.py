"""`course make-exercises`: the learner's notebooks and visible cases, out of the solutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat

from course_lib.errors import BadInput
from course_lib.grading import catalogue, source
from course_lib.grading.compare import close
from course_lib.grading.worker import values
from course_lib.runner.state import write_atomically

VISIBLE_SEED = 0


def make_exercises(solutions: Path, exercises: Path, numbers: list[str] | None = None) -> list[Path]:
    """Write ``exercises/NN_name.ipynb`` and ``exercises/cases/NN.cases`` for each solution notebook.

    Parameters
    ----------
    solutions, exercises : pathlib.Path
        The two folders.
    numbers : list of str, optional
        Some notebooks only.

    Returns
    -------
    list of pathlib.Path
        The files that changed.

    Raises
    ------
    BadInput
        When a notebook and its checks do not name the same exercises.
    """
    changed = []
    (exercises / "cases").mkdir(parents=True, exist_ok=True)
    for path in catalogue.notebooks(solutions):
        number = path.name[:2]
        if numbers and number not in numbers:
            continue
        text = learner_edition(path)
        target = exercises / path.name
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            write_atomically(target, text)
            changed.append(target)
        made, kept = visible_cases(solutions, number), exercises / "cases" / f"{number}.cases"
        if not same_cases(kept, made):
            kept.write_bytes(values.dumps(made))
            changed.append(kept)
    return changed


def learner_edition(path: Path) -> str:
    """Return the text of the exercise notebook that a solution notebook gives."""
    made = source.without_answers(source.read(path), path.name)
    return str(nbformat.writes(made)).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def visible_cases(
    solutions: Path, number: str, seed: int | tuple[int, int] = VISIBLE_SEED
) -> dict[str, dict[str, Any]]:
    """Return what learners get to know of a notebook's exercises, as a plain value.

    Raises
    ------
    BadInput
        When the notebook and its checks do not name the same exercises.
    """
    items, exercises = catalogue.items(solutions, number), catalogue.exercises(solutions, number)
    if set(items) != set(exercises):
        raise BadInput(
            f"Notebook {number} has the exercises {sorted(items)}, its checks have {sorted(exercises)}."
        )
    told = {}
    for key, item in items.items():
        exercise = exercises[key]
        cases = [catalogue.written(case) for case in exercise.made(seed) if case.visible]
        told[key] = {
            "title": item.title,
            "level": item.level,
            "minutes": item.minutes,
            "points": item.points,
            "answer": exercise.answer,
            "tensors": exercise.tensors,
            "seconds": exercise.seconds,
            "memory": exercise.memory,
            "cases": cases,
        }
    return told


def same_cases(kept: Path, made: dict[str, dict[str, Any]]) -> bool:
    """Tell whether the file holds these cases; last digits of expected numbers may differ by machine."""
    try:
        old = values.loads(kept.read_bytes())
    except (OSError, values.NotPlain):
        return False
    if [*old] != [*made] or any(
        {**old[key], "cases": None} != {**made[key], "cases": None}
        or len(old[key]["cases"]) != len(made[key]["cases"])
        for key in made
    ):
        return False
    pairs = [(a, b) for key in made for a, b in zip(old[key]["cases"], made[key]["cases"], strict=True)]
    return all(_same_case(a, b) for a, b in pairs)


def _same_case(old: dict[str, Any], new: dict[str, Any]) -> bool:
    bare = {"value": None, "arguments": None}
    told = (close(tuple(new[part] for part in bare)), tuple(old[part] for part in bare))
    return {**old, **bare} == {**new, **bare} and not told[0].problem(told[1])
