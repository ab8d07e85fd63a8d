"""A sentence of one's own: its pieces, its neighbours, and what it is taken for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.picture import Picture
from course_lib.show.style import HATCHES, PALETTE, drawable, styled
from course_lib.show.tokens import (
    _GAP,
    _NAME,
    _WIDTH,
    UNKNOWN,
    _canvas,
    _columns,
    _draw_block,
    _laid_out,
    _page,
    _plain,
    _wrapped,
)

_PIECES = 60  # that are drawn for one tokenizer
_NEAREST = 3
_CLASSES = 4  # with a bar, for each answer
_ROW = 0.235  # inches, of a neighbour and of a bar
_ACROSS = 2  # answers beside each other
_TEXT = 66  # letters of a neighbour, Chinese ones counting twice

Neighbours = Mapping[str, tuple[Sequence[str] | np.ndarray, np.ndarray]]


def own_sentence(
    text: str,
    *,
    pieces: Mapping[str, Sequence[str]] | None = None,
    near: Neighbours | None = None,
    answers: Mapping[str, np.ndarray] | None = None,
    class_names: Sequence[str] = (),
    unknown: Sequence[str] = UNKNOWN,
    alt: str | None = None,
) -> Picture:
    """Show what becomes of a sentence, from its pieces to the answer.

    From above: the pieces, a block per tokenizer, at most 60 of each; the three nearest known sentences of
    each kind, with their cosine; the four likeliest classes of each classifier.

    Parameters
    ----------
    text : str
    pieces : dict of str to sequence of str, optional
        Per tokenizer: ``encoder.tokens(text)``.
    near : dict of str to (sequence of str, numpy.ndarray), optional
        Per kind, for instance per language, known sentences and how alike each is, both ``(n,)``.
    answers : dict of str to numpy.ndarray, optional
        Per classifier the ``(k,)`` probability of each class.
    class_names : sequence of str
        The k classes.
    unknown : sequence of str
        The pieces for what is not known.
    alt : str, optional
        Default: all of it, read out.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When nothing is to be shown, or sentences and similarities, classes and probabilities differ in
        number.

    Examples
    --------
    >>> own_sentence("I like tea.", pieces={"BERT": ["i", "like", "tea", "."]})
    Picture: “I like tea.”. BERT gives 4 pieces, 0 unknown: i | like | tea | ..
    """
    cut, alike, said = dict(pieces or {}), _nearest(near or {}), _likeliest(answers or {}, class_names)
    if not (cut or alike or said):
        raise BadInput("There is nothing to show of the sentence.", "Give pieces=, near= or answers=.")
    with styled():
        figure, renderer = _canvas()
        lines, top = _wrapped(drawable(text)), 0.08
        marks: list[tuple[float, str, dict[str, Any]]] = []
        for line in lines:
            marks.append((top + _NAME / 2, line, {"fontsize": 12}))
            top += _NAME
        blocks = []
        for name, own in cut.items():
            shown = [*own[:_PIECES], *([f"… {len(own) - _PIECES} more"] if len(own) > _PIECES else [])]
            boxes, end = _laid_out(figure, renderer, shown, top + _NAME)
            blocks.append((name, own, top, boxes))
            top = end + _GAP
        for kind, rows in alike.items():
            marks.append((top + _NAME / 2, f"{kind}, with cosine similarity", _HEAD))
            top += _NAME
            for cosine, sentence in rows:
                marks.append((top + _ROW / 2, f"{cosine:.2f}  {_short(sentence)}", {"fontsize": 11}))
                top += _ROW
            top += _GAP
        grid = top
        high = _NAME + _CLASSES * _ROW + _GAP
        top += high * -(-len(said) // _ACROSS)
        axes = _page(figure, top)
        for middle, line, look in marks:
            axes.text(0.05, middle, _plain(line), va="center", **look)
        for name, own, start, boxes in blocks:
            _draw_block(axes, name, own, start, boxes, unknown)
        for k, (who, likely) in enumerate(said.items()):
            left = _WIDTH / _ACROSS * (k % _ACROSS)
            _draw_answer(axes, who, likely, left, grid + high * (k // _ACROSS))
    return Picture(figure, alt or _words(text, cut, alike, said, unknown))


_HEAD: dict[str, Any] = {"fontsize": 10, "color": "0.25"}


def _nearest(near: Neighbours) -> dict[str, list[tuple[float, str]]]:
    """Return the most alike sentences of each kind, each sentence once, the nearest first."""
    found = {}
    for kind, (texts, cosine) in near.items():
        if np.shape(cosine) != (len(texts),):
            raise BadInput(
                f"{len(texts)} sentences of {kind!r} and similarities of shape {np.shape(cosine)}.",
                "Give one number for each sentence.",
            )
        rows: dict[str, float] = {}
        for row in np.argsort(-np.asarray(cosine, float), kind="stable"):
            rows.setdefault(str(texts[row]), float(cosine[row]))
            if len(rows) == _NEAREST:
                break
        found[kind] = [(like, sentence) for sentence, like in rows.items()]
    return found


def _likeliest(
    answers: Mapping[str, np.ndarray], class_names: Sequence[str]
) -> dict[str, list[tuple[str, float]]]:
    """Return the likeliest classes of each classifier with their probabilities."""
    found = {}
    for who, probabilities in answers.items():
        p = np.asarray(probabilities, float)
        if p.shape != (len(class_names),):
            raise BadInput(
                f"{who} gives probabilities of shape {p.shape}; there are {len(class_names)} classes.",
                "Give one for each class, and class_names=task.class_names.",
            )
        found[who] = [(class_names[k], float(p[k])) for k in np.argsort(-p, kind="stable")[:_CLASSES]]
    return found


def _draw_answer(axes: Any, who: str, likely: list[tuple[str, float]], left: float, top: float) -> None:
    """Draw bars of the likeliest classes, in inches from a corner."""
    from matplotlib.patches import Rectangle

    axes.text(left + 0.05, top + _NAME / 2, _plain(f"{who} takes it for"), va="center", **_HEAD)
    start, wide = left + 1.45, _WIDTH / _ACROSS - 2.1
    for k, (name, share) in enumerate(likely):
        middle = top + _NAME + (k + 0.5) * _ROW
        axes.text(start - 0.08, middle, _plain(name), ha="right", va="center", fontsize=10)
        look: dict[str, Any] = {"facecolor": PALETTE[0 if k == 0 else 5], "hatch": HATCHES[k > 0]}
        look["edgecolor"] = "white"
        axes.add_patch(Rectangle((start, middle - 0.075), max(wide * share, 0.01), 0.15, **look))
        axes.text(start + wide * share + 0.06, middle, f"{share:.0%}", va="center", fontsize=10)


def _short(sentence: str) -> str:
    """Return the beginning of a sentence that is too long for its line."""
    if _columns(sentence) <= _TEXT:
        return sentence
    while _columns(sentence) > _TEXT - 1:
        sentence = sentence[:-1]
    return f"{sentence}…"


def _words(
    text: str,
    pieces: Mapping[str, Sequence[str]],
    near: Mapping[str, list[tuple[float, str]]],
    answers: Mapping[str, list[tuple[str, float]]],
    unknown: Sequence[str],
) -> str:
    told = [f"“{text}”"]
    for name, own in pieces.items():
        n = sum(piece in unknown for piece in own)
        told.append(f"{name} gives {len(own)} pieces, {n} unknown: {' | '.join(own[:_PIECES])}")
    for kind, rows in near.items():
        told.append(f"{kind}: " + "; ".join(f"{sentence} ({cosine:.2f})" for cosine, sentence in rows))
    for who, likely in answers.items():
        told.append(f"{who} takes it for " + ", ".join(f"{name} {share:.0%}" for name, share in likely))
    return ". ".join(told) + "."
