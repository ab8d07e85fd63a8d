"""Learning curves and the labels they save, against values worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from course_lib import measure
from course_lib.errors import BadInput
from course_lib.measure.curve import Curve, Point
from course_lib.tasks.task import Split, Task


@pytest.fixture
def task(split) -> Task:
    """`split` as the test set of a task with 200 training labels."""

    def part(start: int, n: int, name: str) -> Split:
        y = np.arange(n) % 4
        ids = np.array([str(i) for i in range(start, start + n)])
        return Split(np.zeros((n, 1)), y, split.class_names, name, "made up", ids)

    parts = part(1000, 200, "train"), part(2000, 80, "validation"), split
    return Task("made up", *parts, split.class_names, "made up", "CC0", "none")


def curve_of(report, name: str, by_size: dict[int, list[float]], metric: str = "accuracy") -> Curve:
    """A curve with the given scores."""
    points = [Point(n, s, v, report) for n, values in by_size.items() for s, v in enumerate(values)]
    return Curve(name, "made up", metric, tuple(points))


@pytest.fixture
def any_report(split, fixed):
    return measure.report(fixed(split, 0.5, seed=0), split)


def test_fits_nested_subsets_and_reports_on_the_whole_test_set(task, fixed) -> None:
    asked: list[tuple[int, int, frozenset[str], int]] = []

    def fit(subset, seed):
        asked.append((len(subset.train), seed, frozenset(subset.train.ids), len(subset.validation)))
        return fixed(task.test, 0.4 + len(subset.train) / 400, seed, name="made")

    curve = measure.learning_curve(fit, task, sizes=[100, 20], seeds=[0, 1])
    assert sorted((n, s) for n, s, _, _ in asked) == [(20, 0), (20, 1), (100, 0), (100, 1)]
    rows = {(n, s): ids for n, s, ids, _ in asked}
    assert rows[20, 0] < rows[100, 0] and rows[20, 0] != rows[20, 1]
    assert {v for n, _, _, v in asked if n == 100} == {25}
    assert curve.name == "made" and curve.sizes.tolist() == [20, 100]
    assert all(p.report.n == 500 and p.score == p.report.accuracy.value for p in curve.points)
    mean = np.mean([p.score for p in curve.points if p.size == 100])
    assert curve.means()[1] == pytest.approx(mean) and curve.interval(100).value == pytest.approx(mean)
    assert json.loads(json.dumps(curve.to_dict()))["points"][0]["size"] == 20
    assert "100" in str(curve) and "<table>" in curve._repr_html_()


def test_another_test_set_and_metric(task, fixed) -> None:
    half = task.test.take(np.arange(100))
    curve = measure.learning_curve(
        lambda subset, seed: fixed(half, 0.5, seed), task, [20], [0], "half", test=half, metric="macro_f1"
    )
    assert curve.points[0].report.n == 100
    assert curve.points[0].score == curve.points[0].report.macro_f1.value


def test_too_many_labels_fail_before_anything_is_fitted(task) -> None:
    fitted = []
    with pytest.raises(BadInput, match="200"):
        measure.learning_curve(lambda subset, seed: fitted.append(1), task, sizes=[20, 201])
    assert not fitted
    with pytest.raises(BadInput, match="sizes and seeds"):
        measure.learning_curve(lambda subset, seed: None, task, sizes=[])


def test_labels_saved_interpolates_in_the_logarithm(any_report) -> None:
    a = curve_of(any_report, "probe", {10: [0.4, 0.6]})
    b = curve_of(any_report, "scratch", {10: [0.3], 100: [0.4], 10_000: [0.6]})
    (saved,) = measure.labels_saved(a, b)
    assert saved.needed == pytest.approx(1000)  # half-way from 100 to 10,000 in the logarithm, not 5,050
    assert saved.times == pytest.approx(100) and saved.bound == ""
    assert "1,000 (1e+02×)" in str(saved) or "1,000 (100×)" in str(saved)


def test_labels_saved_does_not_extrapolate(any_report) -> None:
    b = curve_of(any_report, "scratch", {10: [0.3], 100: [0.4]})
    a = curve_of(any_report, "probe", {10: [0.2], 50: [0.3], 80: [0.4], 90: [0.41]})
    below, at_start, at_end, above = measure.labels_saved(a, b)
    assert (below.bound, below.needed) == ("<", 10)
    assert (at_start.bound, at_start.needed) == ("", 10)
    assert (at_end.bound, at_end.needed) == ("", pytest.approx(100))
    assert (above.bound, above.needed) == (">", 100) and "needs >100" in str(above)


def test_labels_saved_takes_the_first_crossing_of_a_curve_that_dips(any_report) -> None:
    a = curve_of(any_report, "probe", {10: [0.45]})
    b = curve_of(any_report, "scratch", {10: [0.3], 100: [0.6], 1000: [0.4], 10_000: [0.7]})
    assert measure.labels_saved(a, b)[0].needed == pytest.approx(10**1.5)


def test_labels_saved_refuses_what_cannot_be_compared(any_report) -> None:
    a = curve_of(any_report, "probe", {10: [0.4]})
    with pytest.raises(BadInput, match="one metric"):
        measure.labels_saved(a, curve_of(any_report, "scratch", {10: [0.3]}, metric="macro_f1"))
    with pytest.raises(BadInput, match="no point at 20"):
        measure.labels_saved(a, a, at=20)
    assert len(measure.labels_saved(a, a, at=10)) == 1
