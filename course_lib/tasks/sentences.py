"""Sentences in English and Chinese that mean the same: packaged, with topics and word-by-word glosses."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from course_lib.errors import BadInput, DataUnavailable
from course_lib.installed import PackagedFile, find, verified
from course_lib.tasks.task import Split, Task, stratified_rows

PACKAGED = PackagedFile(
    package="hsk-sentences-audio==1.0.0",
    path="hsk_sentences_audio/data/sentences.json",
    sha256="8f8ffd34eee29f395724ce060cad22511eeeabb7af731d5b5879dc0548e01660",
    licence="CC BY-SA 4.0",
    source="hsk-sentences-audio: graded Chinese sentences with English translations",
)
LICENCE = "CC BY-SA 4.0"
CITATION = "hsk-sentences-audio contributors (2026), 4,354 sentences graded by HSK 3.0, version 1.0.0"

LANGUAGES = {"en": "English", "zh": "Chinese", "zh-Hant": "traditional Chinese"}
"""Languages by their tag (BCP 47), and what a split's domain is called."""

CATCH_ALL = ("misc", "objects_misc", "questions")
"""Topics that say nothing about what a sentence is about."""

UNTRANSLATED = re.compile(r"placeholder(-\w+)?|PH")
"""What stands in the place of 82 English translations that were never written; they are left out."""

SHARES = {"train": 0.70, "validation": 0.10, "test": 0.20}


class Word(NamedTuple):
    """A Chinese word of a sentence and what it means in English."""

    text: str
    gloss: str


@dataclass(frozen=True, eq=False)
class ParallelSentences:
    """Sentences and their translations, row by row.

    Parameters
    ----------
    english, chinese, traditional : numpy.ndarray
        ``(n,)`` object arrays of str; `traditional` is `chinese` in traditional characters.
    words : tuple of tuple of Word
        Each Chinese sentence in words, punctuation left out, with English glosses.
    topics : numpy.ndarray
        ``(n,)`` of str.
    parts : numpy.ndarray
        ``(n,)`` ``"train"``, ``"validation"`` or ``"test"``: the same as in `topics`, and equal sentences
        share one. What is learnt from pairs or raw text uses ``"train"`` alone.
    ids : numpy.ndarray
        ``(n,)`` of str.
    """

    english: np.ndarray
    chinese: np.ndarray
    traditional: np.ndarray
    words: tuple[tuple[Word, ...], ...]
    topics: np.ndarray
    parts: np.ndarray
    ids: np.ndarray

    def __post_init__(self) -> None:
        # Views, so that freezing them leaves the caller's own arrays writable.
        for name in _ARRAYS:
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> ParallelSentences:
        """Return the pairs in `rows` (indices or a boolean mask), in that order."""
        chosen = np.arange(len(self))[rows]
        arrays = {name: getattr(self, name)[chosen] for name in _ARRAYS}
        return ParallelSentences(words=tuple(self.words[row] for row in chosen), **arrays)

    def part(self, name: str) -> ParallelSentences:
        """Return the pairs of ``"train"``, ``"validation"`` or ``"test"``."""
        if name not in SHARES:
            raise BadInput(f"part={name!r}.", f"Choose one of {', '.join(SHARES)}.")
        return self.take(self.parts == name)

    def sentences(self, language: str) -> np.ndarray:
        """Return one side: ``"en"``, ``"zh"`` or ``"zh-Hant"``."""
        side: np.ndarray = getattr(self, _SIDES[_checked(language)])
        return side

    def __repr__(self) -> str:
        sizes = " / ".join(f"{int((self.parts == part).sum()):,}" for part in SHARES)
        return f"ParallelSentences({len(self):,} pairs, {sizes} train / validation / test)"


_ARRAYS = ("english", "chinese", "traditional", "topics", "parts", "ids")
_SIDES = {"en": "english", "zh": "chinese", "zh-Hant": "traditional"}


def parallel_sentences() -> ParallelSentences:
    """Return the packaged sentences, English beside Chinese.

    4,272 of the 4,354 published pairs: for 82 the translation is missing, the file says "placeholder" there,
    and a sentence paired with that word would only teach nonsense. Pairs that share a sentence in either
    language lie in one part, so that nothing in "test" was seen, in any language, in "train".

    Returns
    -------
    ParallelSentences

    Raises
    ------
    DataUnavailable, Corrupt
        When the package is missing or altered.

    Examples
    --------
    >>> pairs = parallel_sentences()
    >>> pairs.english[0], pairs.chinese[0], pairs.words[0][0]
    ('Hello, teacher!', '老师，您好！', Word(text='老师', gloss='teacher'))
    """
    return _pairs()


