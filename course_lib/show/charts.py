"""Charts of scores: learning curves, intervals, recall per class, confusions, trade-offs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from course_lib.errors import BadInput
from course_lib.show.picture import Picture
from course_lib.show.style import HATCHES, LINES, MARKERS, PALETTE, panels, styled

if TYPE_CHECKING:
    from course_lib.tasks.task import Split

METRICS = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}


_BESIDE = ((9, -12), (9, 4), (-9, -12), (-9, 4), (9, -26), (9, 18), (-9, -26), (-9, 18))
"""Places for a point's name, the best first: so many points to the right and up."""


class IntervalLike(Protocol):
    """A value with the ends of its interval."""

    @property
    def value(self) -> float:
        """The score."""
        ...

    @property
    def low(self) -> float:
        """The interval's lower end."""
        ...

    @property
    def high(self) -> float:
        """The interval's upper end."""
        ...


class CurveLike(Protocol):
    """A method's scores over numbers of labels; `measure.learning_curve` makes one."""

    @property
    def name(self) -> str:
        """For the legend."""
        ...

    @property
    def metric(self) -> str:
        """What is scored."""
        ...

    @property
    def sizes(self) -> Any:
        """Numbers of labels, ascending."""
        ...

    def interval(self, size: int) -> IntervalLike:
        """Return the score at `size`."""
        ...


class _Span(NamedTuple):
    """A mean between the lowest and the highest of its parts."""

    value: float
    low: float
    high: float


class _PlainCurve:
    """A curve given as a dict of names, sizes and scores over seeds."""

    def __init__(self, curve: Mapping[str, Any]) -> None:
        missing = [key for key in ("name", "sizes", "scores") if key not in curve]
        if missing:
            raise BadInput(
                f"A curve without {', '.join(missing)}.",
                'Give {"name": "probe", "sizes": [10, 100], "scores": {10: [0.3, 0.4], 100: [0.6, 0.7]}}.',
            )
        self.name, self.metric = str(curve["name"]), str(curve.get("metric", "accuracy"))
        self.sizes = sorted(int(n) for n in curve["sizes"])
        self._scores = {int(n): [float(s) for s in scores] for n, scores in curve["scores"].items()}
        empty = [n for n in self.sizes if not self._scores.get(n)]
        if empty:
            raise BadInput(f"{self.name} has no score at {empty[0]:,} labels.", "Give one or more per size.")

    def interval(self, size: int) -> _Span:
        """Return the mean over seeds, and their range."""
        scores = self._scores[size]
        return _Span(float(np.mean(scores)), min(scores), max(scores))


class ReportLike(Protocol):
    """What `measure.report` makes."""

    @property
    def method(self) -> str:
        """The method's name."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the labels."""
        ...

    @property
    def recall(self) -> np.ndarray:
        """Share of each class that is found, ``(k,)``."""
        ...

    @property
    def confusion(self) -> np.ndarray:
        """Counts, true by predicted, ``(k, k)``."""
        ...


def learning_curve(
    *curves: CurveLike | Mapping[str, Any],
    title: str = "",
    reference: float | None = None,
    reference_name: str = "guessing",
    alt: str | None = None,
) -> Picture:
    """Draw scores against the number of labels, on a logarithmic axis, with bands.

    Parameters
    ----------
    *curves : Curve or dict
        Their bands are the 95% intervals over seeds and test examples. A dict has ``name``, ``sizes`` and
        ``scores``, a list over seeds for each size, and may have ``metric``; its bands span its seeds.
    title : str
    reference : float, optional
        A score to draw a line at.
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
        When no curve is given.
    """
    if not curves:
        raise BadInput("No curve was given.", "Give at least one, from measure.learning_curve.")
    drawn = [_PlainCurve(curve) if isinstance(curve, Mapping) else curve for curve in curves]
    told = []
    with styled():
        figure, ((axes,),) = panels(figsize=(7.2, 4.2))
        for k, curve in enumerate(drawn):
            sizes = [int(n) for n in curve.sizes]
            points = [curve.interval(n) for n in sizes]
            colour = PALETTE[k % len(PALETTE)]
            axes.fill_between(
                sizes, [p.low for p in points], [p.high for p in points], color=colour, alpha=0.18, lw=0
            )
            axes.plot(
                sizes,
                [p.value for p in points],
                color=colour,
                marker=MARKERS[k % len(MARKERS)],
                linestyle=LINES[k % len(LINES)],
                label=curve.name,
            )
            told.append(
                f"{curve.name} goes from {points[0].value:.0%} at {sizes[0]:,} labels "
                f"to {points[-1].value:.0%} at {sizes[-1]:,}"
            )
        reference_line(axes, reference, reference_name, horizontal=True)
        every = sorted({int(n) for curve in drawn for n in curve.sizes})
        axes.set_xscale("log")
        axes.set_xticks(every, [f"{n:,}" for n in every])
        axes.minorticks_off()
        axes.set(xlabel="training labels", ylabel=METRICS.get(drawn[0].metric, drawn[0].metric))
        axes.set_title(title)
        axes.yaxis.set_major_formatter(percent_tick)
        if len(every) > 7:
            axes.tick_params(axis="x", labelrotation=30)
        axes.legend()
    return Picture(figure, alt or f"Learning curves. {'; '.join(told)}.")


