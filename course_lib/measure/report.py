"""Did it work, how sure is that, and what did it cost: one report for every method."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol

import numpy as np

from course_lib.errors import BadInput
from course_lib.tasks.task import Split

METRICS: dict[str, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
}
"""Name in code and name in tables of each score."""


class Predictor(Protocol):
    """What a report needs of a fitted method."""

    @property
    def name(self) -> str:
        """For tables and legends."""
        ...

    def predict(self, data: Any, /) -> np.ndarray:
        """Return the class number of every example, ``(n,)``."""
        ...


@dataclass(frozen=True)
class Interval:
    """A value and the ends of its 95% interval.

    Examples
    --------
    >>> print(Interval(0.7634, 0.7541, 0.7727))
    76.3% [75.4, 77.3]
    >>> Interval(0.5, 0.4, 0.6).half_width
    0.1
    """

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the interval's width, the number behind a "±"."""
        return round((self.high - self.low) / 2, 12)

    def to_dict(self) -> dict[str, float]:
        """Return value, low and high."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.1%} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True, eq=False)
class Report:
    """How a fitted method did on examples that it had not seen, and what it cost.

    Parameters
    ----------
    method, task : str
    split : str
        The examples' name, for instance ``"cifar10/test"``.
    class_names : tuple of str
    labels, predictions : numpy.ndarray
        ``(n,)`` int64 each.
    ids : numpy.ndarray
        ``(n,)`` which examples these are; comparisons need the same ones.
    accuracy, balanced_accuracy, macro_f1 : Interval
    recall : numpy.ndarray
        ``(k,)`` share of each class that was found; NaN for a class without examples.
    confusion : numpy.ndarray
        ``(k, k)`` int64: row = true class, column = predicted.
    seconds : dict of str to float
        ``features`` and ``fit`` of the method, ``predict`` of this report.
    parameters_trained : int
    train_size : int
        Training labels that the method saw; 0 when it does not say.
    """

    method: str
    task: str
    split: str
    class_names: tuple[str, ...]
    labels: np.ndarray
    predictions: np.ndarray
    ids: np.ndarray
    accuracy: Interval
    balanced_accuracy: Interval
    macro_f1: Interval
    recall: np.ndarray
    confusion: np.ndarray
    seconds: dict[str, float] = field(default_factory=dict)
    parameters_trained: int = 0
    train_size: int = 0
    domain: str = ""

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.labels)

    def score(self, metric: str = "accuracy") -> Interval:
        """Return the interval of ``"accuracy"``, ``"balanced_accuracy"`` or ``"macro_f1"``."""
        value: Interval = getattr(self, check_metric(metric))
        return value

    def to_dict(self) -> dict[str, Any]:
        """Return everything that a file of results needs, without the single predictions."""
        found = {
            name: None if np.isnan(r) else float(r)
            for name, r in zip(self.class_names, self.recall, strict=True)
        }
        return {
            "method": self.method,
            "task": self.task,
            "split": self.split,
            "domain": self.domain,
            "n": self.n,
            **{metric: self.score(metric).to_dict() for metric in METRICS},
            "recall": found,
            "confusion": self.confusion.tolist(),
            "seconds": dict(self.seconds),
            "parameters_trained": self.parameters_trained,
            "train_size": self.train_size,
        }

    def _rows(self) -> list[tuple[str, str]]:
        rows = [(label, str(self.score(metric))) for metric, label in METRICS.items()]
        if self.train_size:
            rows.append(("training labels", f"{self.train_size:,}"))
        rows.append(("parameters trained", f"{self.parameters_trained:,}"))
        return [*rows, *((f"seconds: {what}", f"{spent:.1f}") for what, spent in self.seconds.items())]

    def __str__(self) -> str:
        return f"{self.method} on {self.split}, {self.n:,} examples\n{text_table(self._rows(), indent=2)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        caption = f"<b>{escape(self.method)}</b> on {escape(self.split)}, {self.n:,} examples"
        return html_table(caption, ("", "value [95% interval]"), self._rows())


def report(classifier: Predictor, split: Split, *, resamples: int = 1000, seed: int = 0) -> Report:
    """Predict `split` and report scores with 95% intervals, and costs.

    Parameters
    ----------
    classifier : Predictor
        Anything with ``name`` and ``predict``; ``task_name``, ``seconds``, ``parameters_trained`` and
        ``train_size`` are copied when it has them.
    split : Split
        Labelled examples that were used neither to fit nor to choose.
    resamples, seed : int
        Of the bootstrap; see `bootstrap`.

    Returns
    -------
    Report

    Raises
    ------
    BadInput
        When the split is empty or has more classes than the classifier knows, or when a prediction is not a
        class.
    """
    if len(split) == 0:
        raise BadInput(
            f"{split.name} holds no examples, so there is no score.", "Give a split with examples."
        )
    known = getattr(classifier, "class_names", None)
    if known is not None and tuple(known) != tuple(split.class_names):
        raise BadInput(
            f"{classifier.name} was fitted for the classes {', '.join(known)}; {split.name} has "
            f"{', '.join(split.class_names)}.",
            "Report on a split with the same classes in the same order.",
        )
    start = time.perf_counter()
    predictions = np.asarray(classifier.predict(split))
    spent = time.perf_counter() - start
    seconds: Mapping[str, float] = getattr(classifier, "seconds", {})
    return from_predictions(
        predictions,
        split,
        method=classifier.name,
        task=getattr(classifier, "task_name", split.name),
        seconds={**seconds, "predict": spent},
        parameters_trained=getattr(classifier, "parameters_trained", 0),
        train_size=getattr(classifier, "train_size", 0),
        resamples=resamples,
        seed=seed,
    )


def from_predictions(
    predictions: np.ndarray,
    split: Split,
    *,
    method: str,
    task: str = "",
    seconds: Mapping[str, float] | None = None,
    parameters_trained: int = 0,
    train_size: int = 0,
    resamples: int = 1000,
    seed: int = 0,
) -> Report:
    """Report on predictions that are already there, ``(n,)`` class numbers; see `report`."""
    k = len(split.class_names)
    if predictions.shape != split.y.shape or predictions.dtype.kind not in "iu":
        raise BadInput(
            f"{method} gave predictions of shape {predictions.shape} and type {predictions.dtype} for "
            f"{len(split):,} examples; expected one class number each.",
            "Let predict return probabilities.argmax(axis=1).",
        )
    if predictions.min() < 0 or predictions.max() >= k:
        raise BadInput(
            f"{method} predicted classes {predictions.min()} to {predictions.max()}; {split.name} has {k}.",
            "Number the classes from 0, in the order of class_names.",
        )
    confusion = confusion_matrix(split.y, predictions, k)
    intervals = bootstrap(confusion, resamples=resamples, seed=seed)
    found = confusion.sum(axis=1)
    recall = np.divide(np.diag(confusion), found, out=np.full(k, np.nan), where=found > 0)
    return Report(
        method=method,
        task=task or split.name,
        split=split.name,
        class_names=split.class_names,
        labels=split.y,
        predictions=predictions.astype(np.int64),
        ids=split.ids,
        recall=recall,
        confusion=confusion,
        seconds=dict(seconds or {}),
        parameters_trained=parameters_trained,
        train_size=train_size,
        domain=split.domain,
        **intervals,
    )


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, k: int) -> np.ndarray:
    """Return ``(k, k)`` int64 counts: row = true class, column = predicted.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(labels.astype(np.int64) * k + predictions, minlength=k * k).reshape(k, k)


def scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Return every metric of confusion matrices ``(..., k, k)``, each of shape ``(...)``.

    Balanced accuracy is the mean recall of the classes that have examples; macro-F1 is
    the mean of ``2 TP / (2 TP + FP + FN)`` over the classes that have examples or predictions.

    Examples
    --------
    >>> {m: float(s) for m, s in scores(np.array([[9, 0], [1, 0]])).items() if m != "macro_f1"}
    {'accuracy': 0.9, 'balanced_accuracy': 0.5}
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    true, said = confusion.sum(axis=-1), confusion.sum(axis=-2)
    recall = np.divide(hits, true, out=np.zeros_like(hits), where=true > 0)
    f1 = np.divide(2 * hits, true + said, out=np.zeros_like(hits), where=true + said > 0)
    return {
        "accuracy": hits.sum(axis=-1) / true.sum(axis=-1),
        "balanced_accuracy": recall.sum(axis=-1) / (true > 0).sum(axis=-1),
        "macro_f1": f1.sum(axis=-1) / (true + said > 0).sum(axis=-1),
    }


def bootstrap(confusion: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """Return each score with its 95% percentile interval.

    The bootstrap draws n examples with replacement and scores them again. All three scores depend
    on the examples only through how many fall in each cell of the confusion matrix, and drawing
    n rows with replacement makes these counts multinomial with the observed shares. So the
    counts are drawn directly: the same distribution, without touching a row.

    Parameters
    ----------
    confusion : numpy.ndarray
        ``(k, k)`` counts.
    resamples, seed : int

    Returns
    -------
    dict of str to Interval
        Keys as in `METRICS`.

    References
    ----------
    Efron & Tibshirani (1993), "An introduction to the bootstrap", chapter 13.
    """
    n = int(confusion.sum())
    rng = np.random.default_rng(seed)
    cells = np.flatnonzero(confusion)  # empty cells stay empty; leaving them out makes the draw quick
    drawn = np.zeros((resamples, confusion.size), np.int64)
    drawn[:, cells] = rng.multinomial(n, confusion.ravel()[cells] / n, size=resamples)
    again = scores(drawn.reshape(resamples, *confusion.shape))
    return {metric: interval(float(value), again[metric]) for metric, value in scores(confusion).items()}


def interval(value: float, draws: np.ndarray) -> Interval:
    """Return `value` with the 2.5th and 97.5th percentile of bootstrap `draws`."""
    low, high = np.percentile(draws, (2.5, 97.5))
    return Interval(float(value), float(low), float(high))


def check_metric(metric: str) -> str:
    """Return `metric` when there is such a score.

    Raises
    ------
    BadInput
    """
    if metric not in METRICS:
        raise BadInput(f"There is no metric {metric!r}.", f"Choose one of {', '.join(METRICS)}.")
    return metric


def text_table(rows: Sequence[tuple[str, ...]], *, indent: int = 0) -> str:
    """Return rows of cells as lines of text, each column as wide as its longest cell.

    Examples
    --------
    >>> print(text_table([("labels", "300"), ("parameters", "2,562")], indent=2))
      labels      300
      parameters  2,562
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"{'':{indent}}{line}".rstrip() for line in lines)


def html_table(caption: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a small table; `caption` is HTML, everything else is text."""
    top = "".join(f'<th scope="col" style="text-align:left">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row" style="text-align:left;font-weight:normal">{escape(row[0])}</th>'
        + "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<table><caption style="text-align:left">{caption}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    )
