"""Sounds side by side: how the air moves, and what that holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.picture import Picture
from course_lib.show.style import PALETTE, styled

_MOST = 6
_TICKS = (125, 250, 500, 1000, 2000, 4000)


def spectrograms(
    decibels: Mapping[str, np.ndarray],
    *,
    hertz: np.ndarray,
    seconds: float = 1.0,
    waves: Mapping[str, np.ndarray] | None = None,
    title: str = "",
    alt: str | None = None,
) -> Picture:
    """Draw spectrograms, each below its waveform where that is given.

    Parameters
    ----------
    decibels : dict of str to numpy.ndarray
        By name, ``(bands, frames)``, low bands first, as `encoders.mel_spectrogram` gives them. At most six.
    hertz : numpy.ndarray
        ``(bands,)`` middle of each band.
    seconds : float
        How long each sound lasts.
    waves : dict of str to numpy.ndarray, optional
        ``(samples,)`` under the same names.
    title : str
    alt : str, optional
        Default: names, and where each is loudest.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        For none or more than six sounds, or bands that `hertz` does not fit.
    """
    from matplotlib.figure import Figure

    names = list(decibels)
    if not 1 <= len(names) <= _MOST:
        raise BadInput(f"{len(names)} spectrograms.", f"Give 1 to {_MOST}.")
    middles = np.asarray(hertz, float)
    shapes = {name: np.shape(decibels[name]) for name in names}
    if any(len(shape) != 2 or shape[0] != len(middles) for shape in shapes.values()):
        raise BadInput(
            f"{len(middles)} bands are named, and the spectrograms have the shapes {list(shapes.values())}.",
            "Give (bands, frames) for each, and as many frequencies as bands.",
        )
    rows = 2 if waves else 1
    with styled():
        size = (min(2.0 * len(names) + 1.2, 9.0), 2.4 + 0.9 * (rows - 1) + (0.3 if title else 0))
        figure = Figure(figsize=size)
        ratios = {"height_ratios": [1, 2.4][2 - rows :]}
        grid = figure.subplots(rows, len(names), squeeze=False, sharex=True, sharey="row", gridspec_kw=ratios)
        for k, name in enumerate(names):
            grid[0, k].set_title(name, fontsize=10)
            if waves:
                _wave(grid[0, k], np.asarray(waves[name]), seconds)
            _heat(grid[-1, k], np.asarray(decibels[name]), middles, seconds)
        grid[-1, 0].set_ylabel("Hz")
        figure.supxlabel("seconds", fontsize=10)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    return Picture(figure, alt or _words(title, decibels, middles))


def _wave(axes: Any, x: np.ndarray, seconds: float) -> None:
    axes.plot(np.linspace(0, seconds, len(x)), x, linewidth=0.4, color=PALETTE[0])
    axes.set_yticks([])
    axes.grid(False)


def _heat(axes: Any, x: np.ndarray, hertz: np.ndarray, seconds: float) -> None:
    axes.imshow(x, origin="lower", aspect="auto", extent=(0, seconds, -0.5, len(x) - 0.5), cmap="magma")
    ticks: dict[int, float] = {}
    for one in _TICKS[::-1]:  # from above, leaving out what would touch its neighbour
        place = float(np.interp(one, hertz, np.arange(len(hertz))))
        if hertz[0] <= one <= hertz[-1] and all(other - place > len(hertz) / 9 for other in ticks.values()):
            ticks[one] = place
    axes.set_yticks(list(ticks.values()), [f"{one:,}" for one in ticks])
    axes.grid(False)


def _words(title: str, decibels: Mapping[str, np.ndarray], hertz: np.ndarray) -> str:
    told = [
        f"{name}, loudest at {hertz[int(np.max(x, axis=1).argmax())]:,.0f} Hz" for name, x in decibels.items()
    ]
    return f"{title + ': ' if title else ''}spectrograms of {'; '.join(told)}."
