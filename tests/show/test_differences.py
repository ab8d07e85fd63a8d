"""The forest plot draws the intervals it was given, in points."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course_lib import show
from course_lib.errors import BadInput
from course_lib.measure.report import Interval

FOUND = {
    "fine-tuned": Interval(0.084, 0.05, 0.118),
    "probe": Interval(0.012, -0.004, 0.028),
    "source only": Interval(-0.2, -0.24, -0.16),
}


def rows(found=FOUND):
    return [SimpleNamespace(method="scratch", difference=None)] + [
        SimpleNamespace(method=name, difference=apart) for name, apart in found.items()
    ]


def marks(axes):
    return [line for line in axes.lines if line.get_marker() == "o"]


def test_marks_and_intervals_are_in_points():
    axes = show.differences(FOUND).figure.axes[0]
    assert [float(mark.get_xdata()[0]) for mark in marks(axes)] == pytest.approx([8.4, 1.2, -20.0])
    assert [float(mark.get_ydata()[0]) for mark in marks(axes)] == [2, 1, 0]
    spans = [
        line.get_xdata() for line in axes.lines if line.get_marker() == "None" and len(line.get_xdata()) == 2
    ]
    np.testing.assert_allclose(spans[1:], [(5, 11.8), (-0.4, 2.8), (-24, -16)])
    assert [t.get_text() for t in axes.texts] == ["+8.4", "+1.2", "-20.0"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["fine-tuned", "probe", "source only"]


def test_only_what_lies_wholly_beyond_the_band_is_filled():
    plain = marks(show.differences(FOUND).figure.axes[0])
    assert [mark.get_markerfacecolor() == "white" for mark in plain] == [False, True, False]
    wide = show.differences(FOUND, margin=0.06)
    assert [m.get_markerfacecolor() == "white" for m in marks(wide.figure.axes[0])] == [True, True, False]
    assert "±6 points does not matter" in wide.alt
    band = wide.figure.axes[0].patches[0]
    assert (band.get_x(), band.get_width()) == pytest.approx((-6, 12))


def test_comparisons_and_verdicts_are_taken_as_they_are():
    comparison = show.differences(SimpleNamespace(rows=rows(), reference="scratch"))
    assert comparison.figure.axes[0].get_xlabel() == "minus scratch, points"
    assert len(marks(comparison.figure.axes[0])) == 3
    verdict = show.differences(SimpleNamespace(rows=rows(), transferred="tuned", margin=0.01))
    axes = verdict.figure.axes[0]
    assert axes.get_xlabel() == "tuned minus each, points"
    assert axes.get_yticklabels()[0].get_text() == "minus fine-tuned"
    assert "±1 points" in verdict.alt


def test_the_words_carry_the_numbers():
    picture = show.differences(FOUND, title="Carried over", xlabel="minus scratch")
    assert "fine-tuned +8.4 (95% interval +5.0 to +11.8)" in picture.alt
    assert picture.alt.startswith("Carried over, minus scratch: ")
    assert show.differences(FOUND, alt="Three.").alt == "Three."


@pytest.mark.parametrize("count", [1, 3])
def test_text_stays_inside_and_apart(count):
    few = dict(list(FOUND.items())[:count])
    figure = show.differences(few, title="What transfer brought", margin=0.01).figure
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    boxes = [t.get_window_extent() for t in (*axes.texts, axes._left_title, axes.xaxis.label)]
    for k, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:k])


def test_nothing_to_draw_is_said():
    for found, margin in (({}, 0), (SimpleNamespace(rows=rows({})), None), (FOUND, -0.1)):
        with pytest.raises(BadInput, match="Give at least one difference"):
            show.differences(found, margin=margin)
