"""A forest plot: differences with their intervals, around nothing at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from course_lib.errors import BadInput
from course_lib.show.charts import IntervalLike
from course_lib.show.picture import Picture
from course_lib.show.style import PALETTE, panels, styled


class RowLike(Protocol):
    """A method's line in a comparison or a verdict."""

    @property
    def method(self) -> str:
        """Its name."""
        ...

    @property
    def difference(self) -> IntervalLike | None:
        """Of scores, as shares; None for the one that the others are compared with."""
        ...


class ComparisonLike(Protocol):
    """What `measure.compare` or `measure.verdict` makes."""

    @property
    def rows(self) -> Sequence[RowLike]:
        """One per method."""
        ...


def differences(
    found: ComparisonLike | Mapping[str, IntervalLike],
    *,
    margin: float | None = None,
    xlabel: str = "",
    title: str = "",
    alt: str | None = None,
) -> Picture:
    """Draw differences in points with their intervals, a line at zero and a band that does not matter.

    A filled mark lies beyond the band with its whole interval, a hollow one does not.

    Parameters
    ----------
    found : Comparison, Verdict, or dict of str to Interval
        Shares: 0.02 is drawn as 2 points.
    margin : float, optional
        Half the width of the band, a share too. Default: the verdict's own, or 0.
    xlabel : str
        Default: what is subtracted from what.
    title : str
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When there is no difference to draw, or the margin is negative.
    """
    given = _given(found)
    margin = float(getattr(found, "margin", 0.0)) if margin is None else margin
    if not given or margin < 0:
        raise BadInput(
            f"{len(given)} differences and a margin of {margin}.",
            "Give at least one difference, for instance from measure.compare, and a margin of 0 or more.",
        )
    with styled():
        figure, ((axes,),) = panels(figsize=(7.2, 1.5 + 0.46 * len(given)))
        axes.axvspan(-100 * margin, 100 * margin, color="0.88", lw=0, zorder=0)
        axes.axvline(0, color="0.35", lw=1.2, zorder=1)
        for place, apart in zip(range(len(given) - 1, -1, -1), given.values(), strict=True):
            beyond = apart.low > margin or apart.high < -margin
            _row(axes, place, apart, beyond)
        axes.set_yticks(range(len(given) - 1, -1, -1), list(given))
        axes.set_ylim(-0.6, len(given) - 0.4)
        axes.margins(x=0.12)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(xlabel or _label(found))
        axes.set_title(title)
    told = "; ".join(
        f"{name} {_points(d.value)} (95% interval {_points(d.low)} to {_points(d.high)})"
        for name, d in given.items()
    )
    band = f" The band of ±{100 * margin:g} points does not matter." if margin else ""
    return Picture(figure, alt or f"{title or 'Differences'}, {xlabel or _label(found)}: {told}.{band}")


def _row(axes: Any, place: int, apart: IntervalLike, beyond: bool) -> None:
    value, low, high = (100 * v for v in (apart.value, apart.low, apart.high))
    axes.plot([low, high], [place, place], color="0.1", lw=1.6)
    axes.plot([low, high], [place, place], "|", color="0.1", ms=8, mew=1.6)
    axes.plot(
        value, place, "o", ms=8, color=PALETTE[0], markerfacecolor=PALETTE[0] if beyond else "white", mew=1.8
    )
    axes.annotate(
        f"{value:+.1f}", (value, place), (0, 8), textcoords="offset points", ha="center", fontsize=9
    )


def _given(found: ComparisonLike | Mapping[str, IntervalLike]) -> dict[str, IntervalLike]:
    if isinstance(found, Mapping):
        return dict(found)
    if hasattr(found, "transferred"):  # here the method of a row is what is subtracted
        return {f"minus {row.method}": row.difference for row in found.rows if row.difference is not None}
    return {row.method: row.difference for row in found.rows if row.difference is not None}


def _label(found: Any) -> str:
    if hasattr(found, "transferred"):
        return f"{found.transferred} minus each, points"
    return f"minus {found.reference}, points" if hasattr(found, "reference") else "difference, points"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
