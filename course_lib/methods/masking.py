"""Which tokens a masked language model has to guess, and what it sees in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.encoders.text import TextEncoder, Tokens, checked_sentences
from course_lib.errors import BadInput
from course_lib.tasks.task import Split

HIDDEN, REPLACED = 0.8, 0.1
"""Of the chosen places: shares that show the mask, and a random piece; the rest shows what stands there."""


@dataclass(frozen=True)
class Masked:
    """Sentences of which some places are to be guessed.

    Parameters
    ----------
    tokens : Tokens
        What the network sees.
    rows, places : numpy.ndarray
        ``(k,)`` int64: the sentence, and the token in it, of each place to be guessed.
    targets : numpy.ndarray
        ``(k,)`` int64: what stands there, as a position in ``Masker.pieces``.
    """

    tokens: Tokens
    rows: np.ndarray
    places: np.ndarray
    targets: np.ndarray


class Masker:
    r"""Chooses places in sentences: Devlin et al. (2019), anew at every call as Liu et al. (2019).

    In a sentence of n pieces :math:`\max(1, \lfloor 0.15\, n + \tfrac12 \rfloor)` are chosen. Of the chosen
    ones 80% show the mask, 10% a random piece and 10% themselves, so that no token can be trusted and each
    state has to hold what its surroundings say. Never chosen are special tokens, unknown ones, the encoder's
    prefix, and pieces that are not among `pieces`, which cannot be answered. Sentences without a place that
    could be chosen are left out.

    Parameters
    ----------
    tokens : Tokens
        Special tokens included. Not changed.
    pieces : numpy.ndarray
        ``(p,)`` sorted numbers of the pieces that can be guessed.
    mask : int
        Number of the mask.
    share : float
    begin : int
        First place that may be chosen, behind the start token and the prefix.

    Attributes
    ----------
    tokens : Tokens
        Of the sentences that are left.
    lengths : numpy.ndarray
        Tokens per sentence.

    Raises
    ------
    BadInput
        When no sentence is left.

    Examples
    --------
    >>> tokens = Tokens([np.array([0, 5, 6, 7, 5, 1])], None)
    >>> masker = Masker(tokens, np.array([5, 6, 7]), mask=2, share=0.5)
    >>> seen = masker(np.array([0]), np.random.default_rng(0), hidden=1.0)
    >>> seen.tokens.ids[0].tolist(), seen.places.tolist(), masker.pieces[seen.targets].tolist()
    ([0, 2, 6, 2, 5, 1], [1, 3], [5, 7])
    """

    def __init__(
        self, tokens: Tokens, pieces: np.ndarray, *, mask: int, share: float = 0.15, begin: int = 1
    ) -> None:
        self.pieces, self._mask, self._share = pieces, mask, share
        choices = [begin + np.flatnonzero(np.isin(ids[begin:], pieces)) for ids in tokens.ids]
        kept = [row for row, places in enumerate(choices) if len(places)]
        if not kept:
            raise BadInput(
                f"None of {len(tokens.ids):,} sentences has a piece that could be guessed.",
                "encoder.tokens(text) shows what a text becomes; training text must cover what is judged.",
            )
        self.tokens = Tokens([tokens.ids[row] for row in kept], None)
        self.lengths = self.tokens.lengths
        self._choices = [choices[row] for row in kept]

    def __call__(self, rows: np.ndarray, rng: np.random.Generator, *, hidden: float = HIDDEN) -> Masked:
        """Return the sentences in `rows` with places chosen by `rng`.

        Parameters
        ----------
        rows : numpy.ndarray
        rng : numpy.random.Generator
        hidden : float
            Share of the chosen places that show the mask; 1 for judging.
        """
        ids = [self.tokens.ids[row].copy() for row in rows]
        chosen = [self._drawn(int(row), rng) for row in rows]
        counts = [len(places) for places in chosen]
        number = np.repeat(np.arange(len(rows)), counts)
        places = np.concatenate([np.empty(0, np.int64), *chosen])
        standing = np.concatenate([np.empty(0, np.int64), *(i[p] for i, p in zip(ids, chosen, strict=True))])
        fate, other = rng.random(len(places)), rng.choice(self.pieces, len(places))
        shown = np.where(fate < hidden, self._mask, np.where(fate < hidden + REPLACED, other, standing))
        for row, place, piece in zip(number, places, shown, strict=True):
            ids[row][place] = piece
        return Masked(Tokens(ids, None), number, places, np.searchsorted(self.pieces, standing))

    def _drawn(self, row: int, rng: np.random.Generator) -> np.ndarray:
        choices = self._choices[row]
        count = max(1, int(self._share * len(choices) + 0.5))
        return np.sort(rng.permutation(choices)[:count])


def raw_sentences(data: Split | np.ndarray | Sequence[str], what: str) -> np.ndarray:
    """Return raw text for a masked language model, ``(n,)`` object array of str.

    Raises
    ------
    BadInput
        For pairs, for no text at all, and as `checked_sentences`.
    """
    x = checked_sentences(data)
    if x.ndim == 2:
        raise BadInput(f"The {what} are pairs.", "Give one text per row, for instance one side of them.")
    if not len(x):
        raise BadInput(f"There are no {what}.", "Give a list of texts; no labels are needed.")
    return x


def pieces_in(encoder: TextEncoder, tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """Return the pieces that occur behind the prefix, special ones left out, and how often each does.

    Returns
    -------
    numpy.ndarray
        ``(p,)`` sorted numbers.
    numpy.ndarray
        ``(p,)`` counts.
    """
    begin = first_place(encoder)
    found, counts = np.unique(np.concatenate([ids[begin:] for ids in tokens.ids]), return_counts=True)
    kept = ~np.isin(found, encoder.tokenizer.all_special_ids)
    return found[kept], counts[kept]


def masker_of(encoder: TextEncoder, tokens: Tokens, pieces: np.ndarray, share: float) -> Masker:
    """Return the masker of an encoder's tokens."""
    mask, begin = int(encoder.tokenizer.mask_token_id), first_place(encoder)
    return Masker(tokens, pieces, mask=mask, share=share, begin=begin)


def first_place(encoder: TextEncoder) -> int:
    """Return where a text begins, behind the start token and the prefix.

    Examples
    --------
    >>> from course_lib.encoders import english_bert, multilingual_bert
    >>> first_place(english_bert()), multilingual_bert().tokens("query: "), first_place(multilingual_bert())
    (1, ['▁que', 'ry', ':'], 4)
    """
    return 1 + (len(encoder.tokens(encoder.prefix)) if encoder.prefix else 0)