def bars(
    scores: Mapping[str, IntervalLike],
    *,
    title: str = "",
    reference: float | None = None,
    reference_name: str = "guessing",
    alt: str | None = None,
) -> Picture:
    """Draw horizontal bars with their intervals and values.

    Parameters
    ----------
    scores : dict of str to Interval
        Shares, 0 to 1; drawn from top to bottom.
    title : str
    reference : float, optional
        A line to compare with.
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
        When there is none.
    """
    if not scores:
        raise BadInput("No score was given.", "Give a dict of names to intervals.")
    names, values = list(scores), list(scores.values())
    with styled():
        figure, ((axes,),) = panels(figsize=(7.2, 0.9 + 0.46 * len(names)))
        places = np.arange(len(names))[::-1]
        for k, (place, score) in enumerate(zip(places, values, strict=True)):
            axes.barh(
                place,
                score.value,
                height=0.62,
                facecolor=PALETTE[k % len(PALETTE)],
                hatch=HATCHES[k % len(HATCHES)],
                edgecolor="white",
            )
            if score.high > score.low:  # a mean of published figures may have none
                axes.plot([score.low, score.high], [place, place], color="0.1", lw=1.6)
                axes.plot([score.low, score.high], [place, place], "|", color="0.1", ms=8, mew=1.6)
            axes.text(max(score.value, score.high) + 0.012, place, f"{score.value:z.0%}", va="center")
        reference_line(axes, reference, reference_name, horizontal=False)
        axes.set_yticks(places, names)
        axes.set_xlim(0, 1.08)
        axes.xaxis.set_major_formatter(percent_tick)
        axes.grid(axis="y", visible=False)
        axes.set_title(title, pad=6 if reference is None else 20)
    told = "; ".join(
        f"{name} {s.value:z.0%} (95% interval {s.low:z.0%} to {s.high:z.0%})"
        for name, s in zip(names, values, strict=True)
    )
    return Picture(figure, alt or f"{title or 'Scores'}: {told}.")


def shares(split: Split, *, title: str = "", alt: str | None = None) -> Picture:
    """Draw how many examples each class of a split has.

    Parameters
    ----------
    split : Split
    title : str
        Default: the split's name.
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture
    """
    counts = split.counts
    total = max(sum(counts.values()), 1)
    with styled():
        figure, ((axes,),) = panels(figsize=(7.2, 0.9 + 0.4 * len(counts)))
        places = np.arange(len(counts))[::-1]
        axes.barh(places, list(counts.values()), height=0.62, color=PALETTE[0])
        for place, count in zip(places, counts.values(), strict=True):
            axes.text(count + total * 0.006, place, f"{count:,} ({count / total:.0%})", va="center")
        axes.set_yticks(places, list(counts))
        axes.set_xlim(0, max(counts.values()) * 1.22)
        axes.set_xlabel("examples")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(axis="y", visible=False)
        axes.set_title(title or split.name)
    told = "; ".join(f"{name} {count:,} ({count / total:.0%})" for name, count in counts.items())
    return Picture(figure, alt or f"Number of examples per class: {told}.")


