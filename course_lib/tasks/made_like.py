"""A picture of one's own, in the form of the pictures that were learnt from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from course_lib.errors import BadInput
from course_lib.tasks.task import Split

if TYPE_CHECKING:
    from PIL.Image import Image

_FEWEST = 8  # pixels of the shorter side: below that a picture shows nothing
_MOST = 2**26  # pixels, 8,192 × 8,192


def made_like(picture: np.ndarray, split: Split) -> np.ndarray:
    """Return a picture as the pictures of a split are: their size, their channels.

    What is asked of a network should reach it as its lessons did: a photograph of 12 megapixels, given to a
    probe that learnt from 32 × 32 pixels, would be strange to it for its sharpness alone. The middle of the
    picture is cut out in the shape of the others, then resized with an antialiasing filter. Where the others
    are grey, colours become their brightness (ITU-R BT.601); where they are coloured, grey becomes RGB. What
    is transparent becomes white.

    Parameters
    ----------
    picture : numpy.ndarray
        ``(height, width)``, or with a last axis of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA); uint8. Not
        changed.
    split : Split
        ``(n, height, width, 1 or 3)`` uint8.

    Returns
    -------
    numpy.ndarray
        ``(1, height, width, 1 or 3)`` uint8.

    Raises
    ------
    BadInput
        For anything but uint8 of these shapes, fewer than 8 pixels along a side, more than 8,192 × 8,192
        pixels, or a split without pictures.

    Examples
    --------
    >>> from course_lib.tasks.handwriting import digits
    >>> made_like(np.zeros((480, 640, 3), np.uint8), digits().test).shape
    (1, 8, 8, 1)
    """
    from PIL import ImageOps
    from PIL.Image import Resampling, fromarray

    given = np.asarray(picture)
    x = given[:, :, None] if given.ndim == 2 else given
    if x.ndim != 3 or x.dtype != np.uint8 or not 1 <= x.shape[2] <= 4:
        raise BadInput(
            f"A picture of shape {given.shape} and type {given.dtype}; expected (height, width, 3) uint8.",
            "Give one picture, whole numbers 0 to 255: np.asarray(PIL.Image.open(path)).",
        )
    height, width = x.shape[:2]
    if min(height, width) < _FEWEST or height * width > _MOST:
        raise BadInput(
            f"A picture of {width:,} × {height:,} pixels; expected {_FEWEST} or more along each side and "
            f"{_MOST:,} in all at most.",
            "Give a photograph of a few hundred or thousand pixels.",
        )
    if split.x.ndim != 4 or split.x.shape[3] not in (1, 3) or split.x.dtype != np.uint8:
        raise BadInput(
            f"{split.name} has examples of shape {split.x.shape[1:]} and type {split.x.dtype}, no pictures.",
            "Give a split of pictures, for instance tasks.solar_cells().train.",
        )
    down, across, channels = split.x.shape[1:]
    image = _opaque(fromarray(x.squeeze(axis=2) if x.shape[2] == 1 else x))
    fitted = ImageOps.fit(image.convert("L" if channels == 1 else "RGB"), (across, down), Resampling.BILINEAR)
    return np.asarray(fitted).reshape(1, down, across, channels)


def _opaque(image: Image) -> Image:
    """Return the picture on white where it is transparent."""
    if "A" not in image.getbands():
        return image
    from PIL.Image import new

    ground = new("RGBA", image.size, "white")
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")
