"""The course's terms, English and Chinese, each with a sentence and the notebook where it first appears.

``terms.csv`` is the source; ``docs/glossary.md`` is written from it by ``python -m course_lib.glossary``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

__all__ = ["Term", "chinese_terms", "find", "page", "table", "terms", "words", "written"]

_CODE: Final = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_HAN: Final = r"\u3400-\u4dbf\u4e00-\u9fff"
_RUN: Final = re.compile(rf"[{_HAN}]+(?:[·-][{_HAN}]+)*")
_OPENING: Final = "(（"
_CLOSING: Final = ")）"


@dataclass(frozen=True)
class Term:
    """A term.

    Parameters
    ----------
    term : str
        English.
    chinese : str
        Several are separated by ``，``.
    definition : str
        A sentence.
    notebook : str
        Number of the first notebook that uses it, for instance ``"03"``.
    """

    term: str
    chinese: str
    definition: str
    notebook: str

    @property
    def forms(self) -> tuple[str, ...]:
        """The Chinese terms, without whatever is not Chinese in them (k 均值 → 均值).

        Examples
        --------
        >>> Term("k-means", "k 均值", "Grouping points.", "02").forms
        ('均值',)
        """
        return tuple("".join(_RUN.findall(one)) for one in self.chinese.split("，"))


@cache
def terms() -> tuple[Term, ...]:
    """Return every term, in the order of the English.

    Examples
    --------
    >>> next(one for one in terms() if one.term == "transfer learning").chinese
    '迁移学习'
    """
    text = files("course_lib.glossary").joinpath("terms.csv").read_text(encoding="utf-8")
    names = [one.name for one in fields(Term)]
    rows = [Term(*(row[name] for name in names)) for row in csv.DictReader(text.splitlines())]
    return tuple(sorted(rows, key=lambda one: one.term.casefold()))


def find(word: str) -> tuple[Term, ...]:
    """Return the terms that hold a word, English or Chinese: those named so first, then the definitions.

    Parameters
    ----------
    word : str
        Part of a term will do; an empty one finds all.

    Examples
    --------
    >>> [one.term for one in find("负迁")]
    ['negative transfer']
    """
    wanted = word.strip().casefold()
    named = [one for one in terms() if wanted in one.term.casefold() or wanted in one.chinese]
    told = [one for one in terms() if one not in named and wanted in one.definition.casefold()]
    return (*named, *told)


def table(shown: Iterable[Term], folder: str | Path = ".") -> str:
    """Return terms as a table in Markdown.

    Parameters
    ----------
    shown : iterable of Term
    folder : path
        Of the notebooks: those that are there become links.
    """
    rows = [
        f"| {one.term} | {one.chinese} | {one.definition} | {_link(one, Path(folder))} |" for one in shown
    ]
    return "\n".join(["| term | 中文 | meaning | notebook |", "|---|---|---|---|", *rows])


def page() -> str:
    """Return the glossary as a page in Markdown, with links from ``docs/`` to the notebooks."""
    head = (
        "# Glossary · 术语表\n\nTerms of the course, with the notebook where each first appears. Written "
        "from `course_lib/glossary/terms.csv`\nby `python -m course_lib.glossary > docs/glossary.md`.\n\n"
    )
    rows = [f"| {one.term} | {one.chinese} | {one.definition} | {one.notebook} |" for one in terms()]
    return head + "\n".join(["| term | 中文 | meaning | notebook |", "|---|---|---|---|", *rows]) + "\n"


def _link(one: Term, folder: Path) -> str:
    there = sorted(folder.glob(f"{one.notebook}_*.ipynb"))
    return f"[{one.notebook}]({there[0].name})" if there else one.notebook


def chinese_terms(text: str) -> list[str]:
    """Return the Chinese terms that stand in parentheses in Markdown, in order, each once.

    Code is left out; of ``(MMD, 最大均值差异; Gretton et al., 2012)`` the Chinese remains. Parentheses may be
    nested, span lines, or be Chinese ones.

    Examples
    --------
    >>> chinese_terms("A probe (线性探测), `x(代码)`, and k-means (k 均值; Coates, 2011). 中文 outside.")
    ['线性探测', '均值']
    """
    plain = _CODE.sub(" ", text)
    found: list[str] = []
    depth, start = 0, 0
    for place, character in enumerate(plain):
        if character in _OPENING:
            depth, start = depth + 1, start if depth else place
        elif character in _CLOSING and depth:
            depth -= 1
            if not depth:
                found += _RUN.findall(plain[start:place])
        elif plain.startswith("\n\n", place):  # a parenthesis does not outlive its paragraph
            depth = 0
    return list(dict.fromkeys(found))


def words(text: str) -> set[str]:
    """Return every run of Chinese in Markdown, code left out."""
    return set(_RUN.findall(_CODE.sub(" ", text)))


def written(rows: Sequence[Term]) -> str:
    """Return terms as the content of ``terms.csv``."""
    import io

    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([one.name for one in fields(Term)])
    writer.writerows(astuple(one) for one in rows)
    return stream.getvalue()