def recall_per_class(
    reports: Mapping[str, ReportLike | Sequence[ReportLike]],
    *,
    title: str = "Recall per class",
    alt: str | None = None,
) -> Picture:
    """Draw the share of each class that is found, one mark per method.

    Parameters
    ----------
    reports : dict of str to Report, or to a list of Report
        All with the same classes. Of a list, one per seed, the mean is drawn.
    title : str
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When the reports differ in their classes, or there is none.
    """
    lists = {name: [*given] if isinstance(given, Sequence) else [given] for name, given in reports.items()}
    names = {tuple(report.class_names) for several in lists.values() for report in several}
    if len(names) != 1 or not all(lists.values()):
        raise BadInput(
            f"{len(reports)} reports with {len(names)} different lists of classes; expected one list.",
            "Compare reports on the same task.",
        )
    classes = names.pop()
    recalls = {name: np.mean([one.recall for one in several], axis=0) for name, several in lists.items()}
    places = np.arange(len(classes))[::-1]
    few = len(classes) <= 3
    with styled():
        height = len(classes) * (0.3 * len(reports) + 0.35) if few else 0.42 * len(classes)
        figure, ((axes,),) = panels(figsize=(7.2, 1.2 + height))
        for k, (name, recall) in enumerate(recalls.items()):
            colour, offset = PALETTE[k % len(PALETTE)], 0.0
            if few:  # so few rows leave room to set the methods side by side
                offset = ((len(reports) - 1) / 2 - k) * 0.8 / len(reports)
                axes.hlines(places + offset, 0, recall, color=colour, lw=2, alpha=0.6)
                for place, found in zip(places, recall, strict=True):
                    if np.isnan(found):
                        continue
                    axes.text(found + 0.02, place + offset, f"{found:.0%}", va="center", fontsize=9)
            else:  # a little, so that equal ones do not hide each other
                offset = ((len(reports) - 1) / 2 - k) * 0.36 / len(reports)
            axes.plot(
                recall,
                places + offset,
                linestyle="none",
                marker=MARKERS[k % len(MARKERS)],
                ms=8,
                markeredgecolor="white",
                markeredgewidth=0.6,
                color=colour,
                label=name,
            )
        axes.set_yticks(places, classes)
        axes.set_ylim(-0.6, len(classes) - 0.4)
        axes.set_xlim(-0.02, 1.08)
        axes.xaxis.set_major_formatter(percent_tick)
        axes.set_xlabel("found (recall)")
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=min(len(reports), 3))
    told = ". ".join(
        f"{name}: " + ", ".join(f"{c} {_share(r)}" for c, r in zip(classes, recall, strict=True))
        for name, recall in recalls.items()
    )
    return Picture(figure, alt or f"Share of each class that is found. {told}.")


def confusion(report: ReportLike, *, title: str = "", alt: str | None = None) -> Picture:
    """Draw which class is taken for which: rows are true classes and sum to 100%.

    Parameters
    ----------
    report : Report
    title : str
        Default: the method's name.
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        For more than 30 classes, which nobody can read.
    """
    counts = np.asarray(report.confusion)
    k = len(counts)
    if k > 30:
        raise BadInput(f"A matrix of {k} classes cannot be read.", "Use recall_per_class on some classes.")
    rows = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with styled():
        side = 2.0 + (0.5 if k > 3 else 0.8) * k
        figure, ((axes,),) = panels(figsize=(side + 0.9, side))
        axes.imshow(rows, vmin=0, vmax=1, cmap="Blues")
        for i in range(k):
            for j in range(k):
                if rows[i, j] >= 0.005:
                    axes.text(
                        j,
                        i,
                        f"{100 * rows[i, j]:.0f}",
                        ha="center",
                        va="center",
                        fontsize=9,
                        color="white" if rows[i, j] > 0.55 else "0.15",
                    )
        axes.set_xticks(range(k), report.class_names)
        if k > 3:
            axes.tick_params(axis="x", labelrotation=40)
            for label in axes.get_xticklabels():
                label.set_horizontalalignment("right")
        axes.set_yticks(range(k), report.class_names)
        axes.set(xlabel="predicted, in % of each true class", ylabel="true")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_title(title or report.method)
    return Picture(figure, alt or _confusion_words(report, rows))


