"""Which exercises are solved: kept for the learner alone, on their machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import platformdirs
from filelock import FileLock

from course_lib.grading import catalogue
from course_lib.runner.state import write_atomically

VARIABLE = "COURSE_STATE"


def state_file() -> Path:
    """Return where progress is kept: ``$COURSE_STATE`` or the user's data folder, never a shared cache."""
    chosen = os.environ.get(VARIABLE, "").strip()
    folder = Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("carryover"))
    return folder / "progress.json"


def solved_ids() -> set[str]:
    """Return the exercises whose visible cases all passed at the last check; none when nothing was kept."""
    try:
        kept = json.loads(state_file().read_text(encoding="utf-8"))
        return {key for key in kept["solved"] if isinstance(key, str)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def note(exercise: str, solved: bool) -> None:
    """Keep whether an exercise is solved; a machine where nothing can be written goes without."""
    path = state_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=10):
            before = solved_ids()
            after = before | {exercise} if solved else before - {exercise}
            if after != before:
                write_atomically(path, json.dumps({"solved": sorted(after)}, indent=1) + "\n")
    except (OSError, TimeoutError):
        return


class Progress:
    """How far one is through the exercises; shows as a bar for each notebook."""

    def __init__(self, counts: dict[str, tuple[int, int]]) -> None:
        self.counts = counts

    @property
    def solved(self) -> int:
        """Exercises solved in all."""
        return sum(done for done, _ in self.counts.values())

    @property
    def total(self) -> int:
        """Exercises in all."""
        return sum(total for _, total in self.counts.values())

    def __repr__(self) -> str:
        lines = [f"{self.solved} of {self.total} exercises solved"]
        lines += [
            f"  {number}  {'█' * done}{'░' * (total - done)}  {done} of {total}"
            for number, (done, total) in self.counts.items()
        ]
        return "\n".join(lines)


def progress() -> Progress:
    """Return how many exercises of each notebook are solved.

    Raises
    ------
    BadInput
        When no exercises are found.
    """
    folder, solved = catalogue.exercises_folder(), solved_ids()
    counts = {}
    for path in sorted((folder / "cases").glob("*.cases")):
        known = catalogue.visible(folder, path.stem)
        counts[path.stem] = (len(solved & set(known)), len(known))
    return Progress(counts)
