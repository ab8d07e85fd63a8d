"""What each method brings against what it costs: a name at every point, and none on another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.charts import IntervalLike, percent_tick
from course_lib.show.picture import Picture
from course_lib.show.style import MARKERS, PALETTE, styled

Costs = Mapping[str, tuple[float, IntervalLike]]

_MOST = 3  # panels
_WIDTH, _ROW, _FEWEST = 7.6, 0.2, 2.1  # inches: of the figure, and of a panel's height per point, at least
_DIRECTIONS = 16
_DISTANCES = (10, 16, 24, 34, 46, 60, 76, 94)  # points, from a mark to its name
_NEAR = 12  # points: farther names have a line to their mark


def costs(
    points: Costs | Mapping[str, Costs],
    *,
    groups: Mapping[str, str],
    x: str,
    y: str = "accuracy",
    title: str = "",
    references: Mapping[str, float] | None = None,
    alt: str | None = None,
) -> Picture:
    """Draw scores against costs on a logarithmic axis, each point with its name.

    A cost of nothing is drawn at the left edge, which is called "nothing": a logarithmic axis has no zero.
    Without such a cost the axis spans the costs.

    Parameters
    ----------
    points : dict of str to (float, Interval), or dict of str to such a dict
        Per method its cost, 0 or more, and its score, a share; the interval is drawn as a thin line. Or per
        panel, one below the other, with a common axis of costs and scores of their own.
    groups : dict of str to str
        What kind of cost or method each is: a colour and a mark for each kind.
    x, y, title : str
    references : dict of str to float, optional
        Scores to draw lines at, in every panel whose scores reach so far.
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        Without points, with costs or scores that are not finite or costs below 0, more than three panels, or
        a method that is in no group.

    Examples
    --------
    >>> from course_lib import measure
    >>> score = measure.Interval(0.65, 0.64, 0.66)
    >>> costs({"CORAL": (0.1, score)}, groups={"CORAL": "raw text"}, x="seconds").alt
    'accuracy against seconds. CORAL: 0.1, 65%.'
    """
    panels = _panels(points)
    names = [name for panel in panels.values() for name in panel]
    lost = [name for name in names if name not in groups]
    if lost:
        raise BadInput(f"{lost[0]!r} is in no group.", "Give the group of every method.")
    kinds = list(dict.fromkeys(groups[name] for name in groups if name in names))
    every = [cost for panel in panels.values() for cost, _ in panel.values()]
    edge = _edge(every)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with styled():
        heights = [max(_FEWEST, 0.8 + _ROW * len(panel)) for panel in panels.values()]
        figure = Figure(figsize=(_WIDTH, sum(heights) + 1.1))
        FigureCanvasAgg(figure)
        column = figure.subplots(
            len(panels), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights}
        )[:, 0]
        lines = []
        for axes, (name, panel) in zip(column, panels.items(), strict=True):
            at = {method: (cost or edge, score) for method, (cost, score) in panel.items()}
            _marks(axes, at, groups, kinds)
            axes.set_title(name)
            axes.set_ylabel(y)
            axes.yaxis.set_major_formatter(percent_tick)
            lines.append(_lines(axes, references or {}))
        _cost_axis(column[-1], every)
        column[-1].set_xlabel(x)
        handles = {h.get_label(): h for axes in column for h in axes.get_legend_handles_labels()[0]}
        if len(kinds) > 1:
            figure.legend(
                [handles[kind] for kind in kinds], kinds, loc="outside lower center", ncols=min(len(kinds), 3)
            )
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        figure.draw_without_rendering()  # places everything; from here on nothing may move
        figure.set_layout_engine("none")
        for axes, panel, inside in zip(column, panels.values(), lines, strict=True):
            points_at = {method: (cost or edge, score.value) for method, (cost, score) in panel.items()}
            _names(axes, points_at, inside)
    told = "; ".join(
        f"{name}: {number(cost)}, {score.value:z.0%}"
        for panel in panels.values()
        for name, (cost, score) in panel.items()
    )
    return Picture(figure, alt or f"{title or f'{y} against {x}'}. {told}.")


def number(value: float) -> str:
    """Return a cost as it is written on the axis and in words.

    Examples
    --------
    >>> [number(v) for v in (0, 0.0032, 12.3, 147_840, 10_652_944)]
    ['nothing', '0.0032', '12', '147,840', '11 million']
    """
    if not value:
        return "nothing"
    if value >= 1e6:
        return f"{value / 1e6:,.2g} million" if value < 1e8 else f"{value / 1e6:,.0f} million"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _panels(points: Costs | Mapping[str, Costs]) -> dict[str, dict[str, tuple[float, IntervalLike]]]:
    nested = bool(points) and all(isinstance(value, Mapping) for value in points.values())
    given = cast(Mapping[str, Costs], points) if nested else {"": cast(Costs, points)}
    panels = {
        name: {method: (float(cost), score) for method, (cost, score) in panel.items()}
        for name, panel in given.items()
    }
    values = np.array(
        [(cost, s.value, s.low, s.high) for panel in panels.values() for cost, s in panel.values()]
    )
    empty = not all(panels.values())
    if empty or len(panels) > _MOST or not np.isfinite(values).all() or (values[:, 0] < 0).any():
        what = "an empty panel" if empty else f"{len(panels)} panels, {len(values)} points"
        raise BadInput(
            f"{what}; expected 1 to {_MOST} panels of finite scores at costs of 0 or more.",
            'Give {"method": (seconds, interval)}, or such a dict per panel.',
        )
    return panels


def _edge(costs: list[float]) -> float:
    """Return where nothing is drawn: a decade left of the least cost."""
    positive = [cost for cost in costs if cost]
    return 10.0 ** (math.floor(math.log10(min(positive))) - 1) if positive else 0.1


def _marks(
    axes: Any, at: Mapping[str, tuple[float, IntervalLike]], groups: Mapping[str, str], kinds: list[str]
) -> None:
    for k, kind in enumerate(kinds):
        own = [point for method, point in at.items() if groups[method] == kind]
        colour = PALETTE[k % len(PALETTE)]
        for cost, score in own:
            axes.plot([cost, cost], [score.low, score.high], color=colour, lw=1.4, alpha=0.7)
        axes.plot(
            [cost for cost, _ in own],
            [score.value for _, score in own],
            linestyle="none",
            marker=MARKERS[k % len(MARKERS)],
            color=colour,
            markeredgecolor="white",
            markeredgewidth=0.6,
            ms=8,
            label=kind,
        )
    axes.margins(y=0.14)


def _lines(axes: Any, references: Mapping[str, float]) -> dict[str, float]:
    """Draw the references that lie within the axes, and return them."""
    low, high = axes.get_ylim()
    inside = {name: value for name, value in references.items() if low <= value <= high}
    for value in inside.values():
        axes.axhline(value, color="0.35", lw=1.2, ls=(0, (2, 2)), zorder=1)
    return inside


def _cost_axis(axes: Any, costs: list[float]) -> None:
    axes.set_xscale("log")
    places, least, most = _cost_ticks(costs)
    axes.set_xticks(list(places), list(places.values()))
    axes.minorticks_off()
    axes.set_xlim(least, most)


def _cost_ticks(costs: list[float]) -> tuple[dict[float, str], float, float]:
    """Return the labels of an axis of costs by place, and its two ends.

    Examples
    --------
    >>> _cost_ticks([0, 0.3, 12])[0]
    {0.01: 'nothing', 0.1: '0.1', 1.0: '1', 10.0: '10', 100.0: '100'}
    >>> _cost_ticks([0.6, 4.3])
    ({0.5: '0.5', 1.0: '1', 2.0: '2', 5.0: '5'}, 0.3, 8.6)
    """
    positive = sorted(cost for cost in costs if cost)
    if len(positive) < len(costs):
        edge = _edge(costs)
        last = math.ceil(math.log10(positive[-1])) if positive else 0
        decades = [10.0**k for k in range(round(math.log10(edge)) + 1, last + 1)]
        decades = decades[:: 2 if len(decades) > 8 else 1]
        return {edge: "nothing"} | {d: number(d) for d in decades}, edge / 2, 10.0**last * 2
    least, most = positive[0] / 2, positive[-1] * 2
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    ticks = [float(f"{step}e{k}") for k in range(first, last + 1) for step in steps]
    ticks = [tick for tick in ticks if least <= tick <= most]
    return {tick: number(tick) for tick in ticks[:: 2 if len(ticks) > 8 else 1]}, least, most


def _names(axes: Any, at: Mapping[str, tuple[float, float]], lines: Mapping[str, float]) -> None:
    """Write every name where it covers the least of other names, marks and lines, near places first."""
    dot = axes.figure.dpi / 72
    marks = {name: axes.transData.transform(point) for name, point in at.items()}
    taken = [_box(x - 5 * dot, y - 5 * dot, 10 * dot, 10 * dot) for x, y in marks.values()]
    room = axes.bbox
    for name, value in lines.items():
        level = axes.transData.transform((1, value))[1]
        taken.append(_box(room.x0, level - dot, room.width, 2 * dot))
        text = axes.annotate(
            f"{name} {value:.0%}",
            (0, value),
            (0, 2),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            fontsize=8,
            color="0.35",
        )
        width, height = _size(text)
        ends = ((x, level + 2 * dot) for x in (room.x1 - width, room.x0 + 4 * dot))
        corner = _freest(ends, width, height, room, taken)
        text.set_position(((corner[0] - room.x0) / dot, 2))
        taken.append(_box(*corner, width, height))
    for name in sorted(marks, key=lambda name: (-marks[name][1], marks[name][0])):
        text = axes.annotate(name, at[name], (0, 0), textcoords="offset points", fontsize=8.5)
        width, height = _size(text)
        x, y = marks[name]
        places = ((x + dx * dot, y + dy * dot) for dx, dy in _places(width / dot, height / dot))
        corner = _freest(places, width, height, room, taken)
        text.set_position(((corner[0] - x) / dot, (corner[1] - y) / dot))
        taken.append(_box(*corner, width, height))
        _leader(axes, (x, y), taken[-1], _NEAR * dot)


def _freest(
    corners: Iterable[tuple[float, float]], width: float, height: float, room: Any, taken: list[Any]
) -> tuple[float, float]:
    """Return the first lower left corner from which a name covers nothing, or the one that covers least."""
    least: tuple[float, tuple[float, float]] | None = None
    for corner in corners:
        box = _box(*corner, width, height)
        outside = not (room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1)
        covered = sum(box.overlaps(other) for other in taken) + 100 * outside
        if least is None or covered < least[0]:
            least = (covered, corner)
        if not covered:
            break
    assert least is not None  # there is always a place to try
    return least[1]


def _places(width: float, height: float) -> Iterator[tuple[float, float]]:
    """Yield offsets in points of a name's lower left corner from its mark, near ones first."""
    for distance in _DISTANCES:
        for k in range(_DIRECTIONS):
            angle = 2 * math.pi * k / _DIRECTIONS
            across, up = math.cos(angle), math.sin(angle)
            yield across * distance + (across - 1) / 2 * width, up * distance + (up - 1) / 2 * height


def _size(text: Any) -> tuple[float, float]:
    """Return width and height of a text in pixels."""
    extent = text.get_window_extent(text.figure.canvas.get_renderer())
    return extent.width, extent.height


def _box(x: float, y: float, width: float, height: float) -> Any:
    from matplotlib.transforms import Bbox

    return Bbox.from_bounds(x, y, width, height)


def _leader(axes: Any, mark: tuple[float, float], box: Any, near: float) -> None:
    """Draw a thin line from a mark to the nearest edge of its name, where that is not near."""
    end = (min(max(mark[0], box.x0), box.x1), min(max(mark[1], box.y0), box.y1))
    if math.dist(mark, end) > near:
        line = axes.transData.inverted().transform([mark, end])
        axes.plot(*line.T, color="0.45", lw=0.7, zorder=1, scalex=False, scaley=False)
