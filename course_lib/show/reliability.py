"""Reliability diagrams: what was promised against what was kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.charts import IntervalLike, percent_tick
from course_lib.show.picture import Picture
from course_lib.show.style import MARKERS, PALETTE, styled


class ReliabilityLike(Protocol):
    """What `measure.reliability` makes; arrays are ``(bins,)``, with NaN where a bin is empty."""

    @property
    def edges(self) -> np.ndarray:
        """Of the bins, ``(bins + 1,)``."""
        ...

    @property
    def confidence(self) -> np.ndarray:
        """Mean confidence."""
        ...

    @property
    def accuracy(self) -> np.ndarray:
        """Share that was right."""
        ...

    @property
    def low(self) -> np.ndarray:
        """Lower ends of the accuracies' intervals."""
        ...

    @property
    def high(self) -> np.ndarray:
        """Upper ends of the accuracies' intervals."""
        ...

    @property
    def count(self) -> np.ndarray:
        """Examples."""
        ...

    @property
    def ece(self) -> IntervalLike:
        """Expected calibration error."""
        ...


def reliability(
    found: ReliabilityLike | Mapping[str, ReliabilityLike], *, title: str = "", alt: str | None = None
) -> Picture:
    """Draw accuracy against confidence (可靠性图), and below it how many examples were that sure.

    On the diagonal, of the answers given with 80% confidence 80% are right. Below it a method is too sure of
    itself. Grey lines from a point to the diagonal are its gap, whiskers the 95% interval of the accuracy.

    Parameters
    ----------
    found : Reliability or dict of str to Reliability
        From `measure.reliability`; several are set side by side on the same axes.
    title : str
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When there is none, or more than four.
    """
    shown = found if isinstance(found, Mapping) else {"": found}
    if not 1 <= len(shown) <= 4:
        raise BadInput(f"{len(shown)} diagrams; 1 to 4 fit side by side.", "Give a dict of names to results.")
    from matplotlib.figure import Figure

    columns = len(shown)
    with styled():
        figure = Figure(figsize=(4.6 if columns == 1 else 0.6 + 3.3 * columns, 4.9))
        grid = figure.subplots(2, columns, squeeze=False, sharex=True, sharey="row", height_ratios=[3.2, 1])
        for k, (name, one) in enumerate(shown.items()):
            _accuracies(grid[0, k], one, k)
            _counts(grid[1, k], one, PALETTE[k % len(PALETTE)])
            ece = f"ECE {one.ece.value:.1%} [{100 * one.ece.low:.1f}, {100 * one.ece.high:.1f}]"
            grid[0, k].set_title(f"{name}\n{ece}" if name else ece)
        grid[0, 0].set_ylabel("accuracy")
        grid[1, 0].set_ylabel("examples")
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return Picture(figure, alt or " ".join([f"{title or 'Reliability'}.", *_words(shown)]))


def _accuracies(axes: Any, one: ReliabilityLike, k: int) -> None:
    filled = one.count > 0
    x, y = one.confidence[filled], one.accuracy[filled]
    colour = PALETTE[k % len(PALETTE)]
    axes.plot([0, 1], [0, 1], color="0.35", lw=1.2, ls=(0, (2, 2)), zorder=1)
    axes.bar(
        one.edges[:-1][filled],
        y,
        np.diff(one.edges)[filled],
        align="edge",
        facecolor=colour,
        edgecolor="white",
        alpha=0.22,
    )
    axes.vlines(x, np.minimum(x, y), np.maximum(x, y), color="0.55", lw=3.2, alpha=0.7, zorder=2)
    axes.vlines(x, one.low[filled], one.high[filled], color="0.1", lw=1.2, zorder=3)
    axes.plot(
        x,
        y,
        linestyle="none",
        marker=MARKERS[k % len(MARKERS)],
        color=colour,
        markeredgecolor="white",
        ms=7,
        zorder=4,
    )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(percent_tick)


def _counts(axes: Any, one: ReliabilityLike, colour: str) -> None:
    axes.bar(one.edges[:-1], one.count, np.diff(one.edges), align="edge", color=colour, edgecolor="white")
    axes.xaxis.set_major_formatter(percent_tick)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("confidence")


def _words(shown: Mapping[str, ReliabilityLike]) -> list[str]:
    """Return a sentence per method: its error, on which side, and its widest bin."""
    said = []
    for name, one in shown.items():
        filled = one.count > 0
        x, y, n = one.confidence[filled], one.accuracy[filled], one.count[filled]
        over = float(np.average(x - y, weights=n))
        side = "too sure" if over > 0 else "not sure enough"
        fullest = int(n.argmax())
        said.append(
            f"{name + ': ' if name else ''}calibration error {one.ece.value:.1%} (95% interval "
            f"{one.ece.low:.1%} to {one.ece.high:.1%}), on average {abs(100 * over):.1f} points {side}; "
            f"the fullest bin, {n[fullest]:,} of {n.sum():,} examples, has confidence {x[fullest]:.0%} and "
            f"accuracy {y[fullest]:.0%}."
        )
    return said
