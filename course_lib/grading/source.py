"""An exercise notebook as a file: its cells, its exercises, and the learner's edition of it.

The notebook in ``solutions/`` is the only source. Its cells have names: ``05-setup``, and for exercise 05.2
``05-2-text``, ``05-2-given-1``, ``05-2-answer``, ``05-2-hints``, ``05-2-check``, ``05-2-look``. Between
``### BEGIN SOLUTION`` and ``### END SOLUTION``, and between the marks of hidden tests, stands what learners
do not get: nbgrader's convention, so that its commands read the same file.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.errors import BadInput

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
HEADING = re.compile(
    r"^## (?P<id>\d\d\.\d) · (?P<title>.+?)\n+"
    r"\*(?P<stars>★{1,3}) · (?P<minutes>\d+) minutes · (?P<points>\d+) points\*"
)
"""How the text of an exercise begins: ``## 05.2 · Title``, then ``*★★ · 12 minutes · 4 points*``."""


@dataclass(frozen=True)
class Item:
    """An exercise as its notebook states it.

    Attributes
    ----------
    id, title : str
    level, minutes, points : int
    answer : str
        Source of its answer cell, solution and all.
    """

    id: str
    title: str
    level: int
    minutes: int
    points: int
    answer: str

    @property
    def cell(self) -> str:
        """Beginning of the names of its cells: ``05-2``."""
        return self.id.replace(".", "-")


def read(path: Path) -> Any:
    """Return the notebook at `path`.

    Raises
    ------
    BadInput
        When it is no notebook.
    """
    import nbformat  # learners' checks do without it, and it takes seconds

    try:
        return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path} is not a notebook that can be read: {type(error).__name__}.") from None


def items(notebook: Any, name: str = "the notebook") -> list[Item]:
    """Return the exercises of a solution notebook in their order.

    Raises
    ------
    BadInput
        When a text does not begin with its heading, or an exercise lacks a cell.
    """
    cells = {cell.id: cell for cell in notebook.cells}
    found = []
    for key, cell in cells.items():
        if not re.fullmatch(r"\d\d-\d-text", key):
            continue
        heading = HEADING.match(cell.source)
        start = key.removesuffix("-text")
        if heading is None or heading["id"].replace(".", "-") != start:
            raise BadInput(
                f"Cell {key} of {name} does not begin as the text of an exercise does.",
                "Write '## 05.2 · Title', an empty line, '*★★ · 12 minutes · 4 points*'.",
            )
        missing = [part for part in ("answer", "hints", "check") if f"{start}-{part}" not in cells]
        if missing:
            raise BadInput(f"Exercise {heading['id']} of {name} has no cell for {', '.join(missing)}.")
        numbers = (len(heading["stars"]), int(heading["minutes"]), int(heading["points"]))
        found.append(Item(heading["id"], heading["title"], *numbers, cells[f"{start}-answer"].source))
    return found


def without_answers(notebook: Any, name: str = "the notebook") -> Any:
    """Return the learner's edition: stubs for solutions, no hidden tests, no outputs.

    Raises
    ------
    BadInput
        When marks do not pair, or an answer cell has not exactly one solution.
    """
    titles = {item.cell: item for item in items(notebook, name)}
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs, cell.execution_count = [], None
        start = cell.id.rpartition("-")[0]
        if cell.id.endswith("-answer"):
            cell.source = _stubbed(cell.source, titles[start], f"cell {cell.id} of {name}")
        elif BEGIN in cell.source:
            raise BadInput(f"Cell {cell.id} of {name} has a solution; only answer cells may.")
        cell.source = _cut(cell.source, BEGIN_HIDDEN, END_HIDDEN, None, f"cell {cell.id} of {name}")
    return made


def solution(source: str) -> str:
    """Return an answer cell's source without the two marks: what a learner with the right answer has."""
    lines = [line for line in source.splitlines() if line.strip() not in (BEGIN, END)]
    return "\n".join(lines)


def _stubbed(source: str, item: Item, where: str) -> str:
    if source.count(BEGIN) != 1:
        raise BadInput(f"{where} has {source.count(BEGIN)} solutions, expected one.")
    stub = (
        f"# YOUR CODE HERE: {item.id}, {item.title}",
        f'raise NotImplementedError("{item.id} waits for your code")',
    )
    return _cut(source, BEGIN, END, stub, where)


def _cut(source: str, begin: str, end: str, instead: tuple[str, ...] | None, where: str) -> str:
    """Replace what stands between two marks, marks included, at their indentation."""
    lines: list[str] = []
    inside = False
    for line in source.splitlines():
        mark = line.strip()
        if mark == begin and not inside:
            inside = True
            lines += [line[: len(line) - len(line.lstrip())] + text for text in instead or ()]
        elif mark == end and inside:
            inside = False
        elif mark in (begin, end):
            raise BadInput(f"{where} has marks that do not pair at {mark!r}.")
        elif not inside:
            lines.append(line)
    if inside:
        raise BadInput(f"{where} has {begin!r} without {end!r}.")
    return "\n".join(lines).rstrip()
