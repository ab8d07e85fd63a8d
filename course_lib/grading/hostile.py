"""Text that students wrote, made fit to be shown and to name a file: it may hold anything."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

NAME: Final = 30
"""Characters of a student's name that a file's name keeps; four bytes each still fit every file system."""

_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    # what turns the direction of reading, so that a line of code reads otherwise than it runs
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    # what takes no room at all
    "\u200b\u2060\ufeff]"
)


def clean(text: str, limit: int = 2000) -> str:
    r"""Return `text` with its unseen characters made visible, and cut where it is too long to be read.

    Tabs and ends of lines stay. What remains is no markup yet: whoever writes HTML escapes it.

    Examples
    --------
    >>> clean("Ada\x00 \u202egpj")
    'Ada⟨U+0000⟩ ⟨U+202E⟩gpj'
    >>> clean("aaaa", limit=2)
    'aa … (2 characters more)'
    """
    kept = text[:limit].replace("\r\n", "\n").replace("\r", "\n")
    shown = _UNSEEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", kept)
    return f"{shown} … ({len(text) - limit:,} characters more)" if len(text) > limit else shown


def one_line(text: str, limit: int = 300) -> str:
    r"""Return `text` cleaned, on one line: for names, cells of tables and titles.

    Examples
    --------
    >>> one_line("two\nlines\tand a tab ")
    'two lines and a tab'
    """
    return " ".join(clean(text, limit).split())


def named(students: Sequence[str], most: int = 6) -> str:
    """Return students' names in one line: the first `most`, and how many more there are.

    Examples
    --------
    >>> named(["Ada", "Bo", "Cy"], most=2)
    'Ada, Bo and 1 more'
    """
    shown = ", ".join(one_line(one, 60) for one in students[:most])
    return f"{shown} and {len(students) - most} more" if len(students) > most else shown


def safe_name(student: str) -> str:
    """Return a name for files about `student`: the same every time, another one for everybody else.

    Letters and digits stay, so that a teacher can find a file. Part of the name's SHA-256 makes it unique,
    also where upper and lower case are the same.

    Examples
    --------
    >>> safe_name("Ada Lovelace")
    'Ada-Lovelace-767402161715'
    >>> safe_name("../../x")
    'x-9cdf6a50100a'
    """
    digest = hashlib.sha256(student.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    letters = (one if one.isalnum() else "-" for one in unicodedata.normalize("NFKC", student[:1000]))
    kept = re.sub("-+", "-", "".join(letters)).strip("-")[:NAME].strip("-")
    return f"{kept or 'student'}-{digest}"


OURS: Final = re.compile(r"[^/]+-[0-9a-f]{12}")
"""What `safe_name` returns looks so; other files in a folder are somebody else's."""
