"""The comparison of notebooks does fail on a wrong fact, and only where the data are those recorded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course_lib.runner.plan import edition

ROOT = Path(__file__).parents[2]


def outcome(folder: Path, value: float, recorded: str, source: str = "") -> tuple[int, str]:
    """Compare a notebook whose recorded fact is 0.76 and whose cell now states `value`."""
    shutil.copy(ROOT / "conftest.py", folder)
    statement = (
        f"from course_lib.measure import fact\nfact('score', {value}, to=0.01)\nprint('took 3.2 s')\n{source}"
    )
    fact = {"name": "score", "value": 0.7599, "unit": "", "rounded": 0.76}
    outputs = [
        new_output(
            "display_data", data={"text/plain": "score: 0.76", "application/vnd.carryover.fact+json": fact}
        ),
        new_output("stream", text="took 91.5 s\n"),
    ]
    cell = new_code_cell(
        statement, outputs=outputs, execution_count=1, metadata={"tags": ["nbval-check-output"]}
    )
    nbformat.write(
        new_notebook(cells=[cell], metadata={"carryover": {"edition": recorded}}), folder / "00_n.ipynb"
    )
    sanitise = ROOT / "tests" / "notebooks" / "sanitise.cfg"
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbval-lax",
            "--nbval-sanitize-with",
            sanitise,
            "-q",
            "00_n.ipynb",
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return found.returncode, found.stdout


@pytest.fixture
def other() -> str:
    return "solar_cells" if edition() == "cifar10" else "cifar10"


def test_the_same_rounded_fact_passes_although_digits_and_times_differ(tmp_path):
    code, text = outcome(tmp_path, 0.7601, edition())
    assert code == 0, text


def test_another_fact_fails(tmp_path):
    code, text = outcome(tmp_path, 0.81, edition())
    assert code == 1
    assert "score: 0.81" in text


def test_with_the_other_data_it_need_not_agree(tmp_path, other):
    code, text = outcome(tmp_path, 0.81, other)
    assert code == 0, text


def test_with_the_other_data_it_must_still_run(tmp_path, other):
    code, text = outcome(tmp_path, 0.81, other, "1 / 0")
    assert code == 1
    assert "ZeroDivisionError" in text
