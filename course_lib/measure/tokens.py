"""What a tokenizer makes of a language: how many pieces, how many unknown, which characters are missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from course_lib.encoders.coverage import piece_counts, warn_if_uncovered
from course_lib.errors import BadInput
from course_lib.measure.report import Interval, html_table, interval, text_table
from course_lib.measure.shift import wilson

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_MARKS = re.compile(r"[^\w\s]+")  # a run of punctuation
_UNSPACED = re.compile(  # Thai and Lao, Burmese, Khmer, Japanese, Chinese: no spaces between words
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_BEGINNINGS = "▁Ġ"  # how vocabularies write the space before a word

Words = Sequence[Sequence[str]] | Sequence[int]
"""The words of every sentence, or how many they are."""


@dataclass(frozen=True)
class Tokenization:
    """What a tokenizer makes of sentences of one language; see `tokenization`.

    Parameters
    ----------
    name, language : str
    n : int
        Sentences.
    unit : {"word", "character"}
        What fertility and `split` count by.
    fertility : Interval
        Pieces per unit.
    unknown : Interval
        Share of pieces that are unknown.
    unknown_sentences : Interval
        Share of sentences with at least one.
    coverage : float
        Share of distinct characters that do not become unknown.
    missing : tuple of str
        The characters that do, the most frequent first.
    split : float or None
        Share of units that become two pieces or more when they stand alone; None where only the number of
        words is known.
    length : float
        Median pieces of a sentence.
    unknown_piece : str
    """

    name: str
    language: str
    n: int
    unit: str
    fertility: Interval
    unknown: Interval
    unknown_sentences: Interval
    coverage: float
    missing: tuple[str, ...]
    split: float | None
    length: float
    unknown_piece: str

    def warn_if_uncovered(self, limit: float = 0.2) -> None:
        """Warn (RuntimeWarning) where more than `limit` of the pieces are unknown."""
        name = f"{self.name} ({self.language})"
        warn_if_uncovered(name, self.unknown.value, self.unknown_piece, limit=limit, stacklevel=2)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        intervals = ("fertility", "unknown", "unknown_sentences")
        return {
            **vars(self),
            **{name: getattr(self, name).to_dict() for name in intervals},
            "missing": list(self.missing),
        }

    @property
    def _caption(self) -> str:
        return f"{self.name}, {self.language}, {self.n:,} sentences"

    def _rows(self) -> list[tuple[str, str]]:
        return [*zip(_head(self.unknown_piece), self._cells(), strict=True)]

    def _cells(self) -> tuple[str, ...]:
        fertility = self.fertility
        return (
            f"{fertility.value:.2f} [{fertility.low:.2f}, {fertility.high:.2f}] per {self.unit}",
            str(self.unknown),
            str(self.unknown_sentences),
            f"{self.coverage:.1%}",
            "not known" if self.split is None else f"{self.split:.1%}",
            f"{self.length:g}",
        )

    def __str__(self) -> str:
        return f"{self._caption}\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(f"<b>{escape(self._caption)}</b>", ("", "value [95% interval]"), self._rows())


@dataclass(frozen=True)
class Tokenizations:
    """Several tokenizers and languages, a row each; see `tokenizations`.

    Parameters
    ----------
    rows : tuple of Tokenization
    """

    rows: tuple[Tokenization, ...]

    def find(self, name: str, language: str) -> Tokenization:
        """Return the row of a tokenizer and a language.

        Raises
        ------
        BadInput
            When there is none.
        """
        for row in self.rows:
            if (row.name, row.language) == (name, language):
                return row
        known = ", ".join(f"{row.name} on {row.language}" for row in self.rows)
        raise BadInput(f"There is no row of {name!r} on {language!r}.", f"There is {known}.")

    def to_dict(self) -> dict[str, Any]:
        """Return all rows as plain values."""
        return {"rows": [row.to_dict() for row in self.rows]}

    def _head(self) -> tuple[str, ...]:
        kinds = {row.unknown_piece for row in self.rows}
        return ("tokenizer", "language", *_head(kinds.pop() if len(kinds) == 1 else "unknown"))

    def _cells(self) -> list[tuple[str, ...]]:
        return [(row.name, row.language, *row._cells()) for row in self.rows]

    def __str__(self) -> str:
        return text_table([self._head(), *self._cells()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table("<b>Tokenizers</b>, [95% interval]", self._head(), self._cells())


def _head(unknown: str) -> tuple[str, ...]:
    return (
        "pieces (fertility)",
        f"{unknown} pieces",
        f"sentences with {unknown}",
        "characters covered",
        "split",
        "median length",
    )


def tokenization(
    tokens: Callable[[str], Sequence[str]],
    sentences: Sequence[str] | np.ndarray,
    *,
    unknown: str,
    name: str,
    language: str,
    words: Words | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Tokenization:
    """Describe what a tokenizer makes of sentences of one language.

    **Fertility** is the mean number of pieces per word, runs of punctuation counting as words: 1 where every
    word is in the vocabulary, large where words fall to bits. **Unknown** pieces are worse than many:
    whatever was written is gone, and a low fertility made of them is no merit. **Split** is the share of
    words that become several pieces, each word by itself.

    Where words are not given, they are what spaces and punctuation part. Chinese, Japanese, Thai, Lao,
    Burmese and Khmer put no spaces between words; there the unit is the character, which the table says: do
    not compare pieces per character with pieces per word.

    Parameters
    ----------
    tokens : callable
        From a text to its pieces, special tokens apart, unknown ones as `unknown`; for instance
        ``encoder.tokens``.
    sentences : sequence of str
    unknown : str
        The piece for what is not known, for instance ``"[UNK]"``.
    name, language : str
        For the table.
    words : sequence, optional
        The words of every sentence, or their number without punctuation; for the packaged Chinese sentences
        ``[[word.text for word in each] for each in pairs.words]``.
    resamples, seed : int
        Of the bootstrap over sentences, behind the intervals of fertility and unknown pieces; sentences with
        unknown pieces have Wilson's interval.

    Returns
    -------
    Tokenization

    Raises
    ------
    BadInput
        No sentence, something that is not a text, sentences without a word, or words for another number of
        sentences.

    References
    ----------
    Rust, Pfeiffer, Vulić, Ruder & Gurevych (2021), "How good is your tokenizer?", ACL. Ács (2019), "Exploring
    BERT's vocabulary" (fertility).

    Examples
    --------
    >>> letters = lambda text: [c if c in "ab" else "?" for c in text if c != " "]
    >>> tokenization(letters, ["ab ba", "a bab", "a cab"], unknown="?", name="letters", language="babble")
    letters, babble, 3 sentences
      pieces (fertility)  2.00 [2.00, 2.00] per word
      ? pieces            8.3% [0.0, 25.0]
      sentences with ?    33.3% [6.1, 79.2]
      characters covered  66.7%
      split               66.7%
      median length       4
    """
    texts = _checked(sentences)
    counts = piece_counts(tokens, texts, unknown)
    units, unit, parts = _units(texts, words)
    characters = Counter(c for text in texts for c in text if not c.isspace())
    missing = [c for c, _ in characters.most_common() if unknown in tokens(c)]
    with_unknown = int((counts[:, 1] > 0).sum())
    return Tokenization(
        name=name,
        language=language,
        n=len(texts),
        unit=unit,
        fertility=_ratio(counts[:, 0], units, resamples, seed),
        unknown=_ratio(counts[:, 1], counts[:, 0], resamples, seed),
        unknown_sentences=wilson(with_unknown, len(texts)),
        coverage=1 - len(missing) / len(characters),
        missing=tuple(missing),
        split=None if parts is None else _split(tokens, parts),
        length=float(np.median(counts[:, 0])),
        unknown_piece=unknown,
    )


def tokenizations(*found: Tokenization) -> Tokenizations:
    """Put tokenizers and languages into one table.

    Parameters
    ----------
    *found : Tokenization
        In the order of the table's rows.

    Raises
    ------
    BadInput
        When there is none.
    """
    if not found:
        raise BadInput("No tokenizer was given.", "Give what measure.tokenization returns.")
    return Tokenizations(tuple(found))


def _units(texts: list[str], words: Words | None) -> tuple[np.ndarray, str, Counter[str] | None]:
    """Return how many units each text has, what they are, and how often each occurs; None where not known."""
    if words is None:
        letters = "".join(c for text in texts for c in text if c.isalpha())
        if 2 * len(_UNSPACED.findall(letters)) > len(letters):
            bare = ["".join(text.split()) for text in texts]
            return np.array([len(text) for text in bare]), "character", Counter("".join(bare))
        words = [_WORD.findall(text) for text in texts]
    if len(words) != len(texts):
        raise BadInput(
            f"Words of {len(words):,} sentences for {len(texts):,} sentences.", "Give those of each sentence."
        )
    marks = np.array([len(_MARKS.findall(_WORD.sub(" ", text))) for text in texts])
    numbers = [each for each in words if isinstance(each, int | np.integer)]
    if len(numbers) == len(texts):
        return marks + np.array(numbers, np.int64), "word", None
    lists = [each for each in words if not isinstance(each, int | np.integer | str)]
    if len(lists) < len(texts):
        raise BadInput(
            "The words of a sentence are neither a list of words nor their number.",
            'Give [["I", "see"], ["We", "hear"]], or [2, 2].',
        )
    lists = [[word for word in each if not _MARKS.fullmatch(word)] for each in lists]
    return marks + np.array([len(each) for each in lists]), "word", Counter(w for each in lists for w in each)


def _split(tokens: Callable[[str], Sequence[str]], parts: Counter[str]) -> float:
    """Return the share of parts, each as often as it occurs, that are more than one piece by themselves."""
    several = sum(
        count
        for part, count in parts.items()
        if sum(bool(piece.strip(_BEGINNINGS)) for piece in tokens(part)) > 1
    )
    return several / max(parts.total(), 1)


def _ratio(part: np.ndarray, whole: np.ndarray, resamples: int, seed: int) -> Interval:
    """Return the ratio of two sums over sentences, with its bootstrap interval."""
    both, n = np.column_stack([part, whole]), len(part)
    if not whole.sum():
        raise BadInput("The sentences hold no word or no piece.", "Give sentences with letters in them.")
    rng = np.random.default_rng(seed)
    sums = np.array([both[rng.integers(n, size=n)].sum(axis=0) for _ in range(resamples)])
    return interval(part.sum() / whole.sum(), sums[:, 0] / np.maximum(sums[:, 1], 1))


def _checked(sentences: Sequence[str] | np.ndarray) -> list[str]:
    if isinstance(sentences, str):
        raise BadInput("A single text was given, not a list of them.", "Give a list: [text].")
    texts = list(sentences)
    if not texts:
        raise BadInput("There is no sentence.", "Give at least one; a few hundred make it steady.")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise BadInput(f"Row {row} holds {text!r}, not a text.", "Leave such rows out.")
    if not any(text.strip() for text in texts):
        raise BadInput("All sentences are empty.", "Give sentences with letters in them.")
    return texts
