"""Learning curves: the score against the number of labels, and the labels that one method saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.compare import mean_score
from course_lib.measure.report import METRICS, Interval, Predictor, Report, check_metric, html_table, report
from course_lib.tasks.task import Split, Task


@dataclass(frozen=True)
class Point:
    """One fit of a learning curve: how many labels, which seed, and how it did."""

    size: int
    seed: int
    score: float
    report: Report


@dataclass(frozen=True)
class Curve:
    """A method's score against the number of training labels.

    Parameters
    ----------
    name, task : str
    metric : str
    points : tuple of Point
        One per size and seed.
    """

    name: str
    task: str
    metric: str
    points: tuple[Point, ...]

    @property
    def sizes(self) -> np.ndarray:
        """The numbers of labels, ascending, ``(s,)`` int64."""
        return np.unique([point.size for point in self.points])

    def reports(self, size: int) -> list[Report]:
        """Return the reports at `size`, one per seed, in the order of the seeds."""
        found = sorted((p for p in self.points if p.size == size), key=lambda p: p.seed)
        if not found:
            raise BadInput(f"{self.name} has no point at {size:,} labels.", f"It has {_listed(self.sizes)}.")
        return [point.report for point in found]

    def means(self) -> np.ndarray:
        """Return the mean score over seeds at each of `sizes`, ``(s,)``."""
        return np.array([np.mean([p.score for p in self.points if p.size == size]) for size in self.sizes])

    def interval(self, size: int) -> Interval:
        """Return the mean score at `size`; its interval covers test examples and seeds."""
        return mean_score(self.reports(size), self.metric)

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as plain values."""
        rows = [
            {"size": p.size, "seed": p.seed, "score": p.score, "seconds": p.report.seconds}
            for p in self.points
        ]
        means = [{"size": int(size), **self.interval(int(size)).to_dict()} for size in self.sizes]
        return {"name": self.name, "task": self.task, "metric": self.metric, "points": rows, "means": means}

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (f"{size:,}", str(self.interval(int(size))), str(len(self.reports(int(size)))))
            for size in self.sizes
        ]

    def __str__(self) -> str:
        rows = "\n".join(f"  {size:>7}  {score:<22}  {seeds}" for size, score, seeds in self._rows())
        head = f"  {'labels':>7}  {'mean [95%]':<22}  seeds"
        return f"{self.name} on {self.task}: {METRICS[self.metric]}\n{head}\n{rows}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        caption = f"<b>{escape(self.name)}</b> on {escape(self.task)}"
        return html_table(caption, ("labels", f"{METRICS[self.metric]} [95%]", "seeds"), self._rows())


def learning_curve(
    fit: Callable[[Task, int], Predictor],
    task: Task,
    sizes: Sequence[int],
    seeds: Sequence[int] = (0, 1, 2),
    name: str | None = None,
    *,
    test: Split | None = None,
    metric: str = "accuracy",
) -> Curve:
    """Fit a method on growing subsets of a task, for several seeds.

    The subsets of one seed are nested, stratified, and the same for every method that is given the same
    seeds; their validation sets shrink along (`Task.subset`). The test set stays whole.

    Parameters
    ----------
    fit : callable
        ``fit(task, seed)`` returns a fitted classifier, for instance
        ``lambda task, seed: methods.linear_probe(encoder, task)``.
    task : Task
    sizes : sequence of int
        Numbers of training labels.
    seeds : sequence of int
        Each chooses another subset, and is handed to `fit`.
    name : str, optional
        Default: the classifier's own.
    test : Split, optional
        Default: ``task.test``.
    metric : {"accuracy", "balanced_accuracy", "macro_f1"}

    Returns
    -------
    Curve

    Raises
    ------
    BadInput
        Without sizes or seeds, or for more labels than exist (before anything is fitted).
    """
    check_metric(metric)
    if not len(sizes) or not len(seeds):
        raise BadInput(
            "A learning curve needs sizes and seeds.", "For instance sizes=[10, 100], seeds=[0, 1, 2]."
        )
    plan = [(size, seed) for size in sorted(set(sizes)) for seed in dict.fromkeys(seeds)]
    for size, seed in (plan[0], plan[-1]):  # the extremes: what fails, fails before the first fit
        task.subset(size, seed)
    from course_lib.show import progress

    points: list[Point] = []
    label = f"learning curve{': ' + name if name else ''}"
    for size, seed in progress(plan, label, unit="fit"):  # one subset at a time: copies of pictures weigh
        classifier = fit(task.subset(size, seed), seed)
        result = report(classifier, task.test if test is None else test)
        points.append(Point(size, seed, result.score(metric).value, result))
        name = name or classifier.name
    return Curve(name or "", task.name, metric, tuple(points))


