"""`course new` and `course run DIR`: one's own data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from course_lib.capstone.settings import FILE
from course_lib.errors import BadInput


def lay_out(
    folder: Path,
    data: Path | None,
    kind: str | None,
    *,
    text: str | None,
    label: str | None,
    minutes: float | None,
) -> int:
    """Lay out a project and say what to do next."""
    from course_lib.capstone import load, new_project

    more = {} if minutes is None else {"minutes": minutes}
    place = new_project(folder, data, kind, text=text, label=label, **more)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if data is None:
        console.print(f"{place} is ready: put your data where its README.md says.")
    else:
        console.print(f"{place} is ready: {load(place).settings.kind}, read and split as its README.md says.")
    console.print(f"Next: course run {place}    (settings: {place / FILE})")
    return 0


def project_among(names: Sequence[str]) -> Path | None:
    """Return the project that `course run` was given instead of notebooks, None for notebooks.

    Raises
    ------
    BadInput
        For a project together with something else, or a folder that is none.
    """
    given = [Path(name).expanduser() for name in names]
    # a number is a notebook's, unless a project is called so
    folders = [p for p in given if p.is_dir() and (not p.name.isdecimal() or (p / FILE).is_file())]
    if not folders:
        return None
    if len(names) > 1:
        raise BadInput("A project runs alone.", f"Run `course run {folders[0]}` by itself.")
    if not (folders[0] / FILE).is_file():
        raise BadInput(
            f"{folders[0]} is a folder without a {FILE}: no project.",
            "Make one with `course new`; notebooks are named by their numbers.",
        )
    return folders[0]


def run_project(folder: Path) -> int:
    """Run a project; an interrupted one goes on next time."""
    from course_lib.capstone import run

    console = Console(soft_wrap=True, highlight=False, markup=False)
    try:
        console.print(str(run(folder, console.print)))
    except KeyboardInterrupt:
        console.print("Interrupted. The same command goes on where this stopped.")
        return 130
    return 0
