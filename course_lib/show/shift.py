"""Two domains seen through one number: three panels for P(X), P(Y) and P(Y|X)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from course_lib.show.charts import IntervalLike, percent_tick
from course_lib.show.picture import Picture
from course_lib.show.style import HATCHES, LINES, MARKERS, PALETTE, panels, styled


class ShiftLike(Protocol):
    """What `measure.shift` makes."""

    @property
    def names(self) -> tuple[str, str]:
        """The two domains."""
        ...

    @property
    def columns(self) -> np.ndarray:
        """Edges of the histograms, ``(h + 1,)``."""
        ...

    @property
    def density(self) -> np.ndarray:
        """Shares per column, ``(2, h)``."""
        ...

    @property
    def overlap(self) -> float:
        """What the histograms have in common."""
        ...

    @property
    def share(self) -> Sequence[IntervalLike]:
        """P(Y = event), for each domain."""
        ...

    @property
    def centres(self) -> np.ndarray:
        """Where the bins lie, ``(k,)``."""
        ...

    @property
    def given(self) -> Sequence[Sequence[IntervalLike | None]]:
        """P(Y = event | X in bin), for each domain and bin."""
        ...

    @property
    def verdicts(self) -> dict[str, str]:
        """What differs."""
        ...


def shift(measured: ShiftLike, *, x: str, event: str, title: str = "", alt: str | None = None) -> Picture:
    """Draw what differs between two domains: how X is spread, how often the event is, and how often given X.

    Parameters
    ----------
    measured : Shift
        From `measure.shift`.
    x : str
        What the number is, for instance ``"mean brightness"``.
    event : str
        What Y is asked for, for instance ``"defective"``.
    title : str
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture
    """
    with styled():
        figure, ((spread, share, given),) = panels(1, 3, figsize=(8.6, 3.5 if title else 3.2))
        figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
        share.get_gridspec().set_width_ratios([3, 1.7, 3])
        for k in range(2):
            _spread(spread, measured, k)
            _share(share, measured.share[k], k)
            _given(given, measured, k)
        for axes, name in ((spread, "P(X)"), (share, "P(Y)"), (given, "P(Y|X)")):
            axes.set_title(f"{name}: {measured.verdicts[name]}", fontsize=11)
        spread.set(xlabel=x, ylabel="share of examples", ylim=(0, None))
        share.set(xticks=[], ylim=(0, 1), xlim=(-0.6, 1.6))
        share.set_xlabel(event)
        given.set(xlabel=x, ylim=(0, 1), xlim=spread.get_xlim())
        given.set_ylabel(f"{event}, given X")
        for axes in (spread, share, given):
            axes.yaxis.set_major_formatter(percent_tick)
        handles, labels = spread.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    return Picture(figure, alt or _words(measured, x, event))


def _spread(axes: Any, measured: ShiftLike, k: int) -> None:
    colour = PALETTE[k]
    axes.stairs(measured.density[k], measured.columns, color=colour, fill=True, alpha=0.16)
    axes.stairs(
        measured.density[k], measured.columns, color=colour, ls=LINES[k], lw=2, label=measured.names[k]
    )


def _share(axes: Any, score: IntervalLike, k: int) -> None:
    axes.bar(k, score.value, 0.7, color=PALETTE[k], hatch=HATCHES[k], edgecolor="white")
    axes.plot([k, k], [score.low, score.high], color="0.1", lw=1.6)
    axes.text(k, score.high + 0.02, f"{score.value:.0%}", ha="center", va="bottom")


def _given(axes: Any, measured: ShiftLike, k: int) -> None:
    """Draw one domain's share per bin, the two domains a little apart."""
    centres = np.asarray(measured.centres) + (k - 0.5) * 0.012 * np.ptp(measured.columns)
    there = [(x, score) for x, score in zip(centres, measured.given[k], strict=True) if score is not None]
    look = {"color": PALETTE[k], "clip_on": False, "zorder": 3}
    axes.plot([x for x, _ in there], [s.value for _, s in there], ls=LINES[k], marker=MARKERS[k], **look)
    for x, score in there:
        axes.plot([x, x], [score.low, score.high], lw=1.2, alpha=0.8, **look)


def _words(measured: ShiftLike, x: str, event: str) -> str:
    names, verdicts = measured.names, measured.verdicts
    shares = ", ".join(f"{name} {s.value:.0%}" for name, s in zip(names, measured.share, strict=True))
    given = "; ".join(
        f"{name} " + ", ".join("none there" if s is None else f"{s.value:.0%}" for s in row)
        for name, row in zip(names, measured.given, strict=True)
    )
    return (
        f"{names[0]} and {names[1]} by {x}. P(X) {verdicts['P(X)']}: the histograms have "
        f"{measured.overlap:.0%} in common. P(Y) {verdicts['P(Y)']}: {event} {shares}. "
        f"P(Y|X) {verdicts['P(Y|X)']}: {event}, from the lowest {x} to the highest, {given}."
    )
