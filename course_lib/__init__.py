"""Carryover: a hands-on course in transfer and cross-domain learning.

One vocabulary serves pictures, sentences and sounds::

    task  ->  encoder  ->  method  ->  report

The subpackages are imported on first use, so ``import course_lib`` stays well
under a second although TensorFlow and PyTorch stand behind some of them.

Examples
--------
>>> import course_lib
>>> sorted(course_lib.__all__)
['encoders', 'measure', 'methods', 'scale', 'show', 'tasks']
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"

__all__ = ["encoders", "measure", "methods", "scale", "show", "tasks"]


def __getattr__(name: str) -> ModuleType:
    """Import a subpackage when it is first asked for (PEP 562)."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
