"""Which cells the learner has run in JupyterLab: kept for the learner alone, beside the solved exercises."""

from __future__ import annotations

import json
import re
from pathlib import Path

from filelock import FileLock

from course_lib.grading.tally import state_file
from course_lib.runner.state import write_atomically


def seen_file() -> Path:
    """Return where it is kept: ``$COURSE_STATE`` or the user's data folder."""
    return state_file().with_name("seen.json")


def seen() -> dict[str, set[str]]:
    """Return the ids of the cells that ran without an error, by notebook; none when nothing was kept."""
    try:
        kept = json.loads(seen_file().read_text(encoding="utf-8"))
        return {str(name): {str(cell) for cell in cells} for name, cells in kept["cells"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def note_cell(notebook: str, cell: str) -> None:
    """Keep that a cell ran; a machine where nothing can be written goes without."""
    path = seen_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=5):
            now = seen()
            if cell not in now.setdefault(notebook, set()):
                now[notebook].add(cell)
                kept = {name: sorted(cells) for name, cells in sorted(now.items())}
                write_atomically(path, json.dumps({"cells": kept}, indent=1) + "\n")
    except (OSError, TimeoutError):
        return


def notebook_of(session: str) -> str | None:
    """Return the name of the course's notebook that a kernel belongs to, from its session's path.

    Examples
    --------
    >>> notebook_of("/home/me/carryover/notebooks/zh/05_fine_tuning.ipynb")
    '05_fine_tuning'
    >>> notebook_of("/home/me/carryover/exercises/05_fine_tuning.ipynb")
    """
    path = Path(session)
    folder = path.parent.parent if path.parent.name == "zh" else path.parent
    ours = folder.name == "notebooks" and re.fullmatch(r"\d\d_\w+\.ipynb", path.name)
    return path.stem if ours else None