def _confusion_words(report: ReportLike, rows: np.ndarray) -> str:
    wrong = rows - np.diag(np.diag(rows))
    i, j = np.unravel_index(int(wrong.argmax()), wrong.shape)
    names = report.class_names
    found = np.where(np.asarray(report.confusion).sum(axis=1) > 0, np.diag(rows), np.nan)
    right = ", ".join(f"{name} {_share(share)}" for name, share in zip(names, found, strict=True))
    most = f"The commonest confusion: {wrong[i, j]:.0%} of {names[i]} are taken for {names[j]}."
    return (
        f"Confusion matrix of {report.method}. Right: {right}. {most if wrong.any() else 'None is confused.'}"
    )


def tradeoff(
    points: Mapping[str, tuple[float, IntervalLike]],
    *,
    x: str,
    y: str,
    title: str = "",
    alt: str | None = None,
) -> Picture:
    """Draw what each choice costs against what it brings, labelled in place.

    Parameters
    ----------
    points : dict of str to (float, Interval)
        Cost and score per choice.
    x, y : str
        Axis labels.
    title : str
    alt : str, optional
        Default: written from the numbers.

    Returns
    -------
    Picture

    Raises
    ------
    BadInput
        When there is none.
    """
    if not points:
        raise BadInput("No choice was given.", "Give a dict of names to (cost, interval).")

    with styled():
        figure, ((axes,),) = panels(figsize=(7.2, 3.8))
        costs = [cost for cost, _ in points.values()]
        axes.plot(costs, [s.value for _, s in points.values()], color="0.6", lw=1.2, zorder=1)
        for k, (cost, score) in enumerate(points.values()):
            axes.plot([cost, cost], [score.low, score.high], color=PALETTE[0], lw=1.6)
            axes.plot(cost, score.value, marker=MARKERS[k % len(MARKERS)], color=PALETTE[0], ms=8)
        axes.set(xlabel=x, ylabel=y)
        axes.set_xlim(0, max(costs) * 1.18)
        axes.yaxis.set_major_formatter(percent_tick)
        axes.set_title(title)
        _name_points(axes, {name: (cost, score.value) for name, (cost, score) in points.items()})
    told = "; ".join(f"{name}: {cost:.2g} {x}, {score.value:.0%}" for name, (cost, score) in points.items())
    return Picture(figure, alt or f"{y} against {x}. {told}.")


def _name_points(axes: Any, points: Mapping[str, tuple[float, float]]) -> None:
    """Write each name beside its point, where it covers no other name and the fewest points and intervals."""
    axes.figure.draw_without_rendering()  # gives the axes their place
    lines = [line.get_window_extent() for line in axes.lines[1:]]  # the first runs through all points
    names: list[Any] = []
    for name, point in points.items():
        label = axes.annotate(name, point, xytext=_BESIDE[0], textcoords="offset points")
        boxes = {place: _covered(label, place) for place in _BESIDE}
        covers = {at: (box.count_overlaps(names), box.count_overlaps(lines)) for at, box in boxes.items()}
        names.append(_covered(label, min(_BESIDE, key=covers.__getitem__)))


def _covered(label: Any, place: tuple[int, int]) -> Any:
    """Move a name to a place beside its point; return the box that it fills there."""
    label.set(position=place, ha="left" if place[0] > 0 else "right")
    return label.get_window_extent()


def reference_line(axes: Any, value: float | None, name: str, *, horizontal: bool) -> None:
    """Draw and name the line of chance, or of another score to compare with."""
    if value is None:
        return
    (axes.axhline if horizontal else axes.axvline)(value, color="0.35", lw=1.2, ls=(0, (2, 2)), zorder=1)
    if horizontal:
        axes.text(  # beside the axes: inside, it would lie on a curve sooner or later
            1.01,
            value,
            fill(f"{name} {value:.0%}", 14),
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=9,
        )
    else:
        axes.text(
            value,
            1.01,
            f"{name} {value:.0%}",
            transform=axes.get_xaxis_transform(),
            ha="left" if value < 0.2 else "center",
            va="bottom",
            fontsize=9,
        )


def _share(value: float) -> str:
    """Return a share in words; a class without examples has none."""
    return "without examples" if np.isnan(value) else f"{value:.0%}"


def percent_tick(value: float, _: Any = None) -> str:
    """Return a share as a tick's label."""
    return f"{round(100 * value, 2):g}%"  # a tick at 42.5% must not call itself 42%
