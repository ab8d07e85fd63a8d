"""Docstrings that reStructuredText or Napoleon would read as something else."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

LETTER = re.compile(r"^(\s+)([A-Za-z]\.)$")
"""A parameter described by one letter of a formula, which alone would begin a list: A., B., C."""

AFTER_NAPOLEON = 600


def as_meant(kind: str, lines: list[str]) -> list[str]:
    r"""Return the lines of a docstring, after Napoleon, as they were meant.

    Napoleon takes what stands before a colon in the first line of a property for its type.

    Examples
    --------
    >>> as_meant("property", ["what it sends.", "", ":type: Bytes of the weights"])
    ['Bytes of the weights: what it sends.', '']
    >>> as_meant("function", [":param rank:", "    r."])
    [':param rank:', '    \\r.']
    """
    types = [line.removeprefix(":type: ") for line in lines if line.startswith(":type: ")]
    if kind == "property" and types:
        first, *rest = (line for line in lines if not line.startswith(":type: "))
        lines = [f"{types[0]}: {first}", *rest]
    return [LETTER.sub(r"\1\\\2", line) for line in lines]


def _process(app: Sphinx, kind: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_meant(kind, lines)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("autodoc-process-docstring", _process, priority=AFTER_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
