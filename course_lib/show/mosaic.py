"""Pictures side by side without labels, small ones enlarged so that each pixel can be seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.picture import Picture
from course_lib.show.style import panels, styled

_WIDE, _TALL = 7.2, 6.0  # inches at most


def mosaic(
    pictures: np.ndarray | Sequence[np.ndarray], *, alt: str, columns: int = 8, title: str = ""
) -> Picture:
    """Show pictures in a grid.

    Parameters
    ----------
    pictures : numpy.ndarray or sequence of numpy.ndarray
        ``(n, height, width, 1 or 3)`` uint8, all of one shape.
    alt : str
        What they show: pixels do not say it themselves.
    columns : int
    title : str

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When there is none, or they differ in shape.
    """
    shapes = {np.shape(picture) for picture in pictures}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3:
        raise BadInput(
            f"Pictures of shapes {sorted(shapes)}; expected one shape (height, width, channels).",
            "Give at least one, and resize them to one size.",
        )
    height, width, _ = shapes.pop()
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    side = min(_WIDE / (columns * width), _TALL / (rows * height))
    with styled():
        size = (side * columns * width + 0.1, side * rows * height + 0.1 + (0.35 if title else 0))
        figure, grid = panels(rows, columns, figsize=size)
        figure.set_layout_engine("constrained", w_pad=0.012, h_pad=0.012, wspace=0, hspace=0)
        for axes in grid.flat:
            axes.axis("off")
        for axes, picture in zip(grid.flat, pictures, strict=False):
            grey = picture.shape[-1] == 1
            axes.imshow(picture.squeeze(-1) if grey else picture, cmap="gray", vmin=0, vmax=255)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    return Picture(figure, alt, sharpness=1.25)
