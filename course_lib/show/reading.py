"""Sentences that read a result, made from its numbers."""

from __future__ import annotations

import sys
from typing import Any


class Sentence:
    """A line of Markdown that notebooks render and terminals print.

    Examples
    --------
    >>> Sentence("Half of them: **50%**.")
    Half of them: 50%.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text.replace("**", "")

    def _repr_markdown_(self) -> str:
        return self.text


def say(text: str) -> None:
    """Show a sentence below the cell; its numbers belong in an f-string, not in the prose around.

    Parameters
    ----------
    text : str
        Markdown.

    Examples
    --------
    >>> share = 2 / 3
    >>> say(f"**{share:.0%}** of the cells.")
    67% of the cells.
    """
    if "IPython" in sys.modules:
        from IPython.core.getipython import get_ipython

        if get_ipython() is not None:
            import IPython.display

            untyped: Any = IPython.display
            untyped.display(Sentence(text))
            return
    print(repr(Sentence(text)))
