"""Drawings that explain rather than measure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from course_lib.errors import BadInput
from course_lib.show.picture import Picture
from course_lib.show.settings import SETTINGS, Setting
from course_lib.show.style import PALETTE, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ALT = (
    "Diagram of a transfer in three steps: an encoder trained on ImageNet, the source, stays frozen; "
    "it turns the pictures of a task, the target, into features; a method learns a small classifier on "
    "these features; a report says how well that works and what it cost."
)


_COLUMNS = (("labels in the target", 14, 46), ("labels in the source only", 47, 73), ("no labels", 74, 100))
_ROWS = (
    ("the same domain,\nthe same task", "$D_S=D_T,\\ T_S=T_T$", 72.5, 88),
    ("another task,\nin the same domain\nor another", "$T_S\\neq T_T$", 32.5, 70.5),
    ("the same task\nin another\ndomain", "$D_S\\neq D_T,\\ T_S=T_T$", 5, 30.5),
)
# left, bottom, right, top, number in the palette (None: not a setting of transfer in 2010)
_PLACES: dict[str, tuple[float, float, float, float, int | None]] = {
    "ordinary": (14, 72.5, 73, 88, None),
    "unlabelled": (74, 72.5, 100, 88, None),
    "inductive": (14, 52, 46, 70.5, 0),  # the source has labels
    "self_taught": (14, 32.5, 46, 51, 5),  # the source has none
    "zero_shot": (47, 32.5, 73, 70.5, None),
    "supervised_adaptation": (14, 5, 46, 30.5, None),
    "transductive": (47, 5, 73, 30.5, 1),
    "unsupervised": (74, 5, 100, 70.5, 2),
}


def transfer_map(examples: Mapping[str, str] | None = None, *, alt: str | None = None) -> Picture:
    """Draw the settings of transfer as a map: down, what differs; across, who has labels.

    Boxes with a thick line are those of Pan & Yang (2010); dashed ones are white on their map. Nothing
    hangs on colour: each box has its name.

    Parameters
    ----------
    examples : dict of str to str, optional
        What to write into boxes, by key of `SETTINGS`; wrapped, a newline starts a new line.
    alt : str, optional
        Default: every box, in words.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        For a key that is not a setting.
    """
    given = dict(examples or {})
    unknown = [key for key in given if key not in _PLACES]
    if unknown:
        raise BadInput(f"There is no setting {unknown[0]!r}.", f"There are {', '.join(_PLACES)}.")
    with styled():
        figure, ((axes,),) = panels(figsize=(8.6, 7.4))
        axes.set(xlim=(0, 100), ylim=(0, 93))
        axes.axis("off")
        for name, left, right in _COLUMNS:
            axes.text((left + right) / 2, 91, name, ha="center", va="center", fontsize=10.5, weight="bold")
        for name, formula, bottom, top in _ROWS:
            middle = (bottom + top) / 2
            axes.text(12.5, middle, name, ha="right", va="bottom", fontsize=10, weight="bold")
            axes.text(12.5, middle - 1, formula, ha="right", va="top", fontsize=10)
        for key in _PLACES:
            _place(axes, SETTINGS[key], given.get(key, ""))
        note = (
            "thick line: a setting of Pan & Yang (2010)     thin: no transfer     dashed: white on their map"
        )
        axes.text(57, 1.2, note, ha="center", va="center", fontsize=9.5, color="0.25")
    told = "; ".join(
        f"{SETTINGS[key].name}{', ' + given[key] if key in given else ''}".replace("\n", " ")
        for key in _PLACES
    )
    return Picture(figure, alt or f"Map of the settings of transfer learning. {told}.")


def _place(axes: Axes, setting: Setting, example: str) -> None:
    """Draw one box with its name in English and Chinese, and an example."""
    from matplotlib.patches import FancyBboxPatch

    left, bottom, right, top, number = _PLACES[setting.key]
    axes.add_patch(
        FancyBboxPatch(
            (left + 0.8, bottom + 0.6),
            right - left - 1.6,
            top - bottom - 1.2,
            boxstyle="round,pad=0,rounding_size=1.2",
            facecolor="white",
            edgecolor="0.45" if number is None else PALETTE[number],
            linewidth=1.2 if number is None else 3,
            linestyle="-" if setting.on_map else (0, (5, 3)),
        )
    )
    wide = round(right - left)  # letters are about one unit wide
    names = [*textwrap.wrap(setting.name, round(wide * 0.85)), setting.chinese]
    lines = [line for part in example.split("\n") for line in textwrap.wrap(part, wide - 2)]
    middle, step = (left + right) / 2, 2.75
    height = (bottom + top) / 2 + step * (len(names) + len(lines) - 1 + bool(lines) * 0.4) / 2
    for k, line in enumerate(names):
        bold = "normal" if line == setting.chinese else "bold"
        axes.text(middle, height - step * k, line, ha="center", va="center", fontsize=10, weight=bold)
    for k, line in enumerate(lines):
        down = height - step * (len(names) + 0.4 + k)
        axes.text(middle, down, line, ha="center", va="center", fontsize=9.5)


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
