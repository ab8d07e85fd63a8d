"""What JupyterLab is told for this one server: settings, first layout, kernel.

The reader's own Jupyter configuration stays as it is, and what they have set themselves goes before ours.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from course_lib.grading.tally import state_file
from course_lib.runner.state import write_atomically

KERNEL = "python3"
"""The kernel's name, as the notebooks have it."""

DISPLAYED = "Carryover"
"""What JupyterLab calls it."""

HIDDEN = (
    *("__pycache__", "*.pyc", "*~", "*.egg-info", "cases", "solutions", "tests", "tools"),
    *("conftest.py", "environment.yml", "Makefile", "pyproject.toml", "ruff.toml"),
)
"""What the file browser leaves out: it opens by its name all the same."""

CONTENTS = "@jupyterlab/toc:plugin"
"""The side panel with a notebook's table of contents, as JupyterLab's layouts name it."""


def overrides(language: str) -> dict[str, Any]:
    """Return defaults of JupyterLab's settings, by plugin."""
    chosen: dict[str, Any] = {
        "@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"},
        "@jupyterlab/notebook-extension:tracker": {
            "kernelShutdown": True,  # a kernel holds up to 3 GiB
            "scrollPastEnd": False,  # a blank page after the end looks like something that failed to load
        },
        "@jupyterlab/toc-extension:registry": {"includeOutput": False, "numberingH1": False},
        "@jupyterlab/filebrowser-extension:browser": {
            "navigateToCurrentDirectory": True,
            "showLastModifiedColumn": False,
        },
    }
    if language == "zh":
        chosen["@jupyterlab/translation-extension:plugin"] = {"locale": "zh_CN"}
    return chosen


def workspace() -> dict[str, Any]:
    """Return the layout of a first visit: the notebook's contents beside it."""
    left = {"collapsed": False, "visible": True, "current": CONTENTS}
    left |= {"widgets": ["filebrowser", "running-sessions", CONTENTS]}
    layout = {"left": left, "right": {"collapsed": True, "visible": True}, "relativeSizes": [0.2, 0.8, 0]}
    return {"data": {"layout-restorer:data": layout}, "metadata": {"id": "default"}}


def workspaces_folder() -> Path:
    """Return where layouts are kept, apart from those of the reader's other work; a new one has the first.

    A learner's own arrangement is left as it is; a layout that is no longer JSON is made anew. Where nothing
    can be written, it is a folder that lasts as long as the machine keeps temporary ones.
    """
    from jupyterlab_server.workspaces_handler import WORKSPACE_EXTENSION, slugify

    name = f"{slugify('default')}{WORKSPACE_EXTENSION}"
    kept = state_file().parent / "lab"
    try:
        return _with_layout(kept, name)
    except OSError:
        return _with_layout(Path(tempfile.mkdtemp(prefix="carryover-lab-")), name)


def _with_layout(folder: Path, name: str) -> Path:
    path = folder / name
    try:
        json.loads(path.read_text(encoding="utf-8"))["metadata"]["id"]
    except (OSError, ValueError, KeyError, TypeError):
        write_atomically(path, json.dumps(workspace(), indent=1))
    probe = folder / ".writable"
    probe.touch()  # JupyterLab writes here whenever a panel moves
    probe.unlink(missing_ok=True)
    return folder


def write_settings(folder: Path, language: str) -> None:
    """Write JupyterLab's settings to ``settings`` in `folder`, and the course's kernel to ``kernels``.

    The kernel is this Python with `course_lib.lab.kernel`: found without set-up, also where the reader has
    another kernel of that name.
    """
    from ipykernel.kernelspec import write_kernel_spec

    (folder / "settings").mkdir(parents=True)
    text = json.dumps(overrides(language), indent=1)
    (folder / "settings" / "overrides.json").write_text(text, encoding="utf-8")
    less = {"disabledExtensions": {"@jupyterlab/extensionmanager-extension": True}}
    (folder / "settings" / "page_config.json").write_text(json.dumps(less), encoding="utf-8")
    (folder / "kernels").mkdir()
    write_kernel_spec(
        folder / "kernels" / KERNEL,
        {"display_name": DISPLAYED},
        ["--InteractiveShellApp.extra_extensions=course_lib.lab.kernel", "--log-level=ERROR"],
    )
