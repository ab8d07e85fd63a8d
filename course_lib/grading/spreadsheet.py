"""Tables as CSV files that Excel and LibreOffice open without being attacked by what stands in them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

from course_lib.grading.hostile import one_line

BOM: Final = "\ufeff"
"""Without it Excel takes UTF-8 for the code page of its machine."""

# Also after a semicolon: where that separates cells, Excel begins a new one there.
_FORMULA: Final = re.compile(r"(^|[;,|])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")


def defused(text: str) -> str:
    r"""Return `text` as a cell that no spreadsheet takes for a formula.

    Control characters are made visible, tabs and ends of lines are spaces, and an apostrophe stands before
    whatever a formula begins with.

    Examples
    --------
    >>> defused("=HYPERLINK(1)"), defused("\t@SUM(1)"), defused("Ada-Marie"), defused("a;=1")
    ("'=HYPERLINK(1)", "'@SUM(1)", 'Ada-Marie', "a;'=1")
    """
    return _FORMULA.sub(r"\1'", one_line(text, limit=4000))


def number(value: float) -> str:
    """Return points without zeros that say nothing.

    Examples
    --------
    >>> number(3.0), number(2.5), number(1 / 3), number(1234567.25), number(0)
    ('3', '2.5', '0.33', '1234567.25', '0')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def csv_text(rows: Iterable[Sequence[str | float | None]]) -> str:
    r"""Return rows as the text of a CSV file (RFC 4180), with the mark by which Excel knows UTF-8.

    Parameters
    ----------
    rows : iterable of sequences
        Text is defused; None is an empty cell.

    Examples
    --------
    >>> csv_text([["student", "total"], ["O'Hara, Ada", 2.5], ["=1+1", None]])
    '\ufeffstudent,total\r\n"O\'Hara, Ada",2.5\r\n\'=1+1,\r\n'
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_cell(one) for one in row])
    return BOM + stream.getvalue()


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return defused(value) if isinstance(value, str) else number(value)
