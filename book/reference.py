"""The reference: a page for each package of the library, its public names only."""

from __future__ import annotations

import importlib
import inspect
import sys

from sphinx.pycode import ModuleAnalyzer

PACKAGES = ("tasks", "encoders", "methods", "measure", "show", "scale", "grading")
"""In the order of task, encoder, method, report."""


def pages() -> dict[str, str]:
    """Return the pages as reStructuredText, and their index, by name in the book."""
    found = {f"reference/{package}.rst": page(package) for package in PACKAGES}
    rows = [f"* :doc:`course_lib.{package} <{package}>`: {_first_line(package)}" for package in PACKAGES]
    title = "Reference"
    found["reference/index.rst"] = (
        f"{title}\n{'=' * len(title)}\n\n"
        "What the library offers, from its docstrings: task, encoder, method, report.\n\n"
        + "\n".join(rows)
        + "\n\n.. toctree::\n   :hidden:\n\n"
        + "".join(f"   {package}\n" for package in PACKAGES)
    )
    return found


def page(package: str) -> str:
    """Return the reference of one package: a table of its names, then each of them."""
    module = importlib.import_module(f"course_lib.{package}")
    names = sorted(module.__all__, key=str.casefold)
    title = f"course\\_lib.{package}"
    parts = [
        f"{title}\n{'=' * len(title)}\n",
        f"{_first_line(package)}\n",
        f".. currentmodule:: course_lib.{package}\n",
    ]
    callables = [name for name in names if callable(getattr(module, name))]
    parts.append(".. autosummary::\n   :nosignatures:\n\n" + "".join(f"   {name}\n" for name in callables))
    for name in names:
        thing = getattr(module, name)
        parts.append(f"{name}\n{'-' * len(name)}\n")
        if inspect.isclass(thing):
            parts.append(f".. autoclass:: {name}\n   :members:\n")
        elif callable(thing):
            parts.append(f".. autofunction:: {name}\n")
        else:
            parts.append(f".. py:data:: {name}\n\n   {constant(package, name)}\n")
    return "\n".join(parts)


def constant(package: str, name: str) -> str:
    """Return what stands below a constant where it is assigned; its value has only its type's docstring."""
    for module in sorted(sys.modules):
        if module.startswith(f"course_lib.{package}.") and hasattr(sys.modules[module], name):
            said = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", name))
            if said:
                return " ".join(said).strip()
    return ""


def _first_line(package: str) -> str:
    text = inspect.getdoc(importlib.import_module(f"course_lib.{package}")) or ""
    return " ".join(text.split("\n\n")[0].split())
