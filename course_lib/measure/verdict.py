"""Did transfer help, hurt, or can nobody tell: one method against matched controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np

from course_lib.errors import BadInput
from course_lib.measure.compare import example_draws, in_points, same_examples
from course_lib.measure.curve import learning_curve
from course_lib.measure.report import (
    METRICS,
    Interval,
    Predictor,
    Report,
    check_metric,
    html_table,
    text_table,
)
from course_lib.tasks.task import Split, Task

CANNOT_TELL, NO_DIFFERENCE = "cannot tell", "no difference"
_ANSWERS = {"better": "helped", "worse": "hurt"}


@dataclass(frozen=True)
class Control:
    """One method's line of a verdict.

    Parameters
    ----------
    method : str
    labels : int
        Training labels that it saw; 0 when it does not say.
    seconds : float
        Features and fitting, mean over seeds; predicting is left out.
    score : Interval
    difference : Interval or None
        The transferred method minus this one; None for the transferred method itself.
    verdict : str
        The transferred method is ``"better"`` or ``"worse"`` than this one, ``"no difference"`` or
        ``"cannot tell"``; empty for itself.
    """

    method: str
    labels: int
    seconds: float
    score: Interval
    difference: Interval | None
    verdict: str


@dataclass(frozen=True)
class Verdict:
    """Whether transfer helped; see `verdict`.

    Parameters
    ----------
    answer : str
        ``"helped"``, ``"hurt"``, ``"cannot tell"``, or, only with a margin, ``"no difference"``.
    transferred, control : str
        What was compared with what.
    difference : Interval
        Transferred minus control.
    metric, split : str
    n, seeds : int
        Test examples, and fits per method.
    margin : float
        Differences up to this do not matter.
    rows : tuple of Control
        The transferred method, its control, then the others.
    notes : tuple of str
        What weakens the claim, in words.
    """

    answer: str
    transferred: str
    control: str
    difference: Interval
    metric: str
    split: str
    n: int
    seeds: int
    margin: float
    rows: tuple[Control, ...]
    notes: tuple[str, ...]

    def __getitem__(self, method: str) -> Control:
        for row in self.rows:
            if row.method == method:
                return row
        raise KeyError(method)

    def sentence(self) -> str:
        """Return the verdict in plain words."""
        value, low, high = (
            100 * v for v in (self.difference.value, self.difference.low, self.difference.high)
        )
        fits = f"{self.seeds} seed{'s' if self.seeds > 1 else ''}, {self.n:,} test examples"
        scores = f"{self[self.transferred].score.value:.1%} against {self[self.control].score.value:.1%}"
        apart = (
            f"{self.transferred} scores {abs(value):.1f} points {'below' if value < 0 else 'above'} "
            f"{self.control} [{low:+.1f}, {high:+.1f}] in {METRICS[self.metric]} ({scores}; {fits})"
        )
        if self.answer == CANNOT_TELL:
            smallest = 100 * (self.difference.half_width + self.margin)
            return f"Cannot tell: {apart}. Only differences above about {smallest:.1f} points could be told."
        if self.answer == NO_DIFFERENCE:
            return f"Transfer made no difference that matters (±{100 * self.margin:g} points): {apart}."
        beyond = f", by more than {100 * self.margin:g} points" if self.margin else ""
        return f"Transfer {self.answer}{beyond}: {apart}."

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows], "notes": list(self.notes)}

    def _head(self) -> tuple[str, ...]:
        return (
            "method",
            "labels",
            "seconds",
            f"{METRICS[self.metric]} [95%]",
            f"{self.transferred} minus it, points",
            f"{self.transferred} is",
        )

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                row.method,
                f"{row.labels:,}" if row.labels else "?",
                f"{row.seconds:.1f}",
                str(row.score),
                in_points(row.difference),
                row.verdict,
            )
            for row in self.rows
        ]

    def __str__(self) -> str:
        table = text_table([self._head(), *self._cells()])
        return "\n".join([self.sentence(), table, *(f"Note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        caption = f"<b>{escape(self.sentence())}</b>"
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return html_table(caption, self._head(), self._cells()) + (f"<ul>{notes}</ul>" if notes else "")


def verdict(
    reports: Mapping[str, Report | Sequence[Report]],
    *,
    transferred: str,
    control: str = "scratch",
    metric: str = "accuracy",
    margin: float = 0.0,
    max_ratio: float = 3.0,
    least_seeds: int = 3,
    strict: bool = False,
    resamples: int = 1000,
    seed: int = 0,
) -> Verdict:
    r"""Say whether transfer helped or hurt, against a control that differs in nothing else.

    Negative transfer (负迁移) is a statement about two fits on the same target labels, one with the
    source and one without:

    .. math:: R\bigl(A(\text{source}, \text{target})\bigr) > R\bigl(A(\varnothing, \text{target})\bigr)

    so the control is the same kind of learner from scratch, with the same labels and no smaller a budget.
    Other controls tell where a difference comes from: below *source only*, target labels did damage;
    below the *probe*, changing the network did.

    The interval of the difference d is ``d ± t·sqrt(E + S - R)``. E is its variance over test examples, from
    the paired bootstrap of `compare`; S that over seeds; R the noise that is in both and would count
    twice. With few seeds S is itself a guess, which the quantile t pays for: its degrees of freedom are
    Satterthwaite's. Where three seeds scatter this is wider than the percentile interval of `compare`: of
    simulated pairs that are equal it calls 3% to 8% different, the other up to 17%.

    Parameters
    ----------
    reports : mapping of str to Report or sequence of Report
        Per method one report per seed, in the same order of seeds; `trial` makes them.
    transferred, control : str
        The two that the verdict is about, to be named before looking.
    metric : {"accuracy", "balanced_accuracy", "macro_f1"}
    margin : float
        The smallest difference that matters, for instance 0.01. ``"helped"`` then asks for an interval wholly
        above it, ``"hurt"`` wholly below minus it, and one wholly between them says ``"no difference"``.
    max_ratio : float
        Seconds of one over those of the other beyond which a note warns of unequal budgets.
    least_seeds : int
        With fewer the answer is ``"cannot tell"``, whatever the interval.
    strict : bool
        Refuse unequal budgets instead of noting them. Unequal labels are always refused.
    resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    Verdict

    Raises
    ------
    BadInput
        When a method is missing, test examples or numbers of seeds differ, or the two saw different
        numbers of labels.

    References
    ----------
    Wang, Dai, Póczos & Carbonell (2019), "Characterizing and avoiding negative transfer".
    Owen (2007), "The pigeonhole bootstrap": why examples and seeds resampled together count noise twice.
    Satterthwaite (1946), "An approximate distribution of estimates of variance components".
    Kruschke (2018), "Rejecting or accepting parameter values in Bayesian estimation": the margin.
    """
    check_metric(metric)
    groups = _groups(reports, transferred, control)
    if margin < 0 or max_ratio < 1:
        raise BadInput(f"margin={margin}, max_ratio={max_ratio}.", "Give a margin >= 0 and a max_ratio >= 1.")
    _same_labels(groups[transferred], groups[control], transferred, control)
    values, draws, n = _per_seed(groups, metric, resamples, seed)
    rows = []
    for name, group in groups.items():
        difference, word = None, ""
        if name != transferred:
            apart = values[transferred] - values[name], draws[transferred] - draws[name]
            difference = over_seeds(*apart, n)
            word = _word(difference, margin)
        labels, score = group[0].train_size, over_seeds(values[name], draws[name], n)
        rows.append(Control(name, labels, _seconds(group), score, difference, word))
    found = rows[1].difference
    assert found is not None
    told = _ANSWERS.get(rows[1].verdict, rows[1].verdict)
    fits = _distinct(groups[transferred], groups[control])
    uneven = _uneven(rows[0], rows[1], max_ratio)
    if strict and uneven:
        raise BadInput(uneven, "Give both the same time, or raise max_ratio and say so.")
    notes = [*_few(fits, len(groups[control]), least_seeds, told), uneven, *_others(rows)]
    return Verdict(
        answer=told if fits >= least_seeds else CANNOT_TELL,
        transferred=transferred,
        control=control,
        difference=found,
        metric=metric,
        split=groups[control][0].split,
        n=n,
        seeds=fits,
        margin=float(margin),
        rows=tuple(rows),
        notes=tuple(note for note in notes if note),
    )


def trial(
    methods: Mapping[str, Callable[[Task, int], Predictor]],
    task: Task,
    seeds: Sequence[int] = (0, 1, 2),
    *,
    train: int | None = None,
    test: Split | None = None,
) -> dict[str, list[Report]]:
    """Fit several methods on the same labels, once per seed, and report each on the same test examples.

    A seed draws the labelled examples (``task.subset(train, seed)``) and is handed to the method, for its
    initial weights and the order of its batches. So intervals over seeds speak of another sample of as many
    labels *and* another training run; not of another source network or another task. With all the
    labels there are, the sample cannot vary, and a method without randomness gives the same
    report for every seed: that is one fit, and `verdict` counts it as one.

    Parameters
    ----------
    methods : mapping of str to callable
        ``fit(task, seed)`` returns a fitted classifier, as for `learning_curve`.
    task : Task
    seeds : sequence of int
    train : int, optional
        Training labels per fit. Default: all there are.
    test : Split, optional
        Default: ``task.test``.

    Returns
    -------
    dict of str to list of Report
        One per seed, in ascending order of the seeds; what `verdict` and `compare` take.

    Raises
    ------
    BadInput
        Without methods or seeds, or for more labels than exist (before anything is fitted).
    """
    from course_lib.show import Progress

    if not methods or not len(seeds):
        raise BadInput(
            "A trial needs methods and seeds.", 'For instance {"probe": fit_probe}, seeds=[0, 1, 2].'
        )
    size = len(task.train) if train is None else train
    results = {}
    with Progress("trial", len(methods) * len(set(seeds)), "fits") as bar:
        for name, fit in methods.items():

            def counted(subset: Task, seed: int, fit: Callable[[Task, int], Predictor] = fit) -> Predictor:
                fitted = fit(subset, seed)
                bar.update()
                return fitted

            results[name] = learning_curve(counted, task, [size], seeds, name, test=test).reports(size)
    return results


def over_seeds(values: np.ndarray, draws: np.ndarray, n: int) -> Interval:
    """Return the mean over seeds with a 95% interval that covers test examples and seeds; see `verdict`.

    Parameters
    ----------
    values : numpy.ndarray
        ``(s,)`` a score, or a paired difference, per seed.
    draws : numpy.ndarray
        ``(resamples, s)`` the same on resampled examples, a row's examples common to all seeds.
    n : int
        Number of examples.

    Returns
    -------
    Interval

    Examples
    --------
    Nothing varies over examples: the textbook interval of three numbers, 0.2 ± 4.30 · 0.1 / √3.

    >>> print(over_seeds(np.array([0.1, 0.2, 0.3]), np.zeros((2, 3)), 100))
    20.0% [-4.8, 44.8]
    """
    from scipy.special import stdtrit

    s, value = len(values), float(values.mean())
    variance = by_examples = float(draws.mean(axis=1).var(ddof=1))
    freedom = float(n - 1)
    if s > 1:
        by_seeds = float(values.var(ddof=1)) / s
        twice = (float(draws.var(axis=0, ddof=1).mean()) - by_examples) / (s - 1)
        variance += max(by_seeds - max(twice, 0.0), 0.0)
        if variance > 0:
            freedom = variance**2 / (by_examples**2 / max(n - 1, 1) + by_seeds**2 / (s - 1))
    half = float(stdtrit(max(freedom, 1.0), 0.975)) * variance**0.5
    return Interval(value, value - half, value + half)


def _groups(
    reports: Mapping[str, Report | Sequence[Report]], transferred: str, control: str
) -> dict[str, list[Report]]:
    """Return reports per method, the transferred one first and its control second."""
    given = {name: [group] if isinstance(group, Report) else list(group) for name, group in reports.items()}
    for name in (transferred, control):
        if not given.get(name):
            raise BadInput(
                f"There is no report of {name!r}.", f"There is {', '.join(given) or 'none at all'}."
            )
    if transferred == control:
        raise BadInput(f"{control!r} is compared with itself.", "Name a control, for instance 'scratch'.")
    if len({len(group) for group in given.values()}) > 1:
        sizes = ", ".join(f"{name} {len(group)}" for name, group in given.items())
        raise BadInput(f"Unequal numbers of seeds: {sizes}.", "Fit every method with the same seeds.")
    return {name: given[name] for name in dict.fromkeys((transferred, control, *given))}


def _per_seed(
    groups: Mapping[str, list[Report]], metric: str, resamples: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]:
    """Return per method the scores ``(s,)`` and their draws ``(resamples, s)``, and how many examples."""
    every = [report for group in groups.values() for report in group]
    same_examples(every)
    drawn = example_draws(every, metric, resamples, seed)
    values, draws, at = {}, {}, 0
    for name, group in groups.items():
        values[name] = np.array([report.score(metric).value for report in group])
        draws[name] = drawn[:, at : at + len(group)]
        at += len(group)
    return values, draws, every[0].n


def _word(difference: Interval, margin: float) -> str:
    if difference.low > margin:
        return "better"
    if difference.high < -margin:
        return "worse"
    inside = margin > 0 and difference.low >= -margin and difference.high <= margin
    return NO_DIFFERENCE if inside else CANNOT_TELL


def _same_labels(a: Sequence[Report], b: Sequence[Report], transferred: str, control: str) -> None:
    mine, theirs = ({report.train_size for report in group if report.train_size} for group in (a, b))
    if mine and theirs and (mine != theirs or len(mine) > 1):
        said = [" and ".join(f"{size:,}" for size in sorted(sizes)) for sizes in (mine, theirs)]
        raise BadInput(
            f"{transferred} saw {said[0]} labels, {control} {said[1]}: their difference may be the labels'.",
            "Fit both on the same subset for every seed, for instance with measure.trial.",
        )


def _seconds(group: Sequence[Report]) -> float:
    return float(np.mean([sum(v for what, v in r.seconds.items() if what != "predict") for r in group]))


def _distinct(a: Sequence[Report], b: Sequence[Report]) -> int:
    """Return how many pairs of fits differ: the same one listed three times is one."""
    return len({(x.predictions.tobytes(), y.predictions.tobytes()) for x, y in zip(a, b, strict=True)})


def _few(fits: int, given: int, least: int, told: str) -> list[str]:
    notes = []
    if fits < given:
        notes.append(f"Of {given} seeds only {fits} gave other predictions; equal ones count as one.")
    if fits < least:
        alone = "the interval is about the test examples alone" if fits == 1 else f"{fits} seeds say little"
        notes.append(
            f"Fewer than {least} seeds: {alone}, another training run may differ"
            + (f". By its interval it would be {told!r}." if told != CANNOT_TELL else ".")
        )
    return notes


def _uneven(mine: Control, theirs: Control, limit: float) -> str:
    """Return a warning when one of the two was given many times the other's seconds, or an empty text."""
    less, more = sorted((mine, theirs), key=lambda row: row.seconds)
    if more.seconds <= limit * less.seconds:
        return ""
    times = f"{more.seconds / less.seconds:.1f} times" if less.seconds else "more than"
    text = f"{more.method} was given {more.seconds:.1f} s, {times} the {less.seconds:.1f} s of {less.method}"
    ahead = mine if mine.score.value > theirs.score.value else theirs
    if ahead is less:
        return f"{text}, and is behind all the same: more time does not explain the difference."
    return f"{text}: part of its lead may be its budget's."


def _others(rows: Sequence[Control]) -> list[str]:
    """Return what to keep in mind about labels that were not stated, and about the further rows."""
    silent = [row.method for row in rows[:2] if not row.labels]
    notes = []
    if silent:
        notes.append(f"{' and '.join(silent)}: number of labels not stated, so it was not checked.")
    other = [f"{row.method} {row.labels:,}" for row in rows[2:] if row.labels != rows[0].labels]
    if other and rows[0].labels:
        notes.append(f"Other labels than the {rows[0].labels:,} of {rows[0].method}: {', '.join(other)}.")
    if len(rows) > 2:
        notes.append(
            f"{len(rows) - 1} differences, each with its own 95%: only the one to {rows[1].method} was "
            f"named beforehand; the more there are, the likelier one misses the truth."
        )
    return notes
