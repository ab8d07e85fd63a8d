"""One picture and all that a classifier makes of it: the answer, its evidence, what it resembles."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.attention import _checked, _middle, _overlay
from course_lib.show.photographs import _draw
from course_lib.show.picture import Picture
from course_lib.show.style import HATCHES, PALETTE, styled

if TYPE_CHECKING:
    from course_lib.tasks.task import Split

_SHARPNESS = 1.25  # photographs compress badly
_CLASSES = 5  # with a bar
_NEIGHBOURS = 6
_WIDE, _LINE = 7.2, 92  # inches, and characters of a line across them


def own_picture(
    picture: np.ndarray,
    *,
    probabilities: np.ndarray,
    evidence: np.ndarray,
    near: Split,
    cosine: np.ndarray,
    words: str = "",
    alt: str | None = None,
) -> Picture:
    """Show a picture, what it is taken for and why, and the training pictures that it resembles most.

    Above: the picture as the network gets it, where it speaks for the likeliest class, and the likeliest
    classes. Below: the nearest training pictures with their labels.

    Parameters
    ----------
    picture : numpy.ndarray
        ``(height, width, 1 or 3)`` uint8, as `tasks.made_like` makes it.
    probabilities : numpy.ndarray
        ``(k,)`` of every class, summing to 1.
    evidence : numpy.ndarray
        ``(h, w)``, 0 to 1, for the likeliest class, from `methods.grad_cam` or `methods.look`.
    near : Split
        The nearest training pictures, the nearest first; six are shown at most.
    cosine : numpy.ndarray
        ``(len(near),)`` how alike each is in feature space.
    words : str
        A sentence that stands below the answer: how far from the training pictures it lies.
    alt : str, optional
        Default: the answer, `words`, and the neighbours.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        For something that is not one picture, or probabilities, evidence and neighbours that do not fit.
    """
    from matplotlib.figure import Figure

    shares, alike = _checked_parts(picture, probabilities, near, cosine)
    heat = _checked(near.take(np.zeros(1, int)), np.asarray(evidence)[None])[0]
    names = near.class_names
    likely = np.argsort(-shares, kind="stable")[:_CLASSES]
    said = names[likely[0]]
    with styled():
        figure = Figure(figsize=(_WIDE, 4.9))
        above, below = figure.subfigures(2, 1, height_ratios=[1.55, 1], squeeze=False)[:, 0]
        left, middle, right = above.subplots(1, 3, gridspec_kw={"width_ratios": [1, 1, 1.15]})
        _draw(left, np.asarray(picture))
        left.set_title("as the network gets it", fontsize=9, loc="center", weight="normal")
        centred = _middle(_overlay(middle, np.asarray(picture), heat))
        middle.set_title(f"speaks for {said}", fontsize=9, loc="center", weight="normal")
        _bars(right, [names[k] for k in likely], shares[likely])
        told = fill(words, _LINE)
        above.suptitle(
            f"Taken for {said}, {shares[likely[0]]:.0%}" + (f"\n{told}" if told else ""),
            x=0.01,
            ha="left",
            fontsize=11,
        )
        row = below.subplots(1, _NEIGHBOURS, squeeze=False)[0]
        below.suptitle(
            "The training pictures most like it, with their cosine similarity", x=0.01, ha="left", fontsize=10
        )
        for axes, x, label, like in zip(row, near.x, near.y, alike, strict=False):
            _draw(axes, x)
            axes.set_title(f"{names[label]}\n{like:.2f}", fontsize=8, loc="center", weight="normal")
        for axes in (left, middle, *row):
            axes.axis("off")
    return Picture(figure, alt or _words(shares, names, centred, words, near, alike), sharpness=_SHARPNESS)


def _checked_parts(
    picture: np.ndarray, probabilities: np.ndarray, near: Split, cosine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and similarities as arrays that fit the neighbours and their classes."""
    x, shares, alike = np.asarray(picture), np.asarray(probabilities, float), np.asarray(cosine, float)
    if x.ndim != 3 or x.shape[2] not in (1, 3) or x.dtype != np.uint8 or 0 in x.shape:
        raise BadInput(
            f"A picture of shape {x.shape} and type {x.dtype}; expected (height, width, 1 or 3) uint8.",
            "Give tasks.made_like(picture, split)[0].",
        )
    if shares.shape != (len(near.class_names),) or not (shares.min() >= 0 and abs(shares.sum() - 1) < 1e-3):
        raise BadInput(
            f"Probabilities of shape {shares.shape} that sum to {shares.sum():.3g}; expected one for each of "
            f"{len(near.class_names)} classes, and 1.",
            "Give classifier.predict_proba(picture)[0].",
        )
    if not len(near) or alike.shape != (len(near),):
        raise BadInput(
            f"{len(near)} neighbours and similarities of shape {alike.shape}.",
            "Give one similarity per neighbour, and one neighbour or more.",
        )
    return shares, alike


def _bars(axes: Any, names: list[str], shares: np.ndarray) -> None:
    places = np.arange(len(names))[::-1]
    for k, (place, share) in enumerate(zip(places, shares, strict=True)):
        axes.barh(
            place, share, height=0.62, facecolor=PALETTE[0 if k == 0 else 5], hatch=HATCHES[k > 0], ec="w"
        )
        axes.text(share + 0.03, place, f"{share:.0%}", va="center", fontsize=9)
    axes.set_yticks(places, names, fontsize=9)
    axes.set_xlim(0, 1.25)
    axes.set_ylim(-0.6 - max(0, 3 - len(names)), len(names) - 0.4)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines[["bottom"]].set_visible(False)


def _words(
    shares: np.ndarray,
    names: tuple[str, ...],
    centred: float | None,
    words: str,
    near: Split,
    alike: np.ndarray,
) -> str:
    likely = np.argsort(-shares, kind="stable")[:_CLASSES]
    classes = ", ".join(f"{names[k]} {shares[k]:.0%}" for k in likely)
    where = (
        "No place speaks for it"
        if centred is None
        else f"{centred:.0%} of the evidence lies in the middle quarter"
    )
    shown = ", ".join(
        f"{names[label]} ({like:.2f})" for label, like in zip(near.y, alike[:_NEIGHBOURS], strict=False)
    )
    return f"A picture taken for {classes}. {where}. {words + ' ' if words else ''}Most like it: {shown}."
