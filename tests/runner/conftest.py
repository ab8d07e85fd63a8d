"""Tiny notebooks and a `course run` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).parents[2]
FACT = (
    "from IPython.display import display\n"
    "display({{'text/plain': 'score: {value}', 'application/vnd.carryover.fact+json':\n"
    "  {{'name': 'score', 'value': {value}, 'unit': '{unit}', 'rounded': {value}}}}}, raw=True)"
)


class Course:
    """A folder of notebooks and the command to run them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.build = folder / "build"
        (folder / "notebooks").mkdir()

    def add(self, name: str, *cells: str, title: str = "T", tags: dict[int, list[str]] | None = None) -> Path:
        """Write a notebook of code cells under one heading; `tags` by number of code cell."""
        code = [new_code_cell(source) for source in cells]
        for number, cell in enumerate(code):
            cell.id = f"cell-{number}"
            cell.metadata["tags"] = (tags or {}).get(number, [])
        path = self.folder / "notebooks" / f"{name}.ipynb"
        heading = new_markdown_cell(f"# {title}", id="heading")
        nbformat.write(new_notebook(cells=[heading, *code]), path)
        return path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `course run` in a session of its own, as a terminal would."""
        environment = os.environ | {"PYTHONPATH": str(ROOT), "COURSE_OFFLINE": "1", "COLUMNS": "200"}
        return subprocess.Popen(
            [sys.executable, "-m", "course_lib", "run", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run to the end; return the exit status and everything printed."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        return process.returncode, out + err


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path)


@pytest.fixture
def fact():
    return lambda value, unit="": FACT.format(value=value, unit=unit)
