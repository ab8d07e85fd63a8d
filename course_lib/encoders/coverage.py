"""How much of a text a tokenizer does not know."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

UNCOVERED = 0.2
"""Share of unknown pieces from which a warning says that the features mean little."""


def pieces(tokenizer: Any, text: str) -> list[str]:
    """Return the pieces of a text as the vocabulary writes them, special tokens apart.

    ``tokenizer.tokenize`` shows what a SentencePiece vocabulary does not know as it stood in the text, as if
    it were known; here it is the unknown token, as the network gets it.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
    text : str

    Returns
    -------
    list of str
    """
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return list(tokenizer.convert_ids_to_tokens(ids))


def piece_counts(
    tokens: Callable[[str], Sequence[str]], sentences: Iterable[str], unknown: str
) -> np.ndarray:
    """Return how many pieces each sentence becomes, and how many of them are unknown.

    Parameters
    ----------
    tokens : callable
        From a text to its pieces.
    sentences : iterable of str
    unknown : str
        The piece that stands for what is not known, for instance ``"[UNK]"``.

    Returns
    -------
    numpy.ndarray
        ``(n, 2)`` int64.

    Examples
    --------
    >>> piece_counts(str.split, ["a b [UNK]", "a"], "[UNK]").tolist()
    [[3, 1], [1, 0]]
    """
    found = [tokens(sentence) for sentence in sentences]
    counts = [(len(each), sum(piece == unknown for piece in each)) for each in found]
    return np.array(counts, np.int64).reshape(-1, 2)


def unknown_share(counts: np.ndarray) -> float:
    """Return the share of pieces that are unknown, from ``(n, 2)`` counts; 0 where there is no piece.

    Examples
    --------
    >>> unknown_share(np.array([[3, 1], [1, 0]]))
    0.25
    """
    total, unknown = counts.sum(axis=0)
    return float(unknown / total) if total else 0.0


def warn_if_uncovered(
    name: str, share: float, unknown: str, *, limit: float = UNCOVERED, stacklevel: int = 1
) -> None:
    """Warn where a tokenizer does not know more than `limit` of the pieces of a text.

    Parameters
    ----------
    name : str
        Of the encoder or tokenizer.
    share : float
        From `unknown_share`.
    unknown : str
        As in `piece_counts`.
    limit : float
    stacklevel : int
        1 points at the line that calls this function, 2 at the one before, as of `warnings.warn`.

    Warns
    -----
    RuntimeWarning

    Examples
    --------
    >>> warn_if_uncovered("english", 0.05, "[UNK]")
    """
    if share > limit:
        warnings.warn(
            f"{name} does not cover these texts: {share:.0%} of their pieces are {unknown}, so that "
            "different sentences look alike to it. What to do: take an encoder that was taught this "
            "language, for instance encoders.multilingual_bert().",
            RuntimeWarning,
            stacklevel=stacklevel + 1,
        )
