"""What numpydoc docstrings say: a summary, formulas, references."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import Any

_HEADING = re.compile(r"^(?P<name>[A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)


@dataclass(frozen=True)
class Described:
    """A docstring in parts.

    Attributes
    ----------
    summary : str
        Its first paragraph, in one line of reStructuredText.
    formulas : tuple of str
        Its ``math`` directives as reStructuredText.
    references : str
        Its section References, as reStructuredText; empty without one.
    """

    summary: str
    formulas: tuple[str, ...]
    references: str


def described(thing: Any) -> Described:
    """Return the parts of an object's docstring."""
    text = inspect.getdoc(thing) or ""
    sections = _HEADING.split(text)
    named = dict(zip(sections[1::2], sections[2::2], strict=True))
    summary = " ".join(sections[0].strip().split("\n\n")[0].split())
    references = textwrap.dedent(named.get("References", "")).strip()
    return Described(summary, tuple(formulas(text)), references)


def formulas(text: str) -> list[str]:
    r"""Return the math directives of a docstring, each as reStructuredText from its margin on.

    Examples
    --------
    >>> formulas("A sum.\n\n    .. math:: a +\n        b\n\nMore.")
    ['.. math:: a +\n    b']
    """
    found: list[str] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not line.lstrip().startswith(".. math::"):
            continue
        margin = len(line) - len(line.lstrip())
        block = [line]
        for following in lines[number + 1 :]:
            if following.strip() and len(following) - len(following.lstrip()) <= margin:
                break
            block.append(following)
        found.append(textwrap.dedent("\n".join(block)).rstrip())
    return found
