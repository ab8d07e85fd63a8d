"""Where the embeddings of a new vocabulary begin: at random, at shared pieces, or at what words mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

STARTS = ("glosses", "overlap", "random")
"""Where new rows begin; each start falls back to those after it."""

FIRST_SENSES = 3
"""How many senses of a dictionary's entry count; the later ones are rare."""

_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_NO_MEANING = re.compile(
    r"^(classifier|surname|see |used in|abbr\.|CL:|\(?bound form)|variant of|pr\.|[\u3400-\u9fff]"
)
_LEADING = re.compile(r"^(to be|to|an?|the) (?=\w)")
_SHORT = {"sb": "somebody", "sth": "something"}


def senses(gloss: str) -> list[str]:
    """Return the meanings that a dictionary's gloss holds, most common first, fit to be looked up.

    Remarks in brackets, readings, surnames, classifiers and references to other entries are left out, and
    "to" and articles where a sense begins with them.

    Examples
    --------
    >>> senses("(bound form) meals (as in 伙食[huo3 shi2])")
    ['meals']
    >>> senses("to help sb; to assist; classifier for helpers")
    ['help somebody', 'assist']
    >>> senses("surname Jian"), senses("see 老頭子|老头子[lao3 tou2 zi5]")
    ([], [])
    """
    plain = gloss
    while _BRACKETS.search(plain):
        plain = _BRACKETS.sub(" ", plain)
    found = []
    for part in re.split(r"[;/]", plain):
        sense = " ".join(_SHORT.get(word, word) for word in part.strip(" ,.").split())
        if sense and not _NO_MEANING.search(sense):
            found.append(_LEADING.sub("", sense))
    return found


def meanings(
    glosses: Mapping[str, Sequence[str]], tokenizer: Any, table: np.ndarray
) -> dict[str, np.ndarray]:
    """Return each word's embedding in another language's table: the mean of what its glosses become there.

    Parameters
    ----------
    glosses : mapping of str to sequence of str
        As `tasks.glosses` gives them. Words whose glosses say nothing are left out.
    tokenizer : transformers.PreTrainedTokenizerFast
        Of that language.
    table : numpy.ndarray
        ``(old pieces, width)``.
    """
    found: dict[str, np.ndarray] = {}
    for word, given in glosses.items():
        first = [sense for gloss in given for sense in senses(gloss)[:FIRST_SENSES]]
        ids = [tokenizer(sense, add_special_tokens=False)["input_ids"] for sense in first]
        rows = [table[i].mean(axis=0) for i in ids if len(i)]
        if rows:
            found[word] = np.asarray(np.mean(rows, axis=0), np.float32)
    return found


def of_characters(meanings: Mapping[str, np.ndarray], counts: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Return for each character the mean of the words that hold it, weighted by how often they occur.

    Examples
    --------
    >>> a, b = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)
    >>> of_characters({"老师": a, "老人": b}, {"老师": 3, "老人": 1})["老"].tolist()
    [0.75, 0.25]
    """
    sums: dict[str, np.ndarray] = {}
    weights: dict[str, float] = {}
    for word, row in meanings.items():
        weight = max(float(counts.get(word, 0)), 0.5)  # a word that never came up still says something
        for character in set(word):
            sums[character] = sums.get(character, 0) + weight * row
            weights[character] = weights.get(character, 0) + weight
    return {c: np.asarray(total / weights[c], np.float32) for c, total in sums.items()}


def first_rows(
    start: str,
    pieces: Sequence[str],
    special: Mapping[str, str],
    old: Mapping[str, int],
    table: np.ndarray,
    meant: Mapping[str, np.ndarray],
    of_character: Mapping[str, np.ndarray],
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the embeddings that new pieces begin with, and where each comes from.

    Parameters
    ----------
    start : {"glosses", "overlap", "random"}
    pieces : sequence of str
        By number.
    special : mapping of str to str
        Special tokens to those of the old vocabulary; always copied.
    old : mapping of str to int
        The old vocabulary's pieces and their numbers.
    table : numpy.ndarray
        Its embeddings ``(old pieces, width)``.
    meant, of_character : mapping of str to numpy.ndarray
        As `meanings` and `of_characters` return them.
    seed : int
        Of random rows: normal, with mean and spread of each column of the old table.

    Returns
    -------
    numpy.ndarray
        ``(pieces, width)`` float32.
    numpy.ndarray
        ``(pieces,)`` of str: ``"special"``, ``"gloss"``, ``"characters"``, ``"overlap"`` or ``"random"``.
    """
    rng = np.random.default_rng([seed, 0, 4])
    centre, spread = table.mean(axis=0), table.std(axis=0)
    rows = rng.normal(centre, spread, (len(pieces), table.shape[1])).astype(np.float32)
    origin = np.full(len(pieces), "random", "<U10")
    for number, piece in enumerate(pieces):
        sources = (
            ("special", table[old[special[piece]]] if piece in special else None, True),
            ("gloss", meant.get(piece), start == "glosses"),
            ("characters", of_character.get(piece), start == "glosses"),
            ("overlap", table[old[piece]] if piece in old else None, start != "random"),
        )
        for name, row, allowed in sources:
            if allowed and row is not None:
                rows[number], origin[number] = row, name
                break
    return rows, origin
