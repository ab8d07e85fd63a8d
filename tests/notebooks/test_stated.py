"""A figure that one notebook quotes from another was recorded there: a fact renamed is found here."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
MISSING = "has not recorded"
"""What `measure.stated` says in the place of such a figure."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_figure_is_missing(path):
    cells = nbformat.read(path, as_version=4).cells
    assert [cell.id for cell in cells if MISSING in str(cell.get("outputs", ""))] == []
