"""Scores along something that is counted: layers, pairs, labels, epochs."""

from __future__ import annotations

from collections.abc import Mapping

from course_lib.errors import BadInput
from course_lib.show.charts import IntervalLike, percent_tick, reference_line
from course_lib.show.picture import Picture
from course_lib.show.style import LINES, MARKERS, PALETTE, panels, styled

_EVEN = 20  # with more different places than this, the axis chooses its own ticks


def lines(
    curves: Mapping[str, Mapping[int, IntervalLike]],
    *,
    xlabel: str = "",
    ylabel: str = "accuracy",
    title: str = "",
    logarithmic: bool = False,
    reference: float | None = None,
    reference_name: str = "guessing",
    alt: str | None = None,
) -> Picture:
    """Draw a line with its band of intervals for each of several scores.

    Parameters
    ----------
    curves : dict of str to dict of int to Interval
        By name, then by place on the horizontal axis. Shares, 0 to 1.
    xlabel, ylabel, title : str
    logarithmic : bool
        The horizontal axis, for places that double or more.
    reference : float, optional
        A score to compare with.
    reference_name : str
        What that score is; by default it is that of chance.
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When there is none, or one is empty, or a logarithmic axis is to hold 0.
    """
    if not curves or not all(curves.values()):
        raise BadInput("No curve was given, or one without a point.", "Give a dict of names to points.")
    places = sorted({place for curve in curves.values() for place in curve})
    if logarithmic and places[0] <= 0:
        raise BadInput(
            f"A logarithmic axis cannot hold {places[0]}.", "Leave it out, or draw it as a reference."
        )
    told = []
    with styled():
        figure, ((axes,),) = panels(figsize=(7.2, 4.0))
        for k, (name, curve) in enumerate(curves.items()):
            x = sorted(curve)
            colour = PALETTE[k % len(PALETTE)]
            low, high = [curve[p].low for p in x], [curve[p].high for p in x]
            axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
            axes.plot(
                x,
                [curve[p].value for p in x],
                color=colour,
                marker=MARKERS[k % len(MARKERS)],
                linestyle=LINES[k % len(LINES)],
                label=name,
            )
            best = max(x, key=lambda p: curve[p].value)
            told.append(
                f"{name} goes from {curve[x[0]].value:z.0%} at {x[0]:,} to {curve[x[-1]].value:z.0%} at "
                f"{x[-1]:,}, highest {curve[best].value:z.0%} at {best:,}"
            )
        reference_line(axes, reference, reference_name, horizontal=True)
        if logarithmic:
            axes.set_xscale("log")
            axes.minorticks_off()
        if len(places) <= _EVEN:
            axes.set_xticks(places, [f"{place:,}" for place in places])
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.set_title(title)
        axes.yaxis.set_major_formatter(percent_tick)
        axes.legend()
    return Picture(figure, alt or f"{title or 'Lines'}: {'; '.join(told)}.")
