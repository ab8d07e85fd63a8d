"""One's own tables as files: read as they are, or refused with what is wrong with them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from course_lib.errors import BadInput

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".parquet": ""}
_OTHERS = (",", ";", "\t")
_MARKS = (b"\xff\xfe", b"\xfe\xff")
_USUAL = {
    "zh": ("GB18030", "Big5"),
    "zh-hant": ("Big5", "GB18030"),
    "ja": ("Shift_JIS", "EUC-JP"),
    "japanese": ("Shift_JIS", "EUC-JP"),
    "ko": ("EUC-KR",),
    "korean": ("EUC-KR",),
}


def read_table(source: Any, columns: Sequence[str], language: str = "") -> Any:
    """Return a ``pandas.DataFrame`` that has `columns`, from a file or as given.

    In files, every cell is text: ``NA``, ``null`` and ``007`` stay what they are, and only an empty cell is
    a missing one.

    Parameters
    ----------
    source : path or pandas.DataFrame
        ``.csv`` (with commas or semicolons), ``.tsv`` or ``.txt`` (with tabs), in UTF-8, or ``.parquet``.
    columns : sequence of str
    language : str
        Helps to guess the encoding of a file that is not UTF-8; it is named, never used.

    Raises
    ------
    BadInput
        No file, another kind of file, not UTF-8, rows of unequal length, no rows, or a missing column.
    """
    import pandas as pd

    table = source if isinstance(source, pd.DataFrame) else _read(source, columns, language)
    what = "The table" if isinstance(source, pd.DataFrame) else Path(source).name
    for column in columns:
        if column not in table.columns:
            raise _missing(column, list(table.columns), what)
        if int((table.columns == column).sum()) > 1:
            raise BadInput(f"{what} has several columns {column!r}.", "Give each column a name of its own.")
    if not len(table):
        raise BadInput(f"{what} has no rows.", "Give a table with a row per example.")
    return table


def _missing(column: str, there: list[Any], what: str) -> BadInput:
    names = [str(name) for name in there]
    near = get_close_matches(column.casefold(), [n.casefold() for n in names], n=1, cutoff=0.4)
    meant = next((n for n in names if near and n.casefold() == near[0]), "")
    shown = ", ".join(repr(n) for n in names[:12]) + (", …" if len(names) > 12 else "")
    return BadInput(
        f"{what} has no column {column!r}; it has {shown or 'none'}.",
        f"Did you mean {meant!r}?"
        if meant
        else "Name one of them; the first line of a file names its columns.",
    )


def _read(source: Any, columns: Sequence[str], language: str) -> Any:
    import pandas as pd

    if not isinstance(source, str | Path):
        raise BadInput(f"source is a {type(source).__name__}.", "Give a path or a pandas.DataFrame.")
    path = Path(source).expanduser()
    if not path.is_file():
        raise BadInput(f"There is no file {path}.", "Give the path of a table.")
    kind = path.suffix.lower()
    if kind not in SEPARATORS:
        raise BadInput(
            f"{path.name} is no kind of table that is read here.",
            f"Give one of {', '.join(SEPARATORS)}, or a pandas.DataFrame.",
        )
    if kind == ".parquet":
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise BadInput(f"{path.name} is not a Parquet file: {error}", "Write it anew.") from error
    text = _decoded(path, language)
    try:
        return pd.read_csv(
            io.StringIO(text, newline=""),
            sep=_separator(text, SEPARATORS[kind], columns),
            dtype=str,
            keep_default_na=False,
            na_values=[""],
        )
    except pd.errors.EmptyDataError:
        raise BadInput(f"{path.name} is empty.", "Give a table with a row per example.") from None
    except pd.errors.ParserError as error:
        raise BadInput(
            f"{path.name} has rows of unequal length: {_reason(error)}.",
            'Put texts that hold the separator or a line break between double quotes ("…").',
        ) from error


def _reason(error: Exception) -> str:
    return re.sub(r"^.*C error: ", "", str(error).strip().splitlines()[-1])


def _separator(text: str, usual: str, columns: Sequence[str]) -> str:
    """Return the separator with which the first line names the columns; the usual one where none does."""
    first = text.lstrip("\ufeff\r\n").splitlines()[:1]
    for separator in (usual, *_OTHERS):
        if set(columns) <= set(next(csv.reader(first, delimiter=separator), [])):
            return separator
    return usual


def _decoded(path: Path, language: str) -> str:
    """Return a file's text without a byte-order mark; refuse what is not UTF-8 instead of guessing."""
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        guesses = encoding_guesses(raw, language)
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path.name} is not UTF-8 (line {line}); it is probably {' or '.join(guesses)}.",
            f"Save it as UTF-8; or look whether pandas.read_csv(…, encoding={guesses[0].lower()!r}) reads it "
            "right, and give that table.",
        ) from None


def encoding_guesses(raw: bytes, language: str = "") -> list[str]:
    """Return the encodings that bytes may be in, given that they are not UTF-8, the likeliest first.

    By the language; where that is not known, by whether bytes above 127 come in runs, as in Chinese, or
    alone, as accented letters do.

    Examples
    --------
    >>> encoding_guesses("你好，世界".encode("gb18030")), encoding_guesses("¿Qué tal? Adiós".encode("cp1252"))
    (['GB18030'], ['cp1252'])
    >>> encoding_guesses("請問".encode("big5"), "zh-Hant")
    ['Big5', 'GB18030']
    """
    if raw.startswith(_MARKS):
        return ["UTF-16"]
    usual = [name for name in _USUAL.get(language.casefold(), ()) if _reads(raw, name)]
    if usual:
        return usual
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", raw)]
    in_runs = sum(n for n in runs if n > 1) > 0.6 * sum(runs)
    return ["GB18030"] if in_runs and _reads(raw, "GB18030") else ["cp1252"]


def _reads(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
