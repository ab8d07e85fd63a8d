"""Scores against what was reached: a point per network, a panel per task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.charts import percent_tick
from course_lib.show.picture import Picture
from course_lib.show.style import MARKERS, PALETTE, styled

Points = Mapping[str, tuple[float, float]]
_MOST = 4


def scatter(
    points: Points | Mapping[str, Points],
    *,
    x: str,
    y: str,
    groups: Mapping[str, str] | None = None,
    title: str = "",
    alt: str | None = None,
) -> Picture:
    """Draw a score against an accuracy, and name the network that the score would choose and the best one.

    Where the score tells the order, points rise from left to right, and both names are at one point.

    Parameters
    ----------
    points : dict of str to (float, float), or dict of str to such a dict
        Per network its score and its accuracy (a share); or per task, drawn side by side, each with an axis
        of its own: a score of one task says nothing beside that of another.
    x, y : str
        Axis labels.
    groups : dict of str to str, optional
        What kind of network each is: a colour and a mark for each kind.
    title : str
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        Without points, with values that are not finite, more than four panels, or a network that is in no
        group.
    """
    panels = _panels(points)
    kinds = _kinds(panels, groups)
    from matplotlib.figure import Figure

    count = len(panels)
    with styled():
        figure = Figure(figsize=(5.6 if count == 1 else 0.5 + 3.1 * count, 4.0))
        row = figure.subplots(1, count, squeeze=False, sharey=True)[0]
        for axes, (name, panel) in zip(row, panels.items(), strict=True):
            _panel(axes, panel, groups or {}, kinds)
            axes.set_title(name)
            axes.set_xlabel(x)
        row[0].set_ylabel(y)
        row[0].yaxis.set_major_formatter(percent_tick)
        if len(kinds) > 1:
            figure.legend(
                *row[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(len(kinds), 4)
            )
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return Picture(figure, alt or _words(title, x, y, panels))


def _panels(points: Points | Mapping[str, Points]) -> dict[str, dict[str, tuple[float, float]]]:
    nested = bool(points) and all(isinstance(value, Mapping) for value in points.values())
    given = cast(Mapping[str, Points], points) if nested else {"": cast(Points, points)}
    panels = {name: {k: (float(a), float(b)) for k, (a, b) in panel.items()} for name, panel in given.items()}
    values = np.array([pair for panel in panels.values() for pair in panel.values()])
    empty = not all(panels.values())
    if empty or len(panels) > _MOST or not np.isfinite(values).all():
        what = "an empty panel" if empty else f"{len(panels)} panels, {len(values)} points"
        raise BadInput(
            f"{what}; expected 1 to {_MOST} panels of finite numbers.",
            'Give {"network": (score, accuracy)}, or such a dict per task; leave out those without a score.',
        )
    return panels


def _kinds(panels: Mapping[str, Points], groups: Mapping[str, str] | None) -> list[str]:
    """Return the groups in the order in which the points name them."""
    names = dict.fromkeys(name for panel in panels.values() for name in panel)
    if groups is None:
        return [""]
    lost = [name for name in names if name not in groups]
    if lost:
        raise BadInput(
            f"{lost[0]!r} is in no group.", f"There are {', '.join(dict.fromkeys(groups.values()))}."
        )
    return list(dict.fromkeys(groups[name] for name in names))


def _panel(axes: Any, panel: Points, groups: Mapping[str, str], kinds: list[str]) -> None:
    for k, kind in enumerate(kinds):
        own = [pair for name, pair in panel.items() if groups.get(name, "") == kind]
        axes.plot(
            [a for a, _ in own],
            [b for _, b in own],
            linestyle="none",
            marker=MARKERS[k % len(MARKERS)],
            color=PALETTE[k % len(PALETTE)],
            markeredgecolor="white",
            markeredgewidth=0.6,
            ms=8,
            label=kind,
        )
    axes.margins(x=0.14, y=0.16)
    axes.locator_params(axis="x", nbins=4)
    chosen, best = _chosen(panel), _best(panel)
    _name(axes, panel[chosen], "chosen and best" if chosen == best else "chosen", above=chosen == best)
    if chosen != best:
        _name(axes, panel[best], "best", above=True)


def _name(axes: Any, at: tuple[float, float], text: str, *, above: bool) -> None:
    axes.plot(*at, "o", ms=14, markerfacecolor="none", markeredgecolor="0.25", mew=1.2)
    low, high = axes.get_xlim()
    place = (at[0] - low) / (high - low)
    side = "right" if place > 0.7 else "left" if place < 0.3 else "center"
    axes.annotate(
        text,
        at,
        (0, 10 if above else -10),
        textcoords="offset points",
        ha=side,
        va="bottom" if above else "top",
        fontsize=9,
    )


def _chosen(panel: Points) -> str:
    return max(panel, key=lambda name: panel[name][0])


def _best(panel: Points) -> str:
    return max(panel, key=lambda name: panel[name][1])


def _words(title: str, x: str, y: str, panels: Mapping[str, Points]) -> str:
    said = [f"{title or f'{y} against {x}'}."]
    for name, panel in panels.items():
        chosen, best = _chosen(panel), _best(panel)
        said.append(
            f"{name + ': ' if name else ''}{len(panel)} networks; highest by {x} is {chosen} "
            f"({panel[chosen][1]:.0%}), best is {best} ({panel[best][1]:.0%})."
        )
    return " ".join(said)
