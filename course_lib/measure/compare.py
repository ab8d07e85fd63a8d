"""Is one method better than another: paired differences over the same examples and several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.report import (
    METRICS,
    Interval,
    Report,
    check_metric,
    html_table,
    interval,
    scores,
    text_table,
)

_CHUNK = 200


@dataclass(frozen=True)
class ComparisonRow:
    """One method's line of a comparison.

    Parameters
    ----------
    method : str
    seeds : int
        How many fitted classifiers stand behind it.
    score : Interval
        Mean over the seeds.
    difference : Interval or None
        To the reference, positive when this method scores higher; None for the reference itself.
    verdict : str
        ``"better"``, ``"worse"`` or ``"cannot tell"`` (the interval holds 0); ``"reference"``.
    """

    method: str
    seeds: int
    score: Interval
    difference: Interval | None
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """Methods side by side; see `compare`."""

    metric: str
    reference: str
    split: str
    n: int
    rows: tuple[ComparisonRow, ...]

    def __getitem__(self, method: str) -> ComparisonRow:
        for row in self.rows:
            if row.method == method:
                return row
        raise KeyError(method)

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain values."""
        rows = [
            {
                "method": row.method,
                "seeds": row.seeds,
                "score": row.score.to_dict(),
                "difference": None if row.difference is None else row.difference.to_dict(),
                "verdict": row.verdict,
            }
            for row in self.rows
        ]
        return {
            "metric": self.metric,
            "reference": self.reference,
            "split": self.split,
            "n": self.n,
            "rows": rows,
        }

    def _head(self) -> tuple[str, ...]:
        return (
            "method",
            "seeds",
            f"{METRICS[self.metric]} [95%]",
            f"minus {self.reference}, points",
            "verdict",
        )

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (row.method, str(row.seeds), str(row.score), in_points(row.difference), row.verdict)
            for row in self.rows
        ]

    def __str__(self) -> str:
        table = text_table([self._head(), *self._cells()])
        return f"{self.split}, {self.n:,} examples, the same for every method\n{table}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        caption = f"<b>{escape(self.split)}</b>, {self.n:,} examples, the same for every method"
        return html_table(caption, self._head(), self._cells())


