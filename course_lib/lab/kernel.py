"""What `course lab` adds to its kernels: they note which cells of the course have run."""

from __future__ import annotations

import os
from typing import Any

SESSION = "JPY_SESSION_NAME"
"""Set by the Jupyter server in each kernel: the path of its notebook."""


def load_ipython_extension(shell: Any) -> None:
    """Begin to note cells, where the kernel belongs to a notebook of the course."""
    from course_lib.lab.seen import note_cell, notebook_of

    notebook = notebook_of(os.environ.get(SESSION, ""))
    if notebook is None:
        return
    noted: set[str] = set()

    def after(result: Any) -> None:
        cell = getattr(result.info, "cell_id", None)
        if result.success and cell and cell not in noted:
            noted.add(cell)
            note_cell(notebook, cell)

    shell.events.register("post_run_cell", after)
