"""`course lab`: JupyterLab on the first notebook."""

from __future__ import annotations

import subprocess
import sys

from course_lib.errors import CourseError
from course_lib.runner.plan import all_notebooks, notebook_folder


def open_lab(port: int | None = None, browser: bool = True) -> int:
    """Open JupyterLab in the course's folder at notebook 00 and wait for it to end.

    Raises
    ------
    CourseError
        When the folder has no notebook.
    """
    folder = notebook_folder()
    notebooks = all_notebooks(folder)
    if not notebooks:
        raise CourseError(
            f"There are no notebooks in {folder}.", "Run the command in your clone of the course."
        )
    command = [sys.executable, "-m", "jupyterlab", str(notebooks[0].relative_to(folder.parent))]
    command += [f"--port={port}"] if port else []
    command += [] if browser else ["--no-browser"]
    print(f"JupyterLab opens at {notebooks[0].name}; Ctrl-C here, twice, ends it.")
    with subprocess.Popen(command, cwd=folder.parent) as server:
        while True:
            try:
                return server.wait()
            except KeyboardInterrupt:  # the server has had it too and asks its own question
                continue