def topics(language: str = "en", train: int | None = None, *, seed: int = 0) -> Task:
    """Return the packaged sentences in one language, to be told apart by topic.

    16 topics; the three that catch all that is left (`CATCH_ALL`) are dropped. The same sentences, under the
    same ids and in the same splits, in every language.

    Parameters
    ----------
    language : {"en", "zh", "zh-Hant"}
    train : int, optional
        Training labels, stratified and nested; validation shrinks along (`Task.subset`). Default: all.
    seed : int
        Of the subset; the splits are always the same. The same seed takes the same sentences in every
        language.

    Returns
    -------
    Task
        Sentences ``(n,)`` of str.

    Raises
    ------
    BadInput
        An unknown language, or more labels than exist.
    DataUnavailable, Corrupt
        As `parallel_sentences`.

    Examples
    --------
    >>> english, chinese = topics("en"), topics("zh")
    >>> english.test.x[2], chinese.test.x[2]
    ('She is also a doctor.', '她也是医生。')
    >>> bool((english.test.ids == chinese.test.ids).all())
    True
    """
    domain = LANGUAGES[_checked(language)]
    pairs = _pairs()
    kept = pairs.take(~np.isin(pairs.topics, CATCH_ALL))
    names, y = np.unique(kept.topics, return_inverse=True)
    class_names = tuple(name.replace("_", " ") for name in names.tolist())
    whole = Split(kept.sentences(language), y, class_names, f"topics/{language}", domain, kept.ids)
    task = Task(
        name=f"topics/{language}",
        **{part: whole.take(kept.parts == part, f"topics/{language}/{part}") for part in SHARES},
        class_names=class_names,
        domain=domain,
        licence=LICENCE,
        citation=CITATION,
        note="packaged; translations and equal sentences lie in one split",
    )
    return task if train is None else task.subset(train, seed=seed)


def available() -> bool:
    """Tell whether the package is installed."""
    try:
        return find(PACKAGED).is_file()
    except DataUnavailable:
        return False


def _checked(language: str) -> str:
    if language not in LANGUAGES:
        raise BadInput(
            f"language={language!r}.",
            f"Choose one of {', '.join(LANGUAGES)}; for other sentences: tasks.sentence_table.",
        )
    return language


@lru_cache(maxsize=1)
def _pairs() -> ParallelSentences:
    path = verified(PACKAGED, find(PACKAGED))
    rows = [
        row
        for row in json.loads(path.read_text("utf8"))
        if not UNTRANSLATED.fullmatch(row["translation"]["en"])
    ]
    english = [r["translation"]["en"] for r in rows]
    chinese = [r["chinese"] for r in rows]
    found = ParallelSentences(
        english=_texts(english),
        chinese=_texts(chinese),
        traditional=_texts([r["traditional"] for r in rows]),
        words=tuple(tuple(Word(t["word"], t["gloss_en"]) for t in r["tokens"]) for r in rows),
        topics=np.array([r["topic"] for r in rows]),
        parts=np.array([""] * len(rows), "<U10"),
        ids=np.array([r["id"] for r in rows]),
    )
    return replace(found, parts=assigned(groups(english, chinese), found.topics))


def _texts(values: Sequence[str]) -> np.ndarray:
    """Return an object array of str."""
    found: np.ndarray = np.empty(len(values), object)
    found[:] = values
    return found


def groups(*sides: Sequence[str]) -> np.ndarray:
    """Return ``(n,)`` group numbers: rows that share a sentence on any side are in one group.

    Letters and digits alone are compared.

    Examples
    --------
    >>> groups(["Hi!", "hi", "Bye."], ["你好", "您好", "您好"]).tolist()
    [0, 0, 0]
    """
    parent = list(range(len(sides[0])))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for side in sides:
        first: dict[str, int] = {}
        for row, text in enumerate(side):
            a, b = sorted((root(row), root(first.setdefault(_bare(text), row))))
            parent[b] = a
    return np.array([root(row) for row in range(len(parent))], np.int64)


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def assigned(group: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ``(n,)`` part names: whole groups, each label of a group's first row in its share.

    Always the same, so that every notebook and every learner has the same test sentences.
    """
    first = np.flatnonzero(group == np.arange(len(group)))
    numbers = np.unique(labels, return_inverse=True)[1][first]
    part_of: dict[int, str] = dict.fromkeys(first.tolist(), "train")
    left = np.arange(len(first))
    for part in ("test", "validation"):
        taken = stratified_rows(numbers[left], round(SHARES[part] * len(first)), seed=0)
        part_of.update(dict.fromkeys(first[left[taken]].tolist(), part))
        left = np.delete(left, taken)
    return np.array([part_of[g] for g in group.tolist()], "<U10")


def glosses(pairs: ParallelSentences) -> dict[str, list[str]]:
    """Return every Chinese word of `pairs` with the English glosses that it carries, in order of appearance.

    Examples
    --------
    >>> glosses(parallel_sentences())["老师"]
    ['teacher']
    """
    found: dict[str, dict[str, Any]] = {}
    for sentence in pairs.words:
        for word in sentence:
            found.setdefault(word.text, {})[word.gloss] = None
    return {text: list(seen) for text, seen in found.items()}
