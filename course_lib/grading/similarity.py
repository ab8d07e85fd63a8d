"""Answers that resemble each other, by fingerprints of their code (Schleimer, Wilkerson & Aiken, 2003)."""

from __future__ import annotations

import builtins
import keyword
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from course_lib.errors import BadInput
from course_lib.grading.hostile import one_line
from course_lib.grading.spreadsheet import csv_text
from course_lib.runner.state import write_atomically

LONGEST: Final = 20_000
"""Characters of an answer that are read; no answer of the course has a tenth of them."""
GRAM: Final = 8
"""Tokens of a fingerprint."""
WINDOW: Final = 4
"""Of so many fingerprints in a row one is kept at least: a copied piece of 11 tokens never goes unnoticed."""
CROWD: Final = 25
"""What more students than this have in common is nobody's invention."""

# Nothing here can fail or look far ahead: a string or bracket without its end is a token like any other.
_TOKEN: Final = re.compile(
    r"""
    (?P<skip>[ \t\f\r]+|\\\n|\#[^\n]*)
  | (?P<string>[rbuf]{0,2}(?:'''(?:\\.|[^\\])*?(?:'''|\\?\Z)|\"\"\"(?:\\.|[^\\])*?(?:\"\"\"|\\?\Z)
        |'(?:\\.|[^'\\\n])*'?|"(?:\\.|[^"\\\n])*"?))
  | (?P<number>\.?\d(?:e[+-]\d|[\w.])*)
  | (?P<name>[^\W\d]\w*)
  | (?P<line>[\n;])
  | (?P<sign>\*\*=?|//=?|>>=?|<<=?|->|\.\.\.|[-+*/%@&|^=!<>:]=|.)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_KEPT: Final = frozenset(keyword.kwlist) | frozenset(dir(builtins))


@dataclass(frozen=True)
class Pair:
    """Two answers to one exercise that resemble each other.

    Attributes
    ----------
    exercise : str
    one, other : str
        The students, in order.
    contained : float
        Of the shorter answer's fingerprints, the share that the longer one has too.
    jaccard : float
        Of both answers' fingerprints, the share that they have in common.
    shared : int
        How many fingerprints that are.
    same : bool
        Whether the two answers are the same letter by letter.
    """

    exercise: str
    one: str
    other: str
    contained: float
    jaccard: float
    shared: int
    same: bool = False


def tokens(source: str) -> list[str]:
    r"""Return the tokens of Python code without what a copy changes first.

    Comments, layout, and strings that stand alone (docstrings) are left out. Names become ``N``, numbers
    ``0`` and strings ``S``. Keywords, built-in functions and names after a dot stay: ``x.mean()`` cannot be
    renamed. A scanner of our own does this rather than `tokenize`: it reads code that does not parse the same
    way as code that does, so that a copy cannot hide behind a bracket too many, and needs no recursion.

    Examples
    --------
    >>> tokens("def f(rows):  # a comment\n    return rows.mean(axis=1)")
    ['def', 'N', '(', 'N', ')', ':', 'return', 'N', '.', 'mean', '(', 'N', '=', '0', ')']
    >>> tokens("def f(rows:\n 'words'\n return (")
    ['def', 'N', '(', 'N', ':', 'S', 'return', '(']
    """
    made: list[str] = []
    depth, fresh = 0, True  # how many brackets are open; whether a line begins here
    alone = False  # whether the line is a string so far, and nothing else
    for found in _TOKEN.finditer(source[:LONGEST]):
        kind, text = found.lastgroup, found[0]
        if kind == "skip":
            continue
        if kind == "line":
            if alone:
                made.pop()
            fresh, alone = fresh or not depth, False
            continue
        alone = kind == "string" and fresh and not depth
        fresh = False
        depth += (text in "([{") - (text in ")]}" and depth > 0)
        made.append(_normal(kind, text, made))
    if alone:
        made.pop()
    return made


def _normal(kind: str | None, text: str, before: Sequence[str]) -> str:
    if kind == "name":
        return text if text in _KEPT or (before and before[-1] == ".") else "N"
    return {"number": "0", "string": "S"}.get(kind or "", text)


def fingerprints(source: str) -> frozenset[int]:
    r"""Return the fingerprints of some code: hashes of token sequences, the least of every window.

    Examples
    --------
    >>> one = fingerprints("def mean(x):\n    return sum(x) / len(x)")
    >>> one == fingerprints("def average(values):  # by hand\n    return sum(values)/len(values)")
    True
    """
    hashes = grams(source)
    windows = range(max(1, len(hashes) - WINDOW + 1)) if hashes else ()
    return frozenset(min(hashes[k : k + WINDOW]) for k in windows)


def grams(source: str) -> list[int]:
    """Return a hash of every sequence of `GRAM` tokens, in order.

    Examples
    --------
    >>> len(grams("low, high = x.min(), x.max()"))
    8
    """
    told = tokens(source)
    sequences = zip(*(told[k:] for k in range(GRAM)), strict=False)
    return [zlib.crc32("\x1f".join(one).encode("utf-8", "surrogatepass")) for one in sequences]


def similar(
    answers: Mapping[str, Mapping[str, str]],
    *,
    known: Mapping[str, Iterable[str]] | None = None,
    threshold: float = 0.8,
    shortest: int = 16,
) -> list[Pair]:
    r"""Return the pairs of answers that have more in common than the task explains.

    It is a reason to look at two answers side by side, and no proof of anything. Short answers look alike by
    nature: there are few ways to divide a sum by a count. So what everybody may have written does not count
    (the stub, the solution, what more than half of a class or more than 25 students have in common), and of
    an answer there must be `shortest` fingerprints left, which are some 40 tokens, or it is not compared.
    For many exercises of the course that means: never.

    Parameters
    ----------
    answers : dict of dict
        By student, then by exercise: source code, in any state.
    known : dict, optional
        By exercise: pieces of code that everybody may have, which do not count.
    threshold : float
        Pairs are returned from this share on, of the shorter answer's fingerprints: who pads a copy changes
        only the longer one's.
    shortest : int
        Fingerprints that an answer must have.

    Returns
    -------
    list of Pair
        Those that share the most first.

    Raises
    ------
    BadInput
        When `threshold` is no share, or `shortest` is less than 1.

    Examples
    --------
    >>> ada = "def spread(x):\n    low, high = x.min(axis=0), x.max(axis=0)\n    return (high - low).sum()"
    >>> similar({"Ada": {"05.1": ada}, "Bo": {"05.1": ada.replace("low", "a")}}, shortest=5)[0].contained
    1.0
    """
    if not 0 < threshold <= 1 or shortest < 1:
        raise BadInput(
            f"A threshold of {threshold} and at least {shortest} fingerprints were asked for.",
            "The threshold is a share above 0, up to 1; the number at least 1.",
        )
    exercises = sorted({exercise for given in answers.values() for exercise in given})
    pairs: list[Pair] = []
    for exercise in exercises:
        sources = {who: answers[who][exercise] for who in sorted(answers) if exercise in answers[who]}
        given = {one for code in (known or {}).get(exercise, ()) for one in grams(code)}
        pairs += _of_one(exercise, sources, given, threshold, shortest)
    return sorted(
        pairs, key=lambda pair: (-pair.contained, -pair.shared, pair.exercise, pair.one, pair.other)
    )


def _of_one(
    exercise: str, sources: Mapping[str, str], given: set[int], threshold: float, shortest: int
) -> list[Pair]:
    """Compare the answers to one exercise by way of an index from fingerprints to who has them.

    No fingerprint that counts belongs to more than `CROWD` students, so the work grows with the class and
    not with its square.
    """
    prints = _counted(sources, given, shortest)
    index: dict[int, list[str]] = {}
    for who, own in prints.items():
        for each in own:
            index.setdefault(each, []).append(who)
    common: Counter[tuple[str, str]] = Counter()
    for having in index.values():
        common.update(combinations(having, 2))
    pairs = []
    for (one, other), shared in common.items():
        sizes = len(prints[one]), len(prints[other])
        contained = shared / min(sizes)
        if contained >= threshold:
            jaccard = shared / (sum(sizes) - shared)
            same = sources[one] == sources[other]
            pairs.append(Pair(exercise, one, other, round(contained, 4), round(jaccard, 4), shared, same))
    return pairs


def _counted(sources: Mapping[str, str], given: set[int], shortest: int) -> dict[str, frozenset[int]]:
    """Return each answer's fingerprints without those that say nothing, of answers that are long enough."""
    made = {source: fingerprints(source) - given for source in set(sources.values())}
    having = Counter(one for source in sources.values() for one in made[source])
    crowd = min(CROWD, max(len(sources) // 2, 5))  # in a handful of students nothing is usual
    usual = {one for one, count in having.items() if count > crowd}
    counted = {who: made[source] - usual for who, source in sources.items()}
    return {who: own for who, own in counted.items() if len(own) >= shortest}


def write_pairs(pairs: Sequence[Pair], path: Path) -> None:
    """Write pairs as a CSV file."""
    header: list[str | float | None] = [
        "exercise",
        "student",
        "other student",
        "share of the shorter answer",
        "share of both",
        "fingerprints in common",
        "same letter by letter",
    ]
    rows: list[list[str | float | None]] = [
        [p.exercise, one_line(p.one), one_line(p.other), p.contained, p.jaccard, p.shared, _yes(p.same)]
        for p in pairs
    ]
    write_atomically(path, csv_text([header, *rows]))


def _yes(value: bool) -> str:
    return "yes" if value else "no"
