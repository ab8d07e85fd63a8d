"""What holds the two editions together: everything but the words is the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from course_lib import glossary
from course_lib.runner.chinese.edition import KEY, fingerprint, moved

HAN: Final = r"\u3400-\u4dbf\u4e00-\u9fff"
LEAST: Final = 0.3
"""The least share of Han characters among the letters of a translated cell, names and sources aside."""

_FENCE: Final = re.compile(r"```.*?```", re.DOTALL)
_SPAN: Final = re.compile(r"`[^`\n]+`")
_FORMULA: Final = re.compile(r"\$\$.+?\$\$|(?<![\\$])\$[^$\n]+(?:\n[^$\n]+)*\$", re.DOTALL)
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^(#+) ", re.MULTILINE)
_SOURCE: Final = re.compile(r"^.*\(\d{4}[a-z]?\).*$", re.MULTILINE)
_LATIN_ASIDE: Final = re.compile(rf"[(（][^()（）{HAN}]*[)）]")


def _without_code(text: str) -> str:
    return _SPAN.sub(" ", _FENCE.sub(" ", text))


def _spans(text: str) -> list[str]:
    return sorted(_FENCE.findall(text) + _SPAN.findall(_FENCE.sub(" ", text)))


def _formulas(text: str) -> list[str]:
    return sorted(" ".join(one.split()) for one in _FORMULA.findall(_without_code(text)))


def _links(text: str) -> list[str]:
    return sorted(_LINK.findall(moved(_FENCE.sub(" ", text))))


def _headings(text: str) -> list[str]:
    return _HEADING.findall(_FENCE.sub(" ", text))


_SAME: Final[dict[str, Callable[[str], list[str]]]] = {
    "code": _spans,
    "formulas": _formulas,
    "links": _links,
    "headings": _headings,
}
"""What the two languages' Markdown has in common."""


def han_share(text: str) -> float:
    """Return the share of Han characters among letters; code, formulas, links and sources are left out.

    Examples
    --------
    >>> han_share("一种方法（a method）：`fit`"), han_share("A method (方法)") < LEAST
    (1.0, True)
    """
    plain = _FORMULA.sub(" ", _without_code(_SOURCE.sub(" ", text)))
    plain = _LATIN_ASIDE.sub(" ", re.sub(r"\[[^\]]*\]\([^)]*\)|<[^>]+>|https?://\S+", " ", plain))
    han, latin = len(re.findall(f"[{HAN}]", plain)), len(re.findall("[A-Za-z]", plain))
    return han / (han + latin) if han + latin else 1.0


def problems(english: Any, chinese: Any, folder: Path | None = None) -> list[str]:
    """Return in what a Chinese notebook is not the English one in Chinese; nothing when all is well.

    Parameters
    ----------
    english, chinese : notebook
    folder : pathlib.Path, optional
        Where the Chinese one lies: then its relative links must lead somewhere.
    """
    names = [[(cell.id, cell.cell_type) for cell in one.cells] for one in (english, chinese)]
    if names[0] != names[1]:
        return ["cells, or their order, differ"]
    found = ["metadata of the notebook differ"] if english.metadata != chinese.metadata else []
    for ours, theirs in zip(english.cells, chinese.cells, strict=True):
        told = _of_text(ours, theirs, folder) if ours.cell_type == "markdown" else _of_others(ours, theirs)
        found += [f"{ours.id}: {one}" for one in told]
    return found


def _of_others(ours: Any, theirs: Any) -> list[str]:
    return [] if ours == theirs else ["differs from the English cell"]


def _of_text(ours: Any, theirs: Any, folder: Path | None) -> list[str]:
    """Return what is wrong with a translated cell."""
    found = []
    if {**theirs.metadata, KEY: None} != {**ours.metadata, KEY: None}:
        found.append("metadata differ")
    if KEY not in theirs.metadata:
        return [*found, "not translated"]
    if theirs.metadata[KEY] != fingerprint(ours.source):
        found.append("stale: the English has changed")
    if han_share(theirs.source) < LEAST:
        found.append("still English")
    found += [f"{name} differ" for name, of in _SAME.items() if of(ours.source) != of(theirs.source)]
    found += _broken(theirs.source, folder)
    plain = _FORMULA.sub(" ", _without_code(theirs.source))
    found += [f"half-width punctuation: {one}" for one in re.findall(rf"[{HAN}][,;:!?](?!\S*\()", plain)]
    found += [f"no space: {one}" for one in re.findall(rf"[{HAN}][A-Za-z0-9]|[A-Za-z0-9][{HAN}]", plain)]
    return found


def _broken(text: str, folder: Path | None) -> list[str]:
    links = [
        one.split("#")[0] for one in _LINK.findall(_FENCE.sub(" ", text)) if not re.match(r"\w+:|#", one)
    ]
    return [f"link to nowhere: {one}" for one in links if folder and not (folder / one).exists()]


def unused_terms(english: Any, chinese: Any) -> list[str]:
    """Return the terms that an English cell has and its translation calls otherwise: to be looked at.

    A longer term hides those within it: where "transfer learning" stands, "transfer" is not asked for.
    """
    rows = sorted(glossary.terms(), key=lambda one: -len(one.term))
    found = []
    for ours, theirs in zip(english.cells, chinese.cells, strict=True):
        if ours.cell_type != "markdown":
            continue
        text = _FORMULA.sub(" ", _without_code(ours.source))
        for one in rows:
            text, times = re.subn(rf"\b{re.escape(one.term)}s?\b", " ", text, flags=re.IGNORECASE)
            if times and not any(form in theirs.source for form in one.forms):
                found.append(f"{ours.id}: {one.term} is {one.chinese}")
    return found
