"""Scores against accuracies: points where they belong, the chosen and the best one named."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course_lib import show
from course_lib.errors import BadInput

MONO = {"small": (0.1, 0.6), "large": (0.3, 0.8), "random": (0.35, 0.7)}
DIGITS = {"small": (-0.9, 0.85), "large": (-0.5, 0.95)}
KINDS = {"small": "ImageNet", "large": "ImageNet", "random": "random weights"}


def marks(axes, label=None):
    return [line for line in axes.lines if line.get_label() == label]


def test_points_lie_at_score_and_accuracy_by_group():
    picture = show.scatter(MONO, x="LogME", y="accuracy", groups=KINDS)
    (axes,) = picture.figure.axes
    (imagenet,), (random,) = marks(axes, "ImageNet"), marks(axes, "random weights")
    np.testing.assert_allclose(imagenet.get_xydata(), [(0.1, 0.6), (0.3, 0.8)])
    np.testing.assert_allclose(random.get_xydata(), [(0.35, 0.7)])
    assert imagenet.get_marker() != random.get_marker() and imagenet.get_color() != random.get_color()
    assert [t.get_text() for t in picture.figure.legends[0].texts] == ["ImageNet", "random weights"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("LogME", "accuracy")


def test_the_highest_score_and_the_highest_accuracy_are_named():
    picture = show.scatter(MONO, x="LogME", y="accuracy")
    texts = {t.get_text(): t.xy for t in picture.figure.axes[0].texts}
    assert texts == {"chosen": (0.35, 0.7), "best": (0.3, 0.8)}
    assert not picture.figure.legends
    assert "3 networks; highest by LogME is random (70%), best is large (80%)" in picture.alt
    same = show.scatter(DIGITS, x="LogME", y="accuracy")
    assert [t.get_text() for t in same.figure.axes[0].texts] == ["chosen and best"]


def test_a_panel_per_task_with_its_own_scores_and_one_scale_of_accuracy():
    picture = show.scatter(
        {"mono": MONO, "digits": DIGITS}, x="LogME", y="accuracy", groups=KINDS, title="All"
    )
    left, right = picture.figure.axes
    assert [axes.get_title(loc="left") for axes in (left, right)] == ["mono", "digits"]
    assert left.get_ylim() == right.get_ylim() and left.get_xlim() != right.get_xlim()
    assert picture.alt.startswith("All. mono: 3 networks") and "digits: 2 networks" in picture.alt


def test_nothing_is_cut_off():
    groups = {f"network {k}": f"kind {k % 5}" for k in range(12)}
    rng = np.random.default_rng(0)
    panel = {name: (float(rng.normal()), float(rng.uniform())) for name in groups}
    picture = show.scatter({f"task {k}": panel for k in range(4)}, x="LogME", y="accuracy", groups=groups)
    FigureCanvasAgg(picture.figure).draw()
    whole = picture.figure.bbox
    for axes in picture.figure.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1
    box = picture.figure.legends[0].get_window_extent()
    assert whole.x0 <= box.x0 and box.x1 <= whole.x1


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ({}, "an empty panel"),
        ({"mono": MONO, "digits": {}}, "an empty panel"),
        ({f"task {k}": MONO for k in range(5)}, "5 panels"),
        ({"small": (float("nan"), 0.5)}, "finite numbers"),
    ],
)
def test_bad_input(points, problem):
    with pytest.raises(BadInput, match=problem):
        show.scatter(points, x="LogME", y="accuracy")


def test_a_network_without_a_group():
    with pytest.raises(BadInput, match="'random' is in no group"):
        show.scatter(MONO, x="LogME", y="accuracy", groups={"small": "a", "large": "a"})
