"""What a sentence becomes in several tokenizers, piece by piece."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from course_lib.errors import BadInput
from course_lib.show.picture import Picture
from course_lib.show.style import WRONG, drawable, styled

UNKNOWN = ("[UNK]", "<unk>")
"""What pieces that are not in the vocabulary are called, by BERT and by SentencePiece."""

MOST = 200
"""Pieces that can be drawn for one tokenizer."""

_TINTS = ("#cfe3f1", "#fbe3b5")  # light shades of the palette's first two, to tell neighbours apart
_WIDTH = 7.2  # inches
_LINE, _NAME, _GAP = 0.34, 0.27, 0.14  # heights in inches: of a line of pieces, of a name, between tokenizers
_PAD, _SPACE = 0.055, 0.045  # inches within a box to either side of its text, and between boxes
_SIZE = 11  # points
_COLUMNS = 72  # letters of the text in a line, Chinese ones counting twice
_LONGEST = 40  # letters of a piece


class _Box(NamedTuple):
    """A piece and where it is drawn, in inches from the left and from the top."""

    piece: str
    left: float
    top: float
    width: float


def tokens(
    pieces: Mapping[str, Sequence[str]],
    *,
    text: str = "",
    unknown: Sequence[str] = UNKNOWN,
    title: str = "",
    alt: str | None = None,
) -> Picture:
    """Draw the pieces of one sentence, a block per tokenizer.

    Unknown pieces have a dashed frame and no fill: what stood there does not reach the network.

    Parameters
    ----------
    pieces : dict of str to sequence of str
        Per tokenizer, as its vocabulary writes them: ``encoder.tokens(text)``.
    text : str
        The sentence, to be set above.
    unknown : sequence of str
        The pieces for what is not known.
    title : str
    alt : str, optional
        Default: the pieces, read out.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        Without a tokenizer, for one without pieces, or with more than 200.
    """
    if not pieces or not all(pieces.values()):
        raise BadInput("There are no pieces to draw.", 'Give {"BERT": encoder.tokens("A sentence.")}.')
    longest = max(pieces, key=lambda name: len(pieces[name]))
    if len(pieces[longest]) > MOST:
        raise BadInput(
            f"{len(pieces[longest])} pieces of {longest} cannot be read.", f"Show a text of at most {MOST}."
        )
    heads = [(title, "bold")] * bool(title) + [(line, "normal") for line in _wrapped(text)]
    with styled():
        figure, renderer = _canvas()
        top = 0.08 + len(heads) * _NAME
        blocks: list[tuple[str, float, list[_Box]]] = []
        for name, own in pieces.items():
            boxes, end = _laid_out(figure, renderer, own, top + _NAME)
            blocks.append((name, top, boxes))
            top = end + _GAP
        axes = _page(figure, top)
        for k, (line, weight) in enumerate(heads):
            middle = 0.08 + (k + 0.5) * _NAME
            axes.text(0.05, middle, _plain(line), va="center", fontsize=_SIZE + 1, weight=weight)
        for name, start, boxes in blocks:
            _draw_block(axes, name, pieces[name], start, boxes, unknown)
    return Picture(figure, alt or _words(title or text, pieces, unknown))


def _canvas() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, 1))
    figure.set_layout_engine("none")
    canvas: Any = FigureCanvasAgg(figure)
    return figure, canvas.get_renderer()


def _page(figure: Any, height: float) -> Any:
    """Return axes over the whole figure, in inches from its top left corner."""
    figure.set_size_inches(_WIDTH, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, _WIDTH), ylim=(height, 0))
    axes.axis("off")
    return axes


def _laid_out(figure: Any, renderer: Any, pieces: Sequence[str], top: float) -> tuple[list[_Box], float]:
    """Return the boxes of pieces, in lines as wide as the page, and where the last line ends."""
    boxes, left = [], 0.05
    for piece in pieces:
        drawn = figure.text(0, 0, _written(piece), fontsize=_SIZE)
        width = drawn.get_window_extent(renderer).width / figure.dpi + 2 * _PAD
        drawn.remove()
        if left + width > _WIDTH - 0.05 and left > 0.05:
            left, top = 0.05, top + _LINE
        boxes.append(_Box(piece, left, top, width))
        left += width + _SPACE
    return boxes, top + _LINE


def _draw_block(
    axes: Any, name: str, pieces: Sequence[str], top: float, boxes: Sequence[_Box], unknown: Sequence[str]
) -> None:
    """Draw the boxes of one tokenizer below its name."""
    label = f"{name}: {_counted(pieces, unknown)}"
    axes.text(0.05, top + _NAME / 2, _plain(label), va="center", fontsize=10, color="0.25")
    for k, box in enumerate(boxes):
        _draw(axes, box, _TINTS[k % 2], box.piece in unknown)


def _draw(axes: Any, box: _Box, tint: str, unknown: bool) -> None:
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = (
        {"facecolor": "white", "edgecolor": WRONG, "linestyle": (0, (3, 1.5)), "linewidth": 1.4}
        if unknown
        else {"facecolor": tint, "edgecolor": "0.55", "linewidth": 0.6}
    )
    axes.add_patch(Rectangle((box.left, box.top + 0.03), box.width, _LINE - 0.06, **look))
    middle = box.left + box.width / 2, box.top + _LINE / 2
    colour = WRONG if unknown else "0.1"
    axes.text(*middle, _written(box.piece), ha="center", va="center_baseline", fontsize=_SIZE, color=colour)


def _written(piece: str) -> str:
    """Return a piece as it is drawn: its beginning where it is very long."""
    return _plain(piece if len(piece) <= _LONGEST else piece[:_LONGEST] + "…")


def _plain(text: str) -> str:
    """Return text that matplotlib draws letter by letter: a dollar would begin a formula."""
    return drawable(text).replace("$", r"\$")


def _wrapped(text: str) -> list[str]:
    """Return the lines of a text, broken at spaces and between Chinese characters."""
    lines = [""]
    for part in re.findall(r"[\u2e80-\uffef]\s*|[^\s\u2e80-\uffef]{1,60}\s*", text):
        if lines[-1] and _columns(lines[-1] + part.rstrip()) > _COLUMNS:
            lines.append("")
        lines[-1] += part
    return [line for line in lines if line]


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _counted(pieces: Sequence[str], unknown: Sequence[str]) -> str:
    n = sum(piece in unknown for piece in pieces)
    return f"{len(pieces)} piece{'s' * (len(pieces) != 1)}" + (f", {n} unknown" if n else "")


def _words(about: str, pieces: Mapping[str, Sequence[str]], unknown: Sequence[str]) -> str:
    said = [f"{name} gives {_counted(own, unknown)}: {' | '.join(own)}" for name, own in pieces.items()]
    return f"{about or 'One sentence'}, in pieces. {'. '.join(said)}."
