"""An index of methods and measures: a line, the formula, the paper, the notebooks that use it."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

from book.docstrings import Described, described
from book.notebooks import uses

HEAD = """\
Methods and measures
====================

Every method of ``course_lib.methods`` and every measure of ``course_lib.measure`` that has a formula or a
paper behind it, and which notebooks use it. A name leads to its full description.

"""


def page(notebooks: dict[str, Any]) -> str:
    """Return the page as reStructuredText; `notebooks` are the English ones by name in the book."""
    parts = [HEAD]
    for package, title in (("methods", "Methods"), ("measure", "Measures")):
        parts += [f"{title}\n{'-' * len(title)}\n", *_entries(package, notebooks)]
    return "\n".join(parts)


def _entries(package: str, notebooks: dict[str, Any]) -> list[str]:
    module = importlib.import_module(f"course_lib.{package}")
    entries = []
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing) or name.startswith("fit_"):
            continue  # what methods give back, and the closed forms behind them, are in the reference
        told = _with_closed_form(module, name, described(thing))
        if told.formulas or told.references or ":math:" in told.summary:
            entries.append(_entry(package, name, told, uses(notebooks, f"{package}.{name}")))
    return entries


def _with_closed_form(module: Any, name: str, told: Described) -> Described:
    """Return what is told of a method, formula and paper of its ``fit_NAME`` included."""
    behind = getattr(module, f"fit_{name}", None) if f"fit_{name}" in module.__all__ else None
    if behind is None:
        return told
    more = described(behind)
    summary = told.summary if ":math:" not in more.summary else f"{told.summary} {more.summary}"
    return Described(summary, told.formulas or more.formulas, told.references or more.references)


def _entry(package: str, name: str, told: Described, where: list[str]) -> str:
    parts = [f"{name}\n{'~' * len(name)}", f":py:obj:`course_lib.{package}.{name}`: {told.summary}"]
    parts += told.formulas
    if told.references:
        parts.append(f"*Source*: {told.references}")
    if where:
        links = ", ".join(f":doc:`{Path(one).name[:2]} <{one.removesuffix('.ipynb')}>`" for one in where)
        parts.append(f"*In notebooks* {links}")
    return "\n\n".join(parts) + "\n"
