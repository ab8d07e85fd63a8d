"""Grids of pictures with their labels and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.picture import Picture
from course_lib.show.style import WRONG, panels, styled

if TYPE_CHECKING:
    from course_lib.tasks.task import Split

_SHARPNESS, _COLOURS = 1.25, 64  # photographs compress badly
_SIDE = 128  # pixels; about a panel's side


def pictures(
    split: Split,
    *,
    rows: int = 2,
    columns: int = 6,
    predictions: np.ndarray | None = None,
    only: str | None = None,
    title: str = "",
    seed: int = 0,
    alt: str | None = None,
) -> Picture:
    """Show some examples of a split with their labels, or with what was predicted.

    Parameters
    ----------
    split : Split
    rows, columns : int
    predictions : numpy.ndarray, optional
        ``(n,)`` class numbers. A wrong one has a frame and a cross in its caption.
    only : "wrong" or "right", optional
        Show only these predictions.
    title : str
    seed : int
        Which examples.
    alt : str, optional
        Default: the labels shown, or what was taken for what.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When predictions and examples differ in number, or `only` leaves nothing.
    """
    chosen = _choose(split, rows * columns, predictions, only, seed)
    if len(chosen) < rows * columns:
        rows = -(-len(chosen) // columns)
    with styled():
        figure, grid = panels(rows, columns, figsize=(1.32 * columns, 1.62 * rows + (0.3 if title else 0)))
        for axes in grid.flat:
            axes.axis("off")
        for axes, row in zip(grid.flat, chosen, strict=False):
            _draw(axes, split.x[row])
            _caption(axes, split, int(row), predictions)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    return Picture(figure, alt or _words(split, chosen, predictions), sharpness=_SHARPNESS, colours=_COLOURS)


def pictures_by(
    groups: Mapping[str, Split], *, columns: int = 6, seed: int = 0, alt: str | None = None
) -> Picture:
    """Show one row of examples per group, named at its left, with their labels.

    Parameters
    ----------
    groups : dict of str to Split
        From top to bottom.
    columns : int
    seed : int
        Which examples.
    alt : str, optional
        Default: the labels, row by row.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When there is no group, or an empty one.
    """
    if not groups:
        raise BadInput("No group was given.", "Give a dict of names to splits.")
    shown: dict[str, list[str]] = {}
    with styled():
        figure, grid = panels(len(groups), columns, figsize=(1.32 * columns + 0.4, 1.66 * len(groups)))
        for line, (name, split) in zip(grid, groups.items(), strict=True):
            chosen = _choose(split, columns, None, None, seed)
            shown[name] = [split.class_names[k] for k in split.y[chosen]]
            for axes, row in zip(line, chosen, strict=False):
                _draw(axes, split.x[row])
                axes.set_title(split.class_names[split.y[row]], fontsize=9, loc="center", weight="normal")
            line[0].text(
                -0.14,
                0.5,
                name,
                transform=line[0].transAxes,
                rotation=90,
                va="center",
                ha="center",
                weight="bold",
            )
            for axes in line:
                axes.axis("off")
    told = "; ".join(f"{name}: {', '.join(names)}" for name, names in shown.items())
    return Picture(figure, alt or f"Examples in rows. {told}.", sharpness=_SHARPNESS, colours=_COLOURS)


def _choose(split: Split, n: int, predictions: np.ndarray | None, only: str | None, seed: int) -> np.ndarray:
    if only not in (None, "wrong", "right"):
        raise BadInput(f"only={only!r}.", "Choose 'wrong', 'right' or None.")
    rows = np.arange(len(split))
    if predictions is not None:
        if len(predictions) != len(split):
            raise BadInput(
                f"{len(predictions)} predictions for {len(split)} examples.", "Predict this split."
            )
        right = np.asarray(predictions) == split.y
        rows = rows if only is None else np.flatnonzero(right if only == "right" else ~right)
    elif only is not None:
        raise BadInput(f"only={only!r} without predictions.", "Give predictions=classifier.predict(split).")
    if not len(rows):
        if only is None:
            raise BadInput(f"{split.name} has no examples.", "Give a split with some.")
        raise BadInput(f"There is nothing to show: no prediction is {only}.", "Leave `only` out.")
    return np.random.default_rng(seed).permutation(rows)[:n]


def _shrunk(image: np.ndarray) -> np.ndarray:
    """Average blocks down to what the figure can show; more pixels would only make it heavy."""
    step = max(1, min(image.shape[:2]) // _SIDE)
    if step == 1:
        return image
    height, width = (side // step for side in image.shape[:2])
    blocks = image[: height * step, : width * step].reshape(height, step, width, step, -1)
    return np.asarray(blocks.mean(axis=(1, 3)).round().astype(np.uint8))


def _draw(axes: Any, image: np.ndarray) -> None:
    image = _shrunk(image)
    if image.shape[2] == 1:
        axes.imshow(image[:, :, 0], cmap="gray", vmin=0, vmax=255)
    else:
        axes.imshow(image, interpolation="nearest")


def _caption(axes: Any, split: Split, row: int, predictions: np.ndarray | None) -> None:
    truth = split.class_names[split.y[row]]
    if predictions is None:
        axes.set_title(truth, fontsize=9, loc="center", weight="normal")
        return
    said = split.class_names[int(predictions[row])]
    if said == truth:
        axes.set_title(f"✓ {said}", fontsize=9, loc="center", weight="normal")
        return
    axes.set_title(f"✗ {said}\n(is {truth})", fontsize=8, loc="center", weight="normal", color=WRONG)
    height, width = axes.images[0].get_array().shape[:2]
    axes.add_patch(
        _frame((-0.5, -0.5), width, height, fill=False, edgecolor=WRONG, linewidth=3, clip_on=False)
    )


def _frame(*place: Any, **look: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(*place, **look)


def _words(split: Split, rows: np.ndarray, predictions: np.ndarray | None) -> str:
    names = [split.class_names[k] for k in split.y[rows]]
    if predictions is None:
        return f"{len(rows)} examples of {split.name}: {', '.join(names)}."
    said = [split.class_names[int(k)] for k in np.asarray(predictions)[rows]]
    wrong = [f"{n} taken for {s}" for n, s in zip(names, said, strict=True) if n != s]
    return f"{len(rows)} examples of {split.name} with predictions. Wrong: {', '.join(wrong) or 'none'}."