@dataclass(frozen=True)
class LabelsSaved:
    """How many labels one method needs for what another reaches with fewer.

    Parameters
    ----------
    method, other : str
    labels : int
        Labels of `method`.
    score : float
        What it reaches with them.
    needed : float
        Labels that `other` needs for that score; see `bound`.
    bound : str
        ``""``: interpolated. ``">"``: more than `needed`, its largest size, which falls short.
        ``"<"``: at most `needed`, its smallest size, which is already as good.
    """

    method: str
    other: str
    labels: int
    score: float
    needed: float
    bound: str

    @property
    def times(self) -> float:
        """`needed` / `labels`; with a `bound`, it bounds the ratio likewise."""
        return self.needed / self.labels

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return {
            "method": self.method,
            "other": self.other,
            "labels": self.labels,
            "score": self.score,
            "needed": self.needed,
            "bound": self.bound,
            "times": self.times,
        }

    def __str__(self) -> str:
        needed = float(f"{self.needed:.2g}") if not self.bound else self.needed
        return (
            f"{self.method} with {self.labels:,} labels reaches {self.score:.1%}; "
            f"{self.other} needs {self.bound}{needed:,.0f} ({self.bound}{self.times:.2g}×)"
        )


def labels_saved(a: Curve, b: Curve, at: int | None = None) -> list[LabelsSaved]:
    """Say how many labels of `b` give the score that `a` reaches.

    The mean curve of `b` is followed from its smallest size to the first place where it reaches the score;
    between two sizes it is a straight line against the logarithm of the number of labels. Nothing is
    extrapolated: where b never gets there the answer is "more than its largest size", and where its smallest
    size will do, "at most that".

    Parameters
    ----------
    a, b : Curve
        With the same metric.
    at : int, optional
        One of a's sizes. Default: all of them.

    Returns
    -------
    list of LabelsSaved
        One per size of `a`, or of length 1 with `at`.

    Raises
    ------
    BadInput
        When metrics or tasks differ, or a has no point at `at`.
    """
    if (a.metric, a.task) != (b.metric, b.task):
        raise BadInput(
            f"{a.name} is {a.metric} on {a.task}, {b.name} is {b.metric} on {b.task}.",
            "Compare curves of one metric on one task.",
        )
    if at is not None and at not in a.sizes:
        raise BadInput(f"{a.name} has no point at {at:,} labels.", f"It has {_listed(a.sizes)}.")
    return [
        LabelsSaved(a.name, b.name, int(size), float(score), *_needed(b.sizes, b.means(), float(score)))
        for size, score in zip(a.sizes, a.means(), strict=True)
        if at is None or size == at
    ]


def _needed(sizes: np.ndarray, means: np.ndarray, score: float) -> tuple[float, str]:
    """Return the first size at which a curve reaches `score`, and "", ">" or "<"."""
    reached = np.flatnonzero(means >= score)
    if not len(reached):
        return float(sizes[-1]), ">"
    i = int(reached[0])
    if i == 0:
        return float(sizes[0]), "" if means[0] == score else "<"
    low, high = means[i - 1], means[i]
    share = (score - low) / (high - low)
    return float(np.exp(np.log(sizes[i - 1]) + share * (np.log(sizes[i]) - np.log(sizes[i - 1])))), ""


def _listed(sizes: np.ndarray) -> str:
    return ", ".join(f"{size:,}" for size in sizes)
