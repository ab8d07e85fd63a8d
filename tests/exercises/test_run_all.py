"""Exercise notebooks run from top to bottom: untouched, and with every answer in place."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from course_lib.grading import catalogue, source

ROOT = Path(__file__).parents[2]
NUMBERS = [path.name[:2] for path in catalogue.notebooks(ROOT / "solutions")]


def execute(notebook, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_STATE", str(tmp_path))
    monkeypatch.setenv("COURSE_SOLUTIONS", str(ROOT / "solutions"))
    where = {"metadata": {"path": str(ROOT / "exercises")}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    return {cell.id: cell for cell in notebook.cells}


def shown(cell):
    return "".join(
        output.data["text/plain"] for output in cell.outputs if output.output_type == "execute_result"
    )


@pytest.mark.parametrize("number", NUMBERS)
def test_untouched_it_survives_run_all(number, monkeypatch, tmp_path):
    path = catalogue.notebook(ROOT / "exercises", number)
    cells = execute(nbformat.read(path, as_version=4), monkeypatch, tmp_path)
    checks = [shown(cell) for key, cell in cells.items() if key.endswith("-check")]
    assert checks
    assert all("waits for your code" in text for text in checks)


@pytest.mark.parametrize("number", NUMBERS)
def test_with_its_answers_every_check_passes(number, monkeypatch, tmp_path):
    notebook = source.read(catalogue.notebook(ROOT / "solutions", number))
    cells = execute(notebook, monkeypatch, tmp_path)
    checks = {key: shown(cell) for key, cell in cells.items() if key.endswith("-check")}
    assert all("✗" not in text and "cases pass" in text for text in checks.values()), checks
    looks = {}
    for key, cell in cells.items():
        if "-look" in key:
            looks.setdefault(key.split("-look")[0], []).extend(cell.outputs)
    assert all(looks.values()), [key for key, outputs in looks.items() if not outputs]