def in_points(difference: Interval | None) -> str:
    """Return a difference of accuracies in percentage points with its interval, or "" for none."""
    if difference is None:
        return ""
    value, low, high = (100 * v for v in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def compare(
    reports: Mapping[str, Report | Sequence[Report]],
    reference: str | None = None,
    *,
    metric: str = "accuracy",
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare methods on the same test examples.

    Two methods meet the same hard and easy examples, so their scores rise and fall together from one
    test set to the next; resampling the examples once for all methods keeps that and makes
    the interval of the *difference* narrower than the two intervals side by side suggest.

    With several seeds the bootstrap is hierarchical: each draw resamples the examples and, apart
    from that, the seeds. Methods with as many reports each are taken to
    list them in the same order of seeds, and share the drawn seeds. A draw of S seeds
    varies by (S - 1)/S too little, so its deviation is stretched by ``sqrt(S / (S - 1))``. With one seed the
    interval is about the test examples alone, and says nothing about another training run. Intervals
    are per method, not corrected for many comparisons.

    Parameters
    ----------
    reports : mapping of str to Report or sequence of Report
        One report per seed.
    reference : str, optional
        The method that the others are compared with. Default: the first.
    metric : {"accuracy", "balanced_accuracy", "macro_f1"}
    resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    Comparison

    Raises
    ------
    BadInput
        When the reports are not about the same examples, or the reference is not among them.
    """
    check_metric(metric)
    groups = {name: [given] if isinstance(given, Report) else list(given) for name, given in reports.items()}
    if not groups or not all(groups.values()):
        raise BadInput("There is nothing to compare.", "Give at least one report per method.")
    reference = next(iter(groups)) if reference is None else reference
    if reference not in groups:
        raise BadInput(f"There is no method {reference!r}.", f"Choose one of {', '.join(groups)}.")
    values, draws = _group_draws(groups, metric, resamples, seed)
    rows = []
    for name, group in groups.items():
        score, difference, verdict = interval(values[name], draws[name]), None, "reference"
        if name != reference:
            difference = interval(values[name] - values[reference], draws[name] - draws[reference])
            verdict = "better" if difference.low > 0 else "worse" if difference.high < 0 else "cannot tell"
        rows.append(ComparisonRow(name, len(group), score, difference, verdict))
    first = groups[reference][0]
    return Comparison(metric, reference, first.split, first.n, tuple(rows))


def mean_score(
    reports: Sequence[Report], metric: str = "accuracy", *, resamples: int = 1000, seed: int = 0
) -> Interval:
    """Return the mean score over seeds, its interval covering examples and seeds as in `compare`."""
    values, draws = _group_draws({"": list(reports)}, check_metric(metric), resamples, seed)
    return interval(values[""], draws[""])


def _group_draws(
    groups: Mapping[str, list[Report]], metric: str, resamples: int, seed: int
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return each method's mean score, and its bootstrap draws ``(resamples,)``."""
    every = [report for group in groups.values() for report in group]
    same_examples(every)
    by_examples = example_draws(every, metric, resamples, seed)
    rng = np.random.default_rng([seed, 1])
    shared: dict[int, np.ndarray] = {}  # as many seeds, the same seeds
    values, draws, at = {}, {}, 0
    for name, group in groups.items():
        size = len(group)
        if size not in shared:
            shared[size] = _seed_weights(size, resamples, rng)
        values[name] = float(np.mean([scores(report.confusion)[metric] for report in group]))
        draws[name] = (shared[size] * by_examples[:, at : at + size]).sum(axis=1)
        at += size
    return values, draws


def same_examples(reports: Sequence[Report]) -> None:
    """Raise `BadInput` when reports are not about the same examples in the same order."""
    first = reports[0]
    for other in reports[1:]:
        if not (np.array_equal(other.ids, first.ids) and np.array_equal(other.labels, first.labels)):
            raise BadInput(
                f"{first.method} was tested on {first.split} ({first.n:,} examples), {other.method} on "
                f"{other.split} ({other.n:,}); these are not the same examples in the same order.",
                "Report every method on the same split, for instance task.test.",
            )


def example_draws(reports: Sequence[Report], metric: str, resamples: int, seed: int) -> np.ndarray:
    """Return ``(resamples, reports)`` scores, every report on the same resampled examples.

    A draw is a count per example. Multiplied with the indicators "is of class c", "is said to be c" and
    "both", it gives all that the scores need.
    """
    from scipy import sparse

    labels, k = reports[0].labels, len(reports[0].class_names)
    n, rng = len(labels), np.random.default_rng([seed, 0])
    one, rows = np.ones(n, np.float32), np.arange(n)
    true = sparse.csr_array((one, (rows, labels)), shape=(n, k))
    said, hits = [], []
    for report in reports:
        hit = np.flatnonzero(report.predictions == labels)
        said.append(sparse.csr_array((one, (rows, report.predictions)), shape=(n, k)))
        hits.append(sparse.csr_array((one[hit], (hit, labels[hit])), shape=(n, k)))
    indicators = sparse.hstack([true, *said, *hits], format="csr")
    result = np.empty((resamples, len(reports)))
    for low in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - low)
        picks = rng.integers(n, size=(size, n)) + np.arange(size)[:, None] * n
        counts = np.bincount(picks.ravel(), minlength=size * n).reshape(size, n)
        sums = np.asarray(counts.astype(np.float32) @ indicators, np.float64).reshape(size, -1, k)
        tally = sums[:, 1 : len(reports) + 1], sums[:, len(reports) + 1 :]
        result[low : low + size] = _scores_of_sums(sums[:, :1], *tally, metric)
    return result


def _scores_of_sums(true: np.ndarray, said: np.ndarray, hits: np.ndarray, metric: str) -> np.ndarray:
    """Return a score from counts per class, last axis k, as `report.scores` does from confusion."""
    if metric == "accuracy":
        return np.asarray(hits.sum(axis=-1) / true.sum(axis=-1))
    if metric == "balanced_accuracy":
        recall = np.divide(hits, true, out=np.zeros_like(hits), where=true > 0)
        return np.asarray(recall.sum(axis=-1) / (true > 0).sum(axis=-1))
    f1 = np.divide(2 * hits, true + said, out=np.zeros_like(hits), where=true + said > 0)
    return np.asarray(f1.sum(axis=-1) / (true + said > 0).sum(axis=-1))


def _seed_weights(size: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``(resamples, size)`` weights of the seeds in each draw, rows summing to 1."""
    if size == 1:
        return np.ones((resamples, 1))
    share = rng.multinomial(size, np.full(size, 1 / size), size=resamples) / size
    return np.asarray(1 / size + np.sqrt(size / (size - 1)) * (share - 1 / size))
