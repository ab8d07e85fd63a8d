"""The glossary as a page whose terms, English and Chinese, can be linked to."""

from __future__ import annotations

from collections.abc import Sequence

from course_lib import glossary

HEAD = """# Glossary · 术语表

The course's terms, each with its Chinese, a sentence, and the notebook where it first appears.

"""


def page(notebooks: Sequence[str]) -> str:
    """Return the page; `notebooks` are the names of the English ones."""
    where = {name[:2]: name for name in notebooks}
    seen: set[str] = set()
    entries = []
    for one in glossary.terms():
        names = [one.term, *one.chinese.split("，")]
        new = [name for name in names if name.casefold() not in seen]
        seen |= {name.casefold() for name in new}
        told = [
            name for name in names if name not in new
        ]  # a second entry of one name could not be linked to
        aside = f"({', '.join(told)}) " if told else ""
        first = where.get(one.notebook)
        link = f" [{one.notebook}](notebooks/{first}.ipynb)" if first else f" {one.notebook}"
        entries.append("\n".join(new) + f"\n  {aside}{one.definition}{link}\n")
    return HEAD + "````{glossary}\n" + "\n".join(entries) + "````\n"
