"""Pictures with the places that speak for a class laid over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.photographs import _caption, _choose, _draw, _shrunk
from course_lib.show.picture import Picture
from course_lib.show.style import panels, styled

if TYPE_CHECKING:
    from course_lib.tasks.task import Split

_COLOURS = "viridis"  # even steps of lightness, so that it reads in grey too
_LEVEL = 0.5  # of a picture's largest evidence; the contour is drawn there
_FAINT, _STRONG = 0.3, 0.65  # shares of the colour: where nothing speaks, the picture itself is seen
_SHARPNESS = 1.25  # photographs compress badly
_SIDE = 96  # dots along a panel, at least


def attention(
    split: Split,
    maps: np.ndarray,
    *,
    columns: int = 6,
    predictions: np.ndarray | None = None,
    classes: np.ndarray | int | None = None,
    only: str | None = None,
    title: str = "",
    seed: int = 0,
    alt: str | None = None,
) -> Picture:
    """Show pictures above, and below them where each speaks for a class.

    The lighter and stronger the colour the more evidence; a line parts where it is more than half of that
    picture's largest from where it is less. Where nothing speaks the picture is seen in grey, with a tinge.

    Parameters
    ----------
    split : Split
        ``n`` pictures.
    maps : numpy.ndarray
        ``(n, h, w)``, 0 to 1, from `methods.grad_cam`; of any size, drawn smoothly over the picture.
    columns : int
        How many pictures.
    predictions : numpy.ndarray, optional
        ``(n,)`` class numbers. A wrong one has a frame and a cross in its caption.
    classes : numpy.ndarray or int, optional
        ``(n,)`` classes that the maps speak for, or one for all. Default: the predictions, which
        `methods.grad_cam` explains by default too; without them the labels.
    only : "wrong" or "right", optional
        Show only these predictions.
    title : str
    seed : int
        Which pictures.
    alt : str, optional
        Default: the classes, and how much of the evidence lies in the middle.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When maps, predictions or classes do not belong to the pictures, or `only` leaves nothing.
    """
    maps = _checked(split, maps)
    chosen = _choose(split, columns, predictions, only, seed)
    spoken = _spoken_for(split, predictions, classes)
    shares = []
    with styled():
        figure, grid = panels(2, len(chosen), figsize=(1.32 * len(chosen), 3.1 + (0.3 if title else 0)))
        for k, row in enumerate(chosen):
            above, below = grid[:, k]
            _draw(above, split.x[row])
            _caption(above, split, int(row), predictions)
            shares.append(_middle(_overlay(below, split.x[row], maps[row])))
            below.set_title(
                f"for {split.class_names[spoken[row]]}", fontsize=8, loc="center", weight="normal"
            )
        for axes in grid.flat:
            axes.axis("off")
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    return Picture(figure, alt or _words(split, chosen, spoken, shares), sharpness=_SHARPNESS)


def _checked(split: Split, maps: np.ndarray) -> np.ndarray:
    maps = np.asarray(maps, np.float32)
    if maps.ndim != 3 or len(maps) != len(split) or 0 in maps.shape[1:]:
        raise BadInput(
            f"Maps of shape {maps.shape} for {len(split)} pictures; expected (n, h, w).",
            "Give methods.grad_cam(classifier, split) of this split.",
        )
    if maps.size and not (maps.min() >= 0 and maps.max() <= 1):  # NaN fails both
        raise BadInput(
            f"Maps run from {maps.min():.3g} to {maps.max():.3g}; expected 0 to 1.",
            "Divide each by its largest value, as methods.grad_cam does.",
        )
    return maps


def _spoken_for(split: Split, predictions: np.ndarray | None, classes: np.ndarray | int | None) -> np.ndarray:
    """Return the class that each map speaks for, ``(n,)``."""
    given = classes if classes is not None else split.y if predictions is None else predictions
    spoken = np.broadcast_to(np.asarray(given), (len(split),)) if np.ndim(given) == 0 else np.asarray(given)
    if (
        spoken.shape != (len(split),)
        or spoken.dtype.kind not in "iu"
        or (spoken.size and not 0 <= spoken.min() <= spoken.max() < len(split.class_names))
    ):
        raise BadInput(
            f"classes of shape {spoken.shape} and type {spoken.dtype} for {len(split)} pictures of "
            f"{len(split.class_names)} classes, or one beyond 0 to {len(split.class_names) - 1}.",
            "Give one class number per picture, or one for all.",
        )
    return spoken


def _overlay(axes: Any, image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Draw the picture in grey under its evidence; return the evidence at the picture's size."""
    from matplotlib import colormaps

    grey = _shrunk(image).mean(axis=2) / 255
    times = -(-_SIDE // min(grey.shape))
    grey = grey.repeat(times, axis=0).repeat(times, axis=1)
    fine = _enlarged(heat, grey.shape)
    tint = colormaps[_COLOURS](fine)[:, :, :3]
    strength = (_FAINT + (_STRONG - _FAINT) * fine)[:, :, None]
    axes.imshow((1 - strength) * grey[:, :, None] + strength * tint, interpolation="nearest")
    if fine.max() > _LEVEL > fine.min():
        for colour, width in (("0.1", 2.6), ("white", 1.2)):
            axes.contour(fine, levels=[_LEVEL], colors=[colour], linewidths=width)
    return fine


def _enlarged(heat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a map at another size, linear between the centres of its places and level beyond them.

    Examples
    --------
    >>> _enlarged(np.array([[0.0, 1.0]]), (1, 4)).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    for axis, size in enumerate(shape[:2]):
        length = heat.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        low = np.floor(at).astype(int)
        part = np.expand_dims(at - low, 1 - axis)
        high = np.minimum(low + 1, length - 1)
        heat = heat.take(low, axis) * (1 - part) + heat.take(high, axis) * part
    return heat


def _middle(fine: np.ndarray) -> float | None:
    """Return the share of the evidence within the middle half of height and width; None without evidence."""
    height, width = fine.shape
    inner = fine[height // 4 : height - height // 4, width // 4 : width - width // 4]
    total = float(fine.sum())
    return float(inner.sum()) / total if total else None


def _words(split: Split, rows: np.ndarray, spoken: np.ndarray, shares: list[float | None]) -> str:
    told = []
    for row, share in zip(rows, shares, strict=True):
        name, said = (split.class_names[int(k)] for k in (split.y[row], spoken[row]))
        what = name if name == said else f"{name}, evidence for {said}"
        told.append(f"{what} ({'no evidence' if share is None else f'{share:.0%}'})")
    return (
        f"{len(rows)} pictures of {split.name} and where they speak for a class, with the share of that "
        f"evidence in the middle quarter of the area (evenly spread: 25%): {'; '.join(told)}."
    )
