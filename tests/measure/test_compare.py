"""Paired comparisons against closed forms and slow, plain bootstraps."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure.compare import mean_score


def test_the_same_answers_differ_by_exactly_nothing(split, fixed) -> None:
    r = measure.report(fixed(split, 0.7, seed=1), split)
    row = measure.compare({"one": r, "two": r})["two"]
    assert (row.difference.value, row.difference.low, row.difference.high) == (0, 0, 0)
    assert row.verdict == "cannot tell"


def test_better_worse_and_cannot_tell(split, fixed) -> None:
    reports = {
        name: measure.report(fixed(split, p, seed=i), split)
        for i, (name, p) in enumerate([("middle", 0.70), ("good", 0.90), ("bad", 0.50), ("alike", 0.705)])
    }
    table = measure.compare(reports)
    assert [row.verdict for row in table.rows] == ["reference", "better", "worse", "cannot tell"]
    turned = measure.compare(reports, reference="good")
    assert turned["middle"].verdict == "worse"
    assert turned["middle"].difference.value == pytest.approx(-table["good"].difference.value)


def test_paired_interval_equals_its_closed_form_and_beats_the_unpaired(split, told) -> None:
    """Two methods that disagree on 40 of 500: the difference has the variance of a trinomial mean."""
    rng = np.random.default_rng(3)
    a = np.where(rng.random(500) < 0.7, split.y, (split.y + 1) % 4)
    b = a.copy()
    fixes, spoils = np.flatnonzero(a != split.y)[:30], np.flatnonzero(a == split.y)[:10]
    b[fixes] = split.y[fixes]
    b[spoils] = (split.y[spoils] + 1) % 4
    ra, rb = measure.report(told("a", a), split), measure.report(told("b", b), split)
    d = measure.compare({"a": ra, "b": rb}, resamples=10_000)["b"].difference
    error = np.sqrt((40 / 500 - (20 / 500) ** 2) / 500)
    assert d.value == pytest.approx(20 / 500)
    assert d.low == pytest.approx(0.04 - 1.96 * error, abs=0.003)
    assert d.high == pytest.approx(0.04 + 1.96 * error, abs=0.003)
    unpaired = 1.96 * np.hypot(*(r.accuracy.half_width / 1.96 for r in (ra, rb)))
    assert unpaired > 1.8 * d.half_width
    assert d.low > 0 > 0.04 - unpaired, "paired tells them apart, unpaired does not"


@pytest.mark.parametrize(
    ("metric", "by_sklearn"),
    [
        ("accuracy", metrics.accuracy_score),
        ("balanced_accuracy", lambda y, p: metrics.recall_score(y, p, average="macro")),
        ("macro_f1", lambda y, p: metrics.f1_score(y, p, average="macro")),
    ],
)
def test_equals_a_plain_paired_bootstrap(split, fixed, metric, by_sklearn) -> None:
    a, b = fixed(split, 0.7, seed=1), fixed(split, 0.75, seed=2)
    reports = {"a": measure.report(a, split), "b": measure.report(b, split)}
    d = measure.compare(reports, metric=metric, resamples=5000)["b"].difference
    y, rng, drawn = split.y, np.random.default_rng(0), []
    for _ in range(1000):
        rows = rng.integers(500, size=500)
        drawn.append(by_sklearn(y[rows], b.answers[rows]) - by_sklearn(y[rows], a.answers[rows]))
    assert d.value == pytest.approx(by_sklearn(y, b.answers) - by_sklearn(y, a.answers))
    low, high = np.percentile(drawn, (2.5, 97.5))
    assert d.low == pytest.approx(low, abs=0.012) and d.high == pytest.approx(high, abs=0.012)


def test_seeds_that_scatter_widen_the_interval_as_much_as_they_should(split, fixed) -> None:
    """Scores 0.5, 0.6, 0.7, 0.8 over four seeds: variance of the mean is s²/4 plus that of the examples."""
    reports = [measure.report(fixed(split, p, seed=i), split) for i, p in enumerate((0.5, 0.6, 0.7, 0.8))]
    found = mean_score(reports, resamples=20_000)
    accuracies = [r.accuracy.value for r in reports]
    assert found.value == pytest.approx(np.mean(accuracies))
    hits = np.mean([r.labels == r.predictions for r in reports], axis=0)
    error = np.sqrt(np.var(accuracies, ddof=1) / 4 + hits.var() / 500)
    assert found.half_width == pytest.approx(1.96 * error, rel=0.1)
    assert found.half_width > 2 * 1.96 * np.sqrt(hits.var() / 500), "examples alone would say too little"


def test_shared_seeds_cancel_in_the_difference(split, fixed, told) -> None:
    """A method that is two points better than the reference for every seed, however the seeds scatter."""
    reference, better = [], []
    for i, p in enumerate((0.45, 0.6, 0.75)):
        answers = fixed(split, p, seed=i).answers
        fixed_rows = np.flatnonzero(answers != split.y)[:25]
        mended = answers.copy()
        mended[fixed_rows] = split.y[fixed_rows]
        reference.append(measure.report(told("r", answers), split))
        better.append(measure.report(told("b", mended), split))
    table = measure.compare({"reference": reference, "better": better})
    assert table["better"].verdict == "better"
    assert table["better"].difference.half_width < 0.03 < table["better"].score.half_width
    lopsided = measure.compare({"reference": reference, "better": better[:2]})
    assert lopsided["better"].difference.half_width > 0.05, "other seeds: the scatter does not cancel"


def test_different_test_sets_are_refused(split, fixed) -> None:
    r = measure.report(fixed(split, 0.7, seed=1), split)
    half = split.take(np.arange(250))
    with pytest.raises(BadInput, match="not the same examples"):
        measure.compare({"a": r, "b": measure.report(fixed(half, 0.7, seed=1), half)})
    with pytest.raises(BadInput, match="not the same examples"):
        measure.compare({"a": r, "b": replace(r, ids=r.ids[::-1])})
    with pytest.raises(BadInput, match="no method 'c'"):
        measure.compare({"a": r}, reference="c")
    with pytest.raises(BadInput, match="nothing to compare"):
        measure.compare({"a": []})


def test_seeded_and_shown(split, fixed) -> None:
    reports = {
        f"<m{i}>": [measure.report(fixed(split, 0.7, 10 * i + s), split) for s in range(3)] for i in range(3)
    }
    table = measure.compare(reports, seed=1)
    assert (
        table.to_dict()
        == measure.compare(reports, seed=1).to_dict()
        != measure.compare(reports, seed=2).to_dict()
    )
    assert json.loads(json.dumps(table.to_dict()))["rows"][1]["seeds"] == 3
    assert "&lt;m1&gt;" in table._repr_html_() and "<m1>" in str(table)
