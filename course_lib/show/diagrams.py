"""Drawings that explain rather than measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from course_lib.show.picture import Picture
from course_lib.show.style import PALETTE, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ALT = (
    "Diagram of a transfer in three steps: an encoder trained on ImageNet, the source, stays frozen; "
    "it turns the pictures of a task, the target, into features; a method learns a small classifier on "
    "these features; a report says how well that works and what it cost."
)


def transfer_steps() -> Picture:
    """Draw the three steps of a transfer with the four words of the course.

    Returns
    -------
    Picture
    """
    with styled():
        figure, ((axes,),) = panels(figsize=(8.6, 2.7))
        axes.set(xlim=(0, 100), ylim=(0, 32))
        axes.axis("off")
        boxes = (
            (10, "ImageNet", "1.28 million\nphotographs", "source", None),
            (36, "encoder", "learnt there,\nfrozen here", "1  source model", PALETTE[0]),
            (62, "task", "your pictures,\nfew labels", "2  target data", PALETTE[1]),
            (88, "method", "a small classifier\non the features", "3  transfer", PALETTE[2]),
        )
        for x, title, text, step, colour in boxes:
            _box(axes, x, title, text, step, colour)
        for start, end, label in ((20.5, 25.5, ""), (46.5, 51.5, ""), (72.5, 77.5, "")):
            axes.annotate(
                label,
                xy=(end, 17),
                xytext=(start, 17),
                arrowprops={"arrowstyle": "-|>", "lw": 1.8, "color": "0.25"},
            )
        axes.annotate(
            "report: did it work, how sure is that, what did it cost",
            xy=(88, 8.5),
            xytext=(50, 2.2),
            ha="center",
            va="center",
            arrowprops={
                "arrowstyle": "<|-",
                "shrinkA": 9,
                "lw": 1.4,
                "color": "0.25",
                "connectionstyle": "arc3,rad=0.12",
            },
        )
    return Picture(figure, _ALT)


def _box(axes: Axes, x: float, title: str, text: str, step: str, colour: str | None) -> None:
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (x - 9.5, 9),
            19,
            16,
            boxstyle="round,pad=0.4,rounding_size=1.5",
            facecolor="white",
            edgecolor=colour or "0.5",
            linewidth=2.2,
            linestyle="-" if colour else "--",
        )
    )
    axes.text(x, 21, title, ha="center", va="center", weight="bold", fontsize=12)
    axes.text(x, 14, text, ha="center", va="center", fontsize=9.5)
    axes.text(x, 28.6, step, ha="center", va="center", fontsize=10, color="0.25")
