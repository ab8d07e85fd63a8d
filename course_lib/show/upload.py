"""A learner's own picture: bytes of whatever file become an array, or words that say why not."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
"""What is opened. Not all that Pillow could open: EPS, for one, would start another program."""

MOST_BYTES = 9 * 2**20
"""JupyterLab's line to the kernel breaks at a message of 10 MiB; files arrive whole in one message."""

MOST_PIXELS = 50_000_000
"""Read from the file's first bytes, before any of its pixels is made."""

LEAST_SIDE = 8
LONGEST_SIDE = 1024
"""Larger pictures are made smaller: no network of the course looks at more."""

_ADVICE = f"Choose a photograph as {', '.join(FORMATS[:4])}; a screenshot will do."


class Upload:
    """An option of `explore`: a button with which a learner gives a picture of their own.

    The drawing function gets an array ``(height, width, 3)`` of uint8, whatever the file was: turned as the
    camera says, transparent parts white, no side longer than 1,024 pixels.

    Parameters
    ----------
    start : numpy.ndarray or PIL.Image.Image
        The picture to begin with; an array is ``(height, width)`` or ``(height, width, 3 or 4)``, uint8.
    words : str
        On the button.

    Raises
    ------
    BadInput
        When `start` is no such picture.

    Examples
    --------
    >>> Upload(np.zeros((20, 30), np.uint8)).start.shape
    (20, 30, 3)
    """

    def __init__(self, start: np.ndarray | Image, words: str = "a picture of yours") -> None:
        self.start, self.words = as_picture(start), words

    def __repr__(self) -> str:
        height, width, _ = self.start.shape
        return f"Upload({width} x {height} pixels)"


def as_picture(given: Any) -> np.ndarray:
    """Return an array or a PIL image as uint8 ``(height, width, 3)``.

    Raises
    ------
    BadInput
        For anything else, or one that is too small.
    """
    from PIL import Image

    if isinstance(given, Image.Image):
        return _pixels(given)
    array = np.asarray(given)
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if array.dtype != np.uint8 or not shaped:
        raise BadInput(
            f"The picture is an array {array.shape} of {array.dtype}.",
            "Give uint8 (0 to 255), (height, width, 3).",
        )
    return _pixels(Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array))


def decode(content: bytes, name: str = "the file") -> np.ndarray:
    """Return the picture in a file as uint8 ``(height, width, 3)``; of an animation, the first picture.

    Parameters
    ----------
    content : bytes
    name : str
        For the words of an error.

    Raises
    ------
    BadInput
        For what is no picture, is broken, too large or too small.
    """
    from PIL import Image

    _check_bytes(content, name)
    broken = BadInput(f"{name} is not a picture that can be read.", _ADVICE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF, or a size that is looked at below
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_pixels(image.size, name)
                image.draft("RGB", (2 * LONGEST_SIDE,) * 2)  # a JPEG is decoded small at once
                return _pixels(image)
    except BadInput:
        raise
    except Image.DecompressionBombError:
        raise _too_large(name, "far more pixels than a camera makes") from None
    except Exception:  # decoders of broken files raise what they will: SyntaxError, struct.error, ...
        raise broken from None


def _check_bytes(content: bytes, name: str) -> None:
    if not content:
        raise BadInput(f"{name} is empty.", "Choose another one.")
    if len(content) > MOST_BYTES:
        raise _too_large(name, f"{len(content) / 2**20:.0f} MiB")
    if content[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheim"):
        raise BadInput(
            f"{name} is in Apple's format HEIC, which cannot be read here.",
            "Save it as JPEG: open it, then File > Export; or take a screenshot of it.",
        )


def _check_pixels(size: Sequence[int], name: str) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise _too_large(name, f"{size[0]:,} x {size[1]:,} pixels")


def _too_large(name: str, what: str) -> BadInput:
    return BadInput(
        f"{name} is too large: {what}.",
        f"Choose one of at most {MOST_BYTES // 2**20} MiB and {MOST_PIXELS // 10**6} million pixels.",
    )


def _pixels(image: Image) -> np.ndarray:
    """Return an opened image upright, in RGB, and no larger than it need be."""
    from PIL import Image, ImageOps

    if min(image.size) < LEAST_SIDE:
        width, height = image.size
        raise BadInput(
            f"{width} x {height} pixels are too few to see anything.", f"Give {LEAST_SIDE} a side or more."
        )
    upright = ImageOps.exif_transpose(image)
    colours = _in_colours(upright)
    colours.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return np.array(colours, np.uint8)


def _in_colours(image: Image) -> Image:
    """Return an image as RGB, its transparent parts over white, its 16 bits as 8."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float64)
        values = np.nan_to_num(values - values.min())
        # 16 bits are brought to 8; a depth that is not named by the format to what it reaches
        most = 65535.0 if image.mode.startswith("I;16") else max(float(values.max()), 1.0)
        values = np.asarray(image, np.float64) if image.mode.startswith("I;16") else values
        return Image.fromarray((values * 255 / most).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        see_through = image.convert("RGBA")
        white = Image.new("RGBA", see_through.size, "white")
        return Image.alpha_composite(white, see_through).convert("RGB")
    return image.convert("RGB")
