"""Outputs as they are committed: what repeats and may be shared, nothing else."""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any

import nbformat

from course_lib.runner.chinese import renew
from course_lib.runner.plan import ELSEWHERE
from course_lib.runner.state import Record, write_atomically
from course_lib.runner.yardstick import yardstick

PRIVATE = "private-output"
FIGURE = "readme-figure="
"""A cell tagged ``readme-figure=NAME`` has its picture kept as ``docs/NAME.png``."""

WIDGET = "application/vnd.jupyter.widget-view+json"


def committed(executed: Any, record: Record) -> Any:
    """Return a copy of an executed notebook that makes small, stable differences.

    Times of execution, states of widgets and the exact Python version go; outputs of cells tagged
    ``private-output`` are emptied; edition, minutes, most memory and the machine's `yardstick` are noted
    under ``metadata.carryover``.
    """
    notebook = copy.deepcopy(executed)
    number = 0
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        number += 1
        cell.execution_count = number
        if PRIVATE in cell.metadata.get("tags", []):
            cell.outputs = []
        for output in cell.outputs:
            output.pop("transient", None)
            if output.output_type == "execute_result":
                output.execution_count = number
            output.get("data", {}).pop(WIDGET, None)
        cell.outputs = _joined([output for output in cell.outputs if _says_something(output)])
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    about = dict(notebook.metadata.get("carryover", {}))
    notebook.metadata["carryover"] = about | {"edition": record.edition} | _clocks(record)
    return notebook


def _clocks(record: Record) -> dict[str, float]:
    """Return what a run took, and how fast the machine is on which it did."""
    return {
        "minutes": round(record.seconds / 60, 1),
        "peak_gib": round(record.peak_bytes / 2**30, 1),
        "yardstick": round(yardstick(), 1),
    }


def _says_something(output: Any) -> bool:
    return output.output_type not in {"display_data", "execute_result"} or bool(output.data)


def _joined(outputs: list[Any]) -> list[Any]:
    """Join neighbouring pieces of one stream: how they were cut depends on the moment."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def figures(executed: Any) -> dict[str, bytes]:
    """Return the PNG of each cell tagged ``readme-figure=NAME``, by name."""
    found = {}
    for cell in executed.cells:
        for tag in cell.metadata.get("tags", []):
            pictures = [
                o.data["image/png"] for o in cell.get("outputs", []) if "image/png" in o.get("data", {})
            ]
            if tag.startswith(FIGURE) and pictures:
                found[tag.removeprefix(FIGURE)] = base64.b64decode(pictures[0])
    return found


def write_committed(executed: Any, record: Record, path: Path) -> bool:
    """Write the committed form of `executed` to `path`, and its figures for the README to ``docs``.

    The Chinese edition beside it, where there is one, gets the same code and outputs. Outputs of another
    edition of the data are not replaced: what this run took is noted under ``metadata.carryover.elsewhere``.

    Returns
    -------
    bool
        Whether outputs were written.
    """
    kept = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    about = kept.metadata.get("carryover", {})
    if about.get("edition", record.edition) != record.edition:
        kept.metadata["carryover"] = about | {
            ELSEWHERE: about.get(ELSEWHERE, {}) | {record.edition: _clocks(record)}
        }
        _write(kept, path)
        return False
    docs = path.parent.parent / "docs"
    for name, png in figures(executed).items():
        docs.mkdir(exist_ok=True)
        (docs / f"{name}.png").write_bytes(png)
    _write(committed(executed, record), path)
    return True


def _write(notebook: Any, path: Path) -> None:
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    write_atomically(path, text.rstrip("\n") + "\n")
    renew(path)
