"""A finished figure with the words that stand for it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_lib.show.style import ONE_AT_A_TIME, families, fit_titles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHARPNESS = 1.6  # picture dots per screen dot: crisp on good screens, small in a committed notebook


class Picture:
    """A figure drawn once, with alternative text for those who cannot see it.

    Notebooks show it as one PNG with `alt` in its metadata, which the pages of ``course run`` write as the
    image's ``alt``; a terminal prints the text. The figure is closed, so nothing is shown twice and no
    memory is kept.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        A sentence that says what the figure shows, with its main numbers.
    sharpness : float
        Dots of the PNG per dot on the screen.
    colours : int
        At most 256; fewer make photographs lighter.

    Attributes
    ----------
    png : bytes
    width : int
        In screen dots.
    figure : matplotlib.figure.Figure
        Closed, kept for those who want to change it and draw again.
    """

    def __init__(
        self, figure: Figure, alt: str, *, sharpness: float = _SHARPNESS, colours: int = 256
    ) -> None:
        import matplotlib

        self.alt = alt
        dpi = figure.dpi
        stream = io.BytesIO()
        # some labels are made when they are drawn
        with ONE_AT_A_TIME, matplotlib.rc_context({"font.family": families()}):
            fit_titles(figure)
            figure.savefig(stream, format="png", dpi=dpi * sharpness, metadata={"Software": None})
        self.width = round(figure.get_figwidth() * dpi)
        self.png = _small(stream.getvalue(), colours)
        self.figure = figure
        if "matplotlib.pyplot" in sys.modules:  # it may hold a figure that the reader drew
            sys.modules["matplotlib.pyplot"].close(figure)

    def save(self, path: str | Path) -> None:
        """Write the PNG to `path`."""
        Path(path).write_bytes(self.png)

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        data = {"image/png": self.png, "text/plain": repr(self)}
        return data, {"image/png": {"alt": self.alt, "width": self.width}}


def _small(png: bytes, colours: int) -> bytes:
    """Return the PNG with at most so many colours, which charts never notice, where that makes it smaller."""
    from PIL import Image

    stream = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        flat = image.convert("RGB").quantize(
            colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
        flat.save(stream, format="png", optimize=True)
    return min(png, stream.getvalue(), key=len)
