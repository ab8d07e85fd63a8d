"""How a Chinese notebook is made of the English one and of translated text."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nbformat

from course_lib.errors import BadInput
from course_lib.runner.state import write_atomically

KEY: Final = "translates"
"""Where a cell's metadata keep the fingerprint of the English that it translates."""

_MARK: Final = re.compile(r"^<!-- cell (\S+) -->[ \t]*$", re.MULTILINE)
_LINK: Final = re.compile(r"(?<=\]\()[^)\s]+")
_MARKS: Final = "\u3001-\u303f\uff01-\uff0f\uff1a-\uff1f”’…—"
_WIDE: Final = f"\u3400-\u4dbf\u4e00-\u9fff“‘{_MARKS}"
_BROKEN: Final = re.compile(rf"[{_WIDE}]\n[{_WIDE}]|[{_MARKS}]\n(?:[A-Za-z`]|\*+[^*\s]|\$[^$])")


@dataclass(frozen=True)
class Waiting:
    """Ids of the cells that wait for a translator: never translated, or changed in English since."""

    missing: tuple[str, ...]
    stale: tuple[str, ...]


def chinese_path(english: Path) -> Path:
    """Return where the Chinese edition of a notebook is."""
    return english.parent / "zh" / english.name


def fingerprint(source: str) -> str:
    r"""Return a short digest of an English cell; spaces at ends of lines do not count.

    Examples
    --------
    >>> fingerprint("Hello \n") == fingerprint("Hello"), fingerprint("Hello") == fingerprint("hello")
    (True, False)
    """
    text = "\n".join(line.rstrip() for line in source.strip().splitlines())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def moved(text: str) -> str:
    """Return Markdown whose relative links, written for ``notebooks/``, start at ``notebooks/zh/``.

    Links from notebook to notebook stay within the edition; what has been moved stays as it is.

    Examples
    --------
    >>> moved("[练习](../exercises/04.ipynb)，[05](05_more.ipynb)，[网页](https://example.org)，[上](#top)")
    '[练习](../../exercises/04.ipynb)，[05](05_more.ipynb)，[网页](https://example.org)，[上](#top)'
    """
    return _LINK.sub(
        lambda found: f"../{found[0]}" if re.match(r"\.\./(?!\.\./)", found[0]) else found[0], text
    )


def unwrapped(text: str) -> str:
    r"""Return Markdown without the line breaks that a page would show as spaces between Chinese characters.

    Lists, headings, tables and code stay as they are.

    Examples
    --------
    >>> unwrapped("## 题目\n先看数据，\n再看方法；\n`fit` 在\n这里。\n- 甲\n  乙\n- 丙")
    '## 题目\n先看数据，再看方法；`fit` 在这里。\n- 甲乙\n- 丙'
    """
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        fence = line.startswith("```")
        fenced ^= fence
        before, after = lines[-1] if lines else "", line.lstrip(" ")
        whole = fence or fenced or before.startswith(("#", "|"))
        if not whole and _BROKEN.match(f"{before[-1:]}\n{after}"):
            lines[-1] += after
        else:
            lines.append(line)
    return "\n".join(lines)


def parsed(text: str) -> dict[str, str]:
    r"""Return translated Markdown by cell id, from a file in which each begins with ``<!-- cell ID -->``.

    Raises
    ------
    BadInput
        When text stands before the first such line, a cell is empty, or an id comes twice.

    Examples
    --------
    >>> parsed("<!-- cell 04-000 -->\n# 题目\n\n<!-- cell 04-003 -->\n正文\n")
    {'04-000': '# 题目', '04-003': '正文'}
    """
    head, *parts = _MARK.split(text.removeprefix("\ufeff"))
    if head.strip() or not parts:
        raise BadInput("Text stands before the first cell.", "Begin each cell with a line <!-- cell ID -->.")
    found: dict[str, str] = {}
    for name, source in zip(parts[::2], parts[1::2], strict=True):
        if name in found or not source.strip():
            raise BadInput(f"Cell {name} is empty or comes twice.", "Give each cell's translation once.")
        found[name] = source.strip()
    return found


def renewed(english: Any, chinese: Any = None, texts: Mapping[str, str] | None = None) -> Any:
    """Return the Chinese notebook: everything from the English one, but the text that is translated.

    Parameters
    ----------
    english : notebook
    chinese : notebook, optional
        As it was: its translations are kept where `texts` has none, also stale ones.
    texts : mapping of str to str, optional
        New translations by cell id. They may have links as in the English notebook: see `moved`.

    Returns
    -------
    notebook
        What has no translation stays English, without a fingerprint.

    Raises
    ------
    BadInput
        When `texts` has a cell that is no Markdown cell of the English notebook.
    """
    texts = texts or {}
    made = copy.deepcopy(english)
    ours = [cell for cell in made.cells if cell.cell_type == "markdown"]
    unknown = texts.keys() - {cell.id for cell in ours}
    if unknown:
        raise BadInput(
            f"There is no Markdown cell {', '.join(sorted(unknown))} in the English notebook.",
            "Take the ids from the English notebook.",
        )
    before = {cell.id: cell for cell in chinese.cells if KEY in cell.metadata} if chinese else {}
    for cell in ours:
        if cell.id in texts:
            cell.metadata[KEY] = fingerprint(cell.source)
            cell.source = unwrapped(moved(texts[cell.id]))
        elif cell.id in before:
            cell.metadata[KEY] = before[cell.id].metadata[KEY]
            cell.source = unwrapped(before[cell.id].source)
        else:
            cell.source = moved(cell.source)
    return made


def waiting(english: Any, chinese: Any) -> Waiting:
    """Return which cells of a Chinese notebook wait for a translator."""
    known = {cell.id: cell.metadata.get(KEY) for cell in chinese.cells if cell.cell_type == "markdown"}
    ours = [cell for cell in english.cells if cell.cell_type == "markdown"]
    missing = tuple(cell.id for cell in ours if known.get(cell.id) is None)
    stale = tuple(c.id for c in ours if c.id not in missing and known[c.id] != fingerprint(c.source))
    return Waiting(missing, stale)


def renew(english: Path, texts: Mapping[str, str] | None = None) -> Waiting | None:
    """Renew the Chinese edition of a notebook, and say what waits for a translator.

    Parameters
    ----------
    english : pathlib.Path
        The English notebook, which is only read.
    texts : mapping of str to str, optional
        New translations by cell id. Without any, a Chinese edition that is not there is not begun.

    Returns
    -------
    Waiting or None
        None when there is no Chinese edition of it.
    """
    path = chinese_path(english)
    source = nbformat.read(english, as_version=4)  # type: ignore[no-untyped-call]
    before = nbformat.read(path, as_version=4) if path.is_file() else None  # type: ignore[no-untyped-call]
    if before is None and not texts:
        return None
    made = renewed(source, before, texts)
    if made != before:
        write_atomically(path, str(nbformat.writes(made)).rstrip("\n") + "\n")  # type: ignore[no-untyped-call]
    return waiting(source, made)
