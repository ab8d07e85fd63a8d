"""Scores against costs: points where they belong, nothing at the left edge, a name at every point."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course_lib import measure, show
from course_lib.errors import BadInput


def at(score, width=0.0):
    return measure.Interval(score, score - width, score + width)


CLOSED = {"probe": (0, at(0.5)), "centring": (0.003, at(0.65, 0.02)), "tuned": (184.0, at(0.66))}
KINDS = {"probe": "nothing", "centring": "raw text", "tuned": "nothing"}


def marks(axes, kind):
    return next(line for line in axes.lines if line.get_label() == kind)


def test_points_lie_at_cost_and_score_by_group():
    picture = show.costs(CLOSED, groups=KINDS, x="seconds", y="Chinese")
    (axes,) = picture.figure.axes
    np.testing.assert_allclose(marks(axes, "nothing").get_xydata(), [(1e-4, 0.5), (184, 0.66)])
    np.testing.assert_allclose(marks(axes, "raw text").get_xydata(), [(0.003, 0.65)])
    assert marks(axes, "nothing").get_marker() != marks(axes, "raw text").get_marker()
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "seconds", "Chinese")
    assert [t.get_text() for t in picture.figure.legends[0].texts] == ["nothing", "raw text"]
    assert any(np.allclose(line.get_xydata(), [(0.003, 0.63), (0.003, 0.67)]) for line in axes.lines)


def test_a_cost_of_nothing_is_called_so_and_lies_left_of_all_others():
    (axes,) = show.costs(CLOSED, groups=KINDS, x="seconds").figure.axes
    labels = [label.get_text() for label in axes.get_xticklabels()]
    places = axes.get_xticks()
    assert labels[0] == "nothing" and labels[1:4] == ["0.001", "0.01", "0.1"] and labels[-1] == "1,000"
    assert places[0] == pytest.approx(1e-4) and places[0] < 0.003 and axes.get_xlim()[0] < places[0]


def test_without_a_cost_of_nothing_the_axis_spans_the_costs():
    points = {"student": (0.6, at(0.58)), "teacher": (4.3, at(0.6))}
    (axes,) = show.costs(points, groups=dict.fromkeys(points, "all"), x="ms").figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "1", "2", "5"]
    low, high = axes.get_xlim()
    assert 0.1 < low < 0.6 and 4.3 < high < 43


def test_the_picture_is_told_in_words():
    picture = show.costs(CLOSED, groups=KINDS, x="seconds", title="What it costs")
    assert picture.alt == "What it costs. probe: nothing, 50%; centring: 0.003, 65%; tuned: 184, 66%."


def test_panels_share_their_costs_and_have_scores_of_their_own():
    other = {"words": (0.6, at(0.47)), "bare": (0, at(0.16))}
    groups = KINDS | {"words": "a dictionary", "bare": "nothing"}
    picture = show.costs({"many": CLOSED, "one": other}, groups=groups, x="s", references={"English": 0.67})
    upper, lower = picture.figure.axes
    assert [axes.get_title(loc="left") for axes in (upper, lower)] == ["many", "one"]
    assert upper.get_xlim() == lower.get_xlim() and upper.get_ylim() != lower.get_ylim()
    told = [[t.get_text() for t in axes.texts] for axes in (upper, lower)]
    assert "English 67%" in told[0] and "English 67%" not in told[1]
    assert {t.get_text() for t in picture.figure.legends[0].texts} == {"nothing", "raw text", "a dictionary"}


def boxes(axes):
    return {text.get_text(): text.get_window_extent() for text in axes.texts}


def crowd(n, seed):
    """Many points in a small corner, as methods are that cost about the same."""
    rng = np.random.default_rng(seed)
    return {f"method {k}": (10 ** rng.uniform(1, 1.6), at(rng.uniform(0.62, 0.68))) for k in range(n)}


@pytest.mark.parametrize("seed", range(3))
def test_names_cover_neither_each_other_nor_a_mark_and_stay_inside(seed):
    points = {**CLOSED, **crowd(12, seed)}
    groups = {name: KINDS.get(name, "labels") for name in points}
    picture = show.costs(points, groups=groups, x="seconds", references={"English": 0.67})
    FigureCanvasAgg(picture.figure).draw()
    (axes,) = picture.figure.axes
    found = boxes(axes)
    assert set(found) == {*points, "English 67%"}
    for (one, a), (other, b) in combinations(found.items(), 2):
        assert not a.overlaps(b), (one, other)
    for name, box in found.items():
        assert axes.bbox.x0 - 1 <= box.x0 and box.x1 <= axes.bbox.x1 + 1, name
        assert axes.bbox.y0 - 1 <= box.y0 and box.y1 <= axes.bbox.y1 + 1, name
        for method, (cost, score) in points.items():
            x, y = axes.transData.transform((cost or axes.get_xticks()[0], score.value))
            assert not (box.x0 < x < box.x1 and box.y0 < y < box.y1), (name, method)


def test_a_name_that_is_far_from_its_mark_has_a_line_to_it():
    points = crowd(14, 1) | {"alone": (1.0, at(0.1))}
    (axes,) = show.costs(points, groups=dict.fromkeys(points, "labels"), x="s").figure.axes
    starts = [tuple(line.get_xydata()[0]) for line in axes.lines if line.get_linewidth() == 0.7]
    places = {(cost, score.value) for cost, score in points.values()}
    assert starts and all(any(np.allclose(s, p) for p in places) for s in starts)


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ({}, "an empty panel"),
        ({"one": CLOSED, "two": {}}, "an empty panel"),
        ({f"panel {k}": CLOSED for k in range(4)}, "4 panels"),
        ({"probe": (-1.0, at(0.5))}, "costs of 0 or more"),
        ({"probe": (float("inf"), at(0.5))}, "finite"),
        ({"probe": (1.0, at(float("nan")))}, "finite"),
    ],
)
def test_bad_input(points, problem):
    with pytest.raises(BadInput, match=problem):
        show.costs(points, groups=KINDS, x="seconds")


def test_a_method_without_a_group():
    with pytest.raises(BadInput, match="'tuned' is in no group"):
        show.costs(CLOSED, groups={"probe": "a", "centring": "b"}, x="seconds")


def test_costs_of_nothing_alone():
    (axes,) = show.costs({"probe": (0, at(0.5))}, groups={"probe": "nothing"}, x="labels").figure.axes
    assert axes.get_xticklabels()[0].get_text() == "nothing"
