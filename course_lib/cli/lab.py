"""`course lab`: JupyterLab on the first notebook."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from course_lib.errors import CourseError
from course_lib.runner.plan import all_notebooks, notebook_folder

# Chinese for browsers that have no font for it: an extension of JupyterLab, which this one server loads from
# here. Nothing is installed, and the reader's own Jupyter configuration stays as it is.
FONTS = Path(__file__).parents[1] / "show" / "fonts"


def open_lab(port: int | None = None, browser: bool = True, options: Sequence[str] = ()) -> int:
    """Open JupyterLab in the course's folder at notebook 00; this process becomes the server where it can.

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
    command += [f"--LabApp.extra_labextensions_path={FONTS}"]
    command += [f"--port={port}"] if port else []
    command += [*([] if browser else ["--no-browser"]), *options]
    print(f"JupyterLab opens at {notebooks[0].name}; Ctrl-C here, twice, ends it.", flush=True)
    if os.name == "posix":  # become the server: Ctrl-C and kill then reach it and nothing else
        os.chdir(folder.parent)
        os.execv(command[0], command)
    return subprocess.call(command, cwd=folder.parent)
