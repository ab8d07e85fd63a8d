"""The maps of the course name what is there, and nothing else: none is missing, none is promised twice."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))


def prose(page: str) -> str:
    """Return the text of a page or notebook, without code and outputs."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if not page.endswith(".ipynb"):
        return text
    cells = nbformat.reads(text, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_the_readmes_map_lists_every_notebook_in_order():
    listed = re.findall(r"^\| \d\d \| \[[^\]]+\]\((?:notebooks/)?([^)]+)\)", prose("README.md"), re.MULTILINE)
    assert listed == NOTEBOOKS


def test_the_committed_map_of_notebook_00_links_every_notebook_in_order():
    cells = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", 4).cells
    html = "".join(o.get("data", {}).get("text/html", "") for c in cells for o in c.get("outputs", []))
    listed = re.findall(r'href="(\d\d_[^"/]+\.ipynb)', html)
    assert list(dict.fromkeys(listed)) == NOTEBOOKS


@pytest.mark.parametrize("page", ["README.md", *(f"notebooks/{name}" for name in NOTEBOOKS)])
def test_what_is_promised_for_later_is_not_there(page):
    for sentence in re.split(r"(?<=[.!?])\s+|\n\n", prose(page)):
        if "later edition" in sentence.lower():
            promised = re.findall(r"\b\d\d\b", sentence)
            assert not [name for name in NOTEBOOKS if name[:2] in promised], sentence
