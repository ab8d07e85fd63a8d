"""What the notebooks say of themselves: title, question, minutes, memory, cells."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from course_lib.runner.plan import all_notebooks, clocks_here, notebook_folder


@dataclass(frozen=True)
class Notebook:
    """A notebook of the course.

    Attributes
    ----------
    name : str
        Of its file, without ``.ipynb``.
    title, question : str
        In the language of its folder.
    minutes, gib, yardstick : float or None
        What executing it took where that was recorded, the most memory that it held, and the `yardstick` of
        that machine.
    cells : frozenset of str
        Ids of its code cells.
    """

    name: str
    title: str
    question: str
    minutes: float | None
    gib: float | None
    yardstick: float | None
    cells: frozenset[str]

    @property
    def number(self) -> str:
        """Two digits."""
        return self.name[:2]


def course_folder() -> Path:
    """Return the notebooks' folder that we are in (also the Chinese one), or the one of this clone.

    Raises
    ------
    BadInput
        When there is none.
    """
    here = Path.cwd()
    return here if any(here.glob("00_*.ipynb")) else notebook_folder()


def language(folder: Path) -> str:
    """Return the language of a folder of notebooks.

    Examples
    --------
    >>> language(Path("notebooks")), language(Path("notebooks/zh"))
    ('en', 'zh')
    """
    return "zh" if folder.name == "zh" else "en"


def course(folder: Path, *, here: bool = False) -> list[Notebook]:
    """Return the notebooks of a folder in their order; one that cannot be read has its name alone.

    Parameters
    ----------
    folder : pathlib.Path
    here : bool
        Tell minutes and memory for the data that a notebook gets here, not for those of its outputs.
    """
    asked = questions(language(folder))
    return [_described(path, asked.get(path.name[:2], ""), here) for path in all_notebooks(folder)]


def questions(words: str) -> dict[str, str]:
    """Return the question that each notebook answers, by number, in a language."""
    text = files("course_lib.lab").joinpath("questions.csv").read_text(encoding="utf-8")
    return {row["number"]: row[words] for row in csv.DictReader(text.splitlines())}


def _described(path: Path, question: str, here: bool) -> Notebook:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells = frozenset(cell["id"] for cell in content["cells"] if cell["cell_type"] == "code")
        heading = next(_headings(content))
        about = content["metadata"].get("carryover", {})
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return Notebook(path.stem, path.stem, question, None, None, None, frozenset())
    told = clocks_here(about) if here else about
    minutes, gib, mark = (_figure(told, key) for key in ("minutes", "peak_gib", "yardstick"))
    return Notebook(path.stem, heading, question, minutes, gib, mark, cells)


def _headings(content: dict[str, Any]) -> Iterator[str]:
    """Yield the first headings of Markdown cells, without the notebook's number."""
    for cell in content["cells"]:
        found = re.search(r"^#\s+(?:\d\d\s*·\s*)?(.+?)\s*$", "".join(cell["source"]), re.MULTILINE)
        if cell["cell_type"] == "markdown" and found:
            yield found[1]


def _figure(about: Mapping[str, Any], key: str) -> float | None:
    value = about.get(key)
    return float(value) if isinstance(value, int | float) and value > 0 else None
