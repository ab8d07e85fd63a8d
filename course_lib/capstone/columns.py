"""Which column of somebody's table holds the sentences, and which the labels."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from course_lib.errors import BadInput
from course_lib.tasks.table_file import SEPARATORS, encoding_guesses

TEXTS: Final = (
    "text",
    "sentence",
    "sentences",
    "texts",
    "content",
    "review",
    "message",
    "question",
    "句子",
    "文本",
)
LABELS: Final = ("label", "labels", "class", "topic", "category", "target", "sentiment", "标签", "类别")
SPLITS: Final = ("split", "part", "set")
_LOOKED_AT: Final = 200  # lines, to guess the language
_CHINESE: Final = 0.3


def chosen_columns(path: Path, text: str | None, label: str | None) -> dict[str, str]:
    """Return the settings that a table's first lines speak for: text, label, split, language.

    Parameters
    ----------
    path : path
    text, label : str or None
        As given; else a column with a usual name is taken.

    Raises
    ------
    BadInput
        When a column is not there, or none has a usual name: the message tells those that there are.
    """
    names, rows = _head(path)
    found = {
        "text": _column(path, names, text, TEXTS, "sentences", "--text"),
        "label": _column(path, names, label, LABELS, "labels", "--label"),
    }
    split = next((n for n in names if n.strip().casefold() in SPLITS), "")
    words = "".join(row[names.index(found["text"])] for row in rows if len(row) == len(names))
    chinese = sum("\u4e00" <= one <= "\u9fff" for one in words)
    language = "zh" if words and chinese > _CHINESE * len(words) else "en"
    return {**found, "split": split, "language": language}


def _column(
    path: Path, names: list[str], given: str | None, usual: tuple[str, ...], what: str, option: str
) -> str:
    if given is not None:
        if given in names:
            return given
        raise BadInput(
            f"{path.name} has no column {given!r}; it has {_listed(names)}.",
            f"Name one of them with {option}; the first line of a file names its columns.",
        )
    for name in usual:
        match = next((n for n in names if n.strip().casefold() == name), None)
        if match is not None:
            return match
    headless = any(len(name) > 40 or not name.strip() for name in names) or len(names) < 2
    raise BadInput(
        f"Which column of {path.name} holds the {what}? It has {_listed(names)}"
        + (", which do not look like names." if headless else "."),
        "Write a first line that names the columns, for instance text,label."
        if headless
        else f"Say it with {option}. If these are no names, the first line is missing: text,label.",
    )


def _listed(names: list[str]) -> str:
    shown = [repr(n if len(n) <= 40 else n[:39] + "…") for n in names[:12]]
    return ", ".join(shown) + (", …" if len(names) > 12 else "")


def _head(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns and the first rows."""
    kind = path.suffix.lower()
    if kind not in SEPARATORS:
        raise BadInput(f"{path.name} is no table that is read here.", f"Give one of {', '.join(SEPARATORS)}.")
    if kind == ".parquet":
        import pandas as pd

        table = pd.read_parquet(path)
        return [str(n) for n in table.columns], table.head(_LOOKED_AT).astype(str).to_numpy().tolist()
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        guesses = " or ".join(encoding_guesses(raw))
        raise BadInput(f"{path.name} is not UTF-8; it is probably {guesses}.", "Save it as UTF-8.") from None
    lines = text.splitlines()[: _LOOKED_AT + 1]
    if not any(line.strip() for line in lines):
        raise BadInput(f"{path.name} is empty.", "Give a table with a row per example.")
    separator = max(
        (SEPARATORS[kind], ",", ";", "\t"), key=lambda one: (lines[0].count(one), one == SEPARATORS[kind])
    )
    rows = list(csv.reader(lines, delimiter=separator))
    return rows[0], rows[1:]
