"""Exercises with their answers folded, from the solution notebooks; hidden tests stay with the teacher."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import nbformat

from book.notebooks import links
from course_lib.grading import catalogue, source
from course_lib.runner.pages import title_of

PROMPT = "An answer"


def pages(solutions: Path) -> dict[str, str]:
    """Return the exercises of each notebook, and their index, by name in the book."""
    found, rows = {}, []
    for path in catalogue.notebooks(solutions):
        notebook = source.read(path)
        found[f"exercises/{path.name}"] = folded(notebook, path.name)
        rows += _rows(notebook, path.name)
    found["exercises/index.md"] = _index(rows, [Path(name).stem for name in found])
    return found


def folded(notebook: Any, name: str) -> str:
    """Return a solution notebook as a page: each stub is followed by an answer that is folded.

    Parameters
    ----------
    notebook : NotebookNode
        From ``solutions/``.
    name : str
        Of its file.

    Returns
    -------
    str
        A notebook without hidden tests, without outputs and without nbgrader's notes.
    """
    answers = {
        cell.id: source.solution(cell.source) for cell in notebook.cells if cell.id.endswith("-answer")
    }
    made = source.without_answers(notebook, name)
    cells = []
    for cell in made.cells:
        cell.metadata = nbformat.from_dict({})  # type: ignore[no-untyped-call]
        if cell.cell_type == "markdown":
            cell.source = links(cell.source)
        cells.append(cell)
        if cell.id in answers:
            answer = copy.deepcopy(cell)
            answer.id, answer.source = f"{cell.id}-folded", answers[cell.id]
            answer.metadata = nbformat.from_dict(  # type: ignore[no-untyped-call]
                {"tags": ["hide-input"], "mystnb": {"code_prompt_show": PROMPT, "code_prompt_hide": PROMPT}}
            )
            cells.append(answer)
    made.cells = cells
    return str(nbformat.writes(made)).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def _rows(notebook: Any, name: str) -> list[str]:
    title = title_of(notebook, name).split("Exercises:")[-1].strip()
    items = source.items(notebook, name)
    head = f"| [{name[:2]}]({name}) | {title} | {len(items)} |"
    return [f"{head} {sum(one.minutes for one in items)} | {sum(one.points for one in items)} |"]


def _index(rows: list[str], names: list[str]) -> str:
    return (
        "# Exercises\n\nFunctions to write, faults to find, choices to defend, figures to read. Work on them "
        "in JupyterLab, in the folder\n`exercises/`: there a check tries your answer at once and says which "
        "case fails. Here they stand to be read, with hints that\nfold out, and under each a folded answer. "
        "There are others.\n\n"
        "| notebook | about | exercises | minutes | points |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n```{toctree}\n:hidden:\n\n"
        + "\n".join(names)
        + "\n```\n"
    )
