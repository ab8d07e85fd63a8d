"""The facts that the notebooks state, collected into ``build/results.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat

from course_lib.runner.plan import versions
from course_lib.runner.state import State, write_atomically

FACT = "application/vnd.carryover.fact+json"
CLOCK_UNITS = {"s", "ms", "min", "h", "seconds", "minutes", "images/s", "sentences/s", "rows/s", "GFLOP/s"}
CLOCK_UNITS |= {"GB", "GiB", "MB", "MiB", "x faster", "times faster", "s/image", "ms/image"}
"""Units of facts that differ from run to run: they are kept with the timings."""


def facts_of(notebook: Any) -> list[dict[str, Any]]:
    """Return the facts among a notebook's outputs, in order."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return [dict(output.data[FACT]) for output in outputs if FACT in output.get("data", {})]


def collect(build: Path, state: State) -> dict[str, Any]:
    """Return what ``results.json`` holds: everything that repeats, and `timings`, which do not."""
    notebooks: dict[str, Any] = {}
    timings: dict[str, Any] = {}
    for name, record in sorted(state.records.items()):
        path = build / "notebooks" / f"{name}.ipynb"
        facts = facts_of(nbformat.read(path, as_version=4)) if path.is_file() else []  # type: ignore[no-untyped-call]
        steady = [fact for fact in facts if fact.get("unit") not in CLOCK_UNITS]
        notebooks[name] = {"status": record.status, "edition": record.edition, "facts": steady}
        timings[name] = {
            "seconds": round(record.seconds, 1),
            "peak_gib": round(record.peak_bytes / 2**30, 2),
            "facts": [fact for fact in facts if fact.get("unit") in CLOCK_UNITS],
        }
    return {"versions": versions(), "notebooks": notebooks, "timings": timings}


def write_results(build: Path, state: State) -> dict[str, Any]:
    """Write ``results.json`` and return its content."""
    content = collect(build, state)
    write_atomically(build / "results.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return content
