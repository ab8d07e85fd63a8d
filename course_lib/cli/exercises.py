"""`course make-exercises`, `course check` and `course variants`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from course_lib.errors import BadInput
from course_lib.grading import catalogue


def make(names: Sequence[str], solutions: Path | None, out: Path | None) -> int:
    """Write the learners' exercises; say what changed."""
    from course_lib.grading.release import make_exercises

    folder = solutions or catalogue.solutions_folder()
    target = out or folder.parent / "exercises"
    changed = make_exercises(folder, target, [number(name) for name in names] or None)
    for path in changed:
        print(f"written: {path}")
    print(f"{len(changed)} files changed in {target}.")
    return 0


def check(names: Sequence[str], folder: Path | None) -> int:
    """Try a learner's notebooks on the visible cases; 0 when all exercises of those named are solved."""
    from course_lib.grading.selfcheck import checked
    from course_lib.grading.tally import note, progress

    place = folder or catalogue.exercises_folder()
    numbers = [number(name) for name in names] or [path.name[:2] for path in catalogue.notebooks(place)]
    solved = True
    for one in numbers:
        for result in checked(place, one):
            print(result)
            note(result.id, bool(result))
            solved = solved and bool(result)
    print(progress())
    return int(not solved)


def variants(roster: Path, out: Path, seed: int, solutions: Path | None) -> int:
    """Write every student's own exercises."""
    from course_lib.grading.variants import roster as read
    from course_lib.grading.variants import write_variants

    folders = write_variants(solutions or catalogue.solutions_folder(), read(roster), out, seed)
    print(f"Exercises for {len(folders)} students are in {out}. Grade them with --seed {seed}.")
    return 0


def number(name: str) -> str:
    """Return the two digits of a notebook from what was typed: ``5``, ``05``, ``exercises/05_name.ipynb``.

    Raises
    ------
    BadInput
        When there are none.
    """
    digits = Path(name).name[:2]
    if digits.isdigit() and len(digits) == 2:
        return digits
    if digits[:1].isdigit() and Path(name).name == digits[:1]:
        return f"0{digits[:1]}"
    raise BadInput(f"{name!r} names no notebook of exercises.", "Name its number: 05.")
