"""One's own data: from a folder of pictures or a table of sentences to a report.

>>> from course_lib import capstone
>>> place = capstone.new_project("pets-project", "pets")  # doctest: +SKIP
>>> findings = capstone.run(place)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from course_lib.capstone.data import Data
from course_lib.capstone.findings import Findings
from course_lib.capstone.new import new_project
from course_lib.capstone.page import report_page, write_report
from course_lib.capstone.project import WORK, Project, carry_out, load
from course_lib.capstone.settings import FILE, Settings
from course_lib.runner.state import only_one

__all__ = [
    "FILE",
    "Data",
    "Findings",
    "Project",
    "Settings",
    "load",
    "new_project",
    "report_page",
    "run",
    "shown",
    "write_report",
]


def run(project: Project | str | Path, say: Callable[[str], None] = print) -> Findings:
    """Take a project from its data to its report; stopped, it goes on where it was.

    Parameters
    ----------
    project : Project or path
    say : callable
        Is told each step as it begins.

    Returns
    -------
    Findings
        The same as in ``report/report.json``.

    Raises
    ------
    BadInput
        Without a project there, or with data that cannot be used.
    CourseError
        When another run is at work in the same folder.
    """
    opened = project if isinstance(project, Project) else load(project)
    with only_one(opened.folder / WORK, "course run", "`course new`"):
        findings = carry_out(opened, say)
        page = write_report(findings, opened.folder)
    say(f"Read {page}")
    return findings


def shown(findings: Findings, height: int = 600) -> Any:
    """Return the report's page within a frame, for a notebook."""

    class Frame:
        """The page as it stands in ``report/index.html``."""

        def _repr_html_(self) -> str:
            page = escape(report_page(findings), quote=True)
            return (
                f'<iframe srcdoc="{page}" title="report" '
                f'style="width:100%;height:{height}px;border:0"></iframe>'
            )

        def __repr__(self) -> str:
            return str(findings)

    return Frame()
